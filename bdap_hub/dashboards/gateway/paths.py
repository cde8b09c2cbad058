"""What may be asked of a dashboard by its kind: which paths, which of them open a page, and whose sockets. PURE."""

from __future__ import annotations

from uuid import uuid4

from starlette.requests import Request

from ..bundles.kinds import APPS, STATIC
from ..bundles.site import is_page
from .proxy import allowed_path, app_path, kernel_of


def answered(kind: str, request: Request) -> bool:
    """Whether there may be an answer at all."""
    path = request.scope["path"]
    known = app_path(path) if kind in APPS else kind == STATIC or allowed_path(path)
    return request.method in ("GET", "HEAD") and known


def opens_page(kind: str, request: Request) -> bool:
    """Whether somebody opens a page by it, and no file of one."""
    path = request.scope["path"]
    if kind in APPS:
        return path == "/" or "text/html" in request.headers.get("accept", "")
    return is_page(path) if kind == STATIC else path == "/"


def socket_at(kind: str, path: str) -> str:
    """The kernel whose socket it is; of an app a name for this one connection. '' where there is no socket."""
    if kind in APPS:
        return str(uuid4()) if app_path(path) else ""
    return "" if kind == STATIC else kernel_of(path)
