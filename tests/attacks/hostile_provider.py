"""An OpenID provider that is honest until a test bends what it says to one person.

Honest: a code serves once, only for its client, address and verifier; both factors are always proven; all it states is
true. `Bend` says how its next answers to somebody differ. It remembers every secret it has issued or was shown.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa

from . import forgery

MFA_ACR = "https://refeds.org/profile/mfa"
HIGH_ACR = "urn:test:high"


@dataclass(frozen=True)
class Bend:
    """How answers to one person differ from honest ones; a value of None removes the field.

    `forge` makes the id_token of the claims, instead of an honest signature; `forge_refreshed` those after the first.
    `lax`: codes serve everybody, again, and with any verifier. `only_if_asked`: the second factor is proven only where
    the request asks for it.
    """

    answer: dict[str, str | None] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    both: dict[str, Any] = field(default_factory=dict)
    refreshed: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    token_status: int = 200
    refresh_status: int = 200
    userinfo_status: int = 200
    forge: Callable[[HostileProvider, dict[str, Any]], Any] | None = None
    forge_refreshed: Callable[[HostileProvider, dict[str, Any]], Any] | None = None
    lax: bool = False
    only_if_asked: bool = False


@dataclass
class Grant:
    """What a code or a token stands for."""

    person: str
    request: dict[str, str]
    auth_time: float
    sid: str
    used: bool = False


def changed(honest: dict[str, Any], *changes: dict[str, Any]) -> dict[str, Any]:
    """`honest` with `changes`; None removes. A callable is asked for its value now."""
    merged = {key: value for change in ({}, honest, *changes) for key, value in change.items()}
    return {key: value() if callable(value) else value for key, value in merged.items() if value is not None}


class HostileProvider:
    """Runs in a thread on `port`. All state is in memory; `bends` and `down` may be changed while it runs."""

    def __init__(self, port: int, client_id: str, client_secret: str) -> None:
        self.issuer = f"http://localhost:{port}"
        self.client_id, self.client_secret = client_id, client_secret
        self.keys: dict[str, Any] = {}
        self.kid = ""
        self.rotate()
        self.stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        own = self.keys[self.kid]  # published two times more: for another algorithm alone, and for encryption
        self.extra_keys = [
            forgery.public(own, "only-ps512", alg="PS512"),
            forgery.public(own, "for-encryption", use="enc"),
        ]
        self.discovery: dict[str, Any] = {}
        self.down: set[str] = set()
        self.hold = threading.Event()
        self.hold.set()
        self.bends: dict[str, Bend] = {}
        self.groups: dict[str, list[str]] = {}
        self.auth_times: dict[str, float] = {}
        self.grants: dict[str, Grant] = {}
        self.requests: list[dict[str, str]] = []
        self.seen: dict[str, str] = {}
        self.remember("client secret", client_secret)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def remember(self, what: str, *values: str) -> None:
        """Secrets that must never be written to a log; what is too short to be one is not."""
        self.seen |= dict.fromkeys((value for value in values if len(value) >= 16), what)

    def rotate(self, keep: bool = True) -> str:
        """Sign with a new key from now on; whether the old ones stay published. The new key's id."""
        self.kid = f"key-{secrets.token_hex(4)}"
        new = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.keys = {**(self.keys if keep else {}), self.kid: new}
        return self.kid

    @contextmanager
    def bent(self, person: str, bend: Bend) -> Iterator[None]:
        """Answers to `person` differ as `bend` says."""
        self.bends[person] = bend
        try:
            yield
        finally:
            self.bends.pop(person, None)

    def subject(self, person: str) -> str:
        """The claim sub, which never changes."""
        return f"sub-{person}"

    def sid_of(self, person: str) -> str:
        """The provider's own session of a person: one each."""
        return hashlib.sha256(f"sid {person}".encode()).hexdigest()[:20]

    def profile(self, person: str) -> dict[str, Any]:
        """What is said about a person in id_token and UserInfo alike; `address` is a canary for the logs."""
        self.remember("claim", canary := hashlib.sha256(f"{self.client_secret}{person}".encode()).hexdigest())
        return {
            "sub": self.subject(person),
            "preferred_username": person,
            "name": f"Person {person}"[:60],
            "email": f"{canary[:20]}@example.org",
            "address": {"street_address": canary},
            "groups": self.groups.get(person, ["project-agriculture"]),
        }

    def bend(self, person: str) -> Bend:
        """How answers to a person are bent now."""
        return self.bends.get(person, Bend())

    def metadata(self) -> dict[str, Any]:
        """The discovery document."""
        honest = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "acr_values_supported": [MFA_ACR, HIGH_ACR],
            "claims_parameter_supported": True,
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
        }
        return changed(honest, self.discovery)

    def jwks(self) -> dict[str, Any]:
        """The published keys."""
        return {"keys": [forgery.public(key, kid) for kid, key in self.keys.items()] + self.extra_keys}

    def authorise(self, person: str, request: dict[str, str]) -> str:
        """The address to send the browser back to; the person has just agreed."""
        self.requests.append(request)
        self.remember("state", request.get("state", ""))
        self.remember("nonce", request.get("nonce", ""))
        fresh = "max_age" in request or "login" in request.get("prompt", "")
        auth_time = time.time() if fresh else self.auth_times.get(person, time.time())
        code = secrets.token_urlsafe(24)
        self.remember("code", code)
        self.grants[code] = Grant(person, request, auth_time, self.sid_of(person))
        honest = {"code": code, "state": request.get("state"), "iss": self.issuer}
        return f"{request['redirect_uri']}?{urlencode(changed(honest, self.bend(person).answer))}"

    def redeem(self, fields: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """The token endpoint: (status, body)."""
        self.remember("code verifier", fields.get("code_verifier", ""))
        grant = self.grants.get(fields.get("code") or fields.get("refresh_token") or "")
        if grant is None:
            return 400, {"error": "invalid_grant"}
        bend = self.bend(grant.person)
        if not bend.lax and (refused := self._refusal(grant, fields, authorization)):
            return 400, {"error": refused}
        grant.used = True
        refreshed = fields["grant_type"] == "refresh_token"
        if (status := bend.refresh_status if refreshed else bend.token_status) != 200:
            return status, {"error": "invalid_grant", "error_description": "<b>bent</b>"}
        return 200, changed(self._tokens(grant, refreshed), bend.tokens)

    def _refusal(self, grant: Grant, fields: dict[str, str], authorization: str) -> str:
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        self.remember("client authentication", authorization.removeprefix("Basic "))
        if (unquote(name), unquote(secret)) != (self.client_id, self.client_secret):
            return "invalid_client"
        if fields["grant_type"] == "refresh_token":
            return ""
        verifier = fields.get("code_verifier", "")
        right = fields.get("redirect_uri") == grant.request["redirect_uri"] and not grant.used
        return "" if right and forgery.challenge(verifier) == grant.request.get("code_challenge") else "invalid_grant"

    def _tokens(self, grant: Grant, refreshed: bool) -> dict[str, Any]:
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self.grants[access] = self.grants[refresh] = grant
        id_token = self._id_token(grant, access, refreshed)
        self.remember("access token", access)
        self.remember("refresh token", refresh)
        if isinstance(id_token, str):
            self.remember("id_token", id_token)
        answer = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600}
        return {**answer, "id_token": id_token}

    def _id_token(self, grant: Grant, access: str, refreshed: bool) -> Any:
        bend = self.bend(grant.person)
        asked = [*grant.request.get("acr_values", "").split(), *_asked(grant.request.get("claims", ""))]
        strong = [acr for acr in asked if acr in (MFA_ACR, HIGH_ACR)]
        proven = not bend.only_if_asked or bool(strong)
        honest = {
            **self.profile(grant.person),
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": int(time.time()),
            "exp": int(time.time()) + 300,
            "auth_time": int(grant.auth_time),
            "nonce": None if refreshed else grant.request.get("nonce"),
            "acr": (strong or [MFA_ACR])[0] if proven else "basic",
            "amr": ["pwd", "otp", "mfa"] if proven else ["pwd"],
            "sid": grant.sid,
            "at_hash": forgery.at_hash(access),
        }
        claims = changed(honest, bend.both, bend.refreshed if refreshed else bend.claims)
        forge = bend.forge_refreshed if refreshed else bend.forge
        return forge(self, claims) if forge else self.signed(claims)

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        """A JSON Web Token signed as it should be."""
        return forgery.rs256(claims, self.keys[self.kid], {"kid": self.kid, **header})

    def userinfo(self, access_token: str) -> tuple[int, dict[str, Any]]:
        """The UserInfo endpoint: (status, body)."""
        grant = self.grants.get(access_token)
        if grant is None:
            return 401, {"error": "invalid_token"}
        bend = self.bend(grant.person)
        return bend.userinfo_status, changed(self.profile(grant.person), bend.both, bend.userinfo)


