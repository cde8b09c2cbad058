"""The projects of now: the settings' as they stand, then the database's. Asked at each request, so read only when
something was edited; what another process edits counts within `STALE` seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import sessionmaker

from ..access import Policy, Project
from ..settings import Settings
from ..settings.projects import ProjectSettings, shared_group
from . import project_images
from .project_images import Own
from .tables import Edits, FormerName, ProjectImage, StoredProject

log = logging.getLogger(__name__)
STALE = 0.5


@dataclass(frozen=True)
class Kept:
    """The database's part at one moment: projects that go on, all of them for access, and former names."""

    number: int
    looked: float
    told: tuple[object, ...]
    going: tuple[ProjectSettings, ...]
    projects: tuple[Project, ...]
    former: Mapping[str, str]
    images: tuple[Own, ...] = ()


_kept: dict[str, Kept] = {}
_made: dict[tuple[str, int], tuple[Kept, Settings, Policy]] = {}


def policy(settings: Settings, store: sessionmaker[Any], gpus: int = 0) -> Policy:
    """What access decides by. `gpus` counts those found on this host where settings say nothing."""
    kept, key = _look(settings, store), (str(store.kw["bind"].engine.url), gpus)
    before = _made.get(key)
    if before is not None and before[0] is kept and before[1] is settings:  # until the next look, as tiles ask a lot
        return before[2]
    made = _merged(settings.policy(gpus), kept)
    _made[key] = kept, settings, made
    return made


def _merged(ours: Policy, kept: Kept) -> Policy:
    if not kept.number:
        return ours
    both = replace(ours, projects=ours.projects + kept.projects, former=kept.former)
    return project_images.merged(both, kept.images)


async def ready(settings: Settings, store: sessionmaker[Any]) -> None:
    """Until here the database is asked, where it has to be: `policy` in the event loop does not wait for it then."""
    kept = _kept.get(str(store.kw["bind"].engine.url))
    if kept is None or time.monotonic() - kept.looked >= STALE:
        await asyncio.to_thread(policy, settings, store)


def projects(settings: Settings, store: sessionmaker[Any]) -> tuple[ProjectSettings, ...]:
    """All projects but those archived, the settings' first."""
    return settings.projects + _look(settings, store).going


def forget() -> None:
    """Look anew at the next question: this process has edited something."""
    _kept.clear()


def _look(settings: Settings, store: sessionmaker[Any]) -> Kept:
    url = str(store.kw["bind"].engine.url)
    kept, told = _kept.get(url), (settings.projects, settings.identity.admin_group)
    if kept and kept.told == told and time.monotonic() - kept.looked < STALE:
        return kept
    looked = time.monotonic()  # before: an edit after it is found by the next look
    with store() as session:
        number = session.scalar(select(Edits.number)) or 0
        if kept and kept.told == told and kept.number == number:
            found = replace(kept, looked=looked)
        else:
            rows = list(session.scalars(select(StoredProject).order_by(StoredProject.name)))
            names = {row.id: row.name for row in rows}
            former = {row.name: names.get(row.project, "") for row in session.scalars(select(FormerName))}
            good = [(row, one) for row in rows if (one := _read(settings, row))]
            found = Kept(
                number,
                looked,
                told,
                tuple(one for row, one in good if not row.archived),
                tuple(one.project(archived=row.archived, editable=True) for row, one in good),
                former,
                tuple(project_images.owned(former, session.scalars(select(ProjectImage)))),
            )
    _kept[url] = found
    return found


def _read(settings: Settings, row: StoredProject) -> ProjectSettings | None:
    """The project of a row; None, and a line in the log, where the operator's settings leave no room for it."""
    try:
        project = ProjectSettings(name=row.name, **row.fields)
    except ValidationError as error:
        log.error("project %s of the database cannot be read and counts as none: %s", row.name, error)
        return None
    taken = row.name in {one.name for one in settings.projects}
    if taken or (shared := shared_group(project, settings.projects, settings.identity.admin_group)):
        reason = "the settings have one of that name" if taken else shared
        log.error("project %s of the database counts as none: %s", row.name, reason)
        return None
    return project
