"""What the platform's services ask the hub: about logins, in browsers and of programs that bring an access token, and
to write to a person, whose address only the hub knows."""

from __future__ import annotations

from typing import Any

from jupyterhub import orm
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.scopes import needs_scope
from tornado import web

from ..access import WIDTH, ReviewRelease
from ..errors import BadRequest, Unavailable
from . import mail, members, people, sessions
from .id_token import LoginRefused
from .letters import Letters

WRITE_LETTERS = ("dashboards",)
TAKE_ACCESS_TOKENS = ("processing", "catalogue")


class SessionAPIHandler(APIHandler):
    """A login by the SHA-256 of its session id, which `/hub/api/user` gives for a token that belongs to one."""

    @needs_scope("read:users:name")
    async def get(self, key: str) -> None:
        """{"person", "level", "auth_time" (seconds since 1970, 0: not stated), "groups"} of a live one; else 404."""
        found = sessions.live(self.authenticator.store, key)
        user = self.find_user(found.person) if found is not None else None
        if found is None or user is None:
            raise web.HTTPError(404, "there is no such login, or it has ended")
        groups = sorted(group.name for group in user.groups)
        self.write({"person": found.person, "level": found.level, "auth_time": found.auth_time, "groups": groups})


class AccessTokenAPIHandler(APIHandler):
    """POST {"token"}: whose access token of the provider this is. For the services that others' programs call."""

    async def post(self) -> None:
        """{"name", "display_name", "groups"}, or {"refused", "remedy"}; 503 where the provider does not answer."""
        if not isinstance(self.current_user, orm.Service) or self.current_user.name not in TAKE_ACCESS_TOKENS:
            raise web.HTTPError(403, "only services that take access tokens may ask about them")
        token = (self.get_json_body() or {}).get("token")
        try:
            caller = await self.authenticator.bearer.caller(token if isinstance(token, str) else "", self)
            user = self.find_user(caller.account.name)
            if user is None:
                raise LoginRefused("unknown-person", "you have no account here yet", "log in once with a browser")
        except LoginRefused as refused:
            self.write({"refused": refused.message, "remedy": refused.remedy})
            return
        except Unavailable as error:
            raise web.HTTPError(503, error.message) from None
        if {group.name for group in user.groups} != caller.groups:  # tiles ask JupyterHub for them
            user.sync_groups(sorted(caller.groups))
        shown = caller.account.display_name or caller.account.name
        self.write({"name": caller.account.name, "display_name": shown, "groups": sorted(caller.groups)})


class LetterAPIHandler(APIHandler):
    """POST {"person", "dashboard", "reason"}: tell a person that a dashboard of theirs is broken or was not published;
    or {"dashboard", "reason": "review", "visibility", "publisher"}: tell those who may approve its new version."""

    async def post(self) -> None:
        """{"letters"}: how many are on their way; none to who has no address, or may not log in."""
        if not isinstance(self.current_user, orm.Service) or self.current_user.name not in WRITE_LETTERS:
            raise web.HTTPError(403, "only services that write to people may ask for letters")
        said = self.get_json_body() or {}
        try:
            letters = self._of_review(said) if said.get("reason") == "review" else self._of_author(said)
        except BadRequest as error:
            raise web.HTTPError(400, error.message) from None
        mail.in_background(self.authenticator.settings, self.authenticator.store, letters)
        self.write({"letters": len(letters)})

    def _of_author(self, said: dict[str, Any]) -> list[mail.Letter]:
        settings, store = self.authenticator.settings, self.authenticator.store
        account = people.find(store, str(said.get("person", "")))
        if account is None:
            raise web.HTTPError(404, "there is no such account")
        return Letters(settings, store).broken(account, said.get("dashboard"), said.get("reason"))

    def _of_review(self, said: dict[str, Any]) -> list[mail.Letter]:
        settings, store = self.authenticator.settings, self.authenticator.store
        dashboard, visibility, publisher = (str(said.get(one, "")) for one in ("dashboard", "visibility", "publisher"))
        if visibility not in WIDTH or people.find(store, publisher) is None:
            raise BadRequest(f"{visibility!r:.40} by {publisher!r:.80} is nothing to review")
        version = ReviewRelease(dashboard.partition("/")[0], visibility, publisher)  # type: ignore[arg-type]
        letters = Letters(settings, store)
        told = [letters.waits(one, dashboard, publisher) for one in members.reviewers(settings, store, version)]
        return [letter for one in told for letter in one]
