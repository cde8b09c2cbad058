"""Edits of the database's projects: decided by `access`, checked as a whole, kept all or none, and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from .. import audit, database
from ..access import EditProject, Person, decide
from ..errors import BadRequest, BdapError, Conflict, NotAllowed, NotFound
from ..settings import Settings
from ..settings.projects import ProjectSettings
from . import changes, reading
from .changes import Difference, Entry
from .tables import Edits, FormerName, StoredProject, now

Store = sessionmaker[Any]


@dataclass(frozen=True)
class Editor:
    """Who edits. `person` is None for the operator at the command line, who may do everything anyway."""

    name: str
    person: Person | None = None
    address: str = ""


@dataclass(frozen=True)
class Listed:
    """A project as one looks at it: its fields as people write them, and whether it can be edited here."""

    name: str
    fields: Mapping[str, Any]
    editable: bool


def listed(settings: Settings, store: Store) -> list[Listed]:
    """All projects, archived ones too: the settings' first, then the database's by name."""
    ours = [Listed(one.name, Entry(one).shown(), False) for one in settings.projects]
    with store() as session:
        return ours + [Listed(name, one.shown(), True) for name, one in _entries(session).items()]


def create(settings: Settings, store: Store, editor: Editor, name: str, fields: Mapping[str, Any]) -> Entry:
    """A new project. Conflict where something has, or had, its name or group."""
    with _recorded(settings, store, editor, "create-project", name) as told:
        entry = changes.entry(name, fields)
        with _editing(store) as session:
            if name in _entries(session):
                raise Conflict(f"name: there is a project {name!r} already", "choose another name")
            told += _keep(settings, session, store, editor, {name: entry})
    return entry


def change(settings: Settings, store: Store, editor: Editor, name: str, fields: Mapping[str, Any]) -> list[Difference]:
    """Give some fields of a project other values; what became different. Each field is decided by itself."""
    with _recorded(settings, store, editor, "edit-project", name) as told, _editing(store) as session:
        found = _found(settings, session, name)
        told += _keep(settings, session, store, editor, {name: changes.entry(name, {**found.fields(), **fields})})
    return told


def rename(
    settings: Settings, store: Store, editor: Editor, name: str, new: str, follow: Callable[[Store], None]
) -> None:
    """Give a project another name. The former one grants nothing, and nobody else gets it.

    `follow` renames what other parts keep by the name, in the same transaction.
    """
    recorded = _recorded(settings, store, editor, "rename-project", f"{name} to {new}")
    with recorded, database.together(store) as whole, _editing(whole) as session:
        found = _found(settings, session, name)
        _decide(settings, store, editor, name, "name")
        entry = changes.entry(new, found.fields())
        _free(settings, session, new)
        others = [one.project for other, one in _entries(session).items() if other != name]
        changes.check(settings, entry.project, [*settings.projects, *others])
        row = session.scalars(select(StoredProject).where(StoredProject.name == name)).one()
        session.add(FormerName(name=name, project=row.id))
        row.name, row.changed, row.changed_by = new, now(), editor.name
        session.flush()
        follow(whole)


def put(
    settings: Settings, store: Store, editor: Editor, wanted: Mapping[str, Entry], *, dry: bool = False
) -> list[Difference]:
    """Let there be these projects exactly so, all or none; others stay as they are. `dry` changes nothing."""
    recorded = _recorded(settings, store, editor, "import-projects", ", ".join(wanted), dry=dry)
    with recorded as told, _editing(store) as session:
        told += _keep(settings, session, store, editor, wanted)
        if dry:
            session.rollback()
    return told


def _keep(
    settings: Settings, session: Session, store: Store, editor: Editor, wanted: Mapping[str, Entry]
) -> list[Difference]:
    """Decide, check and write what differs."""
    before = _entries(session)
    told = [one for name, entry in wanted.items() for one in changes.differences(name, before.get(name), entry)]
    after = {**before, **wanted}
    for one in told:
        _decide(settings, store, editor, one.project, one.field)
    for name in dict.fromkeys(one.project for one in told):
        if name not in before:
            _free(settings, session, name)
        others = [entry.project for other, entry in after.items() if other != name]
        changes.check(settings, wanted[name].project, [*settings.projects, *others])
        _write(session, editor, name, wanted[name])
    return told


def _write(session: Session, editor: Editor, name: str, entry: Entry) -> None:
    row = session.scalar(select(StoredProject).where(StoredProject.name == name))
    if row is None:
        row = StoredProject(name=name, created_by=editor.name)
        session.add(row)
    row.fields, row.archived = entry.project.model_dump(mode="json", exclude={"name"}), entry.archived
    row.changed, row.changed_by = now(), editor.name


def _decide(settings: Settings, store: Store, editor: Editor, name: str, field: str) -> None:
    if editor.person is None:
        return
    decision = decide(reading.policy(settings, store), editor.person, EditProject(name, field))
    if not decision:
        raise Refused(decision.reason, "log in again" if decision.step_up else "ask an administrator", decision)


class Refused(NotAllowed):
    """An edit that is not the editor's to make; `decision` says whether a stronger login is all that it lacks."""

    def __init__(self, message: str, remedy: str, decision: Any) -> None:
        super().__init__(message, remedy)
        self.decision = decision


