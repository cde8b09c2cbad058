"""Images that projects have built by their own recipes: offered to that project alone, by their content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from ..access import Image, Policy
from .tables import Edits, ProjectImage

Store = sessionmaker[Any]


def offered_name(project: str, name: str) -> str:
    """What the image is chosen by: no platform's image and no other project's has a name with this beginning."""
    return f"{project}.{name}"


@dataclass(frozen=True)
class Own:
    """An image of a project: whose, as `access` knows it, and the name of the platform's image it was built on."""

    project: str
    image: Image
    base: str


def owned(former: Mapping[str, str], rows: Iterable[ProjectImage]) -> Iterator[Own]:
    """Each with the present name of its project."""
    for row in rows:
        told = f"Built on {row.base_name} by {row.built_by}, {row.built:%Y-%m-%d}."
        image = Image(offered_name(row.project, row.name), row.reference, row.title, told)
        yield Own(former.get(row.project, row.project), image, row.base_name)


def merged(policy: Policy, images: Iterable[Own]) -> Policy:
    """`policy` with what projects have built. Such an image needs the GPUs and the login that its base needs, and goes
    with it: what a project may no longer build on, it may no longer run."""
    found: list[Image] = []
    names: dict[str, tuple[str, ...]] = {}
    for own in images:
        project, base = policy.project(own.project), policy.image(own.base)
        if project and base and own.base in project.images:
            needs = {"gpu": base.gpu, "gpus": base.gpus, "gpu_model": base.gpu_model, "requires": base.requires}
            found.append(replace(own.image, **needs))  # type: ignore[arg-type]
            names[project.name] = (*names.get(project.name, ()), own.image.name)
    if not found:
        return policy
    projects = tuple(replace(p, images=p.images + names[p.name]) if p.name in names else p for p in policy.projects)
    return replace(policy, images=policy.images + tuple(found), projects=projects)


def find(store: Store, project: str, name: str) -> ProjectImage | None:
    """The project's image of that name."""
    with store() as session:
        found: ProjectImage | None = session.get(ProjectImage, (project, name))
    return found


def listed(store: Store, project: str = "") -> list[ProjectImage]:
    """All, or those of one project, by project and name."""
    statement = select(ProjectImage).order_by(ProjectImage.project, ProjectImage.name)
    if project:
        statement = statement.where(ProjectImage.project == project)
    with store() as session:
        return list(session.scalars(statement))


def keep(store: Store, image: ProjectImage) -> None:
    """Offer it from now on, instead of the one of that name before."""
    with store.begin() as session:
        _count(session)
        session.merge(image)


def drop(store: Store, project: str, name: str) -> None:
    """Offer it no more; the hub's sweeper stops servers that run in it."""
    with store.begin() as session:
        _count(session)
        if (found := session.get(ProjectImage, (project, name))) is not None:
            session.delete(found)


def _count(session: Session) -> None:
    session.execute(update(Edits).values(number=Edits.number + 1))
