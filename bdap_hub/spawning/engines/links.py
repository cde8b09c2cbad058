"""The hub's ways to root's part on each machine: a child of a hub that is root, a socket, mutual TLS from afar."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ... import certificates
from ...errors import BadSettings, Unavailable
from ...settings import Settings
from .. import node as part
from .contract import File, Node

LARGEST = 2**22
CONNECTS = 0.5  # seconds; a machine that is gone delays nobody
ANSWERS = 10.0
COMMAND = (sys.executable, "-I", "-S", str(Path(part.__file__).parent))


@dataclass(frozen=True)
class Stream:
    """A connection to one. `ended`: waits until it is gone."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ended: Callable[[], Awaitable[Any]]


class Link:
    """To one machine's part. What is asked at the same time goes by connections of its own, which stay if `keep`."""

    def __init__(self, name: str, open_it: Callable[[], Awaitable[Stream]], keep: bool = True) -> None:
        self.name, self._open, self._keep = name, open_it, keep
        self._idle: WeakKeyDictionary[Any, list[Stream]] = WeakKeyDictionary()  # by loop

    async def ask(
        self, op: str, seconds: float = ANSWERS, tell: Callable[[Any], None] = lambda news: None, **wanted: Any
    ) -> Any:
        """What it answers; Unavailable with its own words, or where it is not there. `seconds` for each line of it."""
        line = json.dumps({"op": op, **wanted}).encode() + b"\n"
        idle = self._idle.setdefault(asyncio.get_running_loop(), [])
        while idle:  # one that ended meanwhile says nothing at all
            if (said := await self._speak(idle, idle.pop(), line, seconds, tell)) is not None:
                return said["done"]
        said = await self._speak(idle, await self._connected(), line, seconds, tell)
        if said is None:
            raise Unavailable(f"root's part on {self.name} ended the connection", "look at its log")
        return said["done"]

    async def _connected(self) -> Stream:
        try:
            async with asyncio.timeout(CONNECTS):
                return await self._open()
        except (OSError, TimeoutError) as error:
            raise Unavailable(
                f"root's part on {self.name} does not answer: {str(error) or 'no answer'}", "start `bdap node serve`"
            ) from None

    async def _speak(
        self, idle: list[Stream], stream: Stream, line: bytes, seconds: float, tell: Callable[[Any], None]
    ) -> dict[str, Any] | None:
        """Its last line; None where it had ended. A connection that is left in the middle is nobody else's."""
        whole = False
        try:
            stream.writer.write(line)
            while True:
                async with asyncio.timeout(seconds):
                    await stream.writer.drain()
                    answer = await stream.reader.readline()
                if not answer:
                    return None
                said = dict(json.loads(answer))
                if "news" not in said:
                    break
                tell(said["news"])
            whole = True
        except TimeoutError:
            raise Unavailable(f"root's part on {self.name} did not answer within {seconds:g} s", "look at it") from None
        except (OSError, ValueError):
            return None
        finally:
            if whole and self._keep:
                idle.append(stream)
            else:
                stream.writer.close()
        if not self._keep:
            with suppress(OSError):  # also one that takes its time
                await asyncio.wait_for(stream.ended(), CONNECTS)
        if "failed" in said:
            raise Unavailable(f"{self.name}: {said['failed'][-300:]}", "look at the log of the machine's root part")
        return said

    async def close(self) -> None:
        """Give up what is kept for this loop."""
        for stream in self._idle.pop(asyncio.get_running_loop(), []):
            stream.writer.close()
            with suppress(OSError):
                await stream.ended()


def rules(settings: Settings) -> dict[str, Any]:
    """What a machine's part may do for this platform: see node/rules.py."""
    var = settings.var.resolve()
    read = [*(f"{var}/{name}" for name in ("names", "covers", "empty", ".away"))]
    if settings.store.credentials:
        read.append(f"{settings.store.credentials_folder}/{settings.install_id}")
    return {
        "install": settings.install_id,
        "read": read,
        "write": [f"{var}/homes", str(settings.store.data), str(settings.store.projects)],
        "lowest": settings.spawning.first_uid,
    }


def written(files: Sequence[File]) -> list[dict[str, Any]]:
    """Files, as root's part takes them. PURE."""
    return [{**asdict(file), "content": base64.b64encode(file.content).decode()} for file in files]


def far_config(settings: Settings, address: str, folder: str) -> dict[str, Any]:
    """What root's part on another machine is told; `folder`: where its certificate lies there."""
    swarm = settings.spawning.swarm
    if not swarm.node_port or not swarm.address:
        raise BadSettings(
            "spawning.swarm.node_port or .address is not set", "say where root's part listens, and for whom"
        )
    return {
        **rules(settings),
        "listen": [address, swarm.node_port],
        "from": swarm.address,
        "key": f"{folder}/key.pem",
        "certificate": f"{folder}/certificate.pem",
        "hub": f"{folder}/hub.pem",
    }


def here(settings: Settings, keep: bool = True) -> Link:
    """To root's part of this host, as this process reaches it."""
    if os.geteuid() == 0:
        return child(rules(settings), keep)
    return local(settings.spawning.node_socket, keep)


def child(config: Mapping[str, Any], keep: bool = True) -> Link:
    """Of a hub that is root itself: its end is the child's."""

    async def open_it() -> Stream:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "pipe", stdin=pipe, stdout=pipe, env={"LANG": "C.UTF-8"}, limit=LARGEST, start_new_session=True
        )
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(dict(config)).encode() + b"\n")
        return Stream(process.stdout, process.stdin, process.wait)

    return Link("this host", open_it, keep)


def local(path: Path, keep: bool = True) -> Link:
    """By the socket of `bdap node serve`."""

    async def open_it() -> Stream:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=LARGEST)
        return Stream(reader, writer, writer.wait_closed)

    return Link("this host", open_it, keep)


def far(name: str, address: str, port: int, trust: ssl.SSLContext, keep: bool = True) -> Link:
    """To another machine, whose certificate names that address."""

    async def open_it() -> Stream:
        reader, writer = await asyncio.open_connection(address, port, ssl=trust, server_hostname=address, limit=LARGEST)
        return Stream(reader, writer, writer.wait_closed)

    return Link(name, open_it, keep)


class Parts:
    """Root's part on the machines of a swarm. `keep`: connections stay, for who asks from one loop alone."""

    def __init__(self, settings: Settings, keep: bool = False) -> None:
        self._settings, self._keep = settings, keep
        self._trust: ssl.SSLContext | None = None
        self._links: dict[tuple[str, str], Link] = {}

    def of(self, node: Node) -> Link:
        """The link to that machine; Unavailable where the settings say that machines have no such part."""
        port = self._settings.spawning.swarm.node_port
        if not port:
            raise Unavailable("machines have no root part: spawning.swarm.node_port is 0", "see the how-to")
        self._trust = self._trust or trust(self._settings)
        key = (node.name, node.address)
        if key not in self._links:
            self._links[key] = far(*key, port, self._trust, self._keep)
        return self._links[key]

    async def close(self) -> None:
        """Give up what is kept."""
        for link in self._links.values():
            await link.close()


def trust(settings: Settings) -> ssl.SSLContext:
    """The hub's own certificate, and belief in the machines' authority alone."""
    return certificates.to_nodes(settings, "hub-internal")
