"""Step-up: somebody who is logged in proves themselves anew, at a higher level or just now, and goes on from there.

The provider is asked as for a login; the callback decides on what came back. A refusal leaves the session as it was.
"""

from __future__ import annotations

import math

from tornado import web

from ..access import Requirement
from .handlers import LoginHandler
from .login_state import LoginState


class StepUpHandler(LoginHandler):
    """/hub/step-up?level=&max_age=&next=: to the provider, for `level` or more and factors at most `max_age` old."""

    @web.authenticated
    async def get(self) -> None:
        """404 for a level that does not exist, 400 where nothing, or no age in seconds, is asked for."""
        await self.send_away(LoginState.begin(self.wanted(), self.current_user.name, self._demand()))

    def _get_next_url(self) -> str:
        return str(self._validate_next_url(self.get_argument("next", "")))

    def _demand(self) -> Requirement:
        level, age = self.get_argument("level", ""), self.get_argument("max_age", "")
        if level and not self.authenticator.levels.reaches(level, level):
            raise web.HTTPError(404, f"There is no level of login {level[:64]!r}")
        try:
            max_age = float(age) if age else None
        except ValueError:
            max_age = math.nan
        if max_age is not None and not 0 < max_age < math.inf:
            raise web.HTTPError(400, f"max_age is {age[:64]!r}; write seconds, such as 900")
        if not level and max_age is None:
            raise web.HTTPError(400, "Neither a level nor max_age is asked for")
        return Requirement(level, max_age)
