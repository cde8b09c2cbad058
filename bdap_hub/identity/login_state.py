"""A login that a browser has begun: what comes back from the provider has to fit it. PURE but for its randomness."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import asdict, dataclass

from ..access import Requirement

COOKIE = "bdap-login-"


@dataclass(frozen=True)
class LoginState:
    """Kept in a signed cookie of its own until the browser comes back.

    A step-up names the `person` who is logged in, and the `level` and `max_age` (seconds) that it is for.
    """

    state: str
    nonce: str
    code_verifier: str
    next_url: str
    person: str = ""
    level: str = ""
    max_age: float | None = None

    @classmethod
    def begin(cls, next_url: str, person: str = "", demand: Requirement | None = None) -> LoginState:
        """Fresh random values of 256 bits each. A `next_url` with control characters is none."""
        level, max_age = (demand.level, demand.max_age) if demand else ("", None)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        path = next_url if next_url.isprintable() else ""
        return cls(state, nonce, verifier, path, person, level, max_age)

    @classmethod
    def read(cls, kept: bytes) -> LoginState:
        """What `kept_as` wrote."""
        return cls(**json.loads(kept))

    @property
    def kept_as(self) -> str:
        """The cookie's value."""
        return json.dumps(asdict(self))

    @property
    def demand(self) -> Requirement:
        """What this login has to prove beyond the lowest level."""
        return Requirement(self.level, self.max_age)

    @property
    def purpose(self) -> str:
        """The action in the audit log: login or step-up."""
        return "step-up" if self.person else "login"

    @property
    def challenge(self) -> str:
        """PKCE's S256 challenge of the verifier (RFC 7636)."""
        digest = hashlib.sha256(self.code_verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def cookie_name(state: str) -> str:
    """The cookie of the login whose `state` this is, without the prefix that login cookies have."""
    return f"{COOKIE}{state[:16]}"
