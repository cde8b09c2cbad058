"""Login of our services against the hub: OAuth for browsers, hub tokens for programs, release tokens for dashboards.

Who somebody is comes from the hub each time (cached for `identity.cache_seconds`); what they may do, access decides.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from jupyterhub.services.auth import check_scopes

from ..access import Assurance, Decision, Person, Requirement, step_up_path
from ..certificates import client
from ..errors import BadRequest, NotAllowed, NotLoggedIn, StepUp, TokenInvalid, Unavailable
from ..settings import Settings
from .forms import form_of
from .tokens import read_token, sign_token

STATE_SECONDS = 600
RELEASE = "release"
PROVIDER = "bdap"
"""The login provider's name in openEO's tokens."""


@dataclass(frozen=True)
class Principal:
    """Who calls: a person, or a dashboard's release, which reads as a member of its project would.

    `session` is the SHA-256 of the session id of the login that the caller's token belongs to; '' where it has none.
    """

    person: Person
    kind: Literal["person", "release"] = "person"
    display_name: str = ""
    via: Literal["cookie", "token"] = "token"
    session: str = ""


class HubLogin:
    """Identifies callers of the service `name`, which listens behind the hub's proxy at /services/<name>/."""

    def __init__(self, settings: Settings, name: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        self.name = name
        self.prefix = f"/services/{name}/"
        self.cookie = f"{settings.hub.cookie_prefix}bdap-{name}"
        self._cookie_path = "/" if settings.hub.cookie_prefix else self.prefix
        self._secure = settings.hub.public_url.startswith("https:")
        self.api = f"{settings.hub.api_url}/hub/api"
        self.client = httpx.AsyncClient(transport=transport, timeout=10, trust_env=False, verify=client(settings))
        self._token = settings.secret(f"service-{name}")
        self._key = settings.secret("signing")
        self._cache: dict[str, tuple[float, Any]] = {}

    @property
    def cache_seconds(self) -> float:
        """How long an answer of the hub serves."""
        return self.settings.identity.cache_seconds

    async def principal(self, request: Request) -> Principal | None:
        """Who calls, or None. A bad Authorization header is never a reason to look at the cookie."""
        header = request.headers.get("authorization", "")
        if header:
            scheme, _, value = header.partition(" ")
            if scheme.lower() not in ("token", "bearer"):
                raise NotLoggedIn(f"unknown authorization scheme {scheme!r}", "send 'Authorization: Bearer <token>'")
            return await self._by_bearer(value.strip())
        cookie = request.cookies.get(self.cookie, "")
        return await self._by_token(cookie, "cookie") if cookie else None

    async def by_hub_token(self, token: str) -> Principal | None:
        """Whose token of the hub, or of a release, this is."""
        return await self._by_token(token, "token")

    async def require(self, request: Request) -> Principal:
        """Who calls; NotLoggedIn otherwise. With a cookie, an unsafe method must carry the XSRF token."""
        principal = await self.principal(request)
        if principal is None:
            raise NotLoggedIn("you are not logged in", "log in, or send 'Authorization: Bearer <hub token>'")
        if principal.via == "cookie" and request.method not in ("GET", "HEAD", "OPTIONS"):
            await self._check_xsrf(request)
        return principal

    async def assured(self, principal: Principal) -> Person:
        """The caller with what their login proves; without, where their token belongs to none that goes on."""
        found = await self._session(principal.person.name, principal.session)
        if found is None:
            return principal.person
        age = max(0.0, time.time() - found["auth_time"])
        return replace(principal.person, assurance=Assurance(found["level"], age))

    def step_up(self, request: Request, decision: Decision, remedy: str = "log in again", back: str = "") -> StepUp:
        """The refusal of a decision that lacks only a login; its address leads to `back`, else to where one was.

        It leads there through this service's login: the session is a new one then, which our cookie does not know.
        """
        if not back:
            here = request.url if request.method == "GET" else urlsplit(request.headers.get("referer", ""))
            back = f"{here.path}?{here.query}" if here.query else here.path
        path = f"{self.prefix}login?{urlencode({'next': self._safe(back)})}"
        address = f"{self.settings.hub.public_url}{step_up_path(decision.step_up or Requirement(), path)}"
        return StepUp(decision.reason, remedy, address)

    async def logged_in(self, name: str, session: str) -> Person | None:
        """That person with the groups of now, while their login `session` (a SHA-256) goes on; None after it."""
        found = await self._session(name, session)
        return None if found is None else Person(name, frozenset(found["groups"]))

    async def groups_of(self, name: str) -> frozenset[str] | None:
        """The groups a person has now, asked with the service's own token; None if there is no such person."""
        found = await self._cached(f"groups:{name}", f"/users/{name}", self._token)
        return None if found is None else frozenset(found.get("groups", ()))

    async def ask_hub(self, path: str, body: Any) -> bool:
        """POST as this service to the hub's API below /hub/api; whether the hub did it."""
        try:
            headers = {"Authorization": f"token {self._token}"}
            return (await self.client.post(f"{self.api}{path}", headers=headers, json=body)).is_success
        except httpx.HTTPError:
            return False

    def xsrf(self, request: Request) -> str:
        """The token that forms of this page must send back as `_xsrf` (or header X-XSRFToken)."""
        session = request.cookies.get(self.cookie, "")
        return hmac.new(self._key.encode(), f"xsrf:{self.name}:{session}".encode(), hashlib.sha256).hexdigest()

    def router(self) -> APIRouter:
        """The login, callback and logout pages of the service."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/login", self.login, methods=["GET"])
        router.add_api_route("/oauth_callback", self.callback, methods=["GET"])
        router.add_api_route("/logout", self.logout, methods=["GET"])
        return router

    def login_redirect(self, next_path: str) -> RedirectResponse:
        """To the hub's login, with a fresh state kept in a cookie; afterwards back to `next_path`."""
        nonce = secrets.token_urlsafe(16)
        state = sign_token(self._key, f"state:{self.name}", STATE_SECONDS, nonce=nonce, next=self._safe(next_path))
        query = urlencode(
            {
                "client_id": f"service-{self.name}",
                "redirect_uri": f"{self.settings.hub.public_url}{self.prefix}oauth_callback",
                "response_type": "code",
                "state": state,
            }
        )
        response = RedirectResponse(f"{self.settings.hub.public_url}/hub/api/oauth2/authorize?{query}", 302)
        self._set_cookie(response, f"{self.cookie}-state-{nonce}", nonce, STATE_SECONDS)
        return response

    async def login(self, next: str = "") -> Response:
        """Begin a login."""
        return self.login_redirect(next or self.prefix)

    async def callback(self, request: Request, code: str = "", state: str = "") -> Response:
        """End a login: state must be ours and this browser's; the code becomes a token in a cookie."""
        claims = read_token(self._key, f"state:{self.name}", state)
        nonce = str(claims["nonce"])
        name = f"{self.cookie}-state-{nonce}"
        if not hmac.compare_digest(request.cookies.get(name, ""), nonce):
            raise BadRequest("this login was begun in another browser", "open the page again and log in there")
        answer = await self.client.post(
            f"{self.api}/oauth2/token",
            data={
                "client_id": f"service-{self.name}",
                "client_secret": self._token,
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": f"{self.settings.hub.public_url}{self.prefix}oauth_callback",
            },
        )
        if answer.status_code != 200:
            raise NotAllowed("the hub did not confirm this login", "open the page again and log in")
        response = RedirectResponse(self._safe(str(claims["next"])), 302)
        self.forget(response, name)
        self._set_cookie(response, self.cookie, answer.json()["access_token"], None)
        return response

    async def logout(self) -> Response:
        """Forget this service's session, then log out of the hub."""
        response = RedirectResponse(f"{self.settings.hub.public_url}/hub/logout", 302)
        self.forget(response, self.cookie)
        return response

    def forget(self, response: Response, name: str) -> None:
        """Take a cookie of ours from the browser."""
        response.delete_cookie(name, path=self._cookie_path, secure=self._secure, httponly=True, samesite="lax")

    def release_token(self, dashboard: str, group: str, seconds: float) -> str:
        """A token with which a dashboard's container reads data as a member of its project would."""
        return sign_token(self._key, RELEASE, seconds, dashboard=dashboard, group=group)

    async def _by_bearer(self, value: str) -> Principal | None:
        """A hub token as it is, or as openEO writes it: basic//<hub token>, oidc/<provider>/<access token>."""
        method, slash, rest = value.partition("/")
        if not slash:
            return await self._by_token(value, "token")
        provider, _, token = rest.partition("/")
        if method == "basic" and not provider:
            return await self._by_token(token, "token")
        if method == "oidc" and provider == PROVIDER and token:
            return await self._by_access_token(token)
        raise NotLoggedIn(f"tokens of the kind {method[:20]!r} are not known here", "send a hub token")

    async def _by_access_token(self, token: str) -> Principal:
        """Whose access token of the login provider this is: the hub asks it. TokenInvalid where it is nobody's here."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        said = await self._cached(f"access:{digest}", "/bdap/access-token", self._token, {"token": token})
        if said is None:
            raise TokenInvalid(f"{self.name} takes no access tokens", "send a hub token")
        if "refused" in said:
            raise TokenInvalid(said["refused"], said["remedy"])
        person = Person(name=said["name"], groups=frozenset(said["groups"]))
        return Principal(person=person, display_name=said["display_name"])

    async def _by_token(self, token: str, via: Literal["cookie", "token"]) -> Principal | None:
        if not token.isascii() or not token.isprintable() or not token:  # no header can carry it on
            return None
        if token.count(".") == 2 and via == "token":
            claims = read_token(self._key, RELEASE, token)
            person = Person(name=f"dashboard:{claims['dashboard']}", groups=frozenset({str(claims["group"])}))
            return Principal(person=person, kind="release", via="token")
        digest = hashlib.sha256(token.encode()).hexdigest()
        model = await self._cached(f"token:{digest}", "/user", token)
        if model is None or model.get("kind") != "user":
            return None
        if not check_scopes([f"access:services!service={self.name}"], model.get("scopes", ())):
            raise NotAllowed(f"this token may not use {self.name}", "make a token with the scope access:services")
        person = Person(name=model["name"], groups=frozenset(model.get("groups", ())))
        session_id = model.get("session_id") or ""
        return Principal(
            person=person,
            display_name=(model.get("user_info") or {}).get("display_name") or model["name"],
            via=via,
            session=hashlib.sha256(session_id.encode()).hexdigest() if session_id else "",
        )

    async def _session(self, name: str, key: str) -> dict[str, Any] | None:
        found = await self._cached(f"session:{key}", f"/bdap/sessions/{key}", self._token) if key else None
        return found if found is not None and found["person"] == name else None

    async def _cached(self, key: str, path: str, token: str, body: Any = None) -> Any:
        now = time.monotonic()
        if (hit := self._cache.get(key)) and hit[0] > now:
            return hit[1]
        if len(self._cache) > 10_000:
            self._cache = {k: v for k, v in self._cache.items() if v[0] > now}
        try:
            headers = {"Authorization": f"token {token}"}
            method = "GET" if body is None else "POST"
            answer = await self.client.request(method, f"{self.api}{path}", headers=headers, json=body)
        except httpx.HTTPError:
            raise Unavailable("the hub does not answer", "try again in a moment") from None
        if answer.status_code >= 500:
            raise Unavailable("the hub does not answer", "try again in a moment")
        value = answer.json() if answer.status_code == 200 else None
        self._cache[key] = (now + self.cache_seconds, value)
        return value

    async def _check_xsrf(self, request: Request) -> None:
        origin = request.headers.get("origin", "")
        if origin and urlsplit(origin).netloc != urlsplit(self.settings.hub.public_url).netloc:
            raise NotAllowed("the form was sent from another site", "open our page and send it again")
        sent = request.headers.get("x-xsrftoken", "")
        if not sent and "form" in request.headers.get("content-type", ""):
            sent = str((await form_of(request)).get("_xsrf", ""))
        if not hmac.compare_digest(sent, self.xsrf(request)):
            raise NotAllowed("the form has lost its protection token", "reload the page and send it again")

    def _set_cookie(self, response: Response, name: str, value: str, seconds: int | None) -> None:
        path, secure = self._cookie_path, self._secure
        response.set_cookie(name, value, max_age=seconds, path=path, httponly=True, samesite="lax", secure=secure)

    def _safe(self, target: str) -> str:
        """`target` if it is a path of this service, else its first page: no open redirect."""
        parts = urlsplit(target)
        plain = not parts.scheme and not parts.netloc and "\\" not in target and "//" not in parts.path
        return target if plain and parts.path.startswith(self.prefix) and ".." not in parts.path else self.prefix
