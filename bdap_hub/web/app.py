"""The frame of every service: errors as pages or JSON, security headers, static files, health."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import ChoiceLoader, Environment, PackageLoader, select_autoescape
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import __version__
from ..errors import BadRequest, BdapError, Busy, NotFound, NotLoggedIn, StepUp, TooMuch, Unavailable
from ..settings import Settings
from .login import HubLogin

log = logging.getLogger("bdap.web")
HERE = Path(__file__).parent
LOST = (OperationalError, InterfaceError)
"""What a database that is away, or just went, raises."""
MOST_BYTES = 1 << 20
"""Of a search or a form, which is read before anybody knows who sends it."""
HUB_SESSION = "jupyterhub-session-id"  # the hub sets it at login, for the whole origin
CSP = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": CSP, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


def create_service(settings: Settings, name: str, title: str) -> tuple[FastAPI, HubLogin]:
    """An application whose routes live under /services/<name>/, with login, errors, headers and /health."""
    login = HubLogin(settings, name)
    app = FastAPI(title=title, version=__version__, docs_url=None, redoc_url=None, openapi_url=f"{login.prefix}openapi")
    app.state.settings, app.state.login = settings, login
    app.state.templates = _templates(name)
    app.include_router(login.router(), prefix=login.prefix.rstrip("/"))
    app.mount(f"{login.prefix}static", StaticFiles(directory=HERE / "static"), name="static")
    app.add_api_route(f"{login.prefix}health", _health, include_in_schema=False)
    app.add_exception_handler(BdapError, _on_error)
    for lost in LOST:
        app.add_exception_handler(lost, _on_lost_database)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_middleware(Frame)
    return app, login


def lost_database(error: Exception) -> Unavailable:
    """What is said of it; the log says a little more."""
    log.warning("the database does not answer: %s", str(getattr(error, "orig", error))[:300])
    return Unavailable("the platform's database does not answer", "try again in a moment")


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A rendered template. `person`, `prefix`, `static`, `hub` and `xsrf` are always there."""
    state = request.app.state
    login: HubLogin = state.login
    html = state.templates.get_template(template).render(
        prefix=login.prefix,
        static=f"{login.prefix}static",
        hub=state.settings.hub.public_url,
        platform=state.settings.hub.platform_name,
        xsrf=login.xsrf(request),
        service=login.name,
        **values,
    )
    return HTMLResponse(html, status)


def _templates(room: str) -> Environment:
    loaders = [PackageLoader("bdap_hub.web", "templates")]
    if (HERE.parent / room / "templates").is_dir():
        loaders.insert(0, PackageLoader(f"bdap_hub.{room}", "templates"))
    return Environment(loader=ChoiceLoader(loaders), autoescape=select_autoescape(default=True))


async def _health() -> dict[str, str]:
    return {"status": "ok", "version": __version__}


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, BdapError)
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Busy) else {}
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse(error.public(), error.status, headers)
    login: HubLogin = request.app.state.login
    if isinstance(error, NotLoggedIn) and request.method == "GET" and not request.cookies.get(login.cookie):
        query = f"?{request.url.query}" if request.url.query else ""
        return login.login_redirect(request.url.path + query)
    if isinstance(error, StepUp) and request.method == "GET":
        return RedirectResponse(error.address, 303, {"Cache-Control": "no-store"})
    response = page(request, "error.html", error.status, error=error)
    response.headers.update(headers)
    if isinstance(error, NotLoggedIn):
        login.forget(response, login.cookie)
    return response


async def _on_lost_database(request: Request, error: Exception) -> Response:
    return await _on_error(request, lost_database(error))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return await _on_error(request, NotFound(f"there is nothing at {request.url.path}", "check the address"))
    if error.status_code == 413:
        return await _on_error(request, TooMuch(*TOO_LONG))
    wrapped = BdapError(str(error.detail))
    wrapped.status, wrapped.code = error.status_code, "BadRequest"
    return await _on_error(request, wrapped)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "body"
    return await _on_error(request, BadRequest(f"{where}: {first['msg']} (got {first.get('input')!r:.80})"))


TOO_LONG = ("the body is larger than what is taken here", "send less at once")


class Frame:
    """Around every answer: security headers; and a login, without a click, for whom the hub knows already.

    Plain ASGI: the framework's own kind of middleware costs a task and a stream for each request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        long = False

        async def marked(message: Message) -> None:
            nonlocal long
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                long = message["status"] == 413 and headers.get("content-type", "").startswith("text/plain")
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            if not long:
                await send(message)

        inner = await _refused(scope) or await _login_first(Request(scope, receive)) or self.app
        await inner(scope, receive, marked)
        if long:  # a route with `max_body_size` says so in two words
            error = TooMuch(*TOO_LONG)
            await (await _on_error(Request(scope, receive), error))(scope, receive, marked)


async def _refused(scope: Scope) -> Response | None:
    """Null characters: no database takes them, and PostgreSQL's driver fails at them."""
    if "\x00" not in scope["path"]:
        return None
    return await _on_error(Request(scope), BadRequest("the address holds a null character", "leave out %00"))


async def _login_first(request: Request) -> Response | None:
    """Somebody with a session at the hub who opens one of our pages is known there without a click."""
    login: HubLogin = request.app.state.login
    page_wanted = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    logging_in = request.url.path.startswith(tuple(f"{login.prefix}{p}" for p in ("login", "oauth_callback", "logout")))
    if page_wanted and HUB_SESSION in request.cookies and not logging_in and not await _known(request, login):
        return login.login_redirect(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
    return None


async def _known(request: Request, login: HubLogin) -> bool:
    """Whether the caller is known here. Not with the cookie of a login that another has replaced, as by a step-up."""
    try:
        return await login.principal(request) is not None
    except BdapError:
        return True  # the page itself says what is wrong
