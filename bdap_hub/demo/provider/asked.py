"""What an application asks of a login (OpenID Connect Core 3.1.2.1 and 5.5), read from its query. No I/O."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MFA = "https://refeds.org/profile/mfa"


class NotUnderstood(ValueError):
    """The request cannot be met as it is; `error` is one of OAuth's codes."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


@dataclass(frozen=True)
class Asked:
    """How the person shall have logged in. `acr` empty: as always. `subject` empty: whoever it is."""

    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    acr: frozenset[str] = frozenset()
    subject: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Asked:
        """From the query's parameters; NotUnderstood where one makes no sense."""
        for name in ("request", "request_uri"):
            if name in query:
                raise NotUnderstood(f"{name}_not_supported", f"{name} is not supported")
        prompt = frozenset(query.get("prompt", "").split())
        if "none" in prompt and len(prompt) > 1:
            raise NotUnderstood("invalid_request", "prompt=none goes with no other")
        max_age = query.get("max_age", "")
        if max_age and not (max_age.isascii() and max_age.isdigit() and len(max_age) < 10):
            raise NotUnderstood("invalid_request", "max_age is not a number of seconds")
        claims = _id_token_claims(query.get("claims", ""))
        acr = _values(claims.get("acr")) or frozenset(query.get("acr_values", "").split())
        subject = next(iter(_values(claims.get("sub"))), "")
        return cls(prompt, int(max_age) if max_age else None, acr, subject)

    def met_by(self, proof: Mapping[str, Any], subject: str, just_now: bool) -> bool:
        """Whether this login, of this person, is what was asked for. Made `just_now`, on request, it is no older."""
        fresh = self.max_age is None or just_now or time.time() - proof["auth_time"] <= self.max_age
        return fresh and (not self.acr or proof.get("acr") in self.acr) and self.subject in ("", subject)

    @property
    def possible(self) -> bool:
        """Whether a login here can reach the acr asked for at all."""
        return not self.acr or MFA in self.acr


def _id_token_claims(text: str) -> dict[str, Any]:
    try:
        claims = json.loads(text or "{}")
        wanted = claims.get("id_token") or {}
        return dict(wanted.items())
    except (ValueError, AttributeError):
        raise NotUnderstood("invalid_request", "claims is not a JSON object as it should be") from None


def _values(wanted: Any) -> frozenset[str]:
    if not isinstance(wanted, dict):
        return frozenset()
    values = wanted.get("values") or [wanted.get("value")]
    return frozenset(value for value in values if isinstance(value, str)) if isinstance(values, list) else frozenset()
