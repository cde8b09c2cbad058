"""The only way out of a build: a proxy on a Unix socket that leads to the package registries, and nowhere else.

It looks at the name and port that is asked for, resolves it itself, and goes by the site's proxy where there is one.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

LONGEST_HEAD = 65536
PATIENCE = 120.0  # seconds for a connection to be made

Told = Callable[[str], None]


class Refused(Exception):
    """Not let through; its text is for the build's log."""


@contextmanager
def gate(socket: Path, registries: Iterable[str], told: Told) -> Iterator[None]:
    """Open it at `socket`, for whoever can reach that file; `told` hears of each refusal. Closed after the block."""
    loop = asyncio.new_event_loop()
    opened = _Gate(frozenset(registries), told)
    thread = threading.Thread(target=loop.run_forever, daemon=True, name="build-gate")
    thread.start()
    server = asyncio.run_coroutine_threadsafe(asyncio.start_unix_server(opened.serve, str(socket)), loop).result(10)
    socket.chmod(0o666)  # the builder's account is nobody here; the folder around it is closed
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_close(server, opened), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class _Gate:
    def __init__(self, registries: frozenset[str], told: Told) -> None:
        self.registries, self.told = registries, told
        self.going: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.going.add(task)
        try:
            await self._serve(reader, writer)
        except Refused as refused:
            self.told(f"the build may not reach {refused}; builder.registries names the hosts that it may")
            with contextlib.suppress(OSError):
                writer.write(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            with contextlib.suppress(OSError):
                writer.write(f"HTTP/1.1 502 {type(error).__name__}\r\nConnection: close\r\n\r\n".encode())
                await writer.drain()
        finally:
            self.going.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        request, _, headers = head.partition(b"\r\n")
        method, target, _ = request.decode("ascii").split(" ", 2)
        tunnel = method == "CONNECT"
        url = urlsplit(f"//{target}" if tunnel else target)
        host, port = self._allowed(url, 443 if tunnel else 80)
        if not tunnel and url.scheme != "http":
            raise Refused(f"{target[:80]!r}")
        proxy = _sites_proxy(host, "https" if tunnel else "http")
        near_end = (proxy.hostname, proxy.port or 3128) if proxy else (host, port)
        far, away = await asyncio.wait_for(asyncio.open_connection(*near_end), PATIENCE)
        try:
            if tunnel:
                if proxy:
                    away.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{_login(proxy)}\r\n".encode())
                    answer = await asyncio.wait_for(far.readuntil(b"\r\n\r\n"), PATIENCE)
                    if answer.split(b" ", 2)[1] != b"200":
                        raise OSError("the site's proxy does not connect")
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = target if proxy else url._replace(scheme="", netloc="").geturl() or "/"
                away.write(f"{method} {path} HTTP/1.1\r\n{_login(proxy)}".encode() + _own(headers))
            await asyncio.gather(_copy(reader, away), _copy(far, writer))
        finally:
            away.close()

    def _allowed(self, url: SplitResult, usual: int) -> tuple[str, int]:
        host, port = (url.hostname or "").lower(), url.port or usual
        if (host in self.registries and port == usual) or f"{host}:{port}" in self.registries:
            return host, port
        raise Refused(f"{host[:80]}:{port}")


def _own(headers: bytes) -> bytes:
    """A request's headers without those for the proxy; one request a connection, for the next may go elsewhere."""
    kept = [
        line
        for line in headers.split(b"\r\n")
        if line and not line.lower().startswith((b"proxy-", b"connection:", b"keep-alive:"))
    ]
    return b"\r\n".join((*kept, b"Connection: close", b"", b""))


def _sites_proxy(host: str, scheme: str) -> SplitResult | None:
    """The proxy that this host's environment names for that host."""
    named = urllib.request.getproxies_environment().get(scheme, "")
    if not named or urllib.request.proxy_bypass_environment(host):  # type: ignore[attr-defined]
        return None
    return urlsplit(named if "://" in named else f"http://{named}")


def _login(proxy: SplitResult | None) -> str:
    if proxy is None or proxy.username is None:
        return ""
    given = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return f"Proxy-Authorization: Basic {base64.b64encode(given.encode()).decode()}\r\n"


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    with contextlib.suppress(OSError):
        target.write_eof()


async def _close(server: asyncio.Server, opened: _Gate) -> None:
    server.close()
    for task in opened.going:
        task.cancel()
    await asyncio.gather(*opened.going, return_exceptions=True)
