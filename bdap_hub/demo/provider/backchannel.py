"""OpenID Connect Back-Channel Logout 1.0: tells the hub that somebody's session has ended here."""

from __future__ import annotations

import logging
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
from allauth.core.internal import jwkkit
from allauth.idp.oidc.adapter import get_adapter
from django.conf import settings

from .conf import LOOPBACK

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TOKEN_SECONDS = 120
SEND_SECONDS = 3.0
log = logging.getLogger(__name__)
_senders = ThreadPoolExecutor(max_workers=2, thread_name_prefix="back-channel")


def tell_later(subject: str, sid: str = "") -> None:
    """As `tell`, beside the request in hand."""
    _senders.submit(tell, subject, sid)


def tell(subject: str, sid: str = "") -> bool:
    """Whether the hub took the message that this session (without `sid`: all of that person) has ended. Never raises.

    Only to a hub on this machine, as the provider is; elsewhere the hub finds out by asking.
    """
    address = f"{settings.BDAP.hub.public_url.rstrip('/')}/hub/backchannel_logout"
    parts = urlsplit(address)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:
        log.warning("no back-channel logout to %s: it is not on this machine", address)
        return False
    try:
        with httpx.Client(trust_env=False, timeout=SEND_SECONDS) as client:
            answer = client.post(address, data={"logout_token": logout_token(subject, sid)})
    except httpx.HTTPError as error:
        log.warning("the hub did not take a back-channel logout: %s", type(error).__name__)
        return False
    if answer.status_code not in (200, 204):
        log.warning("the hub answered %s to a back-channel logout", answer.status_code)
    return answer.status_code in (200, 204)


def logout_token(subject: str, sid: str = "") -> str:
    """A signed logout token, good for one use within two minutes."""
    adapter, now = get_adapter(), int(time.time())
    jwk, key = jwkkit.load_jwk_from_pem(adapter.get_signing_key().pem)
    claims: dict[str, Any] = {
        "iss": adapter.get_issuer(),
        "aud": settings.BDAP.identity.client_id,
        "sub": subject,
        "iat": now,
        "exp": now + TOKEN_SECONDS,
        "jti": secrets.token_urlsafe(24),
        "events": {EVENT: {}},
        **({"sid": sid} if sid else {}),
    }
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": jwk["kid"], "typ": "logout+jwt"})
