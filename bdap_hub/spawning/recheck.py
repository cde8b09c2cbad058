"""What both spawners share: the choice is taken from untrusted options and decided by access when it takes effect."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jupyterhub.spawner import SpawnException
from traitlets import HasTraits, Instance, Unicode, default

from .. import audit, entitlements
from ..access import Person, Policy, UseImage, decide, size_of
from ..database import shared as sessions
from ..errors import BadRequest, BdapError, NotAllowed, Unavailable
from ..settings import Settings
from .gpu import inventory as gpu_inventory
from .lifecycle.telling import TellsEnds
from .page import choosing, form, uses
from .page.choosing import Facts, Known, StartPage, Use
from .page.links import is_server_name
from .page.progress import Progress
from .plan import Choice, choices, wish
from .quota import usage

ANOTHER_IMAGE = "choose another image, or ask the project's owner to add you"
ANOTHER_LOGIN = "choose it on the start page in the browser, which asks you to log in again"


async def _fields(spawner: Any) -> Any:
    """For JupyterHub, which takes it that there is a form."""
    return form.render(await spawner.start_page(spawner.handler, {}))


class Recheck(TellsEnds, HasTraits):
    """Mixin: form, options and the last check before a start. A subclass's `start` begins with `self.decide()`."""

    settings = Instance(Settings, help="The platform's settings tree.").tag(config=True)
    host_address = Unicode("127.0.0.1", help="This host as servers see it.").tag(config=True)

    admitted = False

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
        return entitlements.policy(self.settings, sessions(self.settings.database), gpu_inventory.count(self.settings))

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All that the owner may start now; the spawn page shows these."""
        return choices(self.policy, self.person)

    @default("options_form")
    def _options_form_default(self) -> Any:
        return _fields

    async def start_page(self, handler: Any, asked: dict[str, str]) -> StartPage:
        """What the start page shows to the request `handler`, whose link asks for `asked`."""
        before, self.handler = self.handler, handler  # by which the login is known
        try:
            found = self.choices
        finally:
            self.handler = before
        facts, free = await self.look({choice.image.reference for choice in found})
        known = Known(
            uses=uses.latest(sessions(self.settings.database), self.user.name),
            facts=facts,
            gpus=getattr(self, "gpu_state", ""),
            free=free,
        )
        return choosing.start_page(self.user.name, found, known, asked, self.user_options or {}, self.name)

    async def look(self, references: set[str]) -> tuple[Mapping[str, Facts], str]:
        """What is known of these images, and a sentence on what is free; nothing where no engine is asked."""
        return {}, ""

    def now(self) -> Progress:
        """Where the start is."""
        return Progress("starting", "Starting JupyterLab")

    @default("apply_user_options")
    def _apply_user_options_default(self) -> Any:
        return lambda spawner, options: None  # `start` applies them, after the last check

    def options_from_form(self, form_data: dict[str, list[str]]) -> dict[str, str]:
        """JupyterHub calls this with what the browser submitted; nothing is decided here."""
        return form.options_from_form(form_data)

    def decide(self) -> Choice:
        """The choice that takes effect now. Refused: recorded, and raised as a page people can read."""
        self.admitted = False
        policy, person = self.policy, self.person  # once: the GPUs, and the groups, may change between two looks
        possible = choices(policy, person)
        try:
            self._check_name()
            wanted = UseImage(*wish(self.user_options or {}, possible))
            running = usage(self, policy, wanted.project)
            decision = decide(policy, person, replace(wanted, usage=running))
            self._record(subject_of(wanted), decision.allowed, decision.reason)
            if not decision:
                raise NotAllowed(decision.reason, ANOTHER_LOGIN if decision.step_up else ANOTHER_IMAGE)
        except BdapError as error:
            if not isinstance(error, NotAllowed):
                self._record(str(self.user_options)[:200], False, error.message)
            raise refused(error) from None
        found = next(c for c in possible if (c.project.name, c.image.name) == (wanted.project, wanted.image))
        size = size_of(policy, found.project, wanted.size) or found.size
        # what was meant by no options is known from now on, so that it can be decided again while the server runs
        options = {"project": wanted.project, "image": wanted.image, "size": wanted.size}
        self.user_options = self.orm_spawner.user_options = {key: value for key, value in options.items() if value}
        self.admitted = True  # from here on it counts for the project's quota
        if (db := getattr(self.user, "db", None)) is not None:
            db.commit()  # the next request that ends would roll it back
        return replace(found, size=size)

    def remember(self) -> None:
        """The server listens: what it was is offered first the next time."""
        uses.remember(sessions(self.settings.database), self.user.name, Use(**self.user_options))

    def _check_name(self) -> None:
        """A server's name comes from outside, and how many there may be changes with the settings."""
        most = self.settings.spawning.named_servers
        if self.name and not is_server_name(self.name):
            raise BadRequest(
                f"a server cannot be called {self.name[:40]!r}",
                "use lower case letters, digits and single hyphens, a letter first, at most 30",
            )
        running = sum(bool(name) and spawner.active for name, spawner in self.user.spawners.items()) if self.name else 0
        if running > most:  # this one is among them
            raise BadRequest(f"{most} servers with a name may run at once, and {running - 1} do", "stop one of them")

    def record_refusal(self, error: NotAllowed) -> None:
        """What was only seen after `decide`, with what the engine and the store say."""
        options = self.user_options or {}
        wanted = UseImage(*(str(options.get(key, "")) for key in ("project", "image", "size")))
        self._record(subject_of(wanted), False, error.message)

    def _record(self, subject: str, allowed: bool, reason: str) -> None:
        audit.record(
            sessions(self.settings.database),
            person=self.user.name,
            action="start-server",
            subject=subject,
            allowed=allowed,
            reason=reason,
        )


def subject_of(wanted: UseImage) -> str:
    """What stands in the audit log: forest/lab, or forest/lab/large where a size was asked for."""
    return "/".join(part for part in (wanted.project, wanted.image, wanted.size) if part)


def refused(error: BdapError) -> SpawnException:
    """The error as JupyterHub shows it: on the page, in the API's answer and in the spawn's progress."""
    remedy = f" {error.remedy[:1].upper()}{error.remedy[1:]}." if error.remedy else ""
    return readable(f"Not started: {error.message}.{remedy}", error.code, error.status)


def readable(message: str, reason: str, status: int) -> SpawnException:
    """A failed start whose `message`, and nothing else, is what the person reads."""
    found = SpawnException(message, reason=reason, status_code=status)
    found.jupyterhub_message = message  # without it the start page prints the exception's name
    return found


def no_folder(error: OSError) -> Unavailable:
    """What a start needs on the platform's own disk cannot be made."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable("the disk that holds people's home folders is full", "tell the operator")
    return Unavailable(f"your folders could not be prepared: {error.strerror}", "tell the operator")