def _entries(session: Session) -> dict[str, Entry]:
    rows = session.scalars(select(StoredProject).order_by(StoredProject.name))
    return {row.name: Entry(ProjectSettings(name=row.name, **row.fields), row.archived) for row in rows}


def _found(settings: Settings, session: Session, name: str) -> Entry:
    if found := _entries(session).get(name):
        return found
    if name in {one.name for one in settings.projects}:
        raise Conflict(f"project {name} stands in the operator's settings", "change it in bdap.yaml")
    raise NotFound(f"there is no project {name!r}", "see `bdap projects list`")


def _free(settings: Settings, session: Session, name: str) -> None:
    """Conflict where the name is, or was, somebody's."""
    remedy = "choose another name"
    if name in {one.name for one in settings.projects}:
        raise Conflict(f"name: {name!r} is a project of the operator's settings", remedy)
    if session.scalar(select(StoredProject.id).where(StoredProject.name == name)) is not None:
        raise Conflict(f"name: there is a project {name!r} already", remedy)
    if session.get(FormerName, name) is not None:
        raise Conflict(f"name: {name!r} was the name of another project once", remedy)


@contextmanager
def _editing(store: Store) -> Iterator[Session]:
    """One edit at a time: it counts itself first, and so waits for the one before."""
    with store.begin() as session:
        session.execute(update(Edits).values(number=Edits.number + 1))
        yield session


@contextmanager
def _recorded(
    settings: Settings, store: Store, editor: Editor, action: str, subject: str, *, dry: bool = False
) -> Iterator[list[Difference]]:
    """Decides by the projects of this moment, and records how it went; the list is what became different."""
    reading.forget()
    told: list[Difference] = []
    event: dict[str, Any] = {"person": editor.name, "action": action, "subject": subject, "address": editor.address}
    try:
        yield told
    except BdapError as error:
        audit.record(store, **event, allowed=False, reason=error.message)
        raise
    finally:
        reading.forget()
    if not dry:
        audit.record(store, **event, reason="; ".join(map(str, told)))


def in_file(given: object, source: str) -> dict[str, Entry]:
    """The projects of a YAML file by name: `projects:` and a list. BadRequest names file, field and value."""
    rows = given.get("projects") if isinstance(given, Mapping) else None
    if not isinstance(rows, Sequence) or isinstance(rows, str) or set(given) != {"projects"}:  # type: ignore[call-overload]
        raise BadRequest(f"{source}: 'projects' and a list is all that it may hold", "see `bdap projects export`")
    found: dict[str, Entry] = {}
    for number, row in enumerate(rows):
        where = f"{source}: projects[{number}]"
        if not isinstance(row, Mapping) or not all(isinstance(key, str) for key in row):
            raise BadRequest(f"{where}: {row!r:.80} is no project", "write its fields, by name")
        name = row.get("name")
        try:
            one = changes.entry(name, {key: value for key, value in row.items() if key != "name"})
        except BadRequest as error:
            raise BadRequest(f"{where}.{error.message}", error.remedy) from None
        if one.project.name in found:
            raise BadRequest(f"{where}.name: {name!r} stands there twice", "keep one of them")
        found[one.project.name] = one
    return found
