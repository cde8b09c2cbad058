"""What a visitor may say to a kernel: reads the type of a Jupyter websocket message and checks it. PURE."""

from __future__ import annotations

import json

ALLOWED = frozenset({"comm_open", "comm_msg", "comm_close", "comm_info_request", "kernel_info_request"})
MAX_BYTES = 16 * 2**20


def message_type(frame: str | bytes) -> str | None:
    """The msg_type of a frame in any of the three forms (v1 binary, old binary, JSON); None if unreadable."""
    try:
        header = json.loads(frame)["header"] if isinstance(frame, str) else _binary_header(frame)
        found = header["msg_type"]
    except (ValueError, KeyError, TypeError, IndexError, UnicodeDecodeError):
        return None
    return found if isinstance(found, str) else None


def may_send(frame: str | bytes) -> bool:
    """Whether a visitor's frame goes through: widget traffic and introspection only, never code, never shutdown."""
    return message_type(frame) in ALLOWED


def _binary_header(frame: bytes) -> dict[str, object]:
    count = int.from_bytes(frame[:8], "little")
    if 3 <= count <= 64:  # v1.kernel.websocket.jupyter.org: offsets of channel, header, parent, ...
        offsets = [int.from_bytes(frame[8 * (i + 1) : 8 * (i + 2)], "little") for i in range(count)]
        return json.loads(frame[offsets[1] : offsets[2]])
    count = int.from_bytes(frame[:4], "big")  # the older form: offsets of the JSON message and its buffers
    if not 1 <= count <= 4096:
        raise ValueError("no message")
    offsets = [int.from_bytes(frame[4 * (i + 1) : 4 * (i + 2)], "big") for i in range(count)]
    end = offsets[1] if count > 1 else len(frame)
    return json.loads(frame[offsets[0] : end])["header"]
