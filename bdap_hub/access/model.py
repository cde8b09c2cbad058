"""The words of access: person, project, image, policy, the requests one can make and the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Visibility = Literal["project", "people", "public"]
"""Who sees a thing: members of its project, everybody logged in, or everybody."""

Role = Literal["member", "lead"]
"""What somebody is in a project; a lead is a member who also decides who the members are."""


@dataclass(frozen=True)
class Assurance:
    """How surely somebody proved who they are in the session that asks.

    `level` names one of the policy's levels; `age` is the seconds since they last entered their factors.
    """

    level: str
    age: float


@dataclass(frozen=True)
class Requirement:
    """What a thing demands beyond the rights to it: a level ('': any), a login not older than `max_age` seconds."""

    level: str = ""
    max_age: float | None = None

    def __bool__(self) -> bool:
        return bool(self.level) or self.max_age is not None


@dataclass(frozen=True)
class Person:
    """Somebody logged in. `name` is the immutable account name, `groups` come from the provider and local membership.

    `assurance` is None where it is not known, as for a token that belongs to no login: it meets no requirement.
    """

    name: str
    groups: frozenset[str] = frozenset()
    assurance: Assurance | None = None


@dataclass(frozen=True)
class Image:
    """A notebook image people can choose. `gpu` says that it needs a GPU."""

    name: str
    reference: str
    title: str
    description: str = ""
    gpu: bool = False
    requires: Requirement = Requirement()


@dataclass(frozen=True)
class Project:
    """People who work together: members are those in `group` or `lead_group`; `images` names what they may start."""

    name: str
    title: str
    group: str
    images: tuple[str, ...] = ()
    lead_group: str = ""
    requires: Requirement = Requirement()


@dataclass(frozen=True)
class Policy:
    """What the operator allows: the projects, the images, the admins' group, the GPUs of this platform.

    `levels` are the assurance levels, lowest (the login's) first; `actions` is what an action demands of the login:
    `administer`, `publish-public`, `gpu`.
    """

    projects: tuple[Project, ...] = ()
    images: tuple[Image, ...] = ()
    admin_group: str = "bdap-admins"
    gpus: int = 0
    levels: tuple[str, ...] = ("mfa",)
    actions: Mapping[str, Requirement] = field(default_factory=dict)

    def project(self, name: str) -> Project | None:
        """The project of that exact name, or None."""
        return next((p for p in self.projects if p.name == name), None)

    def image(self, name: str) -> Image | None:
        """The image of that exact name, or None."""
        return next((i for i in self.images if i.name == name), None)


@dataclass(frozen=True)
class Decision:
    """The answer, with the reason that people, the audit log and `bdap access explain` show.

    `step_up` is set where the person has the right, and only a stronger or fresher login is missing.
    """

    allowed: bool
    reason: str
    step_up: Requirement | None = None

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def entitled(self) -> bool:
        """Whether the person has the right, be it that a stronger or fresher login is missing: what pages offer."""
        return self.allowed or self.step_up is not None


@dataclass(frozen=True)
class UseProject:
    """Work in a project: see its folder, start servers, publish."""

    project: str


@dataclass(frozen=True)
class UseImage:
    """Start a server of a project in an image."""

    project: str
    image: str


@dataclass(frozen=True)
class ReadCollection:
    """Read a collection's metadata and pixels. `project` owns it ('' for the platform's own)."""

    collection: str
    visibility: Visibility
    project: str = ""


@dataclass(frozen=True)
class ViewDashboard:
    """Open a published dashboard."""

    dashboard: str
    visibility: Visibility
    project: str


@dataclass(frozen=True)
class Publish:
    """Publish or replace a dashboard of a project, to be seen as `visibility` says. `owner` is set when it exists."""

    project: str
    visibility: Visibility
    owner: str = ""


@dataclass(frozen=True)
class ChangeDashboard:
    """Let those see a dashboard whom `visibility` says, or take it down (`visibility` is project then)."""

    project: str
    owner: str
    visibility: Visibility = "project"


@dataclass(frozen=True)
class Administer:
    """Open the admin panel and act there."""

    panel: str = field(default="admin")


@dataclass(frozen=True)
class ManageMembers:
    """Decide who belongs to a project: approve requests, add and remove members. `role` is the one to be given."""

    project: str
    role: Role = "member"


Request = (
    UseProject | UseImage | ReadCollection | ViewDashboard | Publish | ChangeDashboard | Administer | ManageMembers
)
