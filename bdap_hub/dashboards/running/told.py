"""Tells a release who its visitor is, by a header that only the gateway can sign. PURE.

Each release has a key of its own, so that code in one cannot speak of visitors to another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

HEADER, KEY = "Bdap-Visitor", "BDAP_VISITOR_KEY"


def visitor_key(secret: str, release: str) -> str:
    """The release's key, made of the platform's secret for signatures."""
    return hmac.new(secret.encode(), f"visitor of {release}".encode(), hashlib.sha256).hexdigest()


def visitor_headers(key: str, person: str, now: float) -> dict[str, str]:
    """The header for that person; nothing for somebody without an account."""
    if not person:
        return {}
    body = base64.urlsafe_b64encode(json.dumps({"at": int(now), "name": person}, sort_keys=True).encode()).decode()
    return {HEADER: f"{body}.{hmac.new(key.encode(), body.encode(), hashlib.sha256).hexdigest()}"}
