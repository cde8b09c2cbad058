"""Short-lived signed tokens of our own (JWT, HS256), each bound to one purpose so that none serves for another."""

from __future__ import annotations

import time
from typing import Any

import jwt

from ..errors import NotLoggedIn

ISSUER = "bdap-hub"


def sign_token(key: str, purpose: str, seconds: float, **claims: Any) -> str:
    """A token that holds `claims`, valid for `seconds` and for `purpose` only."""
    now = time.time()
    return jwt.encode(
        {**claims, "iss": ISSUER, "aud": purpose, "iat": int(now), "exp": int(now + seconds)}, key, algorithm="HS256"
    )


def read_token(key: str, purpose: str, token: str) -> dict[str, Any]:
    """The claims of a token of ours; NotLoggedIn when it is forged, expired or for another purpose."""
    try:
        return jwt.decode(
            token,
            key,
            algorithms=["HS256"],
            audience=purpose,
            issuer=ISSUER,
            options={"require": ["exp", "iat", "aud", "iss"]},
        )
    except jwt.ExpiredSignatureError:
        raise NotLoggedIn(f"this {purpose} link has expired", "reload the page or ask for a new one") from None
    except jwt.InvalidTokenError:
        raise NotLoggedIn(f"this {purpose} link is not valid", "reload the page or ask for a new one") from None
