"""Who the visitor is, as the gateway says in a signed header. Without the header or the key, nobody."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from typing import Any

HEADER = "Bdap-Visitor"
KEY = "BDAP_VISITOR_KEY"  # in the environment at start; taken out before the notebook runs
VALID_SECONDS = 120


def take_key() -> bytes:
    """The key that only the gateway and the server know, not the notebook."""
    return os.environ.pop(KEY, "").encode()


def sign(key: bytes, visitor: dict[str, Any], now: float | None = None) -> str:
    """What the gateway sends: base64 of the JSON, a dot, its HMAC-SHA256."""
    told = {**visitor, "at": int(now if now is not None else time.time())}
    body = base64.urlsafe_b64encode(json.dumps(told, sort_keys=True).encode()).decode()
    return f"{body}.{_mac(key, body)}"


def read(key: bytes, header: str) -> dict[str, Any] | None:
    """The visitor; None when nobody is named, the signature is wrong or the header is old."""
    body, _, mac = header.partition(".")
    if not key or not body or not hmac.compare_digest(mac, _mac(key, body)):
        return None
    try:
        told = json.loads(base64.urlsafe_b64decode(body))
        fresh = abs(time.time() - float(told.pop("at"))) < VALID_SECONDS
    except (ValueError, KeyError, TypeError):
        return None
    return told if fresh else None


def _mac(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
