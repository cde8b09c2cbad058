"""Images, sizes and projects as the operator writes them, in bdap.yaml and in the database alike. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from ..access import (
    ANY_GPU,
    Approval,
    Approver,
    GpuGrant,
    Image,
    Project,
    Quota,
    Requirement,
    Size,
    StoreGrant,
    problem_of,
)
from ..units import bytes_of
from .section import Bytes, Section

NAME = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
DIGEST = r"sha256:[0-9a-f]{64}"


class RequirementSettings(Section):
    """What a thing demands of the login, beyond the rights to it."""

    level: str = Field("", description="One of identity.levels; empty: the login's own.")
    max_age: float | None = Field(None, gt=0, description="Seconds since the factors were entered, at most.")

    def requirement(self) -> Requirement:
        """The same, as `access` knows it."""
        return Requirement(self.level, self.max_age)


class ImageSettings(Section):
    """A notebook image. `reference` is what the Docker engine knows it by."""

    name: str
    title: str
    reference: str
    description: str = ""
    gpu: bool = False
    gpus: int = Field(1, ge=1, description="With gpu: how many, all of one node.")
    gpu_model: str = Field("", description="With gpu: part of the model's name, such as A100; empty: any.")
    requires: RequirementSettings = Field(RequirementSettings(), description="Level or fresh login to start it.")
    digest: str = Field("", pattern=f"^({DIGEST})?$", description="Pins it: nothing else runs under its name.")
    warm: bool = Field(
        True, description="Whether its containers may be started ahead, where the image can (bdap.warm)."
    )

    def image(self) -> Image:
        """The same, as `access` knows it."""
        return Image(
            name=self.name,
            reference=self.reference,
            title=self.title,
            description=self.description,
            gpu=self.gpu,
            requires=self.requires.requirement(),
            digest=self.digest,
            gpus=self.gpus,
            gpu_model=self.gpu_model,
        )


class SizeSettings(Section):
    """How large a server is."""

    name: str = Field(pattern=NAME, max_length=32)
    title: str
    cpus: float = Field(gt=0, allow_inf_nan=False)
    memory: Bytes = Field(description="Such as 4G.")

    def size(self) -> Size:
        """The same, as `access` knows it."""
        return Size(self.name, self.title, self.cpus, bytes_of(self.memory))


class GpuGrantSettings(Section):
    """GPUs that a project may use."""

    model: str = Field("", max_length=64, description="Part of the model's name, such as A100; empty: any.")
    count: int | None = Field(None, ge=1, description="At once in the whole project; None: as many as there are.")


class StoreGrantSettings(Section):
    """A folder of the store beyond the project's own."""

    path: str = Field(description="As servers see it: /eos/data/x, or another project's /eos/projects/y.")
    mode: Literal["read", "write"] = "read"


class QuotaSettings(Section):
    """How much of a project's may run at once; None: no limit."""

    servers: int | None = Field(None, ge=1, description="Servers of one person.")
    cpus: float | None = Field(None, gt=0, allow_inf_nan=False, description="Of all its servers together.")
    memory: Bytes | None = Field(None, description="Of all its servers together, such as 64G.")


class ApprovalSettings(Section):
    """Who must approve a version of a dashboard before it is live, by who is to see it: nobody, the project's leads
    (or administrators), or administrators. What is asked for few people is asked for more people, too."""

    project: Approver = Field("nobody", description="Before the project's members see it.")
    people: Approver = Field("nobody", description="Before everybody logged in sees it.")
    public: Approver = Field("nobody", description="Before people without an account see it, also by a link.")
    own: bool = Field(False, description="Whether they may approve what they have published themselves.")


class ProjectDashboardsSettings(Section):
    """A project's dashboards."""

    approve: ApprovalSettings = ApprovalSettings()


