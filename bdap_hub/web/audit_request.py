"""Audit events of our services: who asked, and from which address, written off the event loop."""

from __future__ import annotations

from ipaddress import ip_address

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
    """The caller's address: the peer's, or the one that the hub's proxy names where the peer is the proxy.

    The proxy runs on this host. Who calls from elsewhere, as people's servers do, may write into the header what they
    like. A proxy for TLS before ours, on this host, is passed over.
    """
    peer = connection.client.host if connection.client else ""
    here = (connection.scope.get("server") or ("",))[0]
    if not _is_loopback(peer) and peer != here:
        return peer
    hops = [hop.strip() for hop in connection.headers.get("x-forwarded-for", "").split(",")]
    return next((hop for hop in reversed(hops) if hop and not _is_loopback(hop)), peer)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
