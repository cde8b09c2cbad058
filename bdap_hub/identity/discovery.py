"""The provider as it describes itself: discovery document and public keys, cached, kept through an outage.

All network access goes through the `fetch` that one hands in, so that tests need no network.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..errors import Unavailable

log = logging.getLogger(__name__)

METADATA_SECONDS = 3600.0
KEYS_SECONDS = 3600.0
# An unknown key makes us look again, but at most this often: a stranger's tokens must not hammer the provider.
KEYS_AGAIN_SECONDS = 10.0

Fetch = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True)
class Metadata:
    """What we use of the discovery document (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    basic_auth: bool = True
    states_issuer: bool = False


def read_metadata(document: Any, issuer: str) -> Metadata:
    """The checked discovery document; Unavailable where it is another issuer's or lacks an address."""
    if not isinstance(document, Mapping):
        raise _unusable(issuer, "its discovery document is not a JSON object")
    if document.get("issuer") != issuer:
        raise _unusable(issuer, f"its discovery document names the issuer {document.get('issuer')!r}")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint")
    addresses = {name: document.get(name) or "" for name in names}
    for name, address in addresses.items():
        if not address and name in names[3:]:
            continue
        _check_address(issuer, name, address)
    # Without the list, the standard's default is client_secret_basic.
    methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    states_issuer = document.get("authorization_response_iss_parameter_supported") is True
    return Metadata(
        issuer=issuer, basic_auth="client_secret_basic" in methods, states_issuer=states_issuer, **addresses
    )


class Provider:
    """A provider's metadata and keys, fetched when first needed. One per hub; not thread-safe (one event loop)."""

    def __init__(self, issuer: str, fetch: Fetch) -> None:
        self.issuer = issuer
        self._fetch = fetch
        self._metadata: Metadata | None = None
        self._metadata_until = 0.0
        self._keys: dict[str, dict[str, Any]] = {}
        self._keys_at = float("-inf")

    async def metadata(self) -> Metadata:
        """The provider's addresses; Unavailable if it never answered. The last good copy outlives an outage."""
        if self._metadata is None or time.monotonic() > self._metadata_until:
            try:
                document = await self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                self._metadata = read_metadata(document, self.issuer)
                self._metadata_until = time.monotonic() + METADATA_SECONDS
            except Unavailable as error:
                if self._metadata is None:
                    raise
                log.warning("keeping the last discovery document of %s: %s", self.issuer, error.message)
        return self._metadata

    async def keys(self, kid: str) -> Mapping[str, Mapping[str, Any]]:
        """The public keys by id; fetched again when `kid` is unknown (key rotation) or the copy is old."""
        age = time.monotonic() - self._keys_at
        if age > KEYS_SECONDS or (kid not in self._keys and age > KEYS_AGAIN_SECONDS):
            await self._fetch_keys()
        return self._keys

    async def _fetch_keys(self) -> None:
        metadata = await self.metadata()
        try:
            document = await self._get(metadata.jwks_uri)
            found = document.get("keys") if isinstance(document, dict) else None
            if not isinstance(found, list):
                raise _unusable(self.issuer, "its key set is not a list")
        except Unavailable as error:
            if not self._keys:
                raise
            log.warning("keeping the last key set of %s: %s", self.issuer, error.message)
        else:
            self._keys = {k["kid"]: k for k in found if isinstance(k, dict) and isinstance(k.get("kid"), str)}
        self._keys_at = time.monotonic()

    async def _get(self, url: str) -> Any:
        try:
            return json.loads(await self._fetch(url))
        except ValueError:
            raise _unusable(self.issuer, f"{urlsplit(url).path} is not JSON") from None


def _check_address(issuer: str, name: str, address: Any) -> None:
    parts = urlsplit(address) if isinstance(address, str) else urlsplit("")
    allowed = {"https"} if issuer.startswith("https:") else {"http", "https"}
    if parts.scheme not in allowed or not parts.netloc:
        raise _unusable(issuer, f"its {name} is {address!r}, not an {' or '.join(sorted(allowed))} address")


def _unusable(issuer: str, why: str) -> Unavailable:
    return Unavailable(f"the login provider {issuer} cannot be used: {why}", "tell the platform's operators")
