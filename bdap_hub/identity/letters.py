"""What the platform writes to people. The only addresses in a letter are the platform's own, and no stranger's words
stand in it: what an applicant wrote is read on the page."""

from __future__ import annotations

import re
from datetime import datetime

from .. import entitlements
from ..errors import BadRequest
from ..settings import Settings
from .mail import Letter
from .people import Store
from .tables import Account

BROKEN = {
    "start": "could not be started when somebody opened it",
    "ended": "ended by itself; it is started again when somebody opens it",
    "memory": "ended because it needed more memory than it may have; it is started again when somebody opens it",
    "cell": "was opened, and one of its cells failed",
}
NOT_PUBLISHED = {
    "git-failed": "was pushed to, and the new version could not be published; what was live before still is",
    "git-refused": "was pushed to, and nothing was published: who set this up may not publish it any more",
}
_DASHBOARD = re.compile(r"[a-z0-9-]{1,32}/[a-z0-9-]{1,40}")


class Letters:
    """The letters of one platform. A person without an address gets none."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._platform = settings.hub.platform_name
        self._url = settings.hub.public_url.rstrip("/")
        self._titles = {project.name: project.title for project in entitlements.projects(settings, store)}

    def asked(self, applicant: Account, project: str, approver: Account) -> list[Letter]:
        """To somebody who decides: there is a request."""
        return self._to(
            approver,
            f"Request for project {project}",
            f"The account {applicant.name} asks to join the project {self._title(project)}.",
            f"Read the request and answer it:\n{self._url}/hub/requests",
        )

    def received(self, applicant: Account, project: str) -> list[Letter]:
        """To the applicant: we have your request."""
        return self._to(
            applicant,
            f"Your request for project {project}",
            f"Your request to join the project {self._title(project)} has arrived. Its leads and the administrators "
            "have been told; you get another letter with the answer.",
            f"See how it stands, or change it:\n{self._url}/hub/register",
        )

    def approved(self, person: Account, project: str, role: str, until: datetime) -> list[Letter]:
        """To the person: you are in."""
        return self._to(
            person,
            f"You are in project {project}",
            f"You are now a {role} of the project {self._title(project)} until {until:%d %B %Y}.",
            f"Log in and start a server:\n{self._url}/hub/home",
        )

    def let_in(self, person: Account, until: datetime) -> list[Letter]:
        """To the person: your account is approved, without a project."""
        return self._to(
            person,
            "Your account is approved",
            f"Your account {person.name} is approved until {until:%d %B %Y}.",
            f"Log in:\n{self._url}/hub/home",
        )

    def rejected(self, person: Account, project: str, comment: str) -> list[Letter]:
        """To the person: the answer is no."""
        return self._to(
            person,
            f"Your request for project {project}",
            f"Your request to join the project {self._title(project)} was turned down. The answer was:",
            comment,
            f"You may ask again:\n{self._url}/hub/register",
        )

    def removed(self, person: Account, project: str) -> list[Letter]:
        """To the person: no longer in a project."""
        return self._to(
            person,
            f"You are no longer in project {project}",
            f"Your membership of the project {self._title(project)} has ended. Ask its leads if you think that this "
            "is a mistake.",
        )

    def blocked(self, person: Account, reason: str) -> list[Letter]:
        """To the person: you cannot log in."""
        return self._to(
            person,
            "Your account is blocked",
            f"Your account {person.name} was blocked, and everything it had running was stopped. The reason:",
            reason,
            "Ask the platform's operators if you think that this is a mistake.",
        )

    def unblocked(self, person: Account) -> list[Letter]:
        """To the person: you may log in again."""
        return self._to(
            person,
            "Your account is no longer blocked",
            f"Your account {person.name} is no longer blocked.",
            f"Log in:\n{self._url}/hub/home",
        )

    def broken(self, person: Account, dashboard: object, reason: object) -> list[Letter]:
        """To an author: a dashboard is broken, or was not published. BadRequest for a name or reason that is none; no
        letter to who may not log in. What it wrote is read on its page: a visitor may have chosen those words."""
        name = _name(dashboard)
        known = BROKEN | NOT_PUBLISHED
        if not isinstance(reason, str) or reason not in known:
            raise BadRequest(f"{reason!r:.80} is no reason", f"say one of {', '.join(known)}")
        if person.standing != "approved":
            return []
        return self._to(
            person,
            f"Dashboard {name} {'is broken' if reason in BROKEN else 'was not published'}",
            f"Your dashboard {name} {known[reason]}.",
            f"See the error and the log on its page:\n{self._url}/services/dashboards/d/{name}",
            "You get at most one such letter an hour for a dashboard.",
        )

    def waits(self, reviewer: Account, dashboard: object, publisher: str) -> list[Letter]:
        """To somebody who may approve it: a version of a dashboard waits."""
        name = _name(dashboard)
        return self._to(
            reviewer,
            f"Dashboard {name} waits for a review",
            f"The account {publisher} has submitted a new version of the dashboard {name}. It waits for an approval, "
            "which you can give.",
            f"Look at it, and approve or reject it:\n{self._url}/services/dashboards/d/{name}#versions",
            "You get at most one such letter an hour for a dashboard.",
        )

    def ends_soon(self, person: Account, what: str, until: datetime, remedy: str) -> list[Letter]:
        """To the person, some days before: something of theirs runs out."""
        return self._to(person, f"{what} ends on {until:%d %B %Y}", f"{what} ends on {until:%d %B %Y}.", remedy)

    def _title(self, project: str) -> str:
        return f"{self._titles.get(project, project)} ({project})"

    def _to(self, person: Account, subject: str, *paragraphs: str) -> list[Letter]:
        if not person.email:
            return []
        greeting, end = f"Dear {person.display_name or person.name},", f"{self._platform}\n{self._url}"
        text = "\n\n".join([greeting, *paragraphs, f"-- \n{end}"]) + "\n"
        return [Letter(person.name, person.email, f"{self._platform}: {subject}", text)]


def _name(dashboard: object) -> str:
    if not isinstance(dashboard, str) or not _DASHBOARD.fullmatch(dashboard):
        raise BadRequest(f"{dashboard!r:.80} is no dashboard's name", "write project/slug")
    return dashboard
