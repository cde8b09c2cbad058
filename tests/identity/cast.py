"""Accounts on a real database: nora, who waits for forest, and those who decide about it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from bdap_hub import audit, database
from bdap_hub.access import Person
from bdap_hub.identity import members, people, requests
from bdap_hub.identity.approvals import Actor, Approvals
from bdap_hub.identity.tables import Account, JoinRequest
from bdap_hub.settings import Settings
from tests.conftest import make_settings

MEMBER, LEAD, ADMIN = "project-forest", "project-forest-leads", "bdap-admins"
NEVER, PAST, LATER = None, timedelta(days=-1), timedelta(days=30)


def world(folder: Path, **sections: Any) -> tuple[Settings, people.Store]:
    settings = make_settings(folder / "var", registration={"required": True, **sections.pop("registration", {})})
    settings = settings.model_copy(update=sections)
    return settings, database.connect(settings.database)


def account(store: people.Store, name: str = "nora", standing: str = "approved", **more: Any) -> Account:
    row = Account(name=name, issuer="i", subject=name, email=f"{name}@example.eu", standing=standing, **more)
    with store.begin() as session:
        return session.merge(row)


def last(store: people.Store) -> audit.Event:
    return audit.latest(store, 1)[0]


def cast_of(folder: Path, **sections: Any) -> tuple[Approvals, dict[str, Actor], JoinRequest]:
    """Nora waits for forest; fay leads it, leo leads it by local membership, ada agriculture, olga is the admin."""
    settings, store = world(folder, **sections)
    groups = {"fay": [LEAD], "leo": [], "ada": ["project-agriculture-leads"], "olga": [ADMIN], "mia": [MEMBER]}
    for name, of in groups.items():
        account(store, name, groups=of)
    members.grant(store, "leo", "forest", "lead", "olga", None)
    nora = account(store, standing="pending")
    request, _ = requests.submit(settings, store, nora, "forest", "to map forests")
    actors = {
        name: Actor(name, Person(name, people.groups_now(settings, store, people.find(store, name)), None), "10.0.0.1")
        for name in (*groups, "nora")
    }
    return Approvals(settings, store), {**actors, "operator": Actor("operator:root")}, request
