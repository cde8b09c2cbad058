"""The words of access: person, project, image, policy, the requests one can make and the decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Visibility = Literal["project", "people", "public"]
"""Who sees a thing: members of its project, everybody logged in, or everybody."""


@dataclass(frozen=True)
class Person:
    """Somebody logged in. `name` is the immutable account name, `groups` come from the provider."""

    name: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Image:
    """A notebook image people can choose. `gpu` says that it needs a GPU."""

    name: str
    reference: str
    title: str
    description: str = ""
    gpu: bool = False


@dataclass(frozen=True)
class Project:
    """People who work together: members are those in `group`; `images` names what they may start."""

    name: str
    title: str
    group: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """What the operator allows: the projects, the images, the admins' group, the GPUs of this platform."""

    projects: tuple[Project, ...] = ()
    images: tuple[Image, ...] = ()
    admin_group: str = "bdap-admins"
    gpus: int = 0

    def project(self, name: str) -> Project | None:
        """The project of that exact name, or None."""
        return next((p for p in self.projects if p.name == name), None)

    def image(self, name: str) -> Image | None:
        """The image of that exact name, or None."""
        return next((i for i in self.images if i.name == name), None)


@dataclass(frozen=True)
class Decision:
    """The answer, with the reason that people, the audit log and `bdap access explain` show."""

    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


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
    """Publish, replace or take down a dashboard of a project. `owner` is set when it exists already."""

    project: str
    visibility: Visibility
    owner: str = ""


@dataclass(frozen=True)
class Administer:
    """Open the admin panel and act there."""

    panel: str = field(default="admin")


Request = UseProject | UseImage | ReadCollection | ViewDashboard | Publish | Administer
