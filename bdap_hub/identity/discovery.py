"""The provider as it describes itself: discovery document and public keys, cached, kept through an outage.

All network access goes through the `fetch` that one hands in, so that tests need no network. What was good last is also
kept in a file, so that a hub which starts during an outage knows the provider; it holds nothing secret.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import Unavailable
from .metadata import Metadata, public_keys, read_metadata, unusable

__all__ = ["Fetch", "Metadata", "Provider", "read_metadata"]

log = logging.getLogger(__name__)

METADATA_SECONDS = 3600.0
KEYS_SECONDS = 3600.0
# An unknown key makes us look again, but at most this often: a stranger's tokens must not hammer the provider.
KEYS_AGAIN_SECONDS = 10.0
# Anybody can send tokens to the back-channel logout. What they make us ask has an allowance of its own.
STRANGERS_AGAIN_SECONDS = 60.0
FAILED_AGAIN_SECONDS = 3.0
# A copy serves this long without the provider's confirmation: a key that it has withdrawn must not live for ever.
LAST_GOOD_SECONDS = 24 * 3600.0

Fetch = Callable[[str], Awaitable[bytes]]


class Copy:
    """A document, when the provider last gave it (seconds since 1970), and when it may be asked again (monotonic)."""

    def __init__(self) -> None:
        self.value: Any = None
        self.at = 0.0
        self.from_file = False
        self.not_before = float("-inf")
        self.failure: Unavailable | None = None

    @property
    def age(self) -> float:
        """Seconds since the provider gave it; infinite if it never did."""
        return max(0.0, time.time() - self.at) if self.value else float("inf")

    def old(self, limit: float) -> bool:
        """Whether to ask the provider again: after `limit` seconds, and when an earlier run of the hub asked."""
        return self.from_file or self.age > limit

    async def renew(self, get: Callable[[], Awaitable[Any]], pause: float) -> bool:
        """Ask the provider, unless it was asked just now; whether the copy is new. Remembers a failure."""
        if time.monotonic() < self.not_before:
            return False
        try:
            self.value, self.at, self.failure = await get(), time.time(), None
            self.from_file = False
        except Unavailable as error:
            self.failure, pause = error, FAILED_AGAIN_SECONDS
        self.not_before = time.monotonic() + pause
        return self.failure is None

    def good(self, issuer: str) -> Any:
        """The value; Unavailable if there is none, or none that is recent enough."""
        if self.age <= LAST_GOOD_SECONDS:
            if self.failure:
                log.warning("keeping the last good answer of %s: %s", issuer, self.failure.message)
            return self.value
        raise self.failure or unusable(issuer, "it has not answered yet")


class Provider:
    """A provider's metadata and keys, fetched when first needed. One per hub; not thread-safe (one event loop).

    `algorithms` are those we accept; `kept` is the file of the last good copy.
    """

    def __init__(
        self, issuer: str, fetch: Fetch, algorithms: frozenset[str] = frozenset(), kept: Path | None = None
    ) -> None:
        self.issuer = issuer
        self._fetch = fetch
        self._algorithms = algorithms
        self._kept = kept
        self._document, self._keys = Copy(), Copy()
        self._lock = asyncio.Lock()
        self._strangers_not_before = float("-inf")
        self._recall()

    async def metadata(self) -> Metadata:
        """The provider's addresses; Unavailable if it never answered. The last good copy outlives an outage."""
        async with self._lock:
            return await self._metadata()

    async def keys(self, kid: str, *, stranger: bool = False) -> Mapping[str, Mapping[str, Any]]:
        """The public keys by id; fetched again when `kid` is unknown or '' (key rotation), or the copy is old.

        For a `stranger`, anybody's token, once a minute; a login or a refresh does not wait for that.
        """
        async with self._lock:
            known = bool(self._keys.value) and kid in self._keys.value
            if (not known or self._keys.old(KEYS_SECONDS)) and not (stranger and self._no_stranger_now()):
                metadata = await self._metadata()
                pause = 0.0 if stranger else KEYS_AGAIN_SECONDS
                if await self._keys.renew(lambda: self._get_keys(metadata.jwks_uri), pause):
                    self._keep()
            return dict(self._keys.good(self.issuer))

    def _no_stranger_now(self) -> bool:
        if time.monotonic() < self._strangers_not_before:
            return True
        self._strangers_not_before = time.monotonic() + STRANGERS_AGAIN_SECONDS
        return False

    async def _metadata(self) -> Metadata:
        if self._document.old(METADATA_SECONDS) and await self._document.renew(self._get_document, 0):
            self._keep()
        return read_metadata(self._document.good(self.issuer), self.issuer, self._algorithms)

    async def _get_document(self) -> Any:
        document = await self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        read_metadata(document, self.issuer, self._algorithms)
        return document

    async def _get_keys(self, address: str) -> dict[str, dict[str, Any]]:
        found = public_keys(await self._get(address))
        if not found:
            raise unusable(self.issuer, "its key set holds no key for signatures")
        return found

    async def _get(self, url: str) -> Any:
        try:
            return json.loads(await self._fetch(url))
        except ValueError:
            raise unusable(self.issuer, f"{urlsplit(url).path} is not JSON") from None

    def _keep(self) -> None:
        if self._kept is None:
            return
        copies = {"document": self._document, "keys": self._keys}
        state = {"issuer": self.issuer, **{name: {"at": c.at, "value": c.value} for name, c in copies.items()}}
        try:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._kept.with_suffix(".new")
            fresh.write_text(json.dumps(state))
            fresh.replace(self._kept)
        except OSError as error:
            log.warning("the provider's description could not be kept: %s", error)

    def _recall(self) -> None:
        """Take over what an earlier run kept of this very issuer, checked as if it came from the provider.

        The provider is asked first all the same; its age counts from when it was kept.
        """
        try:
            state = json.loads(self._kept.read_text()) if self._kept else {}
            if state.get("issuer") != self.issuer:
                return
            read_metadata(state["document"]["value"], self.issuer, self._algorithms)
            keys = public_keys({"keys": list(state["keys"]["value"].values())})
            document_at, keys_at = float(state["document"]["at"]), float(state["keys"]["at"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, Unavailable) as error:
            log.warning("%s is of no use and will be written anew: %s", self._kept, error)
            return
        self._document.value, self._document.at, self._document.from_file = (
            state["document"]["value"],
            document_at,
            True,
        )
        self._keys.value, self._keys.at, self._keys.from_file = keys, keys_at, True
