"""`python -m stage NOTEBOOK --ip IP --port PORT --children N -- voila …`: serve the notebook as a dashboard."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import tornado.ioloop

from .server import make_app
from .stage import Stage

SWEEP_MS = 2000


def main() -> None:
    """Until SIGTERM, or until the process that executed the notebook is lost."""
    arguments = sys.argv[1:]
    plain: list[str] = []
    if "--" in arguments:
        place = arguments.index("--")
        arguments, plain = arguments[:place], arguments[place + 1 :]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--ip", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8866)
    parser.add_argument("--children", type=int, default=100, help="visitors that have a process at one time")
    parser.add_argument(
        "--keep", type=float, default=60.0, help="seconds a visitor's process waits for them to come back"
    )
    parser.add_argument("--again", type=float, default=60.0, help="seconds after which a failed notebook is run again")
    options = parser.parse_args(arguments)
    sys.exit(asyncio.run(serve(options, plain)))


async def serve(options: argparse.Namespace, plain: list[str]) -> int:
    """Listen at once; the notebook runs meanwhile. 1 when the executed process is lost: a new start mends it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    stage = Stage(options.notebook, plain, options.children, options.keep, options.again)
    server = make_app(stage).listen(options.port, options.ip)
    sweep = tornado.ioloop.PeriodicCallback(stage.children.sweep, SWEEP_MS)
    sweep.start()
    preparing = asyncio.create_task(stage.prepare())
    waiting = [asyncio.create_task(event.wait()) for event in (stop, stage.lost)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return 1 if stage.lost.is_set() else 0
    finally:
        for task in (preparing, *waiting):
            task.cancel()
        sweep.stop()
        server.stop()
        stage.end()


main()
