"""What one can ask `decide` for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .model import Grant, Role, Visibility


@dataclass(frozen=True)
class UseProject:
    """Work in a project: see its folder, start servers, publish."""

    project: str


@dataclass(frozen=True)
class Usage:
    """What is running now, without the server that is asked for: quotas are compared with it.

    `servers`: the person's in the project; `cpus` and `memory` (bytes): those of the whole project together.
    """

    servers: int = 0
    cpus: float = 0
    memory: int = 0


@dataclass(frozen=True)
class UseImage:
    """Start a server of a project in an image, in a size ('': the project's first).

    `digest` is the content that would run, once the engine has said it; `usage` what runs, where quotas count.
    """

    project: str
    image: str
    size: str = ""
    digest: str = ""
    usage: Usage | None = None


@dataclass(frozen=True)
class UseDashboardImage:
    """Run a project's dashboards in an image other than the platform's own for them."""

    project: str
    image: str


@dataclass(frozen=True)
class UseSize:
    """Start servers of a project in a size."""

    project: str
    size: str


@dataclass(frozen=True)
class UseGpu:
    """Have `count` GPUs whose model contains `model` ('': any) in one server of a project."""

    project: str
    model: str = ""
    count: int = 1


@dataclass(frozen=True)
class ReadPath:
    """Read below a folder of the store, in a server of `project` ('': of any of one's projects).

    `visibility` and `owner` are those of the collection that lies there by the catalogue's records.
    """

    path: str
    project: str = ""
    visibility: Visibility = "people"
    owner: str = ""


@dataclass(frozen=True)
class WritePath:
    """Write below a folder of the store, in a server of `project` ('': of any of one's projects)."""

    path: str
    project: str = ""


@dataclass(frozen=True)
class ReadCollection:
    """Read a collection's metadata and pixels. `project` owns it ('' for the platform's own)."""

    collection: str
    visibility: Visibility
    project: str = ""


@dataclass(frozen=True)
class CurateCollection:
    """Write items of a collection and its description. `project` owns it ('' for the platform's own).

    `whole`: make it, take it away, or say who sees it and where its files lie.
    """

    collection: str
    project: str = ""
    whole: bool = False


@dataclass(frozen=True)
class ViewDashboard:
    """Open a published dashboard. `invited`: by a share link that counts now."""

    dashboard: str
    visibility: Visibility
    project: str
    grants: tuple[Grant, ...] = ()
    invited: bool = False


@dataclass(frozen=True)
class Publish:
    """Bring a new version of a dashboard of a project, to be seen as `visibility` says.

    `owner` is set when the dashboard exists; `present` is who sees it now.
    """

    project: str
    visibility: Visibility
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    present: Visibility | Literal[""] = ""


@dataclass(frozen=True)
class ChangeDashboard:
    """Let those see a dashboard whom `visibility` says, say who has a part in it, or take it down (`visibility` is
    project then)."""

    project: str
    owner: str
    visibility: Visibility = "project"
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class EditDashboard:
    """Submit versions of a dashboard."""

    project: str
    owner: str
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class MakeLive:
    """Let those whom `visibility` says see a version. `approved` is for whom it was approved, or was live before."""

    project: str
    owner: str
    visibility: Visibility
    approved: Visibility | Literal[""] = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class ReviewRelease:
    """Approve or reject a version that `publisher` brought and those are to see whom `visibility` says."""

    project: str
    visibility: Visibility
    publisher: str


@dataclass(frozen=True)
class PreviewRelease:
    """Open a version that is not live."""

    project: str
    owner: str
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class ShareDashboard:
    """Give a link to people without an account (`visibility` is public then), or a part in it to a group (people).

    `publisher` is who published what they will see.
    """

    project: str
    owner: str
    visibility: Visibility = "public"
    grants: tuple[Grant, ...] = ()
    publisher: str = ""


@dataclass(frozen=True)
class Administer:
    """Open the admin panel and act there."""

    panel: str = field(default="admin")


@dataclass(frozen=True)
class ManageMembers:
    """Decide who belongs to a project: approve requests, add and remove members. `role` is the one to be given."""

    project: str
    role: Role = "member"


@dataclass(frozen=True)
class EditProject:
    """Change one field of a project: `create` and `name` are fields here, too."""

    project: str
    field: str


@dataclass(frozen=True)
class BuildImage:
    """Build a project's own image by its recipe, or take one away."""

    project: str


Request = (
    UseProject
    | UseImage
    | UseDashboardImage
    | UseSize
    | UseGpu
    | ReadPath
    | WritePath
    | ReadCollection
    | CurateCollection
    | ViewDashboard
    | Publish
    | ChangeDashboard
    | EditDashboard
    | MakeLive
    | ReviewRelease
    | PreviewRelease
    | ShareDashboard
    | Administer
    | ManageMembers
    | EditProject
    | BuildImage
)
