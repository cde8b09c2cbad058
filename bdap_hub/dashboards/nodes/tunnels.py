"""Ports of this machine, for itself alone, that lead to releases on a node: the gateway speaks to all in one way.

A port belongs to one release, and the node finds the release anew for each connection. One that nobody asked for
within an hour is closed; who is connected stays so.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from ...errors import BdapError
from . import wire

CONNECTS, OPENS, FORGOTTEN = 5.0, 10.0, 3600.0  # seconds


class Tunnels:
    """To the releases of one node. Safe from several threads; the connections live in a loop of their own."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._open: dict[str, tuple[asyncio.Server, float]] = {}  # and when it was asked for last
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def to(self, release: str) -> str:
        """`127.0.0.1:port` that leads to the release of that name."""
        now = time.monotonic()
        with self._lock:
            server, _ = self._open.pop(release, (None, now))
            if server is None:
                self._forget(now)
                opening = asyncio.start_server(self._to(release), "127.0.0.1", 0)
                server = asyncio.run_coroutine_threadsafe(opening, self._running()).result(OPENS)
            self._open[release] = server, now
            return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def _forget(self, now: float) -> None:
        """Those that nobody asked for lately: the first ones, since who is asked for goes to the end."""
        for release, (server, asked) in list(self._open.items()):
            if now - asked < FORGOTTEN:
                return
            del self._open[release]
            self._running().call_soon_threadsafe(server.close)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name=f"to node {self._host}", daemon=True).start()
        return self._loop

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
