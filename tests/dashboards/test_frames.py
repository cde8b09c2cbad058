"""What a visitor may say to a kernel, in each of the three forms of a Jupyter websocket message."""

from __future__ import annotations

import json

import pytest

from bdap_hub.dashboards.frames import may_send, message_type


def _v1(kind: str) -> bytes:
    parts = [b"shell", json.dumps({"msg_type": kind}).encode(), b"{}", b"{}", b"{}"]
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return b"".join(n.to_bytes(8, "little") for n in (len(offsets), *offsets)) + b"".join(parts)


def _old(kind: str) -> bytes:
    message = json.dumps({"header": {"msg_type": kind}, "channel": "shell"}).encode()
    return (
        (2).to_bytes(4, "big") + (12).to_bytes(4, "big") + (12 + len(message)).to_bytes(4, "big") + message + b"buffer"
    )


def _text(kind: str) -> str:
    return json.dumps({"header": {"msg_type": kind}, "channel": "shell"})


@pytest.mark.parametrize("form", [_v1, _old, _text])
@pytest.mark.parametrize(
    ("kind", "passes"),
    [
        ("comm_msg", True), ("comm_open", True), ("comm_close", True), ("kernel_info_request", True),
        ("comm_info_request", True), ("execute_request", False), ("shutdown_request", False),
        ("interrupt_request", False), ("debug_request", False), ("complete_request", False),
        ("inspect_request", False), ("history_request", False), ("input_reply", False), ("", False),
    ],
)  # fmt: skip
def test_only_widget_traffic_passes(form, kind: str, passes: bool):
    assert message_type(form(kind)) == kind
    assert may_send(form(kind)) is passes


@pytest.mark.parametrize(
    "frame", [b"", b"x", b"\xff" * 200, "", "[]", "{}", '{"header": 1}', '{"header": {"msg_type": []}}']
)
def test_what_cannot_be_read_does_not_pass(frame):
    assert not may_send(frame)
