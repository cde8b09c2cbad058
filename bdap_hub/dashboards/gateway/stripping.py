"""What of a kernel's messages a visitor sees: no code, no tracebacks, no server's paths. PURE."""

from __future__ import annotations

from typing import Any

from .frames import Message

SHOWN = frozenset({
    "status", "kernel_info_reply", "comm_info_reply", "comm_open", "comm_msg", "comm_close", "clear_output", "stream",
    "display_data", "update_display_data", "execute_result", "error", "shutdown_reply", "iopub_welcome",
})  # fmt: skip
SAID = "The dashboard met an error."


def shown(message: Message) -> dict[str, Any] | None:
    """The content that the visitor gets, None where they get nothing. The same object where nothing is taken out."""
    content = message.content
    if message.kind not in SHOWN or (message.kind == "stream" and content.get("name") != "stdout"):
        return None
    if message.kind == "error" or content.get("status") == "error":
        return _without_traceback(content)
    data = content.get("data")
    state = data.get("state") if message.kind in ("comm_open", "comm_msg") and isinstance(data, dict) else None
    outputs = state.get("outputs") if isinstance(state, dict) else None
    if not isinstance(outputs, (list, tuple)):
        return content
    kept = [_output(one) for one in outputs if not _is_stderr(one)]
    return {**content, "data": {**data, "state": {**state, "outputs": kept}}}  # type: ignore[dict-item]


def _output(output: Any) -> Any:
    """One of an Output widget's."""
    return _without_traceback(output) if isinstance(output, dict) and output.get("output_type") == "error" else output


def _is_stderr(output: Any) -> bool:
    return isinstance(output, dict) and output.get("output_type") == "stream" and output.get("name") == "stderr"


def _without_traceback(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "evalue": SAID, "traceback": []}
