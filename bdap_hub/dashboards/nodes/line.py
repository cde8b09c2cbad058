"""Questions to one node: over connections that rest between them, and none while it is silent."""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from ...errors import Unavailable
from . import wire

CONNECTS, ANSWERS, HEARS = 3.0, 10.0, 5.0  # seconds; after `HEARS` without a sign of having got it, the node is gone
RESTING, RESTS_SECONDS = 8, 30.0
SILENT_SECONDS = 5.0
"""So long nobody asks a node that did not answer."""
LONGEST = 8 * wire.LONGEST


class Line:
    """To the node of that name. Safe from several threads."""

    def __init__(self, name: str, host: str, port: int, tls: ssl.SSLContext) -> None:
        self.name, self._at, self._tls = name, (host, port), tls
        self._silent_until = 0.0
        self._resting: deque[tuple[float, ssl.SSLSocket]] = deque()

    def ask[T](self, ask: str, kind: type[T], seconds: float = ANSWERS, **said: Any) -> T:
        """The answer, which is of that kind; Unavailable where the node does not answer, or did not a moment ago."""
        line = wire.line({"ask": ask, **said})
        answer = b""
        while not answer and (resting := self._rested()):
            try:
                answer = self._said(resting, seconds, line)
            except TimeoutError as error:  # the others would say as little
                raise self._gone(error, seconds) from None
            except OSError:
                continue  # it ended while it rested
        found = wire.value_of(answer or self._new(line, seconds), self.name)
        if not isinstance(found, kind):
            raise Unavailable(f"the node {self.name} answers what nobody understands", "is it of the same version?")
        return found

    def tell(self, said: dict[str, Any], pieces: Iterable[bytes], seconds: float) -> None:
        """Bring something, by a connection of its own."""
        wire.value_of(self._new(wire.line(said), seconds, pieces), self.name)

    def _new(self, line: bytes, seconds: float, pieces: Iterable[bytes] = ()) -> bytes:
        self._look()
        try:
            plain = socket.create_connection(self._at, CONNECTS)
            try:
                _watch(plain)
                connection = self._tls.wrap_socket(plain, server_hostname=self._at[0])
            except BaseException:
                plain.close()
                raise
            return self._said(connection, seconds, line, pieces)
        except OSError as error:
            raise self._gone(error, seconds) from None

    def _said(self, connection: ssl.SSLSocket, seconds: float, line: bytes, pieces: Iterable[bytes] = ()) -> bytes:
        """Its answer, after which the connection rests; b'' where it has ended."""
        answer = b""
        try:
            connection.settimeout(seconds)
            connection.sendall(line)
            for piece in pieces:
                connection.sendall(wire.framed(piece))
            answer = self._heard(connection)
        finally:
            if answer and len(self._resting) < RESTING:
                self._resting.append((time.monotonic(), connection))
            else:
                connection.close()
        return answer

    def _heard(self, connection: ssl.SSLSocket) -> bytes:
        parts = [b""]
        size = 0
        while not parts[-1].endswith(b"\n") and (said := connection.recv(wire.PIECE)):
            parts.append(said)
            size += len(said)
            if size > LONGEST:
                raise Unavailable(f"the node {self.name} says too much at once", "look at its log")
        return b"".join(parts)

    def _rested(self) -> ssl.SSLSocket | None:
        """The one that was used last, unless it rests for so long that nobody knows what became of it."""
        self._look()
        while self._resting:
            try:
                since, connection = self._resting.pop()
            except IndexError:
                return None
            if time.monotonic() - since < RESTS_SECONDS:
                return connection
            connection.close()
        return None

    def _look(self) -> None:
        if time.monotonic() < self._silent_until:
            raise self._away()

    def _gone(self, error: OSError, seconds: float) -> Unavailable:
        """Silent from now on; but what takes long there, and is only not done yet, is no sign of that."""
        only_slow = isinstance(error, TimeoutError) and error.errno is None and seconds > ANSWERS
        if not only_slow:
            self._silent_until = time.monotonic() + SILENT_SECONDS
            self._resting.clear()
        return self._away()

    def _away(self) -> Unavailable:
        return Unavailable(f"the node {self.name} does not answer", "look at `bdap dashboards node serve` there")


def _watch(plain: socket.socket) -> None:
    """The kernel notices a machine that is gone, also while nothing is said."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(HEARS * 1000))
    for option, value in ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 2), (socket.TCP_KEEPCNT, 3)):
        plain.setsockopt(socket.IPPROTO_TCP, option, value)
