"""The process whose children the workers are: it imports what they need once, knows no secret and opens no file.

`python -m bdap_hub.processing.workers.mother`, with a socket as standard input. Each message on it is the settings
for one worker, and comes with the worker's end of its line. It has one thread, so that a fork is whole.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import traceback

from ...settings import ProcessingSettings, StoreSettings
from ..alone import end_with_parent
from ..engine.limits import Limits
from .frames import Line
from .worker import Worker, first_to_go

MOST = 1 << 17


def main() -> int:
    """Start workers until the service has gone."""
    end_with_parent(os.getppid())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # to all of the unit: the service ends it when it has answered
    control = socket.socket(fileno=0)
    gc.freeze()  # what was imported stays shared
    while True:
        told, ends, _, _ = socket.recv_fds(control, MOST, 1)
        if not told:
            return 0
        mother = os.getpid()
        if os.fork() == 0:
            control.close()
            os.open(os.devnull, os.O_RDONLY)  # as standard input, which the socket was
            _work(mother, told, socket.socket(fileno=ends[0]))
        os.close(ends[0])


def _work(mother: int, told: bytes, end: socket.socket) -> None:
    """Be a worker, to the end."""
    try:
        end_with_parent(mother)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        first_to_go()
        sections = json.loads(told)
        limits = Limits(StoreSettings(**sections["store"]), ProcessingSettings(**sections["processing"]))
        Worker(Line(end), limits).serve()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)  # threads that hang hold nobody up


if __name__ == "__main__":
    sys.exit(main())
