"""What people post: bounded, JSON as RFC 8259 has it, an object; and the process graph in it."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

import numpy as np
from fastapi import Request

from ...errors import BadRequest, TooMuch

MAX_BODY, MAX_NESTING = 1_000_000, 150
TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
UNSTORABLE = re.compile(r"[\ud800-\udfff]|(?<!\\)(?:\\\\)*\\u0000")
"""Lone surrogates, and null characters as JSON writes them: no UTF-8, or no text of every database."""


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was posted; TooMuch beyond MAX_BODY bytes."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY:
            raise TooMuch(f"the request is larger than {MAX_BODY} bytes", "post a smaller graph")
    body = parsed(bytes(received))
    if not isinstance(body, dict):
        raise BadRequest("the request is not a JSON object", 'post {"process": {"process_graph": {…}}}')
    return body


def parsed(content: bytes) -> Any:
    """The JSON value; BadRequest for what others could not read back: NaN, numbers beyond doubles, half characters."""
    if _nesting(content) > MAX_NESTING:
        raise BadRequest(f"the request has lists and objects more than {MAX_NESTING} deep", "post a flatter one")
    try:
        text = content.decode()
        body = json.loads(text, parse_constant=_no_number, parse_float=_double, parse_int=_integer)
        storable = "\\u" not in text or not UNSTORABLE.search(json.dumps(body, ensure_ascii=False))
    except (ValueError, RecursionError):
        raise BadRequest("the request is not JSON", "post a JSON object") from None
    if not storable:
        raise BadRequest("the request has a text with half of a character, or with a null one", "send whole characters")
    return body


def _nesting(content: bytes) -> int:
    """How deep lists and objects lie in one another: whoever walks through them does so by calling itself."""
    brackets = np.frombuffer(TEXT.sub(b"", content).translate(None, BUT_BRACKETS), np.uint8)
    return int(np.cumsum(np.where(np.isin(brackets, list(b"[{")), 1, -1), dtype=np.int64).max(initial=0))


def _no_number(text: str) -> NoReturn:
    raise BadRequest(f"{text} is no number of JSON", "send null for no data")


def _double(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise BadRequest(f"the number {text:.40} is larger than a double can be", "send a smaller one")
    return value


def _integer(text: str) -> int:
    if len(text) > 20:
        _double(text)
    return int(text)


def graph_of(body: dict[str, Any]) -> Any:
    process = body.get("process", body)
    return process.get("process_graph") if isinstance(process, dict) else None
