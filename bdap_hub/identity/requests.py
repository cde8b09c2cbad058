"""Requests to belong to a project: asked at the registration page, answered once by a lead or an admin."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select, update

from ..errors import BadRequest
from ..settings import Settings
from . import members, people
from .people import Store
from .tables import Account, JoinRequest, now

PURPOSE_LENGTH = (10, 2000)
"""Characters of a purpose, at least and at most."""


def submit(settings: Settings, store: Store, account: Account, project: str, purpose: str) -> tuple[JoinRequest, bool]:
    """The person's request for a project, and whether it is a new one: an open one is changed instead.

    BadRequest if the project takes no members here, the person is in it already, or the purpose is too short or long.
    """
    if project not in {p.name for p in members.open_projects(settings, store)}:
        raise BadRequest(f"there is no project {project!r} that one can ask for", "choose one from the list")
    if people.role_of(settings, store, account, project) and people.refusal(settings, account) is None:
        raise BadRequest(f"you are in project {project} already", "choose another")
    purpose, (least, most) = "\n".join(purpose.strip().splitlines()), PURPOSE_LENGTH
    if not least <= len(purpose) <= most:
        raise BadRequest(
            f"the purpose has {len(purpose)} characters", f"say in {least} to {most} characters what you want to do"
        )
    with store.begin() as session:
        found = session.scalar(
            select(JoinRequest).where(
                JoinRequest.person == account.name, JoinRequest.project == project, JoinRequest.outcome == ""
            )
        )
        if is_new := found is None:
            found = JoinRequest(person=account.name, project=project)
            session.add(found)
        found.purpose, found.asked = purpose, now()
        found.terms_version = settings.registration.terms_version if settings.registration.terms else ""
    if people.refusal(settings, account):  # rejected or run out: they wait anew
        people.set_standing(store, account.name, "pending", before=account.standing)
    return found, is_new


def find(store: Store, number: int) -> JoinRequest | None:
    """The request of that number."""
    with store() as session:
        found: JoinRequest | None = session.get(JoinRequest, number)
        return found


def open_of(store: Store, person: str) -> list[JoinRequest]:
    """Somebody's requests that wait for an answer, oldest first."""
    with store() as session:
        wanted = select(JoinRequest).where(JoinRequest.person == person, JoinRequest.outcome == "")
        return list(session.scalars(wanted.order_by(JoinRequest.id)))


def open_in(store: Store, projects: Collection[str]) -> list[JoinRequest]:
    """The requests for these projects that wait for an answer, oldest first."""
    with store() as session:
        wanted = select(JoinRequest).where(JoinRequest.project.in_(projects), JoinRequest.outcome == "")
        return list(session.scalars(wanted.order_by(JoinRequest.id)))


def answer(store: Store, number: int, outcome: str, by: str, comment: str = "") -> bool:
    """Answer an open request; False if somebody else was faster."""
    with store.begin() as session:
        done = session.execute(
            update(JoinRequest)
            .where(JoinRequest.id == number, JoinRequest.outcome == "")
            .values(outcome=outcome, decided_by=by, decided=now(), comment=comment)
        )
        return bool(done.rowcount)
