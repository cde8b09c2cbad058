"""Audit events of our services: who asked, and from which address, written off the event loop."""

from __future__ import annotations

from fastapi.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from .. import audit


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
    """The caller's address: the last hop that the hub's proxy names, else the peer's."""
    forwarded = connection.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded or (connection.client.host if connection.client else "")
