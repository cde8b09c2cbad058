"""A node: starts, finds and ends releases on its machine for the hub's dashboards, and lets their visitors' words in.

It does what a release needs and nothing else: see `Node._asked`. It listens to one address alone, with a certificate
of the hub's services.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import resource
import shutil
import ssl
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

from ...errors import BadRequest, BdapError, NotFound, Unavailable
from ...settings import DASHBOARDS_USE, Settings
from ..bundles.bundle import UNPACKED_FACTOR, Bundle, bundles_of, store_bundle
from ..running.runtime import Runtime, local_runtime
from . import images, order, wire
from .several import room

log = logging.getLogger("bdap.dashboards.node")
MOST_CALLERS, MOST_VISITORS, THREADS, DESCRIPTORS = 500, 5000, 8, 65_536
MOST_OF_RELEASE, MOST_OF_RELEASES = 64, 2000  # connections to the hub's services
CONNECTS, IDLE_SECONDS = 5.0, 300.0
MOST_IMAGE, LONGEST_LOG = 64 * 2**30, 250_000
SLOW = frozenset({"start", "stop", "stop_all"})
FORGOTTEN, IMAGE = ".forgotten-", ".image-"
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
        self.settings, self.door = _closed(settings), door
        self.runtime: Runtime = local_runtime(self.settings)
        self._callers, self._visitors, self._of_releases = 0, 0, Counter[str]()
        self._hub = ip_address(door.hub)
        self._slow = ThreadPoolExecutor(THREADS)  # starts take their time: who only looks has other threads
        self._asked: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "room": lambda _: room(),
            "running": lambda _: self.runtime.running(),
            "ended": lambda _: {name: asdict(ending) for name, ending in self.runtime.ended().items()},
            "start": self.start,
            "there": lambda said: self.runtime.address(order.named(said.get("name"))) is not None,
            "logs": lambda said: self.runtime.logs(order.named(said.get("name")))[-LONGEST_LOG:],
            "memory": lambda said: self.runtime.memory(order.named(said.get("name"))),
            "stop": lambda said: self.runtime.stop(order.named(said.get("name"))),
            "stop_all": lambda _: self.runtime.stop_all(),
        }

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """While it lasts, the hub is answered, and releases reach the hub's services."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._slow.shutdown, wait=False, cancel_futures=True)
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
        try:
            launch = order.read(dict(said.get("order") or {}), self.settings)
        except BadRequest as error:  # it is no fault of the release that this machine does not take it
            raise Unavailable(
                error.message, "look at dashboards in its bdap.yaml; is it of the same version?"
            ) from None
        if not launch.bundle.is_dir():
            return "bundle"
        if not (launch.bundle / launch.entry).is_file():
            raise BadRequest(f"the bundle has no {launch.entry!r:.200}", "look at the order")
        if (
            launch.means
            and launch.means.image.startswith(f"{order.REPOSITORY}:")
            and not images.has(launch.means.image)
        ):
            return "image"
        launch.bundle.touch()  # what is used is kept
        self.runtime.start(launch)
        return ""

    def take_bundle(self, sha256: str, entry: str, content: bytes) -> None:
        """Keep a bundle, if it is the one that was announced."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if any(one.compress_type != zipfile.ZIP_STORED for one in archive.infolist()):
                    raise ValueError("it would grow")
                files = {one.filename: archive.read(one) for one in archive.infolist() if not one.is_dir()}
        except (zipfile.BadZipFile, EOFError, RuntimeError, OSError, ValueError):
            raise BadRequest("the bundle cannot be read", "send it again") from None
        if any(not order.ENTRY.fullmatch(path) for path in files):
            raise BadRequest("the bundle names a file outside itself", "send it again")
        bundle = Bundle(files, entry)
        if bundle.sha256 != sha256:
            raise BadRequest("the bundle is not the one that was announced", "send it again")
        store_bundle(bundle, bundles_of(self.settings))

    def forget_bundles(self) -> None:
        """Those of which nothing was started for a month (the hub brings them again), and what was left half."""
        oldest, home = time.time() - KEPT_DAYS * 86400, bundles_of(self.settings)
        for folder in home.glob("*"):
            with contextlib.suppress(OSError):
                if folder.name.startswith(FORGOTTEN):
                    shutil.rmtree(folder)
                elif folder.stat().st_mtime < oldest:
                    gone = folder.rename(home / f"{FORGOTTEN}{folder.name}")
                    shutil.rmtree(gone)
        for left in home.parent.glob(f"{IMAGE}*"):
            left.unlink(missing_ok=True)

    async def _caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = _peer(writer)
        if caller != self._hub or self._callers >= MOST_CALLERS:
            log.warning("refused: %s is not the hub (%s), or calls too often at once", caller, self._hub)
            writer.close()
            return
        self._callers += 1
        try:
            while line := await reader.readline():
                if not await self._answer(line, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError, ValueError):  # the caller is gone, or says too much
            pass
        finally:
            self._callers -= 1
            with contextlib.suppress(OSError):
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
            elif ask in SLOW:
                done = await asyncio.get_running_loop().run_in_executor(self._slow, self._asked[ask], said)
            elif ask in self._asked:
                done = await asyncio.to_thread(self._asked[ask], said)
            else:
                raise BadRequest(f"a node is not asked {ask!r:.80}", f"ask {', '.join(self._asked)}")
            answer = {"done": done}
        except BdapError as error:
            answer = wire.failure(error)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            raise
        except Exception:
            log.exception("a question could not be answered")
            answer = wire.failure(Unavailable("the node failed", "look at its log"))
        writer.write(wire.line(answer))
        await writer.drain()
        if joined:
            self._callers, self._visitors = self._callers - 1, self._visitors + 1  # others may call meanwhile
            try:
                await wire.join((reader, writer), joined)
            finally:
                self._callers, self._visitors = self._callers + 1, self._visitors - 1
        return goes_on and joined is None

    async def _release(self, said: Mapping[str, Any]) -> Stream:
        """A connection to the release of that name, which is found anew each time: addresses are given again."""
        name = order.named(said.get("name"))
        if self._visitors >= MOST_VISITORS:
            raise Unavailable("too many visitors are here", "try again in a moment")
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
        tag, folder = order.digest(said.get("digest")), bundles_of(self.settings).parent
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=IMAGE) as out:
            async for piece in wire.pieces(reader, MOST_IMAGE):
                await asyncio.to_thread(out.write, piece)
            out.flush()
            await asyncio.get_running_loop().run_in_executor(self._slow, images.load, Path(out.name), tag)

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
            release = str(_peer(writer))
            if self._of_releases[release] >= MOST_OF_RELEASE or self._of_releases.total() >= MOST_OF_RELEASES:
                writer.close()
                return
            self._of_releases[release] += 1
            try:
                async with asyncio.timeout(CONNECTS):
                    service = await asyncio.open_connection(self.door.hub, port)
                await wire.join((reader, writer), service, IDLE_SECONDS)
            except OSError:
                writer.close()
            finally:
                self._of_releases[release] -= 1
                self._of_releases += Counter()  # forgets those with none

        return handed_on


def _closed(settings: Settings) -> Settings:
    """Dashboards here reach the hub's services by their bridge's own end, wherever these listen on the hub's host."""
    own = settings.model_copy(deep=True)
    for name in DASHBOARDS_USE:
        service = getattr(own, name)
        service.bind, service.also_bind = "127.0.0.1", ""
    return own


def _peer(writer: asyncio.StreamWriter) -> IPv4Address | IPv6Address | None:
    """Who calls."""
    try:
        return ip_address((writer.get_extra_info("peername") or ("",))[0])
    except ValueError:
        return None


async def serve(settings: Settings, folder: Path) -> None:
    """Until it is told to end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, DESCRIPTORS)), hard))
    node = Node(settings, door_of(folder))
    async with node.listening():
        log.info("listening at %s:%d for %s", node.door.address, node.door.port, node.door.hub)
        await asyncio.Event().wait()
