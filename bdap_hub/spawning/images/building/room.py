"""A project's own images: build by a recipe, list, take away. Every act is decided by `access` and recorded.

A failed build leaves nothing behind but its log.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import sessionmaker

from .... import audit, entitlements
from ....access import BuildImage, Decision, Person, Policy, Project, decide
from ....entitlements import project_images, reading
from ....entitlements.tables import ProjectImage
from ....errors import BadRequest, BdapError, Busy, NotAllowed, NotFound
from ....settings import Settings
from .. import platform, push, scan
from . import builder, check, container, folder, recipe, result

Progress = container.Progress
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Actor:
    """Who acts. `person` is None for the operator at the command line, who may do everything anyway."""

    name: str
    person: Person | None = None


@dataclass(frozen=True)
class Wanted:
    """What is to be built: whose, under which name and title, from which folder; `base` for lists of packages."""

    project: str
    folder: Path
    name: str = ""
    title: str = ""
    base: str = ""

    @property
    def called(self) -> str:
        """The image's name within its project."""
        return self.name or self.folder.resolve().name.lower()


class ProjectImages:
    """The acts, on one platform's engine and database."""

    def __init__(self, settings: Settings, store: sessionmaker[Any]) -> None:
        self.settings, self.store = settings, store

    def build(self, actor: Actor, wanted: Wanted, progress: Progress = print) -> ProjectImage:
        """Build the recipe in that folder and offer it to the project. NotBuilt where it fails, with its last lines."""
        project = self._allowed(actor, wanted.project, wanted.called)
        if not NAME.fullmatch(wanted.called) or len(wanted.called) > 32:
            raise BadRequest(f"{wanted.called[:60]!r} is no name for an image", "use a-z, 0-9 and -: --name my-image")
        taken = folder.take(wanted.folder, self.settings.builder.context_mb)
        bases, default = _bases(self._policy(), project, wanted.base)
        plan = recipe.read(taken.texts, taken.names, bases, default)
        with alone(self.settings), self._logged(wanted, progress) as (log, told):
            try:
                return self._build(actor, wanted, taken, plan, log, told)
            except BdapError as error:
                told(f"FAILED {error.message.splitlines()[0]}")
                raise

    def _build(
        self, actor: Actor, wanted: Wanted, taken: folder.Taken, plan: recipe.Recipe, log: Path, told: Progress
    ) -> ProjectImage:
        platform.build(["builder"], progress=told)
        base = result.base_of(plan.base)
        labels = {
            "bdap.install": self.settings.install_id,
            "bdap.project": wanted.project,
            "bdap.recipe": taken.digest,
        }
        made = builder.built(self.settings, plan, taken, base.layers, told)
        with made as (archive, lent), result.taken_over(archive, base, lent, labels) as (clean, contents, id_):
            told("SCAN")
            check.refuse(scan.look(wanted.called, contents, first_layer=len(base.layers)).serious)
            known = platform.image_id(id_) is not None
            result.load(clean, id_)
        try:
            check.check(id_, plan.base, told)
            image = self._kept(actor, wanted, taken, plan, log, id_, told)
        except BaseException:
            if not known:
                _remove(id_)
            raise
        told(f"READY {image.reference}")
        return image

    def _kept(
        self,
        actor: Actor,
        wanted: Wanted,
        taken: folder.Taken,
        plan: recipe.Recipe,
        log: Path,
        id_: str,
        told: Progress,
    ) -> ProjectImage:
        """Tag it, push it where there is a registry, and write down that the project has it."""
        tag = f"{_repository(wanted.project, wanted.called)}:{id_.removeprefix('sha256:')[:12]}"
        container.docker("image", "tag", id_, tag)
        reference, before = id_, project_images.find(self.store, wanted.project, wanted.called)
        if self.settings.spawning.registry:
            reference = push.push(self.settings, id_, f"projects/{wanted.project}/{wanted.called}", told)
        image = ProjectImage(
            project=wanted.project,
            name=wanted.called,
            title=wanted.title or (before.title if before else wanted.called),
            reference=reference,
            content=id_,
            base=plan.base,
            recipe=taken.digest,
            size=int(container.docker("image", "inspect", "--format", "{{.Size}}", id_)),
            base_name=_name_of(self._policy(), wanted.project, plan.base),
            built_by=actor.name,
            built=datetime.now(UTC),
            log=str(log),
        )
        project_images.keep(self.store, image)
        reading.forget()
        if before and before.content != id_:
            _remove(before.content)
        return image

    def remove(self, actor: Actor, project: str, name: str) -> None:
        """Offer it no more. The engine's copy goes when nothing runs in it."""
        self._allowed(actor, project, name)
        if (found := project_images.find(self.store, project, name)) is None:
            raise NotFound(f"project {project} has no image {name!r}", "see `bdap images project list`")
        project_images.drop(self.store, project, name)
        reading.forget()
        _remove(found.content)

    def _policy(self) -> Policy:
        return entitlements.policy(self.settings, self.store)

    def _allowed(self, actor: Actor, name: str, image: str) -> Project:
        policy = self._policy()
        decision = decide(policy, actor.person, BuildImage(name)) if actor.person else Decision(True, "operator")
        project = policy.project(name)
        audit.record(
            self.store, person=actor.name, action="build-image", subject=f"{name}/{image}",
            allowed=bool(decision and project), reason=decision.reason,
        )  # fmt: skip
        if not decision:
            raise NotAllowed(decision.reason, "ask a lead of the project to build it")
        if project is None:
            raise NotFound(f"there is no project {name!r}", "see the projects in bdap.yaml, or `bdap projects list`")
        return project

    @contextlib.contextmanager
    def _logged(self, wanted: Wanted, progress: Progress) -> Iterator[tuple[Path, Progress]]:
        """A file for what is said, beside whoever listens."""
        place = self.settings.var / "builds" / "logs"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = place / f"{wanted.project}.{wanted.called}-{datetime.now(UTC):%Y%m%d-%H%M%S}.log"
        with path.open("w") as file:

            def told(line: str) -> None:
                file.write(f"{line}\n")
                file.flush()
                progress(line)

            yield path, told


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """One build at a time; what a killed one has left is removed."""
    place = settings.var / "builds"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("another image is being built", "try again when it is ready", retry_after=60) from None
        container.sweep(settings.install_id)
        yield


