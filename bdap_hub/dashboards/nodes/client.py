"""A node as the hub's dashboards see it: the runtime of another machine, which gets what it lacks before it starts."""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound

from ...errors import Unavailable
from ...settings import Settings
from ..running.runtime import Ending, Launch
from . import order, wire
from .tunnels import Tunnels

CONNECTS, ANSWERS, STARTS, BRINGS = 1.0, 10.0, 120.0, 600.0  # seconds
RESTING = 8  # connections
SILENT_SECONDS = 5.0
"""So long nobody asks a node that did not answer."""


class FarRuntime:
    """Releases on the node at `address` (host:port)."""

    def __init__(self, settings: Settings, address: str) -> None:
        self.settings, self.name = settings, address
        host, _, port = address.rpartition(":")
        self._at, self._tls = (host.strip("[]"), int(port)), wire.hub_side(settings)
        self._silent_until = 0.0
        self._tunnels = Tunnels(*self._at, self._tls)
        self._bringing = threading.Lock()
        self._resting: deque[ssl.SSLSocket] = deque()

    def start(self, launch: Launch) -> None:
        """Start the release there, with its bundle and its image where the node lacks them."""
        image = self._image(launch)
        wanted = order.written(launch, image)
        for _ in range(3):
            lacks = self._ask("start", STARTS, order=wanted)
            if not lacks:
                return
            with self._bringing:  # what one brings, others need not
                self._bring(lacks, launch, image)
        raise Unavailable(f"the node {self.name} lacks the {lacks} of {launch.name}", "look at its log")

    def address(self, name: str) -> str | None:
        """A port of this machine that leads to the release there."""
        return self._tunnels.to(name) if self._ask("there", name=name) else None

    def logs(self, name: str) -> str:
        """The last lines it wrote."""
        return str(self._ask("logs", name=name))

    def memory(self, name: str) -> int:
        """Bytes that it holds."""
        return int(self._ask("memory", name=name))

    def ended(self) -> dict[str, Ending]:
        """Releases that ended there by themselves."""
        return {name: Ending(**said) for name, said in self._ask("ended").items()}

    def stop(self, name: str) -> None:
        """Stop and forget it there."""
        self._ask("stop", STARTS, name=name)

    def running(self) -> dict[str, float]:
        """What runs there, and since when."""
        return dict(self._ask("running"))

    def stop_all(self) -> None:
        """Stop all that runs there."""
        self._ask("stop_all", STARTS)

    def tidy(self) -> None:
        """A machine alone has each release once."""

    def room(self) -> int:
        """Bytes of memory that could be given out there."""
        return int(self._ask("room"))

    def _ask(self, ask: str, seconds: float = ANSWERS, **said: Any) -> Any:
        """By a connection that rests, or by a new one; one that ended while it rested says nothing at all."""
        line = wire.line({"ask": ask, **said})
        while resting := self._rested():
            try:
                if answer := self._said(resting, seconds, line):
                    return wire.value_of(answer, self.name)
            except TimeoutError:  # the others would say as little
                self._resting.clear()
                raise self._falls_silent(seconds) from None
            except OSError:
                continue
        return self._speak(seconds, line, ())

    def _speak(self, seconds: float, line: bytes, pieces: Iterable[bytes]) -> Any:
        """Unavailable where the node does not answer, or did not a moment ago."""
        connection = self._connected()
        try:
            answer = self._said(connection, seconds, line, pieces)
        except OSError:
            raise self._falls_silent(seconds) from None
        return wire.value_of(answer, self.name)

    def _rested(self) -> ssl.SSLSocket | None:
        try:
            return self._resting.pop()
        except IndexError:
            return None

    def _falls_silent(self, seconds: float) -> Unavailable:
        if seconds <= ANSWERS:  # what takes long there is no sign of its silence
            self._silent_until = time.monotonic() + SILENT_SECONDS
        return self._away()

    def _said(self, connection: ssl.SSLSocket, seconds: float, line: bytes, pieces: Iterable[bytes] = ()) -> bytes:
        """Its answer, after which the connection rests; b'' where it has ended."""
        answer = b""
        try:
            connection.settimeout(seconds)
            connection.sendall(line)
            for piece in pieces:
                connection.sendall(wire.framed(piece))
            answer = _line(connection)
        finally:
            if answer and len(self._resting) < RESTING:
                self._resting.append(connection)
            else:
                connection.close()
        return answer

    def _connected(self) -> ssl.SSLSocket:
        if time.monotonic() < self._silent_until:
            raise self._away()
        try:
            plain = socket.create_connection(self._at, CONNECTS)
            try:
                return self._tls.wrap_socket(plain, server_hostname=self._at[0])
            except BaseException:
                plain.close()
                raise
        except OSError:
            raise self._falls_silent(CONNECTS) from None

    def _away(self) -> Unavailable:
        return Unavailable(f"the node {self.name} does not answer", "look at `bdap dashboards node serve` there")

    def _image(self, launch: Launch) -> str:
        """What this machine's engine knows it by, whatever it is called; '' where nothing runs in containers."""
        if self.settings.spawning.engine == "process" or launch.means is None:
            return ""
        try:
            found = docker.from_env(timeout=60).images.get(launch.means.image)
        except ImageNotFound:
            raise Unavailable(f"the image {launch.means.image} is not built", "run `make images`") from None
        except (DockerException, OSError):
            raise Unavailable("the Docker engine does not answer", "try again in a moment") from None
        return str(found.id).removeprefix("sha256:")

    def _bring(self, what: str, launch: Launch, image: str) -> None:
        if what == "bundle":
            said = {"ask": "bundle", "sha256": launch.bundle.name, "entry": launch.entry}
            self._speak(BRINGS, wire.line(said), [*_cut(_zipped(launch.bundle)), b""])
        elif self._ask("start", STARTS, order=order.written(launch, image)) == what:
            self._speak(BRINGS, wire.line({"ask": "image", "digest": image}), self._saved(image))

    def _saved(self, image: str) -> Iterator[bytes]:
        try:
            for chunk in docker.from_env(timeout=600).images.get(f"sha256:{image}").save(chunk_size=wire.PIECE):
                yield from _cut(chunk)
        except DockerException:
            raise Unavailable("the Docker engine does not give the image out", "try again in a moment") from None
        yield b""


def _zipped(folder: Path) -> bytes:
    """A bundle's files; they are small, and packed for their names alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return buffer.getvalue()


def _cut(content: bytes) -> Iterator[bytes]:
    return (content[at : at + wire.PIECE] for at in range(0, len(content), wire.PIECE))


def _line(connection: ssl.SSLSocket) -> bytes:
    answer = b""
    while not answer.endswith(b"\n") and (said := connection.recv(wire.PIECE)):
        answer += said
        if len(answer) > 8 * wire.LONGEST:
            raise OSError("too long an answer")
    return answer
