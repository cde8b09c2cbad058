"""What a project was granted, as the engine takes it: folders of the store without a way out, and pinned images."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from ..access import Person, Policy, Project, ReadPath, StoreGrant, WritePath, decide, pin_of
from ..errors import NotAllowed
from ..settings import Settings
from .plan import Choice, Mount, Propagation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Granted:
    """Folders beyond one's projects' own: how they are mounted, and the projects whose groups they need."""

    mounts: tuple[Mount, ...] = ()
    projects: tuple[str, ...] = ()


def granted(
    settings: Settings, policy: Policy, person: Person, project: Project, propagation: Propagation = "rprivate"
) -> Granted:
    """What the project's store grants add to a server. NotAllowed where a folder leads out of the store.

    Reading data needs no mount: all of it is there, but for collections that are hidden.
    """
    mounts, projects = [], []
    for grant in project.store:
        area, _, rest = grant.path.removeprefix(f"{policy.mount.rstrip('/')}/").partition("/")
        if (area == "data" and not grant.write) or not _allowed(policy, person, project, grant):
            continue
        if area == "data" and "/" in rest:
            cover(settings, project, rest)
        tree = settings.store.data if area == "data" else settings.store.projects
        source = contained(tree / rest, tree if area == "data" else tree / rest, grant.path)
        if not source.is_dir():
            log.warning("project %s was granted %s, which is no folder of the store", project.name, grant.path)
            continue
        mounts.append(Mount(str(source), grant.path, not grant.write, propagation))
        if area == "projects":
            projects.append(rest)
    return Granted(tuple(mounts), tuple(projects))


def _allowed(policy: Policy, person: Person, project: Project, grant: StoreGrant) -> bool:
    wanted = WritePath(grant.path, project.name) if grant.write else ReadPath(grant.path, project.name)
    return decide(policy, person, wanted).entitled


def contained(path: Path, tree: Path, shown: str) -> Path:
    """The folder itself, behind all links. NotAllowed where that is not in `tree`, which is no link itself.

    People know the folder as `shown`; where it leads on the host is for the log.
    """
    resolved = path.resolve()
    if resolved.is_relative_to(tree) and not tree.is_symlink():
        return resolved
    log.error("%s leads to %s, out of %s", path, resolved, tree)
    raise NotAllowed(
        f"the folder {shown} is a link that leads out of its place in the store",
        "ask the operator to put the folder itself there",
    )


def cover(settings: Settings, project: Project, rest: str) -> None:
    """What hides a collection below which the project may write: empty, but for the way to that folder."""
    (settings.var.resolve() / "covers" / project.name / rest).mkdir(mode=0o755, parents=True, exist_ok=True)


async def pinned(policy: Policy, choice: Choice, has_image: Callable[[str], Awaitable[bool]]) -> tuple[str, str]:
    """(digest, what the engine calls exactly that content) of a pinned image; ('', '') for one that is not pinned.

    NotAllowed where the engine has nothing of that digest, whatever it has under the image's name; one of a registry is
    pulled by its digest.
    """
    pin = pin_of(policy, choice.project, choice.image.name)
    if not pin:
        return "", ""
    for name in (f"{repository(choice.image.reference)}@{pin}", pin):  # as a registry knows it, and as this engine does
        if await has_image(name):
            return pin, name
    if _of_registry(choice.image.reference):
        return pin, f"{repository(choice.image.reference)}@{pin}"
    raise NotAllowed(
        f"image {choice.image.name} is pinned to {pin} for project {choice.project.name}, which is not here",
        "ask the operator to pull that very image, or an administrator to change the pin",
    )


def _of_registry(reference: str) -> bool:
    host, slash, _ = reference.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")


def repository(reference: str) -> str:
    """The reference without tag and digest.

    >>> repository("localhost:5000/bdap/lab:latest"), repository("bdap/lab")
    ('localhost:5000/bdap/lab', 'bdap/lab')
    """
    plain = reference.partition("@")[0]
    head, slash, last = plain.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"
