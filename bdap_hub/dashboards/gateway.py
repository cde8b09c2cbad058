"""The gateway: serves each dashboard on its own origin `<project>--<slug>.<origin>`, to those who may see it.

It holds no rule of its own (access decides) and no secret reaches the dashboards behind it.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from .. import web
from ..database import connect
from ..errors import BdapError, Busy, NotAllowed, NotFound
from ..settings import Settings
from ..web import HubLogin
from .assets import Assets
from .channels import Asked, Channels, Visit
from .entrance import Caller, Entrance
from .keeper import Keeper
from .proxy import allowed_path, fetch, forward, kernel_of
from .records import Live, Records
from .snapshots import STATIC, States
from .tickets import TICKET_PATH, digest, make_session, redeem_ticket, safe_path

OWN_CSP = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
WAIT_SECONDS = 60.0  # so long a page that is shown waits for its release to start
TITLES = {401: "Please open it again", 403: "Not allowed", 404: "Not found", 503: "Not available just now"}


def create_gateway(settings: Settings) -> Starlette:
    """The ASGI application to be served on settings.dashboards.gateway_bind:gateway_port."""
    gateway = Gateway(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with gateway.keeper.running():
            yield
        await gateway.client.aclose()

    app = Starlette(
        routes=[
            Route("/_bdap/health", _health),
            Mount("/_bdap/static", StaticFiles(directory=Path(web.__file__).parent / "static")),
            Route(TICKET_PATH, gateway.redeem),
            Route("/{path:path}", gateway.serve, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
            WebSocketRoute("/{path:path}", gateway.serve_websocket),
        ],
        exception_handlers={BdapError: gateway.on_error},
        lifespan=lifespan,
    )
    app.state.gateway, app.state.sessions, app.state.settings = gateway, gateway.sessions, settings
    app.state.behind_hub_proxy = False
    return app


async def _health(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


class Gateway:
    """One dashboard per host name; the request's host decides which."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sessions = connect(settings.database)
        self.records = Records(self.sessions)
        self.login = HubLogin(settings, "dashboards")
        self.keeper = Keeper(settings, self.records, self.login)
        self.entrance = Entrance(settings, self.keeper, self.login)
        self.snapshots, self.assets = self.keeper.snapshots, Assets()
        self.channels = Channels(settings)
        self.key = settings.secret("signing")
        self.origin = urlsplit(settings.dashboards.origin)
        secure = self.origin.scheme == "https"
        self.begin = "__Host-bdap-begin" if secure else "bdap-begin"
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        self.client = httpx.AsyncClient(timeout=httpx.Timeout(600, connect=10), trust_env=False, limits=limits)
        self.templates = Environment(
            loader=PackageLoader("bdap_hub.dashboards", "templates"), autoescape=select_autoescape(default=True)
        )

    async def serve(self, request: Request) -> Response:
        """A dashboard's page or one of its files."""
        if self.entrance.host(request) == self.origin.hostname:
            return RedirectResponse(self._gallery(), 302)
        live = await self.entrance.live(request)
        if request.method not in ("GET", "HEAD") or not allowed_path(request.scope["path"]):
            raise NotFound("dashboards have no such page", "open the dashboard's own address")
        is_page = request.scope["path"] == "/"
        caller = await self.entrance.caller(request, live)
        if caller.person is None and not live.open:
            return self._to_login(request, live) if is_page else self._plain(401, "log in first")
        await self.entrance.check(request, live, caller)
        if kept := await self._kept(request, live):
            return kept
        if is_page and (full := await self._full(request, live, caller.name)):
            return full
        return await self._answer(request, live, is_page, caller.name)

    async def _kept(self, request: Request, live: Live) -> Response | None:
        """What the snapshot holds: the page as nobody has asked it anything, and files with a hash in their address."""
        path, release = request.scope["path"], live.release
        if path == "/" and not request.url.query:
            if (page := await run_in_threadpool(self.snapshots.page, release)) is None:
                return None
            answer = page.asset.answer(request, "no-cache" if live.open else "private, no-cache")
            answer.background = BackgroundTask(
                self.keeper.visited, live, self._who(request, live)
            )  # nobody waits for it
            return self._dressed(live, answer)
        if not STATIC.fullmatch(path) or not Assets.wants(request):
            return None
        asset = self.assets.get(release, request) or await run_in_threadpool(self.snapshots.file, release, path)
        return self._dressed(live, asset.answer(request)) if asset else None

    async def _full(self, request: Request, live: Live, person: str) -> Response | None:
        """A page that waits for room, where this visitor has as many kernels as one may have."""
        why = self.channels.seats.refusal(web.client_address(request), person, time.monotonic())
        if not why:
            return None
        await self._note(request, "dashboard.open", live.name, why, person)
        message = "Many dashboards are open from your address. This page opens by itself once some are closed."
        return self._page(503, live.title, message, refresh=10)

    async def serve_websocket(self, socket: WebSocket) -> None:
        """A kernel's channels, for pages of the dashboard's own origin only."""
        try:
            live = await self.entrance.live(socket)
            if not (kernel := kernel_of(socket.scope["path"])):
                raise NotFound("dashboards have no such page")
            address = self._address(live)
            if socket.headers.get("origin", "") + "/" != address:
                raise NotAllowed(f"a page of {socket.headers.get('origin', 'no origin')!r} may not talk to {address}")
            caller = await self.entrance.caller(socket, live)
            await self.entrance.check(socket, live, caller)
            target = await self.keeper.address(live)
        except BdapError as error:
            await self._note(socket, "dashboard.websocket", self.entrance.host(socket), error.message)
            await socket.close(1008)
            return
        visit = Visit(live.release, kernel, web.client_address(socket), caller.name)
        page = await run_in_threadpool(self.snapshots.page, live.release)
        try:
            with self.channels.seat(visit), self.keeper.watching(live):
                if target is None and page is not None:
                    target = await self.channels.waiting(socket, self.keeper.until(live, WAIT_SECONDS))
                if target is None:
                    await socket.close(1013)
                    return
                await run_in_threadpool(self.keeper.joined, live)
                asked = self._asked(socket, live, caller, visit, page.states if page else {})
                await self.channels.join(socket, target, visit, asked)
        except Busy as error:
            await self._note(socket, "dashboard.websocket", live.name, error.message, visit.person)
            await socket.close(1013)

    def _asked(self, socket: WebSocket, live: Live, caller: Caller, visit: Visit, states: States) -> Asked:
        identity = self.settings.identity

        async def refused(why: str) -> None:
            await self._note(socket, "dashboard.message", live.name, why, visit.person)

        return Asked(
            lambda: self.entrance.still_allowed(live, caller),
            identity.cache_seconds,
            identity.revocation_seconds / 2,
            refused,
            states,
        )

    async def redeem(self, request: Request) -> Response:
        """Exchanges a ticket for the dashboard's own cookie."""
        live = await self.entrance.live(request)
        ticket, begin = request.query_params.get("ticket", ""), request.cookies.get(self.begin, "")
        try:
            visitor = await run_in_threadpool(redeem_ticket, self.key, self.records, ticket, live.key, begin)
        except BdapError as error:
            await self._note(request, "dashboard.ticket", live.key, error.message)
            raise
        response = RedirectResponse(safe_path(request.query_params.get("next", "/")), 303)
        seconds = self.settings.identity.session_hours * 3600
        self._set_cookie(response, self.entrance.cookie, make_session(self.key, live.key, visitor, seconds), None)
        response.delete_cookie(self.begin, path="/")
        return self._own(response)

    async def on_error(self, request: Request, error: Exception) -> Response:
        """A refusal as a readable page, or as JSON for programs."""
        assert isinstance(error, BdapError)
        if "text/html" not in request.headers.get("accept", ""):
            return self._own(JSONResponse(error.public(), error.status))
        title = TITLES.get(error.status, "That did not work")
        message = error.message[:1].upper() + error.message[1:] + "."
        return self._page(error.status, title, message, error.remedy, code=error.status)

    async def _answer(self, request: Request, live: Live, is_page: bool, person: str) -> Response:
        address = await self.keeper.address(live)
        if address is None and STATIC.fullmatch(request.scope["path"]):  # of a page that is shown already
            address = await self.keeper.until(live, WAIT_SECONDS)
        if address is None:
            waiting = await self._starting(live) if is_page else self._plain(503, "the dashboard is starting")
            if (address := await self.keeper.address(live)) is None:
                return waiting
        try:
            if is_page:  # with a kernel of its own
                self.channels.seats.page(live.release, web.client_address(request), person, time.monotonic())
                await run_in_threadpool(self.keeper.visited, live, self._who(request, live))
            response = await (self._file if Assets.wants(request) else self._stream)(request, live, address)
        except httpx.HTTPError:
            self.keeper.lost(live)
            return await self._starting(live) if is_page else self._plain(503, "the dashboard is starting")
        return self._dressed(live, response)

    def _dressed(self, _live: Live, response: Response) -> Response:
        response.headers["Content-Security-Policy"] = self._csp()
        return self._guard(response)

    async def _stream(self, request: Request, _live: Live, address: str) -> Response:
        return await forward(self.client, request, address)

    async def _file(self, request: Request, live: Live, address: str) -> Response:
        """One of Voilà's own files: from memory, or fetched and kept."""
        if (asset := self.assets.get(live.release, request)) is not None:
            return asset.answer(request)
        answer = await fetch(self.client, request, address)
        kind = answer.headers.get("content-type", "application/octet-stream")
        if answer.status_code != 200:
            return Response(answer.content, answer.status_code, media_type=kind)
        asset = await run_in_threadpool(self.assets.keep, live.release, request, answer.content, kind)
        if STATIC.fullmatch(request.scope["path"]):
            await run_in_threadpool(self.snapshots.keep, live.release, request.scope["path"], answer.content, kind)
        return asset.answer(request)

    async def _starting(self, live: Live) -> Response:
        """A waiting page that refreshes itself; a start that fails is said, not waited for."""
        if reason := await self.keeper.start(live):
            return self._page(
                503, "Not available just now", reason, "try again in a minute or tell its author", code=503
            )
        return self._page(503, live.title, "The dashboard is starting. This page opens it by itself.", refresh=2)

    def _who(self, connection: HTTPConnection, live: Live) -> str:
        """What tells this visitor from others while visits are counted; it is not kept."""
        if visitor := self.entrance.visitor(connection, live):
            return f"person {visitor.person}"
        return f"{web.client_address(connection)} {connection.headers.get('user-agent', '')}"

    def _to_login(self, request: Request, live: Live) -> Response:
        """To the hub's origin, where the person is known; the `begin` cookie binds the way back to this browser."""
        begin = secrets.token_urlsafe(16)
        path = "/" + (f"?{request.url.query}" if request.url.query else "")
        target = self._address(live).rstrip("/") + path
        query = urlencode({"to": target, "begun": digest(begin)})
        url = f"{self.settings.hub.public_url}{self.login.prefix}enter?{query}"
        response = RedirectResponse(url, 302, {"Cache-Control": "no-store"})
        self._set_cookie(response, self.begin, begin, 600)
        return self._own(response)

    def _set_cookie(self, response: Response, name: str, value: str, seconds: int | None) -> None:
        secure = self.origin.scheme == "https"
        response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=secure)

    async def _note(self, connection: HTTPConnection, action: str, subject: str, reason: str, person: str = "") -> None:
        await web.note(connection, person, action, subject, False, reason)

    def _address(self, live: Live) -> str:
        return self.settings.dashboards.address(live.project, live.slug, live.version if live.preview else None)

    def _gallery(self) -> str:
        return f"{self.settings.hub.public_url}{self.login.prefix}"

    def _page(
        self, status: int, title: str, message: str, remedy: str = "", refresh: int = 0, code: int = 0
    ) -> Response:
        values: dict[str, Any] = {
            "title": title,
            "message": message,
            "remedy": remedy,
            "refresh": refresh,
            "code": code,
        }
        html = self.templates.get_template("gateway.html").render(
            platform=self.settings.hub.platform_name, gallery=self._gallery(), **values
        )
        response = HTMLResponse(html, status, {"Cache-Control": "no-store"})
        if refresh:
            response.headers["Retry-After"] = str(refresh)
        return self._own(response)

    def _plain(self, status: int, text: str) -> Response:
        return self._own(Response(text, status, {"Cache-Control": "no-store"}, "text/plain"))

    def _own(self, response: Response) -> Response:
        response.headers["Content-Security-Policy"] = OWN_CSP
        return self._guard(response)

    def _guard(self, response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response

    def _csp(self) -> str:
        """Scripts, styles and fonts from the dashboard's own origin only; pictures (map tiles) from anywhere."""
        more = " ".join(self.settings.dashboards.script_origins)
        calls = f"{self.settings.hub.public_url} {more}"
        return (
            f"default-src 'self' data: blob: {more}; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: {more}; "
            f"style-src 'self' 'unsafe-inline' {more}; img-src * data: blob:; connect-src 'self' data: blob: {calls}; "
            "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
        )
