"""A node: starts, finds and ends releases on its machine for the hub's dashboards, and lets their visitors' words in.

It does what a release needs and nothing else: see `ASKED`. It listens to one address alone, with a certificate of the
hub's services.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import shutil
import ssl
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound

from ...errors import BadRequest, BdapError, NotFound, Unavailable
from ...settings import DASHBOARDS_USE, Settings
from ..bundles.bundle import UNPACKED_FACTOR, Bundle, store_bundle
from ..running.runtime import Runtime, local_runtime
from . import order, wire

log = logging.getLogger("bdap.dashboards.node")
MOST_CALLERS, THREADS = 2000, 32
MOST_IMAGE = 64 * 2**30
KEPT_DAYS = 30  # of a bundle that nothing was started of
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Door:
    """Where a node listens, for whom, and with which certificate (`key.pem`, `certificate.pem`, `hub.pem`)."""

    address: str
    port: int
    hub: str
    folder: Path


def door_of(folder: Path) -> Door:
    """As `bdap dashboards node files` wrote it."""
    said = json.loads((folder / "node.json").read_text())
    return Door(str(said["address"]), int(said["port"]), str(said["hub"]), folder)


class Node:
    """The machine's releases, as they are asked for from afar."""

    def __init__(self, settings: Settings, door: Door) -> None:
        self.settings, self.door = settings, door
        self.runtime: Runtime = local_runtime(settings)
        self._callers = 0
        self._asked: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "room": lambda _: room(),
            "running": lambda _: self.runtime.running(),
            "ended": lambda _: {name: asdict(ending) for name, ending in self.runtime.ended().items()},
            "start": self.start,
            "there": lambda said: self.runtime.address(order.named(said.get("name"))) is not None,
            "logs": lambda said: self.runtime.logs(order.named(said.get("name"))),
            "memory": lambda said: self.runtime.memory(order.named(said.get("name"))),
            "stop": lambda said: self.runtime.stop(order.named(said.get("name"))),
            "stop_all": lambda _: self.runtime.stop_all(),
        }

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """While it lasts, the hub is answered, and releases reach the hub's services."""
        async with contextlib.AsyncExitStack() as stack:
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
            await asyncio.to_thread(self.forget_bundles)
            server = await asyncio.start_server(
                self._caller,
                self.door.address,
                self.door.port,
                ssl=wire.node_side(self.door.folder),
                ssl_handshake_timeout=wire.SHAKES_HANDS,
                limit=wire.LONGEST,
            )
            await stack.enter_async_context(server)
            for way in await self._ways_to_services():
                await stack.enter_async_context(way)
            yield

    def start(self, said: Mapping[str, Any]) -> str:
        """Start what the order says; the answer names what has to be brought first: `bundle`, `image` or nothing."""
        launch = order.read(dict(said.get("order") or {}), self.settings)
        if not launch.bundle.is_dir():
            return "bundle"
        if not (launch.bundle / launch.entry).is_file():
            raise BadRequest(f"the bundle has no {launch.entry!r:.200}", "look at the order")
        if (
            launch.means
            and launch.means.image.startswith(f"{order.REPOSITORY}:")
            and not _has_image(launch.means.image)
        ):
            return "image"
        launch.bundle.touch()  # what is used is kept
        self.runtime.start(launch)
        return ""

    def take_bundle(self, sha256: str, entry: str, content: bytes) -> None:
        """Keep a bundle, if it is the one that was announced."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                files = {info.filename: archive.read(info) for info in archive.infolist()}
        except (zipfile.BadZipFile, EOFError, RuntimeError, OSError, ValueError):
            raise BadRequest("the bundle cannot be read", "send it again") from None
        if any(not order.ENTRY.fullmatch(path) for path in files):
            raise BadRequest("the bundle names a file outside itself", "send it again")
        bundle = Bundle(files, entry)
        if bundle.sha256 != sha256:
            raise BadRequest("the bundle is not the one that was announced", "send it again")
        store_bundle(bundle, order.bundles(self.settings))

    def forget_bundles(self) -> None:
        """Those of which nothing was started for a month: the hub brings them again."""
        oldest = time.time() - KEPT_DAYS * 86400
        for folder in order.bundles(self.settings).glob("*"):
            with contextlib.suppress(OSError):
                if folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder)

    async def _caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = (writer.get_extra_info("peername") or ("",))[0]
        if caller != self.door.hub or self._callers >= MOST_CALLERS:
            log.warning("refused: %s is not the hub, or calls too often at once", caller)
            writer.close()
            return
        self._callers += 1
        try:
            while line := await reader.readline():
                if not await self._answer(line, reader, writer):
                    break
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, ValueError):  # the caller is gone, or says too much
            pass
        finally:
            self._callers -= 1
            with contextlib.suppress(OSError, ssl.SSLError):
                writer.close()

    async def _answer(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether more may be asked by this connection: what was brought may lie there half."""
        joined, goes_on = None, True
        try:
            said = json.loads(line)
            ask = str(said.get("ask"))
            if ask == "join":
                joined, done = await self._release(said), None
            elif ask in ("bundle", "image"):
                goes_on = False
                done = await self._take(ask, said, reader)
            elif ask in self._asked:
                done = await asyncio.to_thread(self._asked[ask], said)
            else:
                raise BadRequest(f"a node is not asked {ask!r:.80}", f"ask {', '.join(self._asked)}")
            answer = {"done": done}
        except BdapError as error:
            answer = wire.failure(error)
        except (OSError, asyncio.IncompleteReadError):
            raise
        except Exception:
            log.exception("a question could not be answered")
            answer = wire.failure(Unavailable("the node failed", "look at its log"))
        writer.write(wire.line(answer))
        await writer.drain()
        if joined:
            await wire.join((reader, writer), joined)
        return goes_on and joined is None

    async def _release(self, said: Mapping[str, Any]) -> Stream:
        """A connection to the release of that name, which is found anew each time: addresses are given again."""
        name = order.named(said.get("name"))
        address = await asyncio.to_thread(self.runtime.address, name)
        if address is None:
            raise NotFound(f"the release {name} does not run here", "ask for it again")
        host, _, port = address.rpartition(":")
        try:
            return await asyncio.open_connection(host, int(port))
        except OSError:
            raise Unavailable(f"the release {name} does not answer", "try again in a moment") from None

    async def _take(self, what: str, said: Mapping[str, Any], reader: asyncio.StreamReader) -> None:
        if what == "bundle":
            most = self.settings.dashboards.max_bundle_mb * 2**20 * UNPACKED_FACTOR
            content = b"".join([piece async for piece in wire.pieces(reader, most)])
            await asyncio.to_thread(self.take_bundle, order.digest(said.get("sha256")), str(said.get("entry")), content)
            return
        tag, folder = order.digest(said.get("digest")), order.bundles(self.settings).parent
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f".image-{tag}"
        try:
            with file.open("wb") as out:
                async for piece in wire.pieces(reader, MOST_IMAGE):
                    out.write(piece)
            await asyncio.to_thread(_load_image, file, tag)
        finally:
            file.unlink(missing_ok=True)

    async def _ways_to_services(self) -> list[asyncio.Server]:
        """On the dashboards' bridge, which leads to nothing but this machine: to the hub's services, and no further."""
        gateway = getattr(self.runtime, "host_address", None)
        if gateway is None:  # without containers there is no such bridge
            return []
        here = await asyncio.to_thread(gateway)
        ports = [int(getattr(self.settings, name).port) for name in DASHBOARDS_USE]
        return [await asyncio.start_server(self._to_service(port), here, port) for port in ports]

    def _to_service(self, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
        async def handed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                service = await asyncio.open_connection(self.door.hub, port)
            except OSError:
                writer.close()
                return
            await wire.join((reader, writer), service)

        return handed_on


def room() -> int:
    """Bytes of memory that could be given out on this machine."""
    lines = dict(row.split(":", 1) for row in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def _has_image(reference: str) -> bool:
    try:
        docker.from_env(timeout=60).images.get(reference)
    except ImageNotFound:
        return False
    except (DockerException, OSError):
        raise Unavailable("the Docker engine does not answer", "try again in a moment") from None
    return True


def _load_image(file: Path, tag: str) -> None:
    """What `docker save` wrote on the hub's host, under the name by which it is asked for."""
    try:
        with file.open("rb") as content:
            [image, *_] = docker.from_env(timeout=600).images.load(content)
        image.tag(order.REPOSITORY, tag)
    except (DockerException, OSError, ValueError) as error:
        raise Unavailable(
            f"the image could not be loaded: {type(error).__name__}", "look at the engine's log"
        ) from None


async def serve(settings: Settings, folder: Path) -> None:
    """Until it is told to end."""
    node = Node(settings, door_of(folder))
    async with node.listening():
        log.info("listening at %s:%d for %s", node.door.address, node.door.port, node.door.hub)
        await asyncio.Event().wait()
