"""How a person known at the hub becomes known at a dashboard's own origin: a single-use ticket, then a cookie.

Both are signed and bound to one dashboard and to the person's login at the hub: they are worth nothing after it. The
ticket is bound to the browser that asked for it, too.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from ...errors import BadRequest, BdapError, NotLoggedIn
from ...settings import Settings
from ...web import read_token, sign_token
from ..records import Label, Records, read_label

TICKET_SECONDS = 60
TICKET_PATH = "/_bdap/ticket"


@dataclass(frozen=True)
class Visitor:
    """Who looks, and the SHA-256 of the session id of their login at the hub."""

    person: str
    session: str


def parse_target(settings: Settings, target: str) -> tuple[Label, str]:
    """What is asked for and path?query of a dashboard's address; BadRequest for any other place: no open redirect."""
    bad = BadRequest("the address to return to is not a dashboard's", "open the dashboard from the gallery")
    if any(ord(c) <= 32 or c in '\\"<>' or ord(c) > 126 for c in target):
        raise bad
    parts = urlsplit(target)
    found = read_label((parts.hostname or "").partition(".")[0])
    if found is None or f"{parts.scheme}://{parts.netloc}/" != settings.dashboards.address(*found):
        raise bad
    return found, _path(parts.path, parts.query)


def make_ticket(key: str, dashboard: str, visitor: Visitor, begun: str, path: str) -> str:
    """Query of the gateway's ticket page. `begun` is the digest of the browser's `begin` cookie."""
    ticket = sign_token(
        key,
        "dashboard ticket",
        TICKET_SECONDS,
        dashboard=dashboard,
        **asdict(visitor),
        begun=begun,
        jti=secrets.token_hex(16),
    )
    return urlencode({"ticket": ticket, "next": path})


def redeem_ticket(key: str, records: Records, ticket: str, dashboard: str, begin: str) -> Visitor:
    """The visitor of a ticket that is ours, fresh, for this dashboard and browser, and unused; NotLoggedIn else."""
    claims = read_token(key, "dashboard ticket", ticket)
    same = (
        claims.get("dashboard") == dashboard and begin and hmac.compare_digest(str(claims.get("begun")), digest(begin))
    )
    if not same or not records.redeem(str(claims.get("jti")), float(claims["exp"])):
        raise NotLoggedIn("this dashboard ticket is not valid here or was used before", "open the dashboard again")
    return _visitor(claims)


def make_session(key: str, dashboard: str, visitor: Visitor, seconds: float) -> str:
    """The value of the cookie that names a person to one dashboard."""
    return sign_token(key, f"dashboard session {dashboard}", seconds, **asdict(visitor))


def read_session(key: str, dashboard: str, values: list[str]) -> Visitor | None:
    """The visitor of the first valid cookie. Siblings can set cookies of the same name: those do not verify."""
    for value in values[:4]:
        try:
            claims: dict[str, Any] = read_token(key, f"dashboard session {dashboard}", value)
        except BdapError:
            continue
        return _visitor(claims)
    return None


def _visitor(claims: dict[str, Any]) -> Visitor:
    return Visitor(str(claims.get("person", "")), str(claims.get("session", "")))


def digest(value: str) -> str:
    """What of the `begin` cookie may stand in an address."""
    return hashlib.sha256(value.encode()).hexdigest()


def safe_path(path: str) -> str:
    """`path` when it stays on this origin, else /."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and all(32 < ord(c) < 127 for c in path)
    return path if plain and "\\" not in path else "/"


def _path(path: str, query: str) -> str:
    return safe_path((path or "/") + (f"?{query}" if query else ""))
