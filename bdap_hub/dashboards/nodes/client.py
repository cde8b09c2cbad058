"""A node as the hub's dashboards see it: the runtime of another machine, which gets what it lacks before it starts."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from ...errors import TooMuch, Unavailable
from ...settings import Settings
from ..running.runtime import Ending, Launch
from . import order, wire
from .line import ANSWERS, Line
from .tunnels import Tunnels

STARTS, BRINGS = 120.0, 600.0  # seconds
KNOWN_SECONDS = 10.0  # of an image's digest


class FarRuntime:
    """Releases on the node at `address` (host:port)."""

    def __init__(self, settings: Settings, address: str) -> None:
        self.settings, self.name = settings, address
        host, _, port = address.rpartition(":")
        tls = wire.hub_side(settings)
        self.line = Line(address, host.strip("[]"), int(port), tls)
        self._tunnels = Tunnels(host.strip("[]"), int(port), tls)
        self._brought: set[str] = set()
        self._lock = threading.Lock()
        self._digests: dict[str, tuple[float, str]] = {}

    def start(self, launch: Launch) -> None:
        """Start the release there, with its bundle and its image where the node lacks them."""
        image = self._image(launch)
        wanted = order.written(launch, image)
        lacks = ""
        for _ in range(3):
            lacks = self.line.ask("start", str, STARTS, order=wanted)
            if not lacks:
                return
            self._bring(lacks, launch, image)
        raise Unavailable(f"the node {self.name} lacks the {lacks} of {launch.name}", "look at its log")

    def address(self, name: str) -> str | None:
        """A port of this machine that leads to the release there."""
        return self._tunnels.to(name) if self.line.ask("there", bool, name=name) else None

    def logs(self, name: str) -> str:
        """The last lines it wrote."""
        return self.line.ask("logs", str, name=name)

    def memory(self, name: str) -> int:
        """Bytes that it holds."""
        return self.line.ask("memory", int, name=name)

    def ended(self) -> dict[str, Ending]:
        """Releases that ended there by themselves."""
        found = self.line.ask("ended", dict)
        with wire.believed(self.name):
            return {order.named(name): Ending(str(said["key"]), bool(said["memory"])) for name, said in found.items()}

    def stop(self, name: str) -> None:
        """Stop and forget it there."""
        self.line.ask("stop", object, STARTS, name=name)

    def running(self) -> dict[str, float]:
        """What runs there, and since when."""
        found = self.line.ask("running", dict)
        with wire.believed(self.name):
            return {order.named(name): float(started) for name, started in found.items()}

    def stop_all(self) -> None:
        """Stop all that runs there."""
        self.line.ask("stop_all", object, STARTS)

    def tidy(self) -> None:
        """A machine alone has each release once."""

    def room(self) -> int:
        """Bytes of memory that could be given out there."""
        return self.line.ask("room", int)

    def _image(self, launch: Launch) -> str:
        """What this machine's engine knows it by, whatever it is called; '' where nothing runs in containers."""
        if self.settings.spawning.engine == "process" or launch.means is None:
            return ""
        reference, now = launch.means.image, time.monotonic()
        until, digest = self._digests.get(reference, (0.0, ""))
        if until < now:
            try:
                found = docker.from_env(timeout=ANSWERS).api.inspect_image(reference)
            except ImageNotFound:
                raise Unavailable(f"the image {reference} is not built", "run `make images`") from None
            except (DockerException, OSError):
                raise Unavailable("the Docker engine does not answer", "try again in a moment") from None
            digest = str(found["Id"]).removeprefix("sha256:")
            self._digests[reference] = now + KNOWN_SECONDS, digest
        return digest

    def _bring(self, what: str, launch: Launch, image: str) -> None:
        """What is on its way already is not waited for: another machine may have it."""
        thing = launch.bundle.name if what == "bundle" else image
        with self._lock:
            if thing in self._brought:
                raise Unavailable(f"the {what} of {launch.name} is on its way to {self.name}", "try again in a moment")
            self._brought.add(thing)
        try:
            if what == "bundle":
                said = {"ask": "bundle", "sha256": thing, "entry": launch.entry}
                self.line.tell(said, [*_cut(_zipped(launch.bundle)), b""], BRINGS)
            else:
                self.line.tell({"ask": "image", "digest": thing}, _saved(thing), BRINGS)
        except TooMuch as error:
            raise Unavailable(error.message, error.remedy) from None
        finally:
            self._brought.discard(thing)


def _saved(image: str) -> Iterator[bytes]:
    """What `docker save` writes; without its names, which belong to this machine."""
    try:
        for chunk in docker.from_env(timeout=BRINGS).images.get(f"sha256:{image}").save(chunk_size=wire.PIECE):
            yield from _cut(chunk)
    except DockerException:
        raise Unavailable("the Docker engine does not give the image out", "try again in a moment") from None
    yield b""


def _zipped(folder: Path) -> bytes:
    """A bundle's files, as they are: it is packed for their names alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return buffer.getvalue()


def _cut(content: bytes) -> Iterator[bytes]:
    return (content[at : at + wire.PIECE] for at in range(0, len(content), wire.PIECE))
