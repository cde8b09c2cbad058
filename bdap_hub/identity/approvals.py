"""What leads and administrators decide about people: approve, reject, add, remove, block.

Every act is decided by `access` where it takes effect, and recorded, also when refused. Nobody decides about
themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast

from .. import audit, database, entitlements
from ..access import Administer, Decision, ManageMembers, Person, Project, Requirement, Role, decide, role_in
from ..errors import BdapError
from ..settings import Settings
from . import members, people, requests, sessions
from .letters import Letters
from .mail import Letter
from .people import Store
from .tables import Account, JoinRequest, now

LONGEST_DAYS = 3650
COMMENT_LENGTH = (3, 1000)


class Refused(BdapError):
    """An act that is not done. `reason` is a short code for the audit log; `step_up` is set if that is all it lacks."""

    code = "Refused"

    def __init__(
        self, reason: str, message: str, remedy: str = "", status: int = 403, step_up: Requirement | None = None
    ) -> None:
        super().__init__(message, remedy)
        self.reason, self.status, self.step_up = reason, status, step_up


@dataclass(frozen=True)
class Actor:
    """Who decides. `person` is None for the operator at the command line, who may do everything anyway."""

    name: str
    person: Person | None = None
    address: str = ""


@dataclass(frozen=True)
class Done:
    """What is left to do after an act on `person`: their letters, and to let the hub look at them."""

    person: str
    letters: tuple[Letter, ...] = ()


class Approvals:
    """The acts, on one platform's database."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store
        self.letters = Letters(settings, store)

    def may(self, actor: Actor, wanted: ManageMembers | Administer) -> Decision:
        """What `access` says."""
        if actor.person is None:
            return Decision(True, "operator")
        return decide(entitlements.policy(self.settings, self.store), actor.person, wanted)

    def approve(self, actor: Actor, number: int, role: str = "member", until: date | None = None) -> Done:
        """Say yes to a request: the account is approved and belongs to the project until the end of that day."""
        request = requests.find(self.store, number)
        with self._recorded(actor, "approve", _subject(request, number)):
            request = self._open(request, number)
            self._check(actor, ManageMembers(request.project, _role(role)), request.person)
            account, ends = self._account(request.person), self._end(actor, until)
            self._takes_members(request.project)
            with database.together(self.store) as store:
                _take(store, request, "approved", actor)
                _let_in(store, actor, account, request.project, _role(role), ends)
            return Done(account.name, (*self.letters.approved(account, request.project, role, ends),))

    def reject(self, actor: Actor, number: int, comment: str) -> Done:
        """Say no to a request. Somebody who waits for nothing else then stands as rejected."""
        request = requests.find(self.store, number)
        with self._recorded(actor, "reject", _subject(request, number)):
            request = self._open(request, number)
            self._check(actor, ManageMembers(request.project), request.person)
            account, comment = self._account(request.person, blocked=True), _comment(comment)
            with database.together(self.store) as store:
                _take(store, request, "rejected", actor, comment)
                if not requests.open_of(store, account.name):
                    people.set_standing(store, account.name, "rejected", comment, before="pending")
            return Done(account.name, (*self.letters.rejected(account, request.project, comment),))

    def add(self, actor: Actor, name: str, project: str, role: str = "member", until: date | None = None) -> Done:
        """Put somebody who has logged in before into a project, or change their role and end there."""
        with self._recorded(actor, "add-member", f"{name} in {project}"):
            self._check(actor, ManageMembers(project, _role(role)), name)
            before = members.membership(self.store, name, project)
            if before is not None:
                self._check(actor, ManageMembers(project, cast(Role, before.role)), name)
            account, ends = self._account(name), self._end(actor, until)
            self._takes_members(project)
            if said := role_in(self._project(project), frozenset(account.groups)):
                raise Refused(
                    "provider-speaks", f"the login provider says that {name} is a {said} of {project}", "", 409
                )
            open_ones = [request for request in requests.open_of(self.store, name) if request.project == project]
            with database.together(self.store) as store:
                for request in open_ones:
                    _take(store, request, "approved", actor)
                _let_in(store, actor, account, project, _role(role), ends)
            return Done(name, (*self.letters.approved(account, project, role, ends),))

    def remove(self, actor: Actor, name: str, project: str) -> Done:
        """Take somebody out of a project into which they were put here."""
        with self._recorded(actor, "remove-member", f"{name} in {project}"):
            found = members.membership(self.store, name, project)
            self._check(actor, ManageMembers(project, cast(Role, found.role) if found else "member"), name)
            if found is None:
                raise Refused(
                    "not-added-here",
                    f"{name!r} was not added to project {project} here",
                    "members whom the login provider names are removed there",
                    404,
                )
            members.withdraw(self.store, name, project)
            account = people.find(self.store, name)
            return Done(name, tuple(self.letters.removed(account, project)) if account else ())

    def admit(self, actor: Actor, name: str, until: date | None = None) -> Done:
        """Approve an account without any project."""
        with self._recorded(actor, "approve", name):
            self._check(actor, Administer(), name)
            account, ends = self._account(name), self._end(actor, until)
            _approve(self.store, name, ends)
            return Done(name, tuple(self.letters.let_in(account, ends)))

    def block(self, actor: Actor, name: str, comment: str) -> Done:
        """Keep somebody out, whatever else is said of them; their logins end now."""
        with self._recorded(actor, "block", name):
            self._check(actor, Administer(), name)
            account, comment = self._account(name, blocked=True), _comment(comment)
            with database.together(self.store) as store:
                people.set_standing(store, name, "blocked", comment)
                sessions.end_all(store, name, "blocked")
            return Done(name, tuple(self.letters.blocked(account, comment)))

    def unblock(self, actor: Actor, name: str) -> Done:
        """Let somebody back in whose approval still runs; who had none waits for one again."""
        with self._recorded(actor, "unblock", name):
            self._check(actor, Administer(), name)
            account = self._account(name, blocked=True)
            had_one = account.expires is not None or not self.settings.registration.required
            if not people.unblock(self.store, name, "approved" if had_one else "pending"):
                raise Refused("not-blocked", f"the account {name!r} is not blocked", status=409)
            return Done(name, tuple(self.letters.unblocked(account)))

    def _check(self, actor: Actor, wanted: ManageMembers | Administer, about: str) -> None:
        if actor.person is not None and about == actor.name:
            raise Refused("own-account", "nobody decides about themselves", "ask another lead or an administrator")
        if isinstance(wanted, ManageMembers):
            self._project(wanted.project)
        if not (decision := self.may(actor, wanted)):
            reason = "step-up-required" if decision.step_up else self._why_not(actor, wanted)
            remedy = "log in again, as this needs" if decision.step_up else "ask somebody who may"
            raise Refused(reason, decision.reason, remedy, step_up=decision.step_up)

    def _project(self, name: str) -> Project:
        if (project := entitlements.policy(self.settings, self.store).project(name)) is None:
            raise Refused("unknown-project", f"there is no project {name!r}", status=404)
        return project

    def _takes_members(self, name: str) -> None:
        if name not in {project.name for project in members.open_projects(self.settings, self.store)}:
            raise Refused("provider-only", f"project {name} takes its members from the login provider alone", "", 409)

    def _why_not(self, actor: Actor, wanted: ManageMembers | Administer) -> str:
        if isinstance(wanted, Administer):
            return "not-an-admin"
        below = self.may(actor, ManageMembers(wanted.project))
        return "lead-for-lead" if below or below.step_up else "not-a-lead"

    def _account(self, name: str, *, blocked: bool = False) -> Account:
        account = people.find(self.store, name)
        if account is None:
            raise Refused(
                "unknown-person",
                f"nobody has logged in under the name {name!r} yet",
                f"send them {self.settings.hub.public_url.rstrip('/')}/hub/register",
                404,
            )
        if account.standing == "blocked" and not blocked:
            raise _blocked(name)
        return account

    def _open(self, request: JoinRequest | None, number: int) -> JoinRequest:
        if request is None:
            raise Refused("unknown-request", f"there is no request {number}", "look at the list again", 404)
        return request

    def latest(self, actor: Actor) -> date:
        """The last day until which they may let somebody in: leads for `registration.days`, administrators longer."""
        days = self.settings.registration.days
        if self.may(actor, Administer()):
            days = max(days, LONGEST_DAYS)
        return (now() + timedelta(days=days)).date()

    def _end(self, actor: Actor, until: date | None) -> datetime:
        today, latest = now().date(), self.latest(actor)
        last = until or today + timedelta(days=self.settings.registration.days)
        if not today <= last <= latest:
            raise Refused("bad-end", f"{last} is not a day to come up to {latest}", "choose another", 400)
        return datetime.combine(last, time(23, 59, 59), UTC)

    @contextmanager
    def _recorded(self, actor: Actor, action: str, subject: str) -> Iterator[None]:
        event: dict[str, Any] = {"person": actor.name, "action": action, "subject": subject, "address": actor.address}
        try:
            yield
        except Refused as refused:
            audit.record(self.store, **event, allowed=False, reason=refused.reason)
            raise
        audit.record(self.store, **event)


