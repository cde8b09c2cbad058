"""Accounts: who a valid login is, whether they stand well enough to be let in, and what they belong to."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import sessionmaker

from .. import entitlements
from ..access import Policy, Role, role_in
from ..settings import Settings
from ..settings.projects import ProjectSettings
from .claims import bad_username
from .id_token import IdToken, LoginRefused
from .tables import Account, Membership, aware, now

Store = sessionmaker[Any]


def recognise(store: Store, issuer: str, proven: IdToken, *, standing: str) -> Account:
    """The account of a proven login, found by the provider's `sub`; made, with `standing`, at the first login.

    LoginRefused for a new account whose name is none we accept (bad-username), or somebody else's already (name-taken):
    a name that may change hands at the provider never opens another's account.
    """
    try:
        with store.begin() as session:
            found = session.scalar(select(Account).where(Account.issuer == issuer, Account.subject == proven.subject))
            if found is None:
                if not proven.username:
                    raise bad_username()
                if session.get(Account, proven.username) is not None:
                    raise LoginRefused(
                        "name-taken",
                        f"the account name {proven.username!r} belongs to somebody else here",
                        "ask the platform's operators",
                    )
                found = Account(name=proven.username, issuer=issuer, subject=proven.subject, standing=standing)
                session.add(found)
            found.display_name, found.email = proven.display_name or found.name, proven.email
            found.groups, found.checked, found.logged_in = sorted(proven.groups), now(), now()
            found.unanswered = None
    except IntegrityError:  # two first logins of one person at once: the other was faster
        return recognise(store, issuer, proven, standing=standing)
    return found


def admit(settings: Settings, store: Store, account: Account) -> Account:
    """The account at a login: approved for `registration.days` from now if the provider speaks for this person.

    It does when it puts them in a group of a project or the admins'. Nobody blocked is approved, and no approval gets
    shorter.
    """
    registration = settings.registration
    known = entitlements.projects(settings, store)
    spoken_for = {settings.identity.admin_group, *(g for p in known for g in (p.group, p.leads))}
    if not (registration.required and registration.auto_approve and spoken_for & set(account.groups)):
        return account
    return approve(store, account.name, now() + timedelta(days=registration.days)) or account


def find(store: Store, name: str) -> Account | None:
    """The account of that name."""
    with store() as session:
        return session.get(Account, name)


def find_subject(store: Store, issuer: str, subject: str) -> Account | None:
    """The account that the provider calls `subject`."""
    with store() as session:
        return session.scalar(select(Account).where(Account.issuer == issuer, Account.subject == subject))


def confirmed(store: Store, account: Account, groups: Iterable[str]) -> Account | None:
    """The provider, asked about `account`, has said yes with these groups; the account as it is now.

    Where a login has come in between, the provider has said more since: its groups stay.
    """
    with store.begin() as session:
        session.execute(
            update(Account)
            .where(Account.name == account.name, Account.checked == account.checked)
            .values(groups=sorted(groups), checked=now(), unanswered=None)
        )
        return session.get(Account, account.name)


def stated_groups(store: Store, account: Account, groups: Iterable[str], asked: datetime) -> Account | None:
    """The provider, asked about a program at that time, named these groups; the account as it is now.

    What it has said since of a login in a browser stays.
    """
    with store.begin() as session:
        if account.groups != (named := sorted(groups)):
            older = update(Account).where(Account.name == account.name, Account.checked < asked)
            session.execute(older.values(groups=named))
        return session.get(Account, account.name)


def unanswered(store: Store, name: str) -> float:
    """The provider does not answer about this person; for how many seconds it has not."""
    with store.begin() as session:
        found = session.get(Account, name)
        if found is None:
            return 0.0
        found.unanswered = found.unanswered or now()
        since = aware(found.unanswered) or now()
    return (now() - since).total_seconds()


def answered(store: Store, account: Account) -> None:
    """It does again, or has nothing to answer."""
    if account.unanswered is not None:
        with store.begin() as session:
            if (found := session.get(Account, account.name)) is not None:
                found.unanswered = None


def approve(store: Store, name: str, until: datetime) -> Account | None:
    """Let somebody in until then, or longer if they were let in for longer already; the account as it is now.

    Nobody blocked is let in.
    """
    sooner = or_(Account.standing != "approved", Account.expires < until)
    with store.begin() as session:
        session.execute(
            update(Account)
            .where(Account.name == name, Account.standing != "blocked")
            .values(standing="approved", reason="", expires=case((sooner, until), else_=Account.expires))
        )
        return session.get(Account, name)


def set_standing(store: Store, name: str, standing: str, reason: str = "", *, before: str = "") -> None:
    """Change how somebody stands, with `before` only where they still stand so; `reason` is shown to them.

    A block stays: `unblock` undoes it.
    """
    change = update(Account).where(Account.name == name)
    if standing != "blocked":
        change = change.where(Account.standing != "blocked")
    if before:
        change = change.where(Account.standing == before)
    with store.begin() as session:
        session.execute(change.values(standing=standing, reason=reason[:255]))


def unblock(store: Store, name: str, standing: str) -> bool:
    """Somebody who is blocked stands so from now on; False where they are not."""
    with store.begin() as session:
        blocked = update(Account).where(Account.name == name, Account.standing == "blocked")
        return bool(session.execute(blocked.values(standing=standing, reason="")).rowcount)


def accept_terms(store: Store, name: str, version: str) -> None:
    """Somebody has accepted this version of the terms of use."""
    with store.begin() as session:
        if (found := session.get(Account, name)) is not None:
            found.terms_version, found.terms_accepted = version, now()


def refusal(settings: Settings, account: Account | None) -> LoginRefused | None:
    """Why this person may not be here now; None where they may. Asked at login, at each refresh and by the sweeper."""
    if account is None:
        return LoginRefused("unknown-person", "there is no such account", "log in again")
    if account.standing == "blocked":
        return LoginRefused("blocked", "your account is blocked", "ask the platform's operators")
    if not settings.registration.required:
        return None
    if account.standing == "rejected":
        return LoginRefused("rejected", "your request was turned down", "read why, and ask again")
    if account.standing != "approved":
        return LoginRefused(account.standing, "your account is not approved yet", "wait for the answer to your request")
    if (expires := aware(account.expires)) is not None and expires <= now():
        return LoginRefused("approval-expired", "the approval of your account has run out", "ask for it again")
    return None


def taken_back(account: Account) -> bool:
    """Whether all that somebody held was taken back, and there was no login since."""
    revoked, logged_in = aware(account.revoked), aware(account.logged_in)
    return revoked is not None and (logged_in is None or logged_in <= revoked)


def refusal_at_login(settings: Settings, account: Account | None) -> LoginRefused | None:
    """The same for a login, which also needs the terms of use of today; whoever is in is not thrown out for them."""
    if (refused := refusal(settings, account)) or account is None:
        return refused
    if terms_wanted(settings, account) and settings.registration.required:
        return LoginRefused("terms-not-accepted", "you have not accepted the terms of use", "accept them")
    return None


def terms_wanted(settings: Settings, account: Account) -> bool:
    """Whether there are terms of use of which this person has not accepted today's version."""
    return settings.registration.terms is not None and account.terms_version != settings.registration.terms_version


