"""What people post: bounded, JSON, an object; and the process graph in it."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request

from ...errors import BadRequest, TooMuch

MAX_BODY = 1_000_000


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was posted; TooMuch beyond MAX_BODY bytes."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY:
            raise TooMuch(f"the request is larger than {MAX_BODY} bytes", "post a smaller graph")
    try:
        body = json.loads(received)
    except (ValueError, RecursionError):
        raise BadRequest("the request is not JSON", "post a JSON object") from None
    if not isinstance(body, dict):
        raise BadRequest("the request is not a JSON object", 'post {"process": {"process_graph": {…}}}')
    return body


def graph_of(body: dict[str, Any]) -> Any:
    process = body.get("process", body)
    return process.get("process_graph") if isinstance(process, dict) else None
