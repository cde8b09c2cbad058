"""The words of access: person, project, what a project may use, policy and decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Literal

Visibility = Literal["project", "people", "public"]
"""Who sees a thing: members of its project, everybody logged in, or everybody."""

WIDTH: tuple[Visibility, ...] = ("project", "people", "public")
"""The same, those whom fewest people have first."""

Role = Literal["member", "lead"]
"""What somebody is in a project; a lead is a member who also decides who the members are."""

Approver = Literal["nobody", "leads", "admins"]
"""Who must approve a version of a dashboard before it is live; administrators may wherever leads may."""

STRICTNESS: tuple[Approver, ...] = ("nobody", "leads", "admins")

DashboardRole = Literal["viewer", "editor", "owner"]
"""What a grant makes of somebody: viewers see a dashboard, editors bring new versions, owners do all."""


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
    """A notebook image people can choose. `gpu` says that it needs `gpus` GPUs, whose model contains `gpu_model`.

    `digest` pins it: no other content runs under its name.
    """

    name: str
    reference: str
    title: str
    description: str = ""
    gpu: bool = False
    requires: Requirement = Requirement()
    digest: str = ""
    gpus: int = 1
    gpu_model: str = ""


@dataclass(frozen=True)
class DashboardImage:
    """An image that dashboards may run in, beside the platform's own; `projects` may use it (none named: all)."""

    name: str
    reference: str
    projects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Size:
    """How large a server is: CPUs and bytes of memory."""

    name: str = "standard"
    title: str = "Standard"
    cpus: float = 1.0
    memory: int = 2 * 2**30


@dataclass(frozen=True)
class GpuGrant:
    """GPUs whose model contains `model` ('': any), at most `count` at once in the whole project (None: all)."""

    model: str = ""
    count: int | None = None

    def covers(self, model: str) -> bool:
        """Whether what is asked for by `model` can be met from this grant: it may name more or less of the model."""
        mine, asked = self.model.lower(), model.lower()
        return mine in asked or asked in mine


@dataclass(frozen=True)
class StoreGrant:
    """A folder of the store beyond a project's own, such as /eos/data/x, with all that lies below it."""

    path: str
    write: bool = False


@dataclass(frozen=True)
class Grant:
    """A person or a group that is given a part in one dashboard, beyond its project's members and its owner."""

    kind: Literal["person", "group"]
    name: str
    role: DashboardRole


@dataclass(frozen=True)
class Approval:
    """Who must approve a project's dashboards, by who is to see them. `own`: also what one has published oneself."""

    project: Approver = "nobody"
    people: Approver = "nobody"
    public: Approver = "nobody"
    own: bool = False


@dataclass(frozen=True)
class Quota:
    """Limits of a project, None for none: servers at once per person; CPUs and bytes of memory of all together."""

    servers: int | None = None
    cpus: float | None = None
    memory: int | None = None


ANY_GPU = (GpuGrant(),)


@dataclass(frozen=True)
class Project:
    """People who work together: members are those in `group` or `lead_group`. The rest says what they may use.

    `images` and `sizes` are names (no sizes: the policy's first), `pins` digests of images. After the day `ends`, or
    when it is `archived`, nothing of the project may be used.
    """

    name: str
    title: str
    group: str
    images: tuple[str, ...] = ()
    lead_group: str = ""
    requires: Requirement = Requirement()
    sizes: tuple[str, ...] = ()
    pins: tuple[tuple[str, str], ...] = ()
    gpus: tuple[GpuGrant, ...] = ANY_GPU
    store: tuple[StoreGrant, ...] = ()
    quota: Quota = Quota()
    approval: Approval = Approval()
    ends: date | None = None
    archived: bool = False
    description: str = ""
    editable: bool = False  # those of the operator's settings are not


@dataclass(frozen=True)
class Policy:
    """What the operator allows: the projects, the images, the sizes, the admins' group, the GPUs of this platform.

    `levels` are the assurance levels, lowest (the login's) first; `actions` is what an action demands of the login:
    `administer`, `publish-public`, `gpu`. `former` gives the present name of projects by names that they had once:
    these grant nothing. `today` is the day by which projects end; without it, those with an end count as ended.
    """

    projects: tuple[Project, ...] = ()
    images: tuple[Image, ...] = ()
    admin_group: str = "bdap-admins"
    gpus: int = 0
    levels: tuple[str, ...] = ("mfa",)
    actions: Mapping[str, Requirement] = field(default_factory=dict)
    sizes: tuple[Size, ...] = (Size(),)
    mount: str = "/eos"
    former: Mapping[str, str] = field(default_factory=dict)
    today: date | None = None
    dashboard_images: tuple[DashboardImage, ...] = ()

    def project(self, name: str) -> Project | None:
        """The project of that exact name, or None."""
        return self._by_name.get(name)

    def image(self, name: str) -> Image | None:
        """The image of that exact name, or None."""
        return next((i for i in self.images if i.name == name), None)

    def dashboard_image(self, name: str) -> DashboardImage | None:
        """The dashboards' image of that exact name, or None."""
        return next((i for i in self.dashboard_images if i.name == name), None)

    def sizes_of(self, project: Project) -> tuple[Size, ...]:
        """The sizes that the project may use, in its own order; the first is what an empty choice means."""
        if not project.sizes:
            return self.sizes[:1]
        known = {size.name: size for size in self.sizes}
        return tuple(known[name] for name in project.sizes if name in known)

    @cached_property
    def _by_name(self) -> dict[str, Project]:
        return {project.name: project for project in reversed(self.projects)}


@dataclass(frozen=True)
class Decision:
    """The answer, with the reason that people, the audit log and `bdap access explain` show.

    `rule` names the rule that gave it. `step_up` is set where the person has the right, and only a stronger or fresher
    login is missing.
    """

    allowed: bool
    reason: str
    step_up: Requirement | None = None
    rule: str = field(default="", compare=False)

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def entitled(self) -> bool:
        """Whether the person has the right, be it that a stronger or fresher login is missing: what pages offer."""
        return self.allowed or self.step_up is not None