def _bases(policy: Policy, project: Project, wanted: str) -> tuple[dict[str, str], str]:
    """What the project may build on, by each name for it; and which one is meant where a recipe does not say."""
    offered = [image for name in project.images if "." not in name and (image := policy.image(name))]
    names = {image.name: image.reference for image in offered}
    if not names:
        raise BadRequest(f"project {project.name} has no image to build on", "give it one: images in its settings")
    if wanted and wanted not in names:
        raise BadRequest(f"project {project.name} may not build on {wanted!r}", f"name one of {', '.join(names)}")
    known = {
        name: reference for image in offered for name in _spellings(image.reference) for reference in (image.reference,)
    }
    return names | known, names[wanted] if wanted else offered[0].reference


def _spellings(reference: str) -> tuple[str, ...]:
    return (reference, reference.removesuffix(":latest"))


def _name_of(policy: Policy, project: str, reference: str) -> str:
    """What the project's image of that reference is called; '' where it was taken away while the build ran."""
    offered = (policy.image(name) for name in getattr(policy.project(project), "images", ()))
    return next((image.name for image in offered if image and image.reference == reference), "")


def _repository(project: str, name: str) -> str:
    return f"bdap-project/{project}/{name}"


def _remove(id_: str) -> None:
    """With its names, unless a container runs in it: then its names go, and it when the engine is next tidied."""
    tags = subprocess.run(
        [platform.docker_client(), "image", "inspect", "--format", "{{join .RepoTags \" \"}}", id_],
        capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    for name in (*tags, id_):
        subprocess.run([platform.docker_client(), "image", "rm", name], capture_output=True, check=False)
