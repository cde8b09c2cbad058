"""An application that speaks to a provider by itself, in the hub's name, to see what the provider answers."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from .conftest import Browser, Platform


@dataclass
class Application:
    """Registered as the hub is at the demo's provider."""

    platform: Platform
    scope: str = "openid groups offline_access"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def __post_init__(self) -> None:
        self.http = httpx.Client(trust_env=False, timeout=20)
        issuer = self.platform.settings.identity.issuer
        self.metadata: dict[str, Any] = self.http.get(f"{issuer}/.well-known/openid-configuration").json()

    @property
    def callback(self) -> str:
        """The one registered return address."""
        return f"{self.platform.url}/hub/oauth_callback"

    def address(self, **asked: str) -> str:
        """Where to send a browser."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.platform.settings.identity.client_id,
            "redirect_uri": self.callback,
            "scope": self.scope,
            "state": "a-state",
            "nonce": "a-nonce",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.metadata['authorization_endpoint']}?{urlencode({**query, **asked})}"

    def answer(self, response: httpx.Response) -> dict[str, str]:
        """What the provider sends back with the browser; empty if it did not."""
        location = response.headers.get("Location", "")
        return dict(parse_qsl(urlsplit(location).query)) if location.startswith(self.callback) else {}

    def ask(self, browser: Browser, **asked: str) -> dict[str, str]:
        """The provider's answer to somebody who is logged in there, or cannot be asked anything."""
        return self.answer(browser.client.get(self.address(**asked)))

    def log_in(self, browser: Browser, name: str, **asked: str) -> dict[str, str]:
        """The provider's answer after a login with both factors."""
        return self.answer(browser.log_in(name, self.address(**asked), until="/hub/oauth_callback"))

    def redeem(self, code: str, **changes: str) -> httpx.Response:
        """The token endpoint's answer to a code."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.callback,
            "code_verifier": self.verifier,
        }
        return self.post("token_endpoint", {**fields, **changes})

    def refresh(self, token: str) -> httpx.Response:
        """The token endpoint's answer to a refresh token."""
        return self.post("token_endpoint", {"grant_type": "refresh_token", "refresh_token": token})

    def userinfo(self, token: str) -> httpx.Response:
        """What an access token opens."""
        return self.http.get(self.metadata["userinfo_endpoint"], headers={"Authorization": f"Bearer {token}"})

    def post(self, endpoint: str, fields: dict[str, str]) -> httpx.Response:
        """With the client's secret."""
        settings = self.platform.settings
        secret = (settings.identity.client_id, settings.secret("oidc-client-secret"))
        return self.http.post(self.metadata[endpoint], data=fields, auth=secret)


def claims(token: str) -> dict[str, Any]:
    """What a token says, unchecked."""
    body = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
