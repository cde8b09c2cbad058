"""Accounts: who a valid login is, and whether they stand well enough to be let in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import sessionmaker

from ..access import Policy
from ..settings import Settings
from .id_token import IdToken, LoginRefused
from .tables import Account, Membership, aware, now

Store = sessionmaker[Any]


def recognise(store: Store, issuer: str, proven: IdToken, *, standing: str) -> Account:
    """The account of a proven login, found by the provider's `sub`; made, with `standing`, at the first login.

    LoginRefused (name-taken) where somebody else has the name already: a name that may change hands at the provider
    never opens another's account.
    """
    try:
        with store.begin() as session:
            found = session.scalar(select(Account).where(Account.issuer == issuer, Account.subject == proven.subject))
            if found is None:
                if session.get(Account, proven.username) is not None:
                    raise LoginRefused(
                        "name-taken",
                        f"the account name {proven.username!r} belongs to somebody else here",
                        "ask the platform's operators",
                    )
                found = Account(name=proven.username, issuer=issuer, subject=proven.subject, standing=standing)
                session.add(found)
            found.display_name, found.email = proven.display_name, proven.email
            found.groups, found.checked, found.logged_in = sorted(proven.groups), now(), now()
    except IntegrityError:  # two first logins of one person at once: the other was faster
        return recognise(store, issuer, proven, standing=standing)
    return found


def find(store: Store, name: str) -> Account | None:
    """The account of that name."""
    with store() as session:
        return session.get(Account, name)


def confirmed(store: Store, name: str, groups: Iterable[str]) -> None:
    """The provider has just said yes to this person, with these groups."""
    with store.begin() as session:
        if (found := session.get(Account, name)) is not None:
            found.groups, found.checked = sorted(groups), now()


def refusal(settings: Settings, account: Account | None) -> LoginRefused | None:
    """Why this person may not be here now; None where they may. Asked at login, at each refresh and by the sweeper."""
    if account is None:
        return LoginRefused("unknown-person", "there is no such account", "log in again")
    if account.standing == "blocked":
        return LoginRefused("blocked", "your account is blocked", "ask the platform's operators")
    if not settings.registration.required:
        return None
    if account.standing != "approved":
        return LoginRefused(account.standing, "your account is not approved yet", "wait for the answer to your request")
    if (expires := aware(account.expires)) is not None and expires <= now():
        return LoginRefused("approval-expired", "the approval of your account has run out", "ask for it again")
    if account.terms_version != settings.registration.terms_version:
        return LoginRefused("terms-not-accepted", "you have not accepted the terms of use", "accept them")
    return None


def groups_now(settings: Settings, store: Store, account: Account) -> frozenset[str]:
    """The groups that count: the provider's, and those of local memberships where the provider does not speak.

    The provider speaks of a project when it names any of its groups for this person; its role counts then.
    """
    groups = set(account.groups)
    for membership in memberships(store, account.name):
        project = next((p for p in settings.projects if p.name == membership.project), None)
        if project is None or project.membership == "provider" or {project.group, project.leads} & set(account.groups):
            continue
        groups.add(project.leads if membership.role == "lead" else project.group)
    return frozenset(groups)


def memberships(store: Store, name: str, at: datetime | None = None) -> list[Membership]:
    """Somebody's local memberships that have not run out."""
    moment = at or now()
    with store() as session:
        rows = session.scalars(select(Membership).where(Membership.person == name).order_by(Membership.project))
        return [row for row in rows if (ends := aware(row.expires)) is None or ends > moment]


def is_admin(policy: Policy, groups: frozenset[str]) -> bool:
    """Whether these groups administer the hub: by the group alone, never by a form."""
    return bool(policy.admin_group) and policy.admin_group in groups
