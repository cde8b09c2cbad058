"""What is counted of visits, and that nothing is kept of who came."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import sessionmaker

from bdap_hub.dashboards import usage as usage_module
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.running.runtime import make_runtime
from bdap_hub.dashboards.tables import Dashboard
from bdap_hub.dashboards.usage import DashboardSalt, DashboardVisitor, Usage
from bdap_hub.database import connect

from .conftest import Platform, notebook

NOON = date(2026, 6, 15)


@pytest.fixture
def store(database_url: str) -> sessionmaker[Any]:
    """In SQLite and in PostgreSQL."""
    return connect(database_url)


@pytest.fixture
def crops(store: sessionmaker[Any]) -> int:
    """The id of a dashboard."""
    with store.begin() as session:
        row = Dashboard(project="agriculture", slug="crops", title="Crops", visibility="public", owner="ana")
        session.add(row)
        session.flush()
        return row.id


def on(monkeypatch: pytest.MonkeyPatch, day: date) -> None:
    """Let it be that day."""
    monkeypatch.setattr(usage_module, "today", lambda: day)


def test_a_visitor_counts_once_a_day_in_each_process(store: Any, crops: int, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, NOON)
    one, other = Usage(store), Usage(store)
    for counter, who in ((one, "person ana"), (other, "person ana"), (one, "person ben"), (other, "10.0.0.1 Firefox")):
        counter.visit(crops, who)
    (day,) = one.days(crops, 1)
    assert (day.visits, day.visitors) == (4, 3)
    on(monkeypatch, NOON + timedelta(days=1))
    other.visit(crops, "person ana")
    before, after = one.days(crops, 2)
    assert (before.visits, before.visitors, after.visits, after.visitors) == (4, 3, 1, 1)


def test_nothing_tells_who_came_nor_that_they_came_again(
    store: Any, crops: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests, usage = [], Usage(store)
    for number in range(2):
        on(monkeypatch, NOON + timedelta(days=number))
        usage.visit(crops, "person ana")
        with store() as session:
            digests += [row.digest for row in session.query(DashboardVisitor).all()]
            tables = ("dashboard_visits", "dashboard_visitors", "dashboard_salts")
            kept = str([session.execute(text(f"SELECT * FROM {table}")).all() for table in tables])
        assert "ana" not in kept
        usage.forget(400)
    assert len(set(digests)) == 2  # ana's of two days; the first was there on the second day, until forgotten
    with store() as session:  # those of yesterday are gone, with what they were made with
        assert [row.day for row in session.query(DashboardVisitor).all()] == [NOON + timedelta(days=1)]
        assert [row.day for row in session.query(DashboardSalt).all()] == [NOON + timedelta(days=1)]


def test_the_most_of_a_day_is_kept_and_old_days_are_forgotten(
    store: Any, crops: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = Usage(store)
    on(monkeypatch, NOON)
    for size, seconds in ((100, 1.5), (300, 0.2), (200, 0.7)):
        usage.memory(crops, size * 2**20)
        usage.started(crops, seconds)
    usage.session(crops)
    usage.session(crops)
    (day,) = usage.days(crops, 1)
    assert (day.peak_mb, day.start_ms, day.sessions, day.visits) == (300, 1500, 2, 0)
    on(monkeypatch, NOON + timedelta(days=30))
    usage.forget(31)
    assert usage.days(crops, 31)[0].peak_mb == 300
    usage.forget(29)
    assert {each.peak_mb for each in usage.days(crops, 31)} == {0}


def test_visits_of_a_published_dashboard_are_counted(platform: Platform) -> None:
    assert platform.publish("ana", "counted", notebook("1"), visibility="public").status_code == 201
    for agent in ("Firefox", "Firefox", "Chromium"):
        assert platform.open("agriculture--counted", headers={"User-Agent": agent}).status_code == 200
    records = Records(connect(platform.settings.database))
    live = records.live("agriculture", "counted")
    assert live is not None
    platform.gateway.keeper.clean_up()
    deadline = time.monotonic() + 20  # a page is counted after it was sent
    while (day := Usage(records.sessions).days(live.id, 1)[0]).visits < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (day.visits, day.visitors) == (3, 2)
    assert 20 < day.peak_mb < 2000
    assert records.get("agriculture", "counted").visits == 3
    assert make_runtime(platform.settings).memory("agriculture--nothing--v1") == 0
