"""Jupyter's websocket messages in their three forms: read, and written again with another content. PURE."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

V1 = "v1.kernel.websocket.jupyter.org"
MOST_PARTS = 4096


@dataclass(frozen=True)
class Message:
    """What of a message counts here."""

    channel: str
    kind: str
    content: dict[str, Any]


def read(frame: str | bytes, v1: bool) -> Message | None:
    """The message as the kernel's server reads it by the protocol agreed upon; None if it cannot be read."""
    try:
        if v1:
            channel, header, _, _, content, *_ = _parts(frame)
            kind = json.loads(header)["msg_type"]
            return _message(channel.decode(), kind, json.loads(content))
        whole = json.loads(frame) if isinstance(frame, str) else json.loads(_json_of(frame))
        channel = whole.get("channel")
        return _message("shell" if channel is None else channel, whole["header"]["msg_type"], whole.get("content"))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None


def kind_of(frame: str | bytes, v1: bool) -> str | None:
    """The type alone: cheap in the newest form, where the content need not be read."""
    if not v1:
        message = read(frame, v1)
        return message.kind if message else None
    try:
        kind = json.loads(_parts(frame)[1])["msg_type"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    return kind if isinstance(kind, str) else None


def with_content(frame: str | bytes, v1: bool, content: dict[str, Any]) -> str | bytes:
    """The same message with that content; its buffers go along."""
    if v1:
        parts = _parts(frame)
        parts[4] = json.dumps(content).encode()
        offsets = [8 * (len(parts) + 2)]
        for part in parts:
            offsets.append(offsets[-1] + len(part))
        return b"".join(n.to_bytes(8, "little") for n in (len(offsets), *offsets)) + b"".join(parts)
    if isinstance(frame, str):
        return json.dumps({**json.loads(frame), "content": content})
    pieces = _pieces(frame)
    pieces[0] = json.dumps({**json.loads(pieces[0]), "content": content}).encode()
    starts = [4 * (len(pieces) + 1)]
    for piece in pieces[:-1]:
        starts.append(starts[-1] + len(piece))
    return b"".join(n.to_bytes(4, "big") for n in (len(pieces), *starts)) + b"".join(pieces)


def _message(channel: object, kind: object, content: object) -> Message | None:
    if not (isinstance(channel, str) and isinstance(kind, str)):
        return None
    return Message(channel, kind, content if isinstance(content, dict) else {})


def _parts(frame: str | bytes) -> list[bytes]:
    """Channel, header, parent, metadata, content and buffers of the newest form, which is binary only."""
    if isinstance(frame, str):
        raise ValueError("no binary message")
    count = int.from_bytes(frame[:8], "little")
    if not 6 <= count <= MOST_PARTS:
        raise ValueError("no message")
    offsets = [int.from_bytes(frame[8 * (i + 1) : 8 * (i + 2)], "little") for i in range(count)]
    return _cut(frame, offsets)


def _pieces(frame: bytes) -> list[bytes]:
    """The JSON message and its buffers, in the older binary form."""
    count = int.from_bytes(frame[:4], "big")
    if not 1 <= count <= MOST_PARTS:
        raise ValueError("no message")
    offsets = [int.from_bytes(frame[4 * (i + 1) : 4 * (i + 2)], "big") for i in range(count)]
    return _cut(frame, [*offsets, len(frame)])


def _cut(frame: bytes, offsets: Sequence[int]) -> list[bytes]:
    """What lies between these, one after the other: parts that overlap would be many times as large as the frame."""
    if any(start > end for start, end in itertools.pairwise(offsets)) or offsets[-1] > len(frame):
        raise ValueError("no message")
    return [frame[start:end] for start, end in itertools.pairwise(offsets)]


def _json_of(frame: bytes) -> bytes:
    return _pieces(frame)[0]
