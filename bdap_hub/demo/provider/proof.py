"""How a person has proven themselves, as claims: kept beside a code, and beside the tokens that come of it."""

from __future__ import annotations

import hashlib
from typing import Any

from allauth.account.authentication import get_authentication_records
from django.core.cache import cache
from django.http import HttpRequest

from .asked import MFA
from .conf import CODE_SECONDS
from .sessions import sid_of


def proof(request: HttpRequest) -> dict[str, Any]:
    """How the person of this session logged in: `amr` (RFC 8176), `acr`, `auth_time` in seconds, and `sid`."""
    records = get_authentication_records(request, request.user)
    used = {record.get("type", record["method"]) for record in records}
    claims: dict[str, Any] = {
        "amr": [short for method, short in (("password", "pwd"), ("totp", "otp")) if method in used],
        "auth_time": int(max((r["at"] for r in records), default=0)),  # the last factor completes the login
    }
    if len(claims["amr"]) == 2:
        claims["amr"].append("mfa")
        claims |= {"acr": MFA, "sid": sid_of(request)}
    return claims


def remember_proof(code: str, claims: dict[str, Any], seconds: int = CODE_SECONDS) -> None:
    """Keep the proof beside the code: the token request that follows has no session."""
    cache.set(f"bdap.proof.{fingerprint(code)}", claims, timeout=seconds)


def proof_of(code: str) -> dict[str, Any]:
    """The proof kept for a code; empty if there is none."""
    return dict(cache.get(f"bdap.proof.{fingerprint(code)}") or {})


def fingerprint(code: str) -> str:
    """A code's name in our memory."""
    return hashlib.sha256(code.encode()).hexdigest()
