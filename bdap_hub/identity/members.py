"""Who belongs to a project: added here, or named by the provider; and who decides about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import update

from .. import entitlements
from ..access import Person, ReviewRelease, Role, decide, over, role_in
from ..settings import ProjectSettings, Settings
from . import people
from .people import Store
from .tables import Account, JoinRequest, Membership, aware


@dataclass(frozen=True)
class Member:
    """Somebody in a project. `source` says who put them there; `until` is None where their place does not run out."""

    account: Account
    role: Role
    source: Literal["provider", "here"]
    until: datetime | None = None


def open_projects(settings: Settings, store: Store) -> list[ProjectSettings]:
    """The projects that take members here and have not ended, the settings' first."""
    policy = entitlements.policy(settings, store)
    found = entitlements.projects(settings, store)
    return [one for one in found if one.membership == "both" and over(policy, policy.project(one.name)) is None]


def membership(store: Store, name: str, project: str) -> Membership | None:
    """Somebody's local membership, also one that has run out."""
    with store() as session:
        found: Membership | None = session.get(Membership, (name, project))
        return found


def grant(store: Store, name: str, project: str, role: Role, by: str, until: datetime | None) -> None:
    """Add somebody to a project, or change their role and end."""
    with store.begin() as session:
        session.merge(Membership(person=name, project=project, role=role, granted_by=by, expires=until))


def withdraw(store: Store, name: str, project: str) -> None:
    """End somebody's local membership."""
    with store.begin() as session:
        if (found := session.get(Membership, (name, project))) is not None:
            session.delete(found)


def rename(store: Store, project: str, new: str) -> None:
    """Memberships and requests follow a project to its new name."""
    with store.begin() as session:
        for table in (Membership, JoinRequest):
            session.execute(update(table).where(table.project == project).values(project=new))


def of_project(settings: Settings, store: Store, name: str) -> list[Member]:
    """The members of a project, leads first; also those whose account may not log in just now."""
    project = entitlements.policy(settings, store).project(name)
    if project is None:
        return []
    found: list[Member] = []
    for account, groups, added in people.everybody_now(settings, store):
        if role := role_in(project, frozenset(account.groups)):
            found.append(Member(account, role, "provider"))
        elif role := role_in(project, groups):
            until = next((aware(row.expires) for row in added if row.project == name), None)
            found.append(Member(account, role, "here", until))
    return sorted(found, key=lambda member: (member.role != "lead", member.account.name))


def approvers(settings: Settings, store: Store, name: str) -> Iterator[Account]:
    """Those who decide about a project's members: its leads, and the admins. Only who may log in themselves."""
    policy = entitlements.policy(settings, store)
    project = policy.project(name)
    for account, groups, _ in people.everybody_now(settings, store):
        if people.refusal(settings, account):
            continue
        if people.is_admin(policy, groups) or (project and role_in(project, groups) == "lead"):
            yield account


def reviewers(settings: Settings, store: Store, version: ReviewRelease) -> list[Account]:
    """Those who may approve that version of a dashboard. Only who may log in themselves."""
    policy = entitlements.policy(settings, store)
    return [
        account
        for account, groups, _ in people.everybody_now(settings, store)
        if decide(policy, Person(account.name, groups), version).entitled and not people.refusal(settings, account)
    ]
