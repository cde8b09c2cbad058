"""The panel's rows, from the JSON of the hub and of the dashboards service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bdap_hub.access import Policy, Project
from bdap_hub.admin.rows import DashboardRow, PersonRow, ServerRow, ago, dashboard_row, person_row

POLICY = Policy(projects=(Project("forest", "Forest", "project-forest"), Project("soil", "Soil", "project-soil")))
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_a_person_has_the_rights_that_access_gives() -> None:
    model = {
        "name": "olga",
        "groups": ["project-forest", "bdap-admins"],
        "user_info": {"display_name": "Olga O."},
        "last_activity": "2026-05-01T11:00:00.000000Z",
        "servers": {
            "": {
                "name": "",
                "display_name": "",
                "ready": True,
                "pending": None,
                "started": "2026-05-01T10:00:00Z",
                "last_activity": "2026-05-01T11:00:00Z",
                "user_options": {"project": "forest", "image": "lab"},
                "url": "/user/olga/",
            }
        },
    }
    hour = timedelta(hours=1)
    server = ServerRow("olga", "", "default", "forest", "lab", "ready", NOW - 2 * hour, NOW - hour, "/user/olga/")
    assert person_row(POLICY, model) == PersonRow(
        name="olga",
        display_name="Olga O.",
        groups=("bdap-admins", "project-forest"),
        projects=("forest",),
        admin=True,
        last_activity=NOW - hour,
        servers=(server,),
    )


def test_a_person_without_groups_has_no_rights() -> None:
    assert person_row(POLICY, {"name": "pia"}) == PersonRow("pia", "pia", (), (), False, None, ())


def test_a_dashboard_that_tells_little_is_shown_all_the_same() -> None:
    assert dashboard_row({"id": "soil/map"}) == DashboardRow("soil", "map", "map", "", "", "", 0, "", "")


@pytest.mark.parametrize(
    ("back", "text"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(seconds=-5), "just now"),
        (timedelta(minutes=5, seconds=59), "5 min ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(hours=49), "2 days ago"),
        (timedelta(days=30), "30 days ago"),
    ],
)
def test_ago(back: timedelta, text: str) -> None:
    assert ago(NOW - back, NOW) == text
    assert ago((NOW - back).replace(tzinfo=None), NOW) == text


def test_ago_of_nothing() -> None:
    assert ago(None) == "never"
