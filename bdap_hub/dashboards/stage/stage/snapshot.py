"""Answers of the page's snapshot to a visitor's messages that need no process of their own. PURE."""

from __future__ import annotations

import base64
from typing import Any

from . import wire

WIDGET, CONTROL = "jupyter.widget", "jupyter.widget.control"

ALLOWED = frozenset({"comm_open", "comm_msg", "comm_close", "comm_info_request", "kernel_info_request"})
INFO = {
    "status": "ok",
    "protocol_version": "5.3",
    "implementation": "bdap-stage",
    "implementation_version": "1",
    "language_info": {"name": "python", "version": "3", "mimetype": "text/x-python", "file_extension": ".py"},
    "banner": "",
    "help_links": [],
}


def answer(message: wire.Message, widgets: dict[str, Any], controls: set[str]) -> list[wire.Message] | None:
    """The messages that answer it; None when it needs a process. `controls`: ids of open control comms."""
    kind, content = message["header"].get("msg_type"), message.get("content") or {}
    if kind == "kernel_info_request":
        return _replied("kernel_info_reply", INFO, message)
    if kind == "comm_info_request":
        comms = {key: {"target_name": WIDGET} for key in widgets.get("state", {})}
        return _replied("comm_info_reply", {"status": "ok", "comms": comms}, message)
    if kind == "comm_open" and content.get("target_name") == CONTROL:
        controls.add(str(content.get("comm_id")))
        return [_idle(message)]
    if kind in ("comm_msg", "comm_close") and content.get("comm_id") in controls:
        if kind == "comm_close" or (content.get("data") or {}).get("method") != "request_states":
            return [_idle(message)]
        return [_states(message, widgets, content["comm_id"]), _idle(message)]
    return None


def _replied(kind: str, content: dict[str, Any], message: wire.Message) -> list[wire.Message]:
    return [wire.message(kind, content, message, channel="shell"), _idle(message)]


def _idle(message: wire.Message) -> wire.Message:
    return wire.message("status", {"execution_state": "idle"}, message)


def _states(message: wire.Message, widgets: dict[str, Any], comm_id: str) -> wire.Message:
    states, paths, buffers = {}, [], []
    for key, model in widgets.get("state", {}).items():
        states[key] = {name: value for name, value in model.items() if name != "buffers"}
        for kept in model.get("buffers", []):
            paths.append([key, "state", *kept["path"]])
            buffers.append(base64.b64decode(kept["data"]))
    data = {"method": "update_states", "states": states, "buffer_paths": paths}
    return wire.message("comm_msg", {"comm_id": comm_id, "data": data}, message, buffers=buffers)
