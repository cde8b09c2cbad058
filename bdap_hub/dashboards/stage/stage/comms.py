"""Comms without a kernel: what widgets say is recorded and, once somebody listens, sent."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import comm
from comm.base_comm import BaseComm, CommManager

from . import wire
from .snapshot import CONTROL, WIDGET


class Recorder:
    """The state of every open widget, as its comm's messages tell it."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, Any]] = {}
        self.others: set[str] = set()  # targets of comms that are no widgets

    def note(self, kind: str, comm_id: str, target: str, data: dict[str, Any], buffers: list[Any]) -> None:
        """Take a comm's message in."""
        if target == CONTROL:
            return
        if target != WIDGET:
            self.others.add(target)
        elif kind == "comm_close":
            self.models.pop(comm_id, None)
        elif kind == "comm_open" or data.get("method") == "update":
            self._keep(comm_id, data, buffers)

    def _keep(self, comm_id: str, data: dict[str, Any], buffers: list[Any]) -> None:
        model = self.models.setdefault(comm_id, {"state": {}, "buffers": {}})
        state = data.get("state", {})
        model["state"].update(state)
        for path in [p for p in model["buffers"] if p[0] in state]:
            del model["buffers"][path]
        for path, buffer in zip(data.get("buffer_paths") or [], buffers, strict=False):
            model["buffers"][tuple(path)] = bytes(buffer)

    def embedded(self) -> dict[str, Any]:
        """All of it in the form that pages hold (application/vnd.jupyter.widget-state+json)."""
        return {"version_major": 2, "version_minor": 0, "state": {key: _embed(m) for key, m in self.models.items()}}


def _embed(model: dict[str, Any]) -> dict[str, Any]:
    state = model["state"]
    found = {
        "model_name": state.get("_model_name"),
        "model_module": state.get("_model_module"),
        "model_module_version": state.get("_model_module_version"),
        "state": state,
    }
    if model["buffers"]:
        found["buffers"] = [
            {"encoding": "base64", "path": list(path), "data": base64.b64encode(data).decode()}
            for path, data in model["buffers"].items()
        ]
    return found


class Kernel:
    """Stands where libraries look for the kernel: whose request is handled, and where comms are."""

    def __init__(self, manager: CommManager) -> None:
        self.comm_manager = manager
        self.shell: Any = None
        self.parent: dict[str, Any] = {"header": {"msg_id": "stage"}}

    def get_parent(self, _channel: str = "shell") -> dict[str, Any]:
        """The message that is handled just now."""
        return self.parent


class Switchboard:
    """All comms of the process. `out` is None until a visitor listens."""

    def __init__(self, seed: str) -> None:
        self.manager = CommManager()
        self.kernel = Kernel(self.manager)
        self.recorder = Recorder()
        self.out: Callable[[wire.Message], None] | None = None
        self.on_capture: Callable[[str, str], None] = lambda _comm_id, _msg_id: None
        self._seed, self._count = seed, 0

    def install(self) -> None:
        """Become what the `comm` package hands out; again after ipykernel was imported, which does the same."""
        comm.create_comm = self._create  # type: ignore[assignment]
        comm.get_comm_manager = lambda: self.manager

    def next_id(self) -> str:
        """The same in every run of the same notebook, so that a page that was kept finds its widgets again."""
        self._count += 1
        return hashlib.sha256(f"{self._seed}:{self._count}".encode()).hexdigest()[:32]

    def handle(self, message: wire.Message) -> None:
        """A visitor's comm message."""
        self.kernel.parent = message
        kind = message["header"].get("msg_type")
        if kind in ("comm_open", "comm_msg", "comm_close"):
            getattr(self.manager, kind)(None, None, message)

    def publish(self, one: StageComm, kind: str, data: Any, metadata: Any, buffers: Any, **keys: Any) -> None:
        """What a comm says: recorded, and sent if somebody listens."""
        data, buffers = data or {}, list(buffers or [])
        self.recorder.note(kind, one.comm_id, one.target_name, data, buffers)
        if kind == "comm_msg" and data.get("method") == "update" and "msg_id" in data.get("state", {}):
            self.on_capture(one.comm_id, data["state"]["msg_id"])
        if self.out is not None:
            content = {"comm_id": one.comm_id, "data": data, **keys}
            sent = wire.message(kind, content, self.kernel.parent, metadata=metadata or {}, buffers=buffers)
            self.out(sent)

    def _create(self, *args: Any, **kwargs: Any) -> BaseComm:
        if not kwargs.get("comm_id"):
            kwargs["comm_id"] = self.next_id()
        return StageComm(self, *args, **kwargs)


class StageComm(BaseComm):
    """One comm. Widgets send nothing unless its `kernel` is set."""

    def __init__(self, board: Switchboard, *args: Any, **kwargs: Any) -> None:
        self.board, self.kernel = board, board.kernel
        super().__init__(*args, **kwargs)

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        """Called by comm for everything it says."""
        self.board.publish(self, msg_type, data, metadata, buffers, **keys)
