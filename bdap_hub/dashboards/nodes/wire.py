"""How hub and nodes speak: a connection (mutual TLS 1.3) for each question, a line of JSON to ask, a line to answer.

After the line come a bundle's or an image's bytes, in pieces; after the answer to `join`, the release's own words.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from ... import certificates
from ...errors import BadRequest, BdapError, Conflict, NotFound, TooMuch, Unavailable
from ...settings import Settings

LONGEST = 2**20
PIECE = 2**18
SHAKES_HANDS = 5.0  # seconds
_KINDS: dict[str, type[BdapError]] = {
    kind.code: kind for kind in (BadRequest, Conflict, NotFound, TooMuch, Unavailable)
}


def line(said: Mapping[str, Any]) -> bytes:
    """What is asked or answered."""
    return json.dumps(dict(said), separators=(",", ":")).encode() + b"\n"


def failure(error: BdapError) -> dict[str, Any]:
    """An answer that tells what went wrong."""
    return {"failed": error.public()}


def value_of(answer: bytes, node: str) -> Any:
    """What was answered; what went wrong there, where something did; Unavailable where that was no answer."""
    if not answer:
        raise Unavailable(f"the node {node} ended the connection", "look at its log")
    with believed(node):
        said = dict(json.loads(answer))
        failed = dict(said.get("failed") or {})
    if failed:
        kind = _KINDS.get(str(failed.get("code")), Unavailable)
        raise kind(f"{node}: {failed.get('message', '')}"[:2000], str(failed.get("remedy", ""))[:2000])
    return said.get("done")


@contextlib.contextmanager
def believed(node: str) -> Iterator[None]:
    """What a node answers is looked at: Unavailable where it makes no sense."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, BadRequest):
        raise Unavailable(f"the node {node} answers what nobody understands", "is it of the same version?") from None


def framed(piece: bytes) -> bytes:
    """A piece with its length before it; the empty one is the last."""
    return len(piece).to_bytes(4, "big") + piece


async def pieces(reader: asyncio.StreamReader, most: int) -> AsyncIterator[bytes]:
    """What comes in pieces; TooMuch beyond `most` bytes."""
    left = most
    while size := int.from_bytes(await reader.readexactly(4), "big"):
        left -= size
        if size > PIECE or left < 0:
            raise TooMuch(f"more than {most} bytes were sent", "look at dashboards.max_bundle_mb there")
        yield await reader.readexactly(size)


async def join(
    left: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    right: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    idle: float | None = None,
) -> None:
    """Hand on what each says to the other until one has said all, is gone, or says nothing for `idle` seconds."""
    (a, to_a), (b, to_b) = left, right
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_hand_on(a, to_b, idle))
            both.create_task(_hand_on(b, to_a, idle))
    except* OSError:
        pass
    finally:
        for writer in (to_a, to_b):
            with contextlib.suppress(OSError):
                writer.close()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle: float | None) -> None:
    """TLS cannot say that one side has said all and still hears: the end of one way is the end of both."""
    while piece := await asyncio.wait_for(reader.read(PIECE), idle):
        writer.write(piece)
        await writer.drain()
    writer.close()


def hub_side(settings: Settings) -> ssl.SSLContext:
    """The services' own certificate, and belief in the nodes' authority alone."""
    return certificates.to_nodes(settings, "services")


def node_side(folder: Path) -> ssl.SSLContext:
    """The node's certificate, and belief in the authority of the hub's services alone."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.minimum_version = ssl.TLSVersion.TLSv1_3
    found.verify_mode = ssl.CERT_REQUIRED
    found.load_verify_locations(folder / "hub.pem")
    found.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return found
