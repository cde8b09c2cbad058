"""What an authenticator app shows, typed as people do: not in the last seconds that it is good for."""

from __future__ import annotations

import time

import pyotp

TO_TYPE = 5.0  # seconds, on a busy machine; the provider takes the present code alone


def code_of(secret: str) -> str:
    """The present code, with time left to type it."""
    totp = pyotp.TOTP(secret)
    if (left := totp.interval - time.time() % totp.interval) < TO_TYPE:
        time.sleep(left)
    return totp.now()
