"""Ports of this machine, for itself alone, that lead to releases on a node: the gateway speaks to all in one way.

A port belongs to one release as long as the process lives, and the node finds the release anew for each connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable
from typing import Any

from ...errors import BdapError
from . import wire

CONNECTS = 5.0  # seconds
OPENS = 10.0


class Tunnels:
    """To the releases of one node. Safe from several threads; the connections live in a loop of their own."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._ports: dict[str, int] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._servers: list[asyncio.Server] = []

    def to(self, release: str) -> str:
        """`127.0.0.1:port` that leads to the release of that name."""
        with self._lock:
            if release not in self._ports:
                opened = asyncio.run_coroutine_threadsafe(self._open(release), self._running())
                self._ports[release] = opened.result(OPENS)
            return f"127.0.0.1:{self._ports[release]}"

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name=f"to node {self._host}", daemon=True).start()
        return self._loop

    async def _open(self, release: str) -> int:
        server = await asyncio.start_server(self._to(release), "127.0.0.1", 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def _to(self, release: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
        async def handed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                async with asyncio.timeout(CONNECTS):
                    far = await asyncio.open_connection(
                        self._host, self._port, ssl=self._tls, server_hostname=self._host, limit=wire.LONGEST
                    )
                    far[1].write(wire.line({"ask": "join", "name": release}))
                    wire.value_of(await far[0].readline(), self._host)
            except (OSError, ValueError, BdapError):
                with contextlib.suppress(OSError):
                    writer.close()
                return
            await wire.join((reader, writer), far)

        return handed_on
