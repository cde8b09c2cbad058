"""Logins, one a browser: begun at the callback, ended by logging out, by the provider, or by their age."""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import sessionmaker

from ..access import Assurance
from .id_token import IdToken
from .tables import SeenLogoutToken, Session, aware, now

Store = sessionmaker[Any]

KEPT_DAYS = 90
LOGOUT_TOKENS_KEPT_DAYS = 1  # one is refused for its age after ten minutes


def digest(session_id: str) -> str:
    """How a session is named in the database and between services: never by the cookie's own value."""
    return hashlib.sha256(session_id.encode()).hexdigest()


def begin(
    store: Store, session_id: str, person: str, proven: IdToken, hours: float, *, address: str = "", agent: str = ""
) -> None:
    """Record a login of `person` that has just been proven; `session_id` is the new cookie's value."""
    row = Session(
        id=digest(session_id),
        person=person,
        sid=proven.sid,
        level=proven.level,
        acr=proven.acr[:255],
        amr=list(proven.amr),
        auth_time=proven.auth_time or 0,
        address=address[:64],
        agent=agent[:255],
        ends=now() + timedelta(hours=hours),
    )
    with store.begin() as session:
        session.merge(row)


def find(store: Store, key: str) -> Session | None:
    """The session of that digest, live or ended."""
    with store() as session:
        found: Session | None = session.get(Session, key)
        return found


def live(store: Store, key: str) -> Session | None:
    """The session of that digest if it has neither ended nor grown too old."""
    found = find(store, key)
    return found if found is not None and is_live(found) else None


def live_of(store: Store, person: str) -> list[Session]:
    """All live sessions of a person, newest first."""
    with store() as session:
        rows = session.scalars(
            select(Session).where(Session.person == person, Session.ended.is_(None)).order_by(Session.begun.desc())
        )
        return [row for row in rows if is_live(row)]


def by_sid(store: Store, sid: str) -> list[Session]:
    """All sessions, live or ended, that the provider calls `sid`; none for ''."""
    with store() as session:
        return list(session.scalars(select(Session).where(Session.sid == sid))) if sid else []


def people_with_live(store: Store) -> set[str]:
    """Everybody who has a live session."""
    with store() as session:
        rows = session.scalars(select(Session.person).where(Session.ended.is_(None), Session.ends > now()))
        return set(rows)


def end_expired(store: Store) -> None:
    """End the sessions that have grown too old."""
    with store.begin() as session:
        gone = update(Session).where(Session.ended.is_(None), Session.ends <= now())
        session.execute(gone.values(ended=now(), ended_why="expired"))


def prune(store: Store) -> None:
    """Forget what nobody asks about any more: sessions ended long ago, logout tokens too old to be accepted again."""
    with store.begin() as session:
        session.execute(delete(Session).where(Session.ended < now() - timedelta(days=KEPT_DAYS)))
        session.execute(
            delete(SeenLogoutToken).where(SeenLogoutToken.seen < now() - timedelta(days=LOGOUT_TOKENS_KEPT_DAYS))
        )


def end(store: Store, keys: list[str], why: str) -> int:
    """End the sessions of these digests; how many were live."""
    with store.begin() as session:
        result = session.execute(
            update(Session).where(Session.id.in_(keys), Session.ended.is_(None)).values(ended=now(), ended_why=why[:64])
        )
        return int(result.rowcount)


def end_all(store: Store, person: str, why: str) -> int:
    """End all sessions of a person; how many were live."""
    return end(store, [row.id for row in live_of(store, person)], why)


def since_last_end(store: Store, person: str) -> float:
    """Seconds since the last session of a person that has ended did so; infinite if none has."""
    with store() as session:
        last = aware(session.scalar(select(func.max(Session.ended)).where(Session.person == person)))
    return (now() - last).total_seconds() if last else float("inf")


def assurance(found: Session | None) -> Assurance | None:
    """What a session proves, as `access` asks for it. Without a stated time, the factors count as never entered."""
    return Assurance(found.level, max(0.0, time.time() - found.auth_time)) if found else None


def is_live(found: Session) -> bool:
    """Whether it has neither ended nor grown too old."""
    ends = aware(found.ends)
    return found.ended is None and ends is not None and ends > now()
