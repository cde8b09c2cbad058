"""Every room hears of a project of the database: registration, processing, dashboards, catalogue, the hub's pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from bdap_hub import database
from bdap_hub import hub as composed
from bdap_hub.access import Person
from bdap_hub.catalogue.ingest import ingest
from bdap_hub.dashboards.app import Doors
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.tables import Dashboard
from bdap_hub.entitlements import edit, reading
from bdap_hub.errors import BadRequest, NotAllowed
from bdap_hub.identity import members, people, requests
from bdap_hub.identity.letters import Letters
from bdap_hub.identity.tables import Account
from bdap_hub.processing.graphs.plan import Owned
from bdap_hub.processing.service.rights import Rights
from bdap_hub.settings import Settings

OPERATOR = edit.Editor("operator:root")
WIM, LEA = Person("wim", frozenset({"project-woods"})), Person("lea", frozenset({"project-woods-leads"}))
YESTERDAY = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()


@pytest.fixture
def store(settings: Settings) -> Any:
    reading.forget()
    found = database.connect(settings.database)
    edit.create(settings, found, OPERATOR, "woods", {"title": "The woods"})
    return found


def test_registration_and_members(settings: Settings, store: Any) -> None:
    with store.begin() as session:
        session.add(Account(name="mia", issuer="i", subject="mia", email="mia@example.eu", standing="approved"))
    mia = people.find(store, "mia")
    assert mia is not None
    assert [one.name for one in members.open_projects(settings, store)] == ["agriculture", "forest", "woods"]
    requests.submit(settings, store, mia, "woods", "to count all the trees")
    members.grant(store, "mia", "woods", "lead", "olga", None)
    assert people.groups_now(settings, store, mia) == {"project-woods-leads"}
    assert people.role_of(settings, store, mia, "woods") == "lead"
    assert [one.name for one in members.approvers(settings, store, "woods")] == ["mia"]
    assert "The woods (woods)" in Letters(settings, store).removed(mia, "woods")[0].text
    edit.change(settings, store, OPERATOR, "woods", {"ends": YESTERDAY})
    assert [one.name for one in members.open_projects(settings, store)] == ["agriculture", "forest"]
    with pytest.raises(BadRequest, match="there is no project 'woods' that one can ask for"):
        requests.submit(settings, store, mia, "woods", "to count all the trees")


def test_pixels_and_dashboards(settings: Settings, store: Any) -> None:
    rights, doors = Rights(settings, None), Doors(settings, None, Records(store))  # type: ignore[arg-type]
    graph: Any = SimpleNamespace(collections=[Owned("plots", "project", "woods")])
    shown = Dashboard(project="woods", slug="map", visibility="project", owner="wim")
    rights.check(graph, WIM)
    assert doors.view(WIM, shown)
    edit.change(settings, store, OPERATOR, "woods", {"ends": YESTERDAY})
    with pytest.raises(NotAllowed, match=f"project woods ended on {YESTERDAY}"):
        rights.check(graph, WIM)
    assert doors.view(WIM, shown).reason == f"project woods ended on {YESTERDAY}"


def test_collections_of_it_can_be_catalogued(settings: Settings, store: Any) -> None:
    folder = settings.store.data / "plots"
    folder.mkdir()
    with pytest.raises(BadRequest, match="there is no project 'nix'") as refused:
        ingest(settings, folder, "plots", title="P", visibility="project", project="nix")
    assert "woods" in refused.value.remedy
    with pytest.raises(BadRequest) as empty:  # further than that: there are no files
        ingest(settings, folder, "plots", title="P", visibility="project", project="woods")
    assert "no project" not in empty.value.message


def test_the_hubs_pages_know_its_leads(settings: Settings, store: Any) -> None:
    def user(person: Person) -> Any:
        return SimpleNamespace(name=person.name, groups=[SimpleNamespace(name=group) for group in person.groups])

    assert composed._decides(settings, user(LEA)) and not composed._decides(settings, user(WIM))
    edit.change(settings, store, OPERATOR, "woods", {"archived": True})
    assert not composed._decides(settings, user(LEA))
