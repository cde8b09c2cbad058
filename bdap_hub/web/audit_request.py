"""Audit events of our services: who asked, and from which address, written off the event loop."""

from __future__ import annotations

from fastapi.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from .. import audit
from ..addresses import caller


async def note(connection: HTTPConnection, person: str, action: str, subject: str, allowed: bool, reason: str) -> None:
    """Record one event in the database of the application (`app.state.sessions`) that serves this connection."""
    await run_in_threadpool(
        audit.record,
        connection.app.state.sessions,
        person=person,
        action=action,
        subject=subject,
        allowed=allowed,
        reason=reason,
        address=client_address(connection),
    )


def client_address(connection: HTTPConnection) -> str:
    """The caller's address; what callers write into headers themselves does not count."""
    peer = connection.client.host if connection.client else ""
    here = (connection.scope.get("server") or ("",))[0]
    state = connection.app.state
    ours = getattr(state, "behind_hub_proxy", True)
    return caller(
        peer, here, connection.headers.get("x-forwarded-for", ""), fronts=state.settings.hub.fronts, ours=ours
    )
