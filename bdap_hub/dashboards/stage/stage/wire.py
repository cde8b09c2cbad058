"""Messages as bytes: between the stage's processes, and as a browser's websocket sends them. PURE but for sockets."""

from __future__ import annotations

import base64
import itertools
import json
import math
import socket
import struct
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

Message = dict[str, Any]  # of Jupyter's protocol, with its `buffers` as bytes
MAX_BYTES = 512 * 2**20


def pack(message: Message) -> bytes:
    """For our own sockets: the number of parts, the length of each, the JSON part, the buffers."""
    parts = [_json(message), *(bytes(b) for b in message.get("buffers") or [])]
    return struct.pack(f"!I{len(parts)}I", len(parts), *map(len, parts)) + b"".join(parts)


class Unpacker:
    """Bytes in as they come, whole messages out."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole by now."""
        self._held += data
        while (message := self._take()) is not None:
            yield message

    def _take(self) -> Message | None:
        if len(self._held) < 4:
            return None
        (count,) = struct.unpack_from("!I", self._held)
        head = 4 * (count + 1)
        if len(self._held) < head:
            return None
        sizes = struct.unpack_from(f"!{count}I", self._held, 4)
        if sum(sizes) > MAX_BYTES:
            raise ValueError(f"a message of {sum(sizes)} bytes")
        if len(self._held) < head + sum(sizes):
            return None
        parts = list(_cut(bytes(self._held[head : head + sum(sizes)]), sizes))
        del self._held[: head + sum(sizes)]
        return {**json.loads(parts[0]), "buffers": parts[1:]}


def to_browser(message: Message) -> str | bytes:
    """A websocket frame: text, or the binary form where there are buffers."""
    buffers = [bytes(b) for b in message.get("buffers") or []]
    text = _json(message)
    if not buffers:
        return text.decode()
    parts = [text, *buffers]
    start, offsets = 4 * (len(parts) + 1), []
    for part in parts:
        offsets.append(start)
        start += len(part)
    return struct.pack(f"!{len(parts) + 1}I", len(parts), *offsets) + b"".join(parts)


def from_browser(frame: str | bytes) -> Message:
    """The message of a frame; ValueError when it is none."""
    if isinstance(frame, str):
        found = json.loads(frame)
        buffers: list[bytes] = []
    else:
        (count,) = struct.unpack_from("!I", frame)
        if not 1 <= count <= 4096:
            raise ValueError("no message")
        offsets = [*struct.unpack_from(f"!{count}I", frame, 4), len(frame)]
        found = json.loads(frame[offsets[0] : offsets[1]])
        buffers = [frame[a:b] for a, b in itertools.pairwise(offsets[1:])]
    if not isinstance(found, dict) or not isinstance(found.get("header"), dict):
        raise ValueError("no message")
    return {**found, "buffers": buffers}


def message(kind: str, content: Message, parent: Message | None = None, **more: Any) -> Message:
    """A message of the kernel's, on the iopub channel unless `more` says otherwise."""
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": kind,
        "username": "",
        "session": "stage",
        "version": "5.3",
        "date": datetime.now(UTC).isoformat(),
    }
    return {
        "channel": "iopub",
        "header": header,
        "parent_header": (parent or {}).get("header", {}),
        "metadata": {},
        "content": content,
        **more,
    }


def send(sock: socket.socket, content: Message) -> None:
    """A whole message; blocks while the other side does not read."""
    sock.sendall(pack(content))


def _json(content: Message) -> bytes:
    return as_json({key: value for key, value in content.items() if key != "buffers"}).encode()


def as_json(value: Any) -> str:
    """JSON as browsers read it: NaN and infinity, which it does not know, become texts, as Jupyter's kernels do."""
    try:
        return json.dumps(value, default=_plain, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)


def encoded(data: Mapping[str, Any]) -> dict[str, Any]:
    """An output's data with pictures as texts."""
    return {kind: _plain(value) if isinstance(value, bytes) else value for kind, value in data.items()}


def _plain(value: Any) -> Any:
    """What JSON does not know: pictures, numpy's numbers, dates, views of dictionaries."""
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    for name in ("tolist", "isoformat"):
        if hasattr(value, name):
            return getattr(value, name)()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Iterable) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(float(value))
    if isinstance(value, dict):
        return {_finite(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value if value is None or isinstance(value, str | int) else _finite(_plain(value))


def _cut(data: bytes, sizes: tuple[int, ...]) -> Iterator[bytes]:
    start = 0
    for size in sizes:
        yield data[start : start + size]
        start += size
