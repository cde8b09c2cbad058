"""The page of those who decide: requests, members, and for administrators who is blocked. `approvals` decides all."""

from __future__ import annotations

from datetime import date, timedelta

from jupyterhub.handlers.base import BaseHandler
from tornado import web
from tornado.httputil import url_concat

from .. import audit, entitlements
from ..access import Administer, ManageMembers, Person, Requirement
from ..settings import ProjectSettings, Settings
from . import mail, members, people, requests, sessions
from .approvals import Actor, Approvals, Done, Refused
from .handlers import address_of
from .tables import now

PATH = "requests"
_DONE = {
    "approve": "The request was approved.",
    "reject": "The request was turned down.",
    "add": "The member was added.",
    "remove": "The member was removed.",
    "block": "The account was blocked.",
    "unblock": "The account is no longer blocked.",
}


class RequestsHandler(BaseHandler):  # type: ignore[misc]
    """/hub/requests?project=: for the leads of a project and for administrators."""

    @web.authenticated
    async def get(self) -> None:
        """The requests that this person may answer, and the members of one of their projects."""
        await self._show(done=_DONE.get(self.get_query_argument("done", ""), ""))

    @web.authenticated
    async def post(self) -> None:
        """One act; `access` decides anew, with the login of this moment."""
        act = self.get_body_argument("act", "")
        try:
            done = self._do(act)
        except Refused as refused:
            return await self._show(refused=refused)
        mail.in_background(self._settings, self._desk.store, done.letters)
        self.authenticator.sweeper.look(done.person)  # groups, servers and tokens follow at once
        query = {"done": act, "project": self.get_body_argument("project", "")}
        self.redirect(url_concat(self.request.path, {k: v for k, v in query.items() if v}), status=303)

    def _do(self, act: str) -> Done:
        desk, actor, field = self._desk, self._actor(), self.get_body_argument
        match act:
            case "approve":
                return desk.approve(actor, self._number(), field("role", "member"), _day(field("until", "")))
            case "reject":
                return desk.reject(actor, self._number(), field("comment", ""))
            case "add":
                name = field("name", "").strip()
                return desk.add(actor, name, field("project", ""), field("role", "member"), _day(field("until", "")))
            case "remove":
                return desk.remove(actor, field("name", ""), field("project", ""))
            case "block":
                return desk.block(actor, field("name", "").strip(), field("comment", ""))
            case "unblock":
                return desk.unblock(actor, field("name", ""))
        raise web.HTTPError(400, "There is no such act")

    def _number(self) -> int:
        text = self.get_body_argument("id", "")
        return int(text) if text.isdecimal() and len(text) < 12 else 0

    async def _show(self, done: str = "", refused: Refused | None = None) -> None:
        desk, actor = self._desk, self._actor()
        projects = self._projects(desk, actor)
        names = [project.name for project in projects]
        chosen = self.get_argument("project", "")
        chosen = chosen if chosen in names else next(iter(names), "")
        admin = bool(desk.may(actor, Administer()))
        everybody = {account.name: account for account in people.everybody(desk.store)}
        self.set_status(refused.status if refused else 200)
        self.set_header("Cache-Control", "no-store")
        page = await self.render_template(
            "requests.html",
            done=done,
            refused=refused,
            step_up=self._step_up(refused.step_up) if refused and refused.step_up else "",
            requests=requests.open_in(desk.store, names),
            accounts=everybody,
            projects=projects,
            titles={p.name: p.title for p in projects},
            chosen=chosen,
            takes_members=chosen in {p.name for p in members.open_projects(self._settings, desk.store)},
            members=members.of_project(self._settings, desk.store, chosen),
            leads_of={name for name in names if desk.may(actor, ManageMembers(name, "lead"))},
            refusal=lambda account: people.refusal(self._settings, account),
            me=actor.name,
            register_url=f"{self._settings.hub.public_url.rstrip('/')}/hub/register",
            admin=admin,
            kept_out=[account for account in everybody.values() if account.standing == "blocked"] if admin else [],
            today=now().date(),
            until=now().date() + timedelta(days=self._settings.registration.days),
            latest=desk.latest(actor),
        )
        self.finish(page)

    def _projects(self, desk: Approvals, actor: Actor) -> list[ProjectSettings]:
        """Those whose members this person decides about: an administrator of a platform without projects gets none.

        Everybody else without any is sent to the stronger login if only that is missing, and refused (403) if not.
        """
        decisions = [
            (p, desk.may(actor, ManageMembers(p.name))) for p in entitlements.projects(self._settings, desk.store)
        ]
        admin = desk.may(actor, Administer())
        if (may := [project for project, decision in decisions if decision]) or admin:
            return may
        if demand := next((d.step_up for d in (*(d for _, d in decisions), admin) if d.step_up), None):
            self.redirect(self._step_up(demand))
            raise web.Finish
        audit.record(
            desk.store,
            person=actor.name,
            action="manage-members",
            allowed=False,
            reason="not-a-lead",
            address=actor.address,
        )
        error = web.HTTPError(403, "not-a-lead")
        error.jupyterhub_message = "This page is for the leads of a project and for administrators."
        raise error

    def _step_up(self, demand: Requirement) -> str:
        asked = {"level": demand.level, "max_age": f"{demand.max_age:.0f}" if demand.max_age is not None else ""}
        back = self.request.uri if self.request.method == "GET" else self.request.path
        query = {**{name: value for name, value in asked.items() if value}, "next": back}
        return url_concat(f"{self.hub.base_url}step-up", query)

    def _actor(self) -> Actor:
        """Who decides, with the groups and the login of this moment."""
        store, name = self._desk.store, self.current_user.name
        account = people.find(store, name)
        login = sessions.live(store, sessions.digest(self.get_session_cookie() or ""))
        groups = people.groups_now(self._settings, store, account) if account else frozenset()
        proven = sessions.assurance(login) if login is not None and login.person == name else None
        return Actor(name, Person(name, groups, proven), address_of(self))

    @property
    def _desk(self) -> Approvals:
        return Approvals(self._settings, self.authenticator.store)

    @property
    def _settings(self) -> Settings:
        return self.authenticator.settings


def _day(text: str) -> date | None:
    """The day of a form's field; None if it was left empty."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Refused("bad-end", f"{text[:32]!r} is not a day", "write it as 2027-12-31", 400) from None
