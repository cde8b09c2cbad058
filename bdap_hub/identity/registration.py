"""The registration page: somebody whom the provider knows and we do not let in asks for a project, accepts the terms,
and sees how their request stands. They have no session; a signed cookie of this page alone says who they are.
"""

from __future__ import annotations

import json
import re
from typing import Any

from jupyterhub.handlers.base import BaseHandler
from tornado import web
from tornado.httputil import url_concat

from .. import entitlements
from ..errors import BadRequest, BadSettings
from ..settings import Settings
from . import mail, members, people, requests
from .authorize import anew
from .id_token import LoginRefused
from .letters import Letters
from .tables import Account

PATH = "register"
COOKIE = "bdap-applicant"
MINUTES = 20
_REASONS = frozenset({"pending", "rejected", "approval-expired", "terms-not-accepted", "blocked"})


def hand_over(handler: Any, refused: LoginRefused) -> str:
    """At the callback: send somebody whom we know and do not let in to this page; their name, '' if it is not ours.

    Not where somebody else is logged in: the page is theirs then.
    """
    proven = getattr(handler, "proven", None)
    if proven is None or refused.reason not in _REASONS:
        return ""
    authenticator = handler.authenticator
    account = people.find_subject(authenticator.store, authenticator.settings.identity.issuer, proven.subject)
    if account is None:
        return ""
    if handler.current_user is not None and handler.current_user.name != account.name:
        return str(account.name)
    page = f"{handler.hub.base_url}{PATH}"
    wanted = handler.login_state.next_url
    asked_here = wanted.partition("?")[0] == page
    kept = json.dumps([account.name, "" if asked_here else wanted])
    handler._set_cookie(_cookie(handler), kept, path=page, expires_days=MINUTES / 1440, samesite="Lax")
    handler.redirect(wanted if asked_here else page)
    return account.name


def forget(handler: Any) -> None:
    """At a login: the browser is no applicant's any more."""
    handler.clear_cookie(_cookie(handler), path=f"{handler.hub.base_url}{PATH}")


def _cookie(handler: Any) -> str:
    return f"{handler.authenticator.settings.hub.cookie_prefix}{COOKIE}"


def terms(settings: Settings) -> list[str]:
    """The paragraphs of the terms of use; BadSettings if the file cannot be read or is empty."""
    path = settings.registration.terms
    if path is None:
        return []
    try:
        paragraphs = [part.strip() for part in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")) if part.strip()]
    except (OSError, UnicodeDecodeError):
        paragraphs = []
    if not paragraphs:
        raise BadSettings(f"registration.terms is {str(path)!r}, which holds no text", "name a text file in UTF-8")
    return paragraphs


class RegisterHandler(BaseHandler):  # type: ignore[misc]
    """/hub/register?project=: also for people who are logged in and want to join another project."""

    async def get(self) -> None:
        """The page, or the login if nobody is known here."""
        if (account := self._applicant()) is None:
            return self.redirect(url_concat(self.settings["login_url"], {"next": self.request.uri}))
        await self._show(account, project=self.get_query_argument("project", ""))

    async def post(self) -> None:
        """Ask for a project, or accept the terms."""
        account = self._applicant()
        if account is None:
            raise _expired()
        if account.standing == "blocked":
            self._record(account, "", "blocked")
            return await self._show(account)
        try:
            if self.get_body_argument("act", "") == "accept":
                self._accept(account)
                return self.redirect(self._login())
            self._ask(account)
        except BadRequest as error:
            return await self._show(
                account,
                project=self.get_body_argument("project", ""),
                purpose=self.get_body_argument("purpose", "", strip=False),
                error=error,
            )
        self.redirect(self.request.path, status=303)

    def _accept(self, account: Account) -> None:
        registration = self._settings.registration
        if not people.terms_wanted(self._settings, account):
            return
        if self.get_body_argument("accept", "") != registration.terms_version:
            self._record(account, "terms of use", "terms-not-accepted")
            raise BadRequest("you have not accepted the terms of use", "read them and tick the box")
        people.accept_terms(self._store, account.name, registration.terms_version)
        self._record(account, f"terms of use, version {registration.terms_version}")

    def _ask(self, account: Account) -> None:
        project, purpose = self.get_body_argument("project", ""), self.get_body_argument("purpose", "")
        self._accept(account)
        try:
            request, is_new = requests.submit(self._settings, self._store, account, project, purpose)
        except BadRequest:
            self._record(account, project, "bad-request")
            raise
        self._record(account, request.project)
        if is_new:  # an answer is asked for once, however often the request is changed
            letters = Letters(self._settings, self._store)
            written = letters.received(account, project)
            for approver in members.approvers(self._settings, self._store, project):
                written += letters.asked(account, project, approver) if approver.name != account.name else []
            mail.in_background(self._settings, self._store, written)

    async def _show(self, account: Account, project: str = "", purpose: str = "", error: Any = None) -> None:
        account = people.find(self._store, account.name) or account
        refused = people.refusal_at_login(self._settings, account)
        reason = refused.reason if refused else ""
        asked = requests.open_of(self._store, account.name)
        known = entitlements.projects(self._settings, self._store)
        mine = {p.name for p in known if people.role_of(self._settings, self._store, account, p.name)}
        before = next((request for request in asked if request.project == (project or request.project)), None)
        self.set_status(403 if reason == "blocked" else 400 if error else 200)
        self.set_header("Cache-Control", "no-store")
        page = await self.render_template(
            "register.html",
            account=account,
            reason=reason,
            requests=asked,
            titles={p.name: p.title for p in known},
            choices=[p for p in members.open_projects(self._settings, self._store) if p.name not in mine or reason],
            chosen=project or (before.project if before else ""),
            purpose=purpose or (before.purpose if before else ""),
            purpose_length=requests.PURPOSE_LENGTH,
            terms=terms(self._settings) if people.terms_wanted(self._settings, account) else [],
            terms_version=self._settings.registration.terms_version,
            days=self._settings.registration.days,
            error=error,
            continue_url=self._login(),
            others_url=anew(f"{self.hub.base_url}oauth_login", self._next),
        )
        self.finish(page)

    def _applicant(self) -> Account | None:
        """Who this is: by their session, or else by the cookie of a login that was not let in."""
        name, self._next = self.current_user.name if self.current_user is not None else "", ""
        if kept := self.get_secure_cookie(_cookie(self), max_age_days=MINUTES / 1440):
            applicant, wanted = json.loads(kept)
            if name in ("", applicant):
                name, self._next = applicant, wanted
        return people.find(self._store, name) if name else None

    def _login(self) -> str:
        return url_concat(self.settings["login_url"], {"next": self._next or f"{self.hub.base_url}home"})

    def _record(self, account: Account, subject: str, reason: str = "") -> None:
        refused = LoginRefused(reason, "") if reason else None
        self.authenticator.record(self, "register", account.name, refused, subject)

    @property
    def _settings(self) -> Settings:
        return self.authenticator.settings

    @property
    def _store(self) -> people.Store:
        return self.authenticator.store


def _expired() -> web.HTTPError:
    error = web.HTTPError(403, "nobody is known to the registration page", reason="Please log in again")
    error.jupyterhub_message = "This page was open for too long, so we no longer know who you are. Log in again."
    return error