class ProjectSettings(Section):
    """A project; its members are those whom the provider puts in `group`, and those added locally."""

    name: str = Field(pattern=NAME, max_length=32)
    title: str = Field(max_length=120)
    description: str = Field("", max_length=2000)
    group: str = Field(max_length=255)
    lead_group: str = Field("", max_length=255, description="Its members lead the project; empty: <group>-leads.")
    membership: Literal["both", "provider"] = Field("both", description="provider: local membership does not count.")
    images: tuple[str, ...] = Field(("lab",), description="Names, each with @sha256:... where it is pinned.")
    sizes: tuple[str, ...] = Field((), description="Names of sizes; none: the platform's first.")
    gpus: tuple[GpuGrantSettings, ...] | None = Field(
        None, description="For images with GPU; None: any model, unlimited; an empty list: none."
    )
    store: tuple[StoreGrantSettings, ...] = Field(
        (), description="Folders beyond its own: path, and mode read or write."
    )
    quota: QuotaSettings = QuotaSettings()
    dashboards: ProjectDashboardsSettings = ProjectDashboardsSettings()
    ends: date | None = Field(None, description="Its last day; after it nothing of the project can be used.")
    requires: RequirementSettings = Field(
        RequirementSettings(),
        description="Level or fresh login to start servers, publish and manage "
        "members in it. Reading its collections and dashboards needs none.",
    )

    @model_validator(mode="after")
    def _images_apart(self) -> Self:
        for name, pin in map(split_pin, self.images):
            if pin is None:
                raise ValueError(f"images has {name!r}: write a name, or name@sha256: and 64 hexadecimal digits")
        for field, names in (("images", self.image_names), ("sizes", self.sizes)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{field} names {twice[0]!r} twice")
        return self

    @property
    def leads(self) -> str:
        """The group of those who lead the project."""
        return self.lead_group or f"{self.group}-leads"

    @property
    def image_names(self) -> tuple[str, ...]:
        """The images without their pins."""
        return tuple(split_pin(one)[0] for one in self.images)

    def project(self, *, archived: bool = False, editable: bool = False) -> Project:
        """The same, as `access` knows it."""
        grants = None if self.gpus is None else tuple(GpuGrant(one.model, one.count) for one in self.gpus)
        memory = self.quota.memory
        return Project(
            name=self.name,
            title=self.title,
            description=self.description,
            group=self.group,
            lead_group=self.leads,
            requires=self.requires.requirement(),
            images=self.image_names,
            pins=tuple((name, pin) for name, pin in map(split_pin, self.images) if pin),
            sizes=self.sizes,
            gpus=ANY_GPU if grants is None else grants,
            store=tuple(StoreGrant(one.path, one.mode == "write") for one in self.store),
            quota=Quota(self.quota.servers, self.quota.cpus, bytes_of(memory) if memory else None),
            approval=Approval(**self.dashboards.approve.model_dump()),
            ends=self.ends,
            archived=archived,
            editable=editable,
        )


def split_pin(text: str) -> tuple[str, str | None]:
    """(name, digest) of `lab@sha256:...`, the digest '' without one; (text, None) where it is malformed."""
    name, at, digest = text.partition("@")
    hexadecimal = digest.removeprefix("sha256:")
    good = len(digest) == 71 and len(hexadecimal) == 64 and set(hexadecimal) <= set("0123456789abcdef")
    return (name, digest) if name and (good or not at) else (text, None)


def unmet(project: ProjectSettings, images: Collection[str], sizes: Collection[str], mount: str) -> str:
    """What a project names that this platform does not have, as a sentence; '' for nothing."""
    if unknown := sorted(set(project.image_names) - set(images)):
        return f"project {project.name} names the images {unknown}; known: {sorted(images)}"
    if unknown := sorted(set(project.sizes) - set(sizes)):
        return f"project {project.name} names the sizes {unknown}; known: {sorted(sizes)}"
    for grant in project.store:
        parts = grant.path.removeprefix(f"{mount.rstrip('/')}/").split("/")
        if problem := problem_of(grant.path, mount):
            return f"project {project.name}: the store path {grant.path[:80]!r} {problem}"
        if parts[0] == "projects" and len(parts) != 2:
            return f"project {project.name}: the store path {grant.path!r} must name the project's whole folder"
        if parts == ["projects", project.name]:
            return f"project {project.name}: the store path {grant.path!r} is its own folder already"
    return ""


def shared_group(project: ProjectSettings, others: Iterable[ProjectSettings], admin_group: str) -> str:
    """Why this project's groups are not its own, as a sentence; '' where they are.

    Who is added to a project here gets its group, and must not get more with it.
    """
    alone = project.membership == "provider"  # nobody is added to it here; then nor must be to the other
    taken = {
        g for other in others if not (alone and other.membership == "provider") for g in (other.group, other.leads)
    }
    for group in sorted({project.group, project.leads} & (taken if alone else taken | {admin_group})):
        return (
            f"project {project.name} shares the group {group!r} with another project or the admins: "
            "give it its own, or set its membership to 'provider'"
        )
    if project.group == project.leads and not alone:
        return f"project {project.name}: lead_group is {project.leads!r}, as is its group"
    return ""
