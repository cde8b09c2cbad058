"""The gateway: serves each dashboard on its own origin `<project>--<slug>.<origin>`, to those who may see it.

It holds no rule of its own (access decides) and no secret reaches the dashboards behind it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from ... import web
from ...database import connect
from ...errors import BdapError, Busy, NotAllowed, NotFound, Unavailable
from ...settings import Settings
from ...web import HubLogin
from ..bundles.bundle import bundles_of
from ..bundles.kinds import APPS
from ..bundles.kinds import STATIC as STATIC_PAGE
from ..records import Live, Records
from ..running.keeper import Keeper
from ..running.told import visitor_headers, visitor_key
from ..sharing.guests import SECRET_BYTES, SHARE_PATH, first_bytes, seconds_left
from ..sharing.tickets import TICKET_PATH, digest, make_session, redeem_ticket, safe_path
from ..snapshots.assets import Assets
from ..snapshots.kept import STATIC, States
from .answers import OWN_CSP, Answers, confined
from .channels import Asked, Channels, Visit
from .crowd import Crowd
from .entrance import Caller, Entrance
from .files import page_file
from .paths import answered, opens_page, socket_at
from .proxy import fetch, forward, kernel_asked

log = logging.getLogger("bdap.gateway")
MOST_KERNELS = 20_000  # whose releases are remembered
WAIT_SECONDS = 60.0  # so long a page that is shown waits for its release to start


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
            Route(SHARE_PATH, gateway.share, methods=["GET", "POST"]),
            Route("/{path:path}", gateway.serve, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
            WebSocketRoute("/{path:path}", gateway.serve_websocket),
        ],
        exception_handlers={BdapError: gateway.on_error, SQLAlchemyError: gateway.on_lost_database},
        lifespan=lifespan,
    )
    app.state.gateway, app.state.sessions, app.state.settings = gateway, gateway.sessions, settings
    app.state.behind_hub_proxy = False
    return app


async def _health(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


class Gateway(Answers):
    """One dashboard per host name; the request's host decides which."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.sessions = connect(settings.database)
        self.records = Records(self.sessions)
        self.login = HubLogin(settings, "dashboards")
        self.keeper = Keeper(settings, self.records, self.login)
        self.entrance = Entrance(settings, self.keeper, self.login)
        self.snapshots, self.assets = self.keeper.snapshots, Assets()
        self.channels = Channels(settings)
        self._kernels: OrderedDict[tuple[int, str], Live] = OrderedDict()
        self.crowd = Crowd(settings.dashboards.anonymous_visitors, settings.dashboards.anonymous_opens)
        self.key = settings.secret("signing")
        self.origin = urlsplit(settings.dashboards.origin)
        secure = self.origin.scheme == "https"
        self.begin = "__Host-bdap-begin" if secure else "bdap-begin"
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        self.client = httpx.AsyncClient(timeout=httpx.Timeout(600, connect=10), trust_env=False, limits=limits)

    async def serve(self, request: Request) -> Response:
        """A dashboard's page or one of its files."""
        if (found := await self.entrance.alias(request)) and request.method in ("GET", "HEAD"):
            return self._elsewhere(request, *found)
        if self.entrance.host(request) == self.origin.hostname:
            return RedirectResponse(self._gallery(), 302)
        live = await self.entrance.live(request)
        if not answered(live.kind, request):
            raise NotFound("dashboards have no such page", "open the dashboard's own address")
        if "service-worker" in request.headers:  # it would stay in browsers, between visitors and this door
            raise NotAllowed("dashboards have no service workers", "leave it out")
        is_page = opens_page(live.kind, request)
        caller = await self.entrance.caller(request, live)
        if caller.person is None and not live.open and not caller.invited:
            return self._to_login(request, live) if is_page else self._plain(401, "log in first")
        await self.entrance.check(request, live, caller)
        response = await self._seen(request, live, caller, is_page)
        if is_page and live.kind != STATIC_PAGE and not caller.name and response.status_code < 400:
            self.crowd.sent(live.id, time.monotonic())
        return self._framed(confined(response, live), live)

    async def _seen(self, request: Request, live: Live, caller: Caller, is_page: bool) -> Response:
        """What somebody gets who may come in."""
        if is_page and not caller.name and (crowded := await self._crowded(request, live)):
            return crowded
        if live.kind == STATIC_PAGE:
            return await self._file_of_page(request, live)
        if kept := await self._kept(request, live):
            return kept
        if is_page and (full := await self._full(request, live, caller.name)):
            return full
        return await self._answer(request, live, is_page, caller.name)

    async def share(self, request: Request) -> Response:
        """A share link's page, whose script posts the secret behind the address's `#`, and what it is answered."""
        live = await self.entrance.live(request)
        if live.preview:
            raise NotFound("versions that are not live are shared by no link", "share the dashboard")
        if request.method != "POST":
            page = self._page(200, live.title, "The dashboard is being opened.", script="share.js")
            page.headers["Content-Security-Policy"] = f"{OWN_CSP}; script-src 'self'; connect-src 'self'"
            return page
        if request.headers.get("origin", "") + "/" != self._address(live):
            raise NotAllowed("a page of another site may not open this link", "open the link itself")
        secret = await first_bytes(request, SECRET_BYTES)
        link = await run_in_threadpool(self.entrance.sharing.opened, live.id, secret)
        if link is None:
            await self._note(request, "dashboard.share-open", live.key, "no link that counts")
            raise NotAllowed("this link does not open the dashboard any more", "ask who gave it to you for another")
        await web.note(request, "", "dashboard.share-open", live.key, True, f"link {link.id}")
        seconds = min(self.settings.identity.session_hours * 3600, seconds_left(link))
        response = JSONResponse({"next": "/"}, headers={"Cache-Control": "no-store"})
        cookie = self.entrance.guests.cookie(live.key, link.id, seconds)
        self._set_cookie(response, self.entrance.guest_cookie, cookie, None)
        return self._own(response)

    def _elsewhere(self, request: Request, project: str, slug: str) -> Response:
        """A short name leads to the dashboard's own address: it is one origin, with one set of cookies."""
        at_own = self.entrance.host(request) == self.origin.hostname  # there the path named the dashboard
        path = "/" if at_own else safe_path(request.scope["path"])
        query = f"?{request.url.query}" if request.url.query else ""
        address = self.settings.dashboards.address(project, slug).rstrip("/") + path + query
        return self._own(RedirectResponse(address, 302, {"Cache-Control": "no-store"}))

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
            return self._dressed(answer)
        if not STATIC.fullmatch(path) or not Assets.wants(request):
            return None
        if (asset := self.assets.get(release, request)) is None:
            found = await run_in_threadpool(self.snapshots.file, release, path)
            asset = self.assets.put(release, request, found) if found else None
        return self._dressed(asset.answer(request)) if asset else None

    async def _file_of_page(self, request: Request, live: Live) -> Response:
        """A file of a static page. Who opens its first page visits it."""
        bundle = bundles_of(self.settings) / live.bundle
        answer = await page_file(self.assets, bundle, live, request)
        if request.scope["path"] == "/" and request.method == "GET":
            answer.background = BackgroundTask(self.keeper.visited, live, self._who(request, live))
        return self._dressed(answer)

    async def _full(self, request: Request, live: Live, person: str) -> Response | None:
        """A page that waits for room, where this visitor has as many kernels as one may have."""
        why = self.channels.seats.refusal(web.client_address(request), person, time.monotonic())
        if not why:
            return None
        await self._note(request, "dashboard.open", live.name, why, person)
        message = "Many dashboards are open from your address. This page opens by itself once some are closed."
        return self._page(503, live.title, message, refresh=10)

    async def _crowded(self, request: Request, live: Live) -> Response | None:
        """A page that waits for room, where too many without an account are there."""
        why, limits = "", self.settings.dashboards
        address, now = web.client_address(request), time.monotonic()
        if self.crowd.full(live.id, now):
            why = f"{limits.anonymous_visitors} visitors without an account are there"
        elif self.crowd.too_soon(address, now):
            why = f"{limits.anonymous_opens} opens in a minute from the address {address}"
        if not why:
            return None
        await self._note(request, "dashboard.open", live.key, why)
        message = "Many people are looking at it. This page opens it by itself as soon as there is room."
        return self._page(503, live.title, message, refresh=10)

    async def serve_websocket(self, socket: WebSocket) -> None:
        """A kernel's channels, for pages of the dashboard's own origin only."""
        try:
            live = await self.entrance.live(socket)
            if not (kernel := socket_at(live.kind, socket.scope["path"])):
                raise NotFound("dashboards have no such page")
            address = self._address(live)
            if socket.headers.get("origin", "") + "/" != address:
                raise NotAllowed(f"a page of {socket.headers.get('origin', 'no origin')!r} may not talk to {address}")
            caller = await self.entrance.caller(socket, live)
            await self.entrance.check(socket, live, caller)
            if not live.preview:
                live = await self._of_kernel(live, kernel)
            copy = await self.keeper.copy_for(live, kernel)
            target = await self.keeper.address(live, copy)
        except Unavailable:
            await socket.close(1013)  # the page tries again
            return
        except BdapError as error:
            await self._note(socket, "dashboard.websocket", self.entrance.host(socket), error.message)
            await socket.close(1008)
            return
        except SQLAlchemyError:
            await socket.close(1013)  # the page tries again
            return
        visit = Visit(live.release, kernel, web.client_address(socket), caller.name, live.kind in APPS)
        page = await run_in_threadpool(self.snapshots.page, live.release)
        try:
            seat = self.channels.seat(visit, page is not None)
            with self._place(live, caller), seat, self.keeper.watching(live, copy):
                if target is None and page is not None:
                    target = await self.channels.waiting(socket, self.keeper.until(live, WAIT_SECONDS))
                if target is None:
                    await socket.close(1013)
                    return
                self._remember(live, kernel)
                await run_in_threadpool(self.keeper.joined, live)
                asked = self._asked(socket, live, caller, visit, page.states if page else {})
                await self.channels.join(socket, target, visit, asked)
        except Busy as error:
            await self._note(socket, "dashboard.websocket", live.name, error.message, visit.person)
            if page is not None:  # it reads why
                await socket.accept()
            await socket.close(1013)

    async def _of_kernel(self, live: Live, kernel: str) -> Live:
        """The release that the kernel is of, as long as it runs: meanwhile another version may have gone live."""
        known = self._kernels.get((live.id, kernel))
        if (
            known is not None
            and known.release != live.release
            and not live.preview
            and await self.keeper.address(known, await self.keeper.copy_for(known, kernel))
        ):
            live = known
        return live

    def _remember(self, live: Live, kernel: str) -> None:
        if live.preview or live.kind in APPS:
            return
        self._kernels[live.id, kernel] = live
        self._kernels.move_to_end((live.id, kernel))
        if len(self._kernels) > MOST_KERNELS:
            self._kernels.popitem(last=False)

    @contextlib.contextmanager
    def _place(self, live: Live, caller: Caller) -> Iterator[None]:
        """Somebody without an account needs one on the dashboard; Busy where there is none."""
        if caller.person is not None:
            yield
            return
        with self.crowd.there(live.id, time.monotonic) as there:
            if not there:
                raise Busy("too many visitors without an account are there", "open it again later", retry_after=10)
            yield

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

    async def on_lost_database(self, request: Request, error: Exception) -> Response:
        """Who looks already goes on; who comes now is asked to come again."""
        return await self.on_error(request, web.lost_database(error))

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

    async def _answer(self, request: Request, live: Live, is_page: bool, person: str) -> Response:
        copy = await self.keeper.copy_for(live, kernel_asked(request.scope["path"]))
        address = await self.keeper.address(live, copy)
        if address is None and STATIC.fullmatch(request.scope["path"]):  # of a page that is shown already
            address = await self.keeper.until(live, WAIT_SECONDS)
        if address is None:
            waiting = await self._starting(live) if is_page else self._plain(503, "the dashboard is starting")
            if (address := await self.keeper.address(live)) is None:
                return waiting
        try:
            with self.keeper.used(live, copy):
                if is_page:  # with a kernel of its own
                    self.channels.seats.page(live.release, web.client_address(request), person, time.monotonic())
                    await run_in_threadpool(self.keeper.visited, live, self._who(request, live))
                response = await self._said(request, live, address, person)
        except httpx.HTTPError:
            self.keeper.lost(live, copy)
            return await self._starting(live) if is_page else self._plain(503, "the dashboard is starting")
        return self._dressed(response)

    async def _said(self, request: Request, live: Live, address: str, person: str) -> Response:
        """What the release answers there."""
        app = live.kind in APPS
        if Assets.wants(request) and not app:
            return await self._file(request, live, address)
        told = visitor_headers(visitor_key(self.key, live.release), person, time.time())
        scheme = {} if app else {"x-forwarded-proto": self.origin.scheme}
        return await forward(self.client, request, address, {**told, **scheme}, zipped=app)

    async def _file(self, request: Request, live: Live, address: str) -> Response:
        """One of Voilà's own files: from memory, or fetched and kept."""
        if (asset := self.assets.get(live.release, request)) is not None:
            return asset.answer(request)
        answer = await fetch(self.client, request, address)
        kind = answer.kind
        if answer.status != 200:
            return Response(answer.content, answer.status, media_type=kind)
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
        path = safe_path(request.scope["raw_path"].decode("ascii", "replace"))
        path += f"?{request.url.query}" if request.url.query else ""
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