def _take(store: Store, request: JoinRequest, outcome: str, actor: Actor, comment: str = "") -> None:
    if not requests.answer(store, request.id, outcome, actor.name, comment):
        raise Refused("already-answered", "this request has been answered already", "look at the list again", 409)


def _let_in(store: Store, actor: Actor, account: Account, project: str, role: Role, ends: datetime) -> None:
    _approve(store, account.name, ends)
    members.grant(store, account.name, project, role, actor.name, ends)


def _approve(store: Store, name: str, ends: datetime) -> None:
    account = people.approve(store, name, ends)
    if account is not None and account.standing == "blocked":  # since it was looked at
        raise _blocked(name)


def _blocked(name: str) -> Refused:
    return Refused("account-blocked", f"the account {name!r} is blocked", "have it unblocked first", 409)


def _subject(request: JoinRequest | None, number: int) -> str:
    return f"{request.person} in {request.project}" if request else f"request {number}"


def _role(role: str) -> Role:
    if role not in ("member", "lead"):
        raise Refused("unknown-role", f"there is no role {role!r}", "choose member or lead", 400)
    return cast(Role, role)


def _comment(text: str) -> str:
    text, (least, most) = " ".join(text.split()), COMMENT_LENGTH
    if not least <= len(text) <= most:
        raise Refused("bad-comment", f"say why, in {least} to {most} characters: the person reads it", "", 400)
    return text
