"""The process that has executed the notebook and forks a copy of itself for each visitor. It has no threads."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from . import seeds, wire
from .comms import Switchboard
from .execution import Run, Runner, described, first_per_visitor
from .obstacles import of_process
from .renewal import Renewal, die_with_parent, engines
from .shell import make_shell
from .surroundings import CODE, without_stage
from .visitor import visit


class Zygote:
    """Executes, tells the server what came of it, then forks on demand until the server is gone."""

    def __init__(self, link: socket.socket, task: dict[str, Any]) -> None:
        self.link, self.task = link, task
        self.cells: list[dict[str, Any]] = json.loads(Path(task["notebook"]).read_text())["cells"]
        self.board = Switchboard(task["seed"])
        self.shell = make_shell(self.board)
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.runner = Runner(self.shell, self.loop, self.board.install)
        self.start = 0

    def run(self) -> None:
        """The whole life."""
        began = time.monotonic()
        result = self._execute()
        self._close_loop()
        result["seconds"] = round(time.monotonic() - began, 3)
        wire.send(self.link, result)
        if result["failure"] or result["obstacle"]:
            return
        del result
        self.renewal = Renewal()
        gc.collect()
        gc.freeze()
        self._serve()

    def _execute(self) -> dict[str, Any]:
        """As far as the task says: all cells, those before the first per-visitor cell, or the imports alone."""
        found = Run()
        if self.task["imports"]:
            self.runner.imports(self.cells)
        else:
            self.start = first_per_visitor(self.cells)
            found = self.runner.run(self.cells, 0, self.start)
        for engine in engines():  # what its pool keeps is made again when it is needed
            with contextlib.suppress(Exception):
                engine.dispose()
        obstacle = "" if found.failure else of_process(self.loop, self._descriptors())
        return {**described(found, self.board, self.task["modules"]), "obstacle": obstacle, "ran": self.start}

    def _descriptors(self) -> list[int]:
        """Our own sockets, and the loop's."""
        return [self.link.fileno()]

    def _close_loop(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def _serve(self) -> None:
        wake, bell = socket.socketpair()
        for end in (wake, bell):
            end.setblocking(False)
        signal.set_wakeup_fd(bell.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            ready, _, _ = select.select([self.link, wake], [], [])
            if wake in ready:
                wake.recv(4096)
                self._reap()
            if self.link in ready and not self._request([wake, bell]):
                return

    def _request(self, ours: list[socket.socket]) -> bool:
        """Fork for one visitor. False when the server is gone."""
        data, descriptors, _, _ = socket.recv_fds(self.link, 65536, 1)
        if not data:
            return False
        with contextlib.ExitStack() as held:
            visitors = [held.enter_context(socket.socket(fileno=number)) for number in descriptors]
            try:
                (request,), (visitor,) = _whole(self.link, data), visitors
                name = request["id"]
            except Exception as error:  # every visitor's process would end with this one
                print(f"stage: a request that cannot be read: {error!r}", file=sys.__stderr__, flush=True)
                return True
            parent = os.getpid()
            try:
                pid = os.fork()
            except OSError as error:  # as many processes, or as much memory, as the container may have
                print(f"stage: no process for a visitor: {error}", file=sys.__stderr__, flush=True)
                wire.send(self.link, {"forked": 0, "id": name})
                return True
            if pid == 0:
                self._become(request, visitor, parent, ours)
            wire.send(self.link, {"forked": pid, "id": name})
        return True

    def _become(self, request: dict[str, Any], visitor: socket.socket, parent: int, ours: list[socket.socket]) -> None:
        """In the copy: never returns."""
        status = 1
        try:
            die_with_parent(parent)
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self.link, *ours):
                end.close()
            self.renewal.renew([visitor.fileno()])
            visit(self, request, visitor)
            status = 0
        except BaseException as error:
            print(f"stage: a visitor's process ended: {error!r}", file=sys.__stderr__, flush=True)
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            wire.send(self.link, {"ended": pid, "status": status})


def _whole(link: socket.socket, data: bytes) -> list[dict[str, Any]]:
    """The messages that begin with `data`, the last one to its end; none where the other side is gone."""
    unpacker = wire.Unpacker()
    messages: list[dict[str, Any]] = []
    while data and not messages:
        messages = list(unpacker.feed(data))
        data = b"" if messages else link.recv(65536)
    return messages


def main() -> None:
    """Started by the server: `--link` is the number of a socket that it holds the other end of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    die_with_parent(arguments.parent)
    link = socket.socket(fileno=arguments.link)
    messages = _whole(link, link.recv(65536))
    if not messages:
        return
    task = messages[0]
    own = {**without_stage(os.environ), **task["environment"]}
    for name in set(os.environ) - set(own):
        del os.environ[name]
    os.environ.update(own)
    sys.path[:] = [str(Path(task["notebook"]).parent), *(p for p in sys.path if p not in ("", CODE))]
    os.chdir(Path(task["notebook"]).parent)
    sys.argv = [task["notebook"]]
    seeds.watch()
    Zygote(link, task).run()


if __name__ == "__main__":
    main()
