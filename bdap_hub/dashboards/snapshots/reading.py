"""Reads what a release answers. Its author decides what that is: so much of it, for so long, and no more."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx

MOST = 64 * 2**20
LOOK_SECONDS = 5.0
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # releases are read without; the usual one takes 30 ms to make


class TooMuchSaid(httpx.HTTPError):
    """The answer is larger than allowed, or took longer."""


@dataclass(frozen=True)
class Answer:
    """A whole answer. `kind` is its type, `mode` the stage's word on whose page it is."""

    status: int
    content: bytes
    kind: str = "application/octet-stream"
    mode: str = ""

    @property
    def text(self) -> str:
        """As a page is read."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """ValueError where it is none."""
        return json.loads(self.content)


def read(url: str, seconds: float, most: int = MOST) -> Answer:
    """The answer at that address; httpx.HTTPError where there is none, TooMuchSaid beyond so many bytes or seconds."""
    plain = {"accept-encoding": "identity"}
    with httpx.Client(timeout=seconds, trust_env=False, verify=_NO_TLS, headers=plain) as client:
        deadline = time.monotonic() + seconds
        late = threading.Timer(seconds, client.close)  # who sends a byte now and then meets no other limit
        late.daemon = True
        late.start()
        try:
            with client.stream("GET", url) as answer:
                return _answer(answer, b"".join(_bounded(answer, most)))
        except (RuntimeError, ValueError, OSError, AttributeError):  # closed from the other side of this house
            raise TooMuchSaid(f"no whole answer in {seconds:.0f} s") from None
        except httpx.HTTPError:
            if time.monotonic() >= deadline:
                raise TooMuchSaid(f"no whole answer in {seconds:.0f} s") from None
            raise
        finally:
            late.cancel()


async def read_async(client: httpx.AsyncClient, url: httpx.URL, host: str, seconds: float, most: int = MOST) -> Answer:
    """The same, in the event loop."""
    headers = {"host": host, "accept-encoding": "identity"}
    try:
        async with asyncio.timeout(seconds), client.stream("GET", url, headers=headers) as answer:
            parts, size = [], 0
            async for part in answer.aiter_bytes():
                parts.append(part)
                size += len(part)
                _check(size, most)
            return _answer(answer, b"".join(parts))
    except TimeoutError:
        raise TooMuchSaid(f"no whole answer in {seconds:.0f} s") from None


def answers(address: str) -> bool:
    """Whether something speaks HTTP there. The path is one that Voilà redirects without starting a kernel."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), LOOK_SECONDS) as connection:
            connection.sendall(f"GET /_ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(16).startswith(b"HTTP/")
    except (OSError, ValueError):
        return False


def alike(one: str, other: str, seconds: float) -> bool | None:
    """Whether the releases there have run, and pages of one serve for the other: widgets have the same names.

    None where nobody can say, because one of them still runs after so many seconds, or does not answer.
    """
    try:
        told = [_done(address, time.monotonic() + seconds) for address in (one, other)]
        same = len({tuple(str(each[part]) for part in ("mode", "names", "static")) for each in told}) == 1
        return same and all(each["status"] == "ready" for each in told)
    except (httpx.HTTPError, TimeoutError):
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _done(address: str, until: float) -> Any:
    """What the release's stage says of itself once the notebook has run."""
    while (told := read(f"http://{address}/_stage/state", LOOK_SECONDS).json())["status"] == "running":
        if time.monotonic() >= until:
            raise TimeoutError
        time.sleep(0.2)
    return told


def has_kernel(address: str, kernel: str) -> bool:
    """Whether the release that answers there has that kernel: a visitor's process, or one of Voilà's."""
    try:
        return read(f"http://{address}/_stage/kernels/{kernel}", LOOK_SECONDS, most=1024).status == 204
    except httpx.HTTPError:
        return False


def _bounded(answer: httpx.Response, most: int) -> list[bytes]:
    parts, size = [], 0
    for part in answer.iter_bytes():
        parts.append(part)
        size += len(part)
        _check(size, most)
    return parts


def _check(size: int, most: int) -> None:
    if size > most:
        raise TooMuchSaid(f"the answer has more than {most >> 20} MB")


def _answer(answer: httpx.Response, content: bytes) -> Answer:
    said = answer.headers
    kind = said.get("content-type", "application/octet-stream")
    return Answer(answer.status_code, content, kind, said.get("bdap-stage", ""))
