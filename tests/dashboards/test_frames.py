"""Messages in each of the three forms of a Jupyter websocket: read and written alike, or not at all."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from bdap_hub.dashboards.gateway.frames import Message, kind_of, read, with_content


def v1(kind: str, content: Any = None, channel: str = "shell") -> bytes:
    parts = [channel.encode(), *(json.dumps(p).encode() for p in ({"msg_type": kind}, {}, {}, content or {})), b"buf"]
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return b"".join(n.to_bytes(8, "little") for n in (len(offsets), *offsets)) + b"".join(parts)


def old(kind: str, content: Any = None, channel: str = "shell") -> bytes:
    message = text(kind, content, channel).encode()
    return (2).to_bytes(4, "big") + (12).to_bytes(4, "big") + (12 + len(message)).to_bytes(4, "big") + message + b"buf"


def text(kind: str, content: Any = None, channel: str = "shell") -> str:
    return json.dumps({"header": {"msg_type": kind}, "channel": channel, "content": content or {}})


FORMS = [(v1, True), (old, False), (text, False)]


@pytest.mark.parametrize(("form", "newest"), FORMS)
def test_each_form_is_read_and_written_again(form: Any, newest: bool):
    frame = form("comm_msg", {"comm_id": "a", "data": {"é": [1]}})
    assert read(frame, newest) == Message("shell", "comm_msg", {"comm_id": "a", "data": {"é": [1]}})
    assert kind_of(frame, newest) == "comm_msg"
    other = with_content(frame, newest, {"x": "a longer text than before, a longer text than before"})
    assert read(other, newest) == Message(
        "shell", "comm_msg", {"x": "a longer text than before, a longer text than before"}
    )
    assert isinstance(other, str) or other.endswith(b"buf")


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize(
    "frame",
    [b"", b"x", b"\xff" * 200, "", "[]", "{}", "[" * 100_000, '{"header": 1}', '{"header": {"msg_type": []}}', "null",
     '{"header": {"msg_type": "comm_msg"}, "channel": []}', b"\x02" + b"\0" * 30],
)  # fmt: skip
def test_what_cannot_be_read_is_nothing(frame: Any, newest: bool):
    assert read(frame, newest) is None and kind_of(frame, newest) is None


@pytest.mark.parametrize(("form", "newest"), FORMS)
def test_a_form_that_was_not_agreed_upon_is_not_read(form: Any, newest: bool):
    """The kernel's server would read it by the one that was."""
    assert read(form("comm_msg"), newest)
    assert read(form("comm_msg"), not newest) is None


def with_offsets(newest: bool, offsets: list[int]) -> bytes:
    """A megabyte whose parts begin at these places."""
    size, order, count = (8, "little", len(offsets)) if newest else (4, "big", len(offsets))
    head = b"".join(n.to_bytes(size, order) for n in (count, *offsets))  # type: ignore[arg-type]
    return head + b" " * ((1 << 20) - len(head))


@pytest.mark.parametrize("newest", [True, False])
def test_parts_that_overlap_are_not_cut(newest: bool):
    """A frame of a megabyte would take two gigabytes."""
    end = 1 << 20
    tracemalloc.start()
    for offsets in ([1, end] * 1000, [1, end, end + 1, end + 1, end + 1, end + 1], [end, 1, 1, 1, 1, 1]):
        assert read(with_offsets(newest, offsets), newest) is None
        assert kind_of(with_offsets(newest, offsets), newest) is None
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    whole = (v1 if newest else old)("comm_msg")
    assert read(whole, newest)
    assert read(whole[:-1], newest) is None if newest else read(whole[:-1], newest)  # its last part is shorter
