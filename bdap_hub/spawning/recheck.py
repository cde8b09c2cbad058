"""What both spawners share: the choice is taken from untrusted options and decided by access when it takes effect."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jupyterhub.spawner import SpawnException
from traitlets import HasTraits, Instance, Unicode, default

from .. import audit, database
from ..access import Person, Policy, UseImage, decide
from ..errors import BdapError, NotAllowed
from ..settings import Settings
from . import form, gpu_inventory
from .plan import Choice, choices, wish

ANOTHER_IMAGE = "choose another image, or ask the project's owner to add you"
ANOTHER_LOGIN = "choose it on the start page in the browser, which asks you to log in again"


@lru_cache
def sessions(url: str) -> Any:
    """One pool of database sessions for all spawners of this hub."""
    return database.connect(url)


class Recheck(HasTraits):
    """Mixin: form, options and the last check before a start. A subclass's `start` begins with `self.decide()`."""

    settings = Instance(Settings, help="The platform's settings tree.").tag(config=True)
    host_address = Unicode("127.0.0.1", help="This host as servers see it.").tag(config=True)

    @property
    def person(self) -> Person:
        """The owner with the groups that the hub's database has at this moment, and what their login proves.

        The login is that of the request which shows the page, or starts the server; JupyterHub's own authenticators,
        as tests use them, know of none.
        """
        ask = getattr(self.authenticator, "assurance", None)
        groups = frozenset(group.name for group in self.user.groups)
        return Person(self.user.name, groups, ask(self.user.name, self.handler) if ask else None)

    @property
    def policy(self) -> Policy:
        """What access decides by, with the GPUs of this host."""
        return self.settings.policy(gpu_inventory.count(self.settings))

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All that the owner may start now; the spawn page shows these."""
        return choices(self.policy, self.person)

    @default("options_form")
    def _options_form_default(self) -> Any:
        return lambda spawner: form.render(
            spawner.choices, spawner.person, spawner.user_options or {}, getattr(spawner, "gpu_state", "")
        )

    @default("apply_user_options")
    def _apply_user_options_default(self) -> Any:
        return lambda spawner, options: None  # `start` applies them, after the last check

    def options_from_form(self, form_data: dict[str, list[str]]) -> dict[str, str]:
        """JupyterHub calls this with what the browser submitted; nothing is decided here."""
        return form.options_from_form(form_data)

    def decide(self) -> Choice:
        """The choice that takes effect now. Refused: recorded, and raised as a page people can read."""
        try:
            project, image = wish(self.user_options or {}, self.choices)
            decision = decide(self.policy, self.person, UseImage(project, image))
            self._record(f"{project}/{image}", decision.allowed, decision.reason)
            if not decision:
                raise NotAllowed(decision.reason, ANOTHER_LOGIN if decision.step_up else ANOTHER_IMAGE)
        except BdapError as error:
            if not isinstance(error, NotAllowed):
                self._record(str(self.user_options)[:200], False, error.message)
            raise refused(error) from None
        # what was meant by no options is known from now on, so that it can be decided again while the server runs
        self.user_options = self.orm_spawner.user_options = {"project": project, "image": image}
        return next(c for c in self.choices if (c.project.name, c.image.name) == (project, image))

    def _record(self, subject: str, allowed: bool, reason: str) -> None:
        audit.record(
            sessions(self.settings.database),
            person=self.user.name,
            action="start-server",
            subject=subject,
            allowed=allowed,
            reason=reason,
        )


def refused(error: BdapError) -> SpawnException:
    """The error as JupyterHub shows it: on the page, in the API's answer and in the spawn's progress."""
    remedy = f" {error.remedy[:1].upper()}{error.remedy[1:]}." if error.remedy else ""
    return readable(f"Not started: {error.message}.{remedy}", error.code, error.status)


def readable(message: str, reason: str, status: int) -> SpawnException:
    """A failed start whose `message`, and nothing else, is what the person reads."""
    found = SpawnException(message, reason=reason, status_code=status)
    found.jupyterhub_message = message  # without it the start page prints the exception's name
    return found