def _asked(claims: str) -> list[str]:
    acr = (json.loads(claims or "{}").get("id_token") or {}).get("acr") or {}
    return [*acr.get("values", []), *([acr["value"]] if "value" in acr else [])]


def _handler(provider: HostileProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Silent."""

        def answer(self, status: int, body: Any, **headers: str) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            provider.hold.wait(30)
            if parts.path in provider.down or "/" in provider.down:
                return self.answer(503, {"error": "down"})
            if parts.path == "/.well-known/openid-configuration":
                return self.answer(200, provider.metadata())
            if parts.path == "/jwks":
                return self.answer(200, provider.jwks())
            if parts.path == "/authorize":
                request = dict(parse_qsl(parts.query, keep_blank_values=True))
                return self.answer(302, {}, Location=provider.authorise(self.headers["X-Person"], request))
            if parts.path == "/userinfo":
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                return self.answer(*provider.userinfo(token))
            return self.answer(404, {"error": "no such page"})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            fields = {k: v[-1] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
            provider.hold.wait(30)
            if self.path in provider.down or "/" in provider.down:
                return self.answer(503, {"error": "down"})
            if self.path == "/token":
                return self.answer(*provider.redeem(fields, self.headers.get("Authorization", "")))
            return self.answer(404, {"error": "no such page"})

    return Handler
