"""Who is shown what, as the rows say it: after a dashboard was taken down, and while somebody changes its grants."""

from __future__ import annotations

import pytest

from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.tables import Dashboard, DashboardGrant, Release
from bdap_hub.database import connect


@pytest.fixture
def records(database_url: str) -> Records:
    """In SQLite and in PostgreSQL: version 1 is live, 2 was rejected, 3 is a draft; all were to be public."""
    found = Records(connect(database_url))
    values = {"title": "Crops", "visibility": "public"}
    made = Dashboard(project="agriculture", slug="crops", owner="ana", version=0, visits=0, status="draft", **values)
    for version in (1, 2, 3):
        found.add(made, _release(version))
        if version == 1:
            found.make_live(made, 1)
            made = found.get("agriculture", "crops")
        if version == 2:
            found.move(found.release(made, 2), ("draft",), status="rejected")
    return found


def _release(version: int) -> Release:
    values = {"title": "Crops", "visibility": "public"}
    return Release(version=version, bundle="0" * 64, entry="index.ipynb", publisher="ana", **values)


def test_what_was_taken_down_is_shown_to_nobody_by_an_earlier_draft(records: Records):
    made = records.get("agriculture", "crops")
    assert {one.version: one.visibility for one in records.releases(made)} == dict.fromkeys((1, 2, 3), "public")
    records.retire(made)
    assert {one.version: one.visibility for one in records.releases(made)} == {1: "public", 2: "project", 3: "project"}
    again = records.find("agriculture", "crops")
    assert again is not None
    records.add(again, _release(4))
    assert records.release(again, 4).visibility == "public"  # who publishes anew says so anew
    assert records.make_live(again, 3).visibility == "project"
    assert records.make_live(records.get("agriculture", "crops"), 1).visibility == "project"


def test_a_group_that_came_meanwhile_counts(records: Records):
    made = records.get("agriculture", "crops")
    assert records.beyond(made) == ""
    with records.sessions.begin() as session:
        session.add(DashboardGrant(dashboard_id=made.id, kind="person", name="ben", role="viewer"))
    assert records.beyond(made) == ""
    with records.sessions.begin() as session:
        session.add(DashboardGrant(dashboard_id=made.id, kind="group", name="project-forest", role="viewer"))
    assert (records.beyond(made), made.granted) == ("people", ())  # as it was read before
