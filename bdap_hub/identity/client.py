"""Our side of the conversation with the provider, behind the browser's back: codes, refreshes, UserInfo.

What the provider says is returned as it came; `id_token` and the authenticator decide what it is worth.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from ..errors import Unavailable
from .client_auth import ClientAuth
from .discovery import Metadata, Provider
from .id_token import LoginRefused

log = logging.getLogger(__name__)

# Nobody waits longer for the provider than this: once for a token, or each of two tries for half as long.
REQUEST_SECONDS = 10.0
# Errors of RFC 6749 section 5.2 that speak of us, not of the person.
_OUR_FAULT = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type"})
ATTEMPTS = 2
AGAIN_SECONDS = 0.5


class Client:
    """The platform as the provider's client. One per hub; not thread-safe (one event loop)."""

    def __init__(
        self,
        issuer: str,
        auth: ClientAuth,
        http: AsyncHTTPClient,
        *,
        algorithms: frozenset[str] = frozenset(),
        kept: Path | None = None,
        **options: Any,
    ) -> None:
        self.issuer = issuer
        self.provider = Provider(issuer, self._fetch, algorithms, kept)
        self._auth = auth
        self._http = http
        self._options = options

    async def ready(self) -> Metadata:
        """The provider's addresses, once it is sure that a login can end well; Unavailable otherwise."""
        metadata = await self.provider.metadata()
        self._auth.method_for(metadata)
        return metadata

    async def redeem(self, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        """The tokens for a code; LoginRefused (code-refused) if the provider does not take it."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        tokens = await self._token_request(fields)
        if tokens is None:
            raise LoginRefused("code-refused", "the login provider did not confirm this login")
        return tokens

    async def refresh(self, refresh_token: str) -> dict[str, Any] | None:
        """New tokens for a refresh token; None where the provider no longer honours it."""
        return await self._token_request({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def userinfo(self, access_token: str) -> dict[str, Any] | None:
        """The claims now; an empty dictionary if the token is no longer good, None if there is no such endpoint.

        Unavailable for every answer that says nothing about the token.
        """
        metadata = await self.provider.metadata()
        if not metadata.userinfo_endpoint:
            return None
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        answer = await self._patiently(metadata.userinfo_endpoint, headers=headers)
        if answer.code in (400, 401, 403):  # RFC 6750 section 3.1
            return {}
        if answer.code != 200 or not (claims := _json_object(answer)):
            raise self._useless("UserInfo", answer)
        return claims

    async def introspect(self, access_token: str) -> dict[str, Any]:
        """What the provider says of an access token (RFC 7662), asked as ourselves; Unavailable where it cannot."""
        metadata = await self.provider.metadata()
        if not metadata.introspection_endpoint:
            sentence = f"the login provider {self.issuer} offers no introspection, so that tokens cannot be checked"
            raise Unavailable(sentence, "use a hub token, or tell the platform's operators")
        more, options = self._auth.apply(metadata)
        fields = {"token": access_token, "token_type_hint": "access_token", **more}
        answer = await self._patiently(
            metadata.introspection_endpoint, method="POST", body=urlencode(fields), **options
        )
        stated = _json_object(answer)
        if answer.code != 200 or not stated:
            raise self._useless("introspection", answer)
        return stated

    async def _token_request(self, fields: dict[str, str]) -> dict[str, Any] | None:
        metadata = await self.provider.metadata()
        more, options = self._auth.apply(metadata)
        # once only: a code that arrived counts as used, also when the answer was lost
        answer = await self._request(
            metadata.token_endpoint, method="POST", body=urlencode({**fields, **more}), **options
        )
        if _overloaded(answer):
            raise Unavailable(f"the login provider {self.issuer} does not answer", "try again in a moment")
        stated = _json_object(answer)
        if answer.code == 200 and stated:
            return stated
        error = (stated or {}).get("error")
        if answer.code == 200 or not isinstance(error, str) or error in _OUR_FAULT:
            raise self._useless("its token endpoint", answer)
        return None

    def _useless(self, where: str, answer: HTTPResponse) -> Unavailable:
        log.error("%s: %s answered %s, %s", self.issuer, where, answer.code, _error_code(answer))
        sentence = f"the login provider {self.issuer} did not answer as it should ({where}: {answer.code})"
        return Unavailable(sentence, "tell the platform's operators")

    async def _fetch(self, url: str) -> bytes:
        answer = await self._patiently(url)
        if answer.code != 200:
            raise Unavailable(f"the login provider answered {answer.code} at {url}", "try again in a moment")
        return bytes(answer.body)

    async def _patiently(self, url: str, **options: Any) -> HTTPResponse:
        """A request that may be repeated: a second try after half a second, then Unavailable."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = await self._request(url, seconds=REQUEST_SECONDS / ATTEMPTS, **options)
                if not _overloaded(answer):
                    return answer
            except Unavailable:
                if attempt == ATTEMPTS:
                    raise
            if attempt < ATTEMPTS:
                await asyncio.sleep(AGAIN_SECONDS)
        raise Unavailable(f"the login provider {self.issuer} does not answer", "try again in a moment")

    async def _request(self, url: str, *, seconds: float = REQUEST_SECONDS, **options: Any) -> HTTPResponse:
        request = HTTPRequest(
            url,
            connect_timeout=seconds,
            request_timeout=seconds,
            follow_redirects=False,
            **{**self._options, **options},
        )
        try:
            return await self._http.fetch(request, raise_error=False)
        except (OSError, HTTPClientError):
            raise Unavailable(f"the login provider {self.issuer} cannot be reached", "try again later") from None


def _overloaded(answer: HTTPResponse) -> bool:
    return answer.code >= 500 or answer.code == 429


def _json_object(answer: HTTPResponse) -> dict[str, Any] | None:
    try:
        value = json.loads(answer.body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _error_code(answer: HTTPResponse) -> str:
    """The provider's error code for the log, if it is one of the few letters that it should be."""
    code = str((_json_object(answer) or {}).get("error", ""))
    return code if re.fullmatch(r"[a-z_]{1,40}", code) else "without a code"
