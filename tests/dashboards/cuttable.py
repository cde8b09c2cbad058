"""A socket before the Docker engine that a test can cut, or let hang, without touching the engine that others use."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal


class Cuttable:
    """Passes everything on while it is up."""

    def __init__(self, path: Path) -> None:
        self.path, self.state = path, "up"
        self._engine = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def silent(self, how: Literal["cut", "hang"]) -> Iterator[None]:
        """Meanwhile connections are closed, or nothing comes through them."""
        self.state = how
        try:
            yield
        finally:
            self.state = "up"

    def close(self) -> None:
        """For good."""
        self.state = "cut"
        self._door.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=[self._door.accept()[0]], daemon=True).start()

    def _serve(self, here: socket.socket) -> None:
        with here, socket.socket(socket.AF_UNIX) as there, contextlib.suppress(OSError):
            there.connect(self._engine)
            other = {here: there, there: here}
            while self.state != "cut":
                if self.state == "hang":
                    time.sleep(0.02)
                    continue
                for one in select.select([here, there], [], [], 0.05)[0]:
                    if not (data := one.recv(65536)):
                        return
                    other[one].sendall(data)
