"""A project as it is to be, beside what it was: what is wrong with it, and what differs. No I/O."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ..errors import BadRequest, Conflict
from ..settings import Settings
from ..settings.projects import ProjectSettings, shared_group, unmet

FIELDS = (*(name for name in ProjectSettings.model_fields if name != "name"), "archived")
ALWAYS = ("title", "group")


@dataclass(frozen=True)
class Entry:
    """A project of the database."""

    project: ProjectSettings
    archived: bool = False

    def fields(self) -> dict[str, Any]:
        """All fields but the name, as JSON."""
        return {**self.project.model_dump(mode="json", exclude={"name"}), "archived": self.archived}

    def shown(self) -> dict[str, Any]:
        """As people write it: the name first, and what is not as it would be by itself."""
        said = self.project.model_dump(mode="json", exclude_defaults=True)
        said |= {name: getattr(self.project, name) for name in ALWAYS}
        archived = {"archived": True} if self.archived else {}
        return {"name": said.pop("name"), **{name: said[name] for name in FIELDS if name in said}, **archived}


@dataclass(frozen=True)
class Difference:
    """One field that an edit changes; `create` stands for a whole new project."""

    project: str
    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.field == "create":
            return f"new project {self.project}: {self.after}"
        return f"{self.project}: {self.field}: {_short(self.before)} becomes {_short(self.after)}"


def entry(name: object, fields: Mapping[str, Any]) -> Entry:
    """The project of these fields; a group of its own where none is named. BadRequest names field and value."""
    if unknown := sorted(str(key)[:40] for key in set(fields) - set(FIELDS)):
        raise BadRequest(f"{unknown[0]}: there is no such field", f"fields are {', '.join(FIELDS)}")
    given = {key: value for key, value in fields.items() if key != "archived"}
    archived = fields.get("archived", False)
    if not isinstance(archived, bool):
        raise BadRequest(f"archived: {archived!r:.80} is neither true nor false", "write one of them")
    try:
        project = ProjectSettings(**{"name": name, "group": f"project-{name}", **given})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "project"
        raise BadRequest(
            f"{where}: {first['msg'].removeprefix('Value error, ')} (got {first.get('input')!r:.80})", "correct it"
        ) from None
    return Entry(project, archived)


def differences(name: str, before: Entry | None, after: Entry) -> tuple[Difference, ...]:
    """What changes, field by field, in their order."""
    if before is None:
        return (Difference(name, "create", None, after.project.title),)
    old, new = before.fields(), after.fields()
    return tuple(Difference(name, key, old[key], new[key]) for key in FIELDS if old[key] != new[key])


def check(settings: Settings, project: ProjectSettings, others: Iterable[ProjectSettings]) -> None:
    """BadRequest or Conflict where this platform has no room for the project beside the others."""
    others = list(others)
    images, sizes = [image.name for image in settings.images], [size.name for size in settings.policy_sizes]
    if sentence := unmet(project, images, sizes, settings.store.mount):
        raise BadRequest(sentence, "choose what there is, or ask the operator for more")
    known = {project.name, *(other.name for other in others)}
    for grant in project.store:
        area, _, owner = grant.path.removeprefix(f"{settings.store.mount.rstrip('/')}/").partition("/")
        if area == "projects" and owner not in known:
            raise BadRequest(
                f"project {project.name}: store: there is no project {owner!r} (got {grant.path!r})",
                "name one there is",
            )
    level, levels = project.requires.level, [level.name for level in settings.identity.levels]
    if level and level not in levels:
        raise BadRequest(f"project {project.name}: requires.level: {level!r} is none of {levels}", "choose one of them")
    if sentence := shared_group(project, others, settings.identity.admin_group) or _alike(
        project, others, settings.identity.admin_group
    ):
        raise Conflict(sentence, "choose another group")


def _alike(project: ProjectSettings, others: Iterable[ProjectSettings], admin_group: str) -> str:
    """A group that people could take for another one: they would be added to the wrong one."""
    taken = {_folded(group): group for other in others for group in (other.group, other.leads)}
    taken[_folded(admin_group)] = admin_group
    for group in (project.group, project.leads):
        if not group.isprintable() or group != group.strip() or not group:
            return f"group: {group!r} is no name"
        if (other := taken.get(_folded(group), group)) != group:
            return f"group: {group!r} differs from {other!r} in its spelling alone"
    return ""


def _folded(group: str) -> str:
    return unicodedata.normalize("NFKC", group).casefold()


def _short(value: Any) -> str:
    return "nothing" if value in (None, "", [], {}) else str(value)[:200]