def groups_now(settings: Settings, store: Store, account: Account) -> frozenset[str]:
    """The groups that count: the provider's, and those of local memberships where the provider does not speak."""
    return merged(entitlements.projects(settings, store), account, memberships(store, account.name))


def merged(projects: Collection[ProjectSettings], account: Account, added: Iterable[Membership]) -> frozenset[str]:
    """The same, from memberships that have not run out.

    The provider speaks of a project when it names any of its groups for this person; its role counts then. The settings
    see to it that a local membership gives no other project's group, nor the admins'.
    """
    groups = set(account.groups)
    for membership in added:
        project = next((p for p in projects if p.name == membership.project), None)
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


def role_of(settings: Settings, store: Store, account: Account, project: str) -> Role | None:
    """What somebody is in a project now; None if nothing, or there is no such project."""
    found = entitlements.policy(settings, store).project(project)
    return role_in(found, groups_now(settings, store, account)) if found else None


def is_admin(policy: Policy, groups: frozenset[str]) -> bool:
    """Whether these groups administer the platform: by the group alone, never by a form."""
    return bool(policy.admin_group) and policy.admin_group in groups


def everybody(store: Store) -> list[Account]:
    """All accounts, by name."""
    with store() as session:
        return list(session.scalars(select(Account).order_by(Account.name)))


def everybody_now(settings: Settings, store: Store) -> list[tuple[Account, frozenset[str], list[Membership]]]:
    """All accounts by name, with the groups that count and the local memberships that have not run out."""
    moment = now()
    with store() as session:
        live = or_(Membership.expires.is_(None), Membership.expires > moment)
        added: dict[str, list[Membership]] = {}
        for row in session.scalars(select(Membership).where(live)):
            added.setdefault(row.person, []).append(row)
    projects = entitlements.projects(settings, store)
    return [(one, merged(projects, one, added.get(one.name, [])), added.get(one.name, [])) for one in everybody(store)]
