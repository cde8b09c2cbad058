"""What the panel shows, as frozen rows. PURE: made from the hub's and the dashboards service's JSON, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..access import Administer, Person, Policy, UseProject, decide

Json = dict[str, Any]


@dataclass(frozen=True)
class ServerRow:
    """A running or starting server. `name` is '' for the person's default server."""

    person: str
    name: str
    title: str
    project: str
    image: str
    state: str
    started: datetime | None
    last_activity: datetime | None
    url: str


@dataclass(frozen=True)
class PersonRow:
    """An account with what access decides about it now."""

    name: str
    display_name: str
    groups: tuple[str, ...]
    projects: tuple[str, ...]
    admin: bool
    last_activity: datetime | None
    servers: tuple[ServerRow, ...]


@dataclass(frozen=True)
class DashboardRow:
    """A published dashboard; `visits` counts how often it was opened."""

    project: str
    slug: str
    title: str
    owner: str
    visibility: str
    status: str
    visits: int
    version: str
    url: str

    @property
    def id(self) -> str:
        """The name people and the API use."""
        return f"{self.project}/{self.slug}"


def person_row(policy: Policy, model: Json) -> PersonRow:
    """A row from the hub's user model. Rights are asked of access, never guessed from group names."""
    person = Person(model["name"], frozenset(model.get("groups") or ()))
    return PersonRow(
        name=person.name,
        display_name=str((model.get("user_info") or {}).get("display_name") or person.name),
        groups=tuple(sorted(person.groups)),
        projects=tuple(p.name for p in policy.projects if decide(policy, person, UseProject(p.name)).entitled),
        admin=decide(policy, person, Administer()).entitled,
        last_activity=parse_time(model.get("last_activity")),
        servers=tuple(server_row(person.name, server) for server in (model.get("servers") or {}).values()),
    )


def server_row(person: str, model: Json) -> ServerRow:
    """A row from the hub's server model. Options a spawner does not know stay empty."""
    options = model.get("user_options") or {}
    return ServerRow(
        person=person,
        name=model["name"],
        title=model.get("display_name") or model["name"] or "default",
        project=str(options.get("project", "")),
        image=str(options.get("image", "")),
        state=model.get("pending") or ("ready" if model.get("ready") else "stopped"),
        started=parse_time(model.get("started")),
        last_activity=parse_time(model.get("last_activity")),
        url=str(model.get("url") or ""),
    )


def dashboard_row(model: Json) -> DashboardRow:
    """A row from the dashboards service's model of a dashboard."""
    project, _, slug = str(model.get("id", "")).partition("/")
    return DashboardRow(
        project=project,
        slug=slug,
        title=str(model.get("title") or slug),
        owner=str(model.get("owner") or ""),
        visibility=str(model.get("visibility") or ""),
        status=str(model.get("status") or ""),
        visits=int(model.get("visits") or 0),
        version=str(model.get("version") or ""),
        url=str(model.get("url") or ""),
    )


def parse_time(text: str | None) -> datetime | None:
    """The moment an ISO 8601 text names, in UTC where it names no zone; None for none."""
    if not text:
        return None
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def ago(when: datetime | None, now: datetime | None = None) -> str:
    """How long ago, in the largest whole unit: 'just now', '5 min ago', '3 h ago', '2 days ago'; 'never' for None.

    >>> ago(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 3, 5, tzinfo=UTC))
    '3 h ago'
    """
    if when is None:
        return "never"
    when = when if when.tzinfo else when.replace(tzinfo=UTC)  # SQLite gives back naive UTC
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    for size, unit in ((172_800, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // (86_400 if unit == 'days' else size))} {unit} ago"
    return "just now"
