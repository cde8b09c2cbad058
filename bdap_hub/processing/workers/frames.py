"""What the service and its workers say to each other over a socket: a head as JSON, and bytes.

JSON, because a worker reads files of strangers: the service takes nothing from it that could run.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Mapping
from typing import Any

SIZES = struct.Struct("!II")
MOST = 1 << 30


class Broken(Exception):
    """The other side has gone, or says what nobody understands."""


class Line:
    """One side of the connection. Any thread may say something, one thread listens."""

    def __init__(self, end: socket.socket) -> None:
        self._end, self._file, self._lock = end, end.makefile("rb"), threading.Lock()

    def say(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        """Send a message; Broken where nobody is there any more."""
        text = json.dumps(head, separators=(",", ":")).encode()
        try:
            with self._lock:
                self._end.sendall(b"".join((SIZES.pack(len(text), len(body)), text, body)))
        except OSError:
            raise Broken from None

    def hear(self) -> tuple[dict[str, Any], bytes]:
        """The next message; Broken at the end."""
        try:
            head, body = SIZES.unpack(self._read(SIZES.size))
            if head > MOST or body > MOST:
                raise Broken
            found = json.loads(self._read(head))
        except (OSError, ValueError):
            raise Broken from None
        if not isinstance(found, dict):
            raise Broken
        return found, self._read(body)

    def hang_up(self) -> None:
        """Whoever listens at either side hears the end."""
        try:
            self._end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """For the thread that listens, after the end."""
        self._file.close()
        self._end.close()

    def _read(self, count: int) -> bytes:
        found = self._file.read(count)
        if len(found) < count:
            raise Broken
        return found
