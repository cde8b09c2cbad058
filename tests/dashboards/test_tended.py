"""A round of the gateway takes care of each release by itself: one with which something is wrong holds up no other."""

from __future__ import annotations

import time
from typing import Any

import pytest
from requests.exceptions import ReadTimeout

from bdap_hub.dashboards.records import Live, Records
from bdap_hub.dashboards.releases.publish import Publisher
from bdap_hub.dashboards.running.faults import DashboardFault
from bdap_hub.dashboards.running.keeper import Keeper
from bdap_hub.dashboards.running.logs import plain
from bdap_hub.dashboards.running.runtime import TOKEN_SECONDS
from bdap_hub.dashboards.running.silence import Silence
from bdap_hub.dashboards.tables import Dashboard, Release
from bdap_hub.database import connect
from bdap_hub.errors import BadRequest, Unavailable
from bdap_hub.settings import Settings
from bdap_hub.web import HubLogin

WROTE = "Traceback (most recent call last):\nValueError: {}\n"
NAMES = {slug: f"agriculture--{slug}--v1" for slug in ("bad", "good", "null")}


class Engine:
    """A stand-in for the engine: what its releases wrote, and that one of them cannot be told anything."""

    def __init__(self) -> None:
        self.age, self.stopped = 0.0, set[str]()
        self.wrote: dict[str, Any] = {
            NAMES["bad"]: Unavailable("the Docker engine does not answer"),
            NAMES["good"]: WROTE.format("whole"),
            NAMES["null"]: WROTE.format("a\0b"),
        }

    def running(self) -> dict[str, float]:
        return {name: time.time() - self.age for name in self.wrote if name not in self.stopped}

    def ended(self) -> dict[str, Any]:
        return {}

    def tidy(self) -> None: ...

    def memory(self, _name: str) -> int:
        return 2**20

    def logs(self, name: str) -> str:
        return self._of(name)

    def stop(self, name: str) -> None:
        self._of(name)
        self.stopped.add(name)

    def _of(self, name: str) -> str:
        if isinstance(self.wrote[name], Exception):
            raise self.wrote[name]
        return str(self.wrote[name])


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def keeper(settings: Settings, engine: Engine, database_url: str) -> Keeper:
    """Of three live dashboards, in SQLite and in PostgreSQL."""
    records = Records(connect(database_url))
    for slug in NAMES:
        values = {"title": slug, "visibility": "public"}
        made = Dashboard(project="agriculture", slug=slug, owner="ana", version=0, visits=0, status="draft", **values)
        records.add(made, Release(version=1, bundle="0" * 64, entry="index.ipynb", publisher="ana", **values))
        records.make_live(made, 1)
    found = Keeper(settings, records, HubLogin(settings, "dashboards"))
    found._runtime = engine  # type: ignore[assignment]
    return found


@pytest.mark.parametrize("wrong", [Unavailable("the Docker engine does not answer"), ValueError("nobody expects it")])
def test_errors_are_kept_of_all_others(
    keeper: Keeper, engine: Engine, wrong: Exception, caplog: pytest.LogCaptureFixture
):
    engine.wrote[NAMES["bad"]] = wrong
    keeper.clean_up()
    with keeper.records.sessions() as session:
        traces = [fault.trace for fault in session.query(DashboardFault).order_by(DashboardFault.trace)]
    assert traces == [WROTE.format("a\ufffdb").strip(), WROTE.format("whole").strip()]
    assert f"the release {NAMES['bad']}" in caplog.text and NAMES["good"] not in caplog.text


def test_one_that_cannot_be_stopped_leaves_the_others_their_turn(keeper: Keeper, engine: Engine):
    engine.age = TOKEN_SECONDS
    assert keeper.clean_up() == []
    assert engine.stopped == {NAMES["good"], NAMES["null"]}
    engine.wrote[NAMES["bad"]] = ""
    keeper.clean_up()
    assert engine.running() == {}


def test_what_no_database_takes_is_replaced():
    assert plain("\x1b[31mred\0 and \ud83d half") == "red\ufffd and \ufffd half"
    assert plain("whole: \U0001f33e") == "whole: \U0001f33e"


@pytest.mark.parametrize("preview", [True, False])
async def test_an_author_is_told_what_their_dashboard_cannot_be_started_for(
    keeper: Keeper, engine: Engine, monkeypatch: pytest.MonkeyPatch, preview: bool
):
    def refuse(_publisher: Publisher, _live: Live) -> None:
        raise BadRequest("the dashboard ended as soon as it was started", "publish it without data")

    monkeypatch.setattr(Publisher, "start", refuse)
    live = keeper.records.live("agriculture", "good", 1 if preview else None)
    assert live is not None
    await keeper._start(live)
    fault, told = keeper.faults.last(live.id), "the dashboard ended as soon as it was started: publish it without data"
    assert (fault and (fault.reason, fault.trace)) == (None if preview else ("start", told))


@pytest.mark.parametrize("quick", [True, False])
def test_only_what_is_answered_at_once_tells_of_silence(quick: bool):
    silence, asked = Silence(), []
    with pytest.raises(Unavailable, match="does not answer"), silence.asking(quick):
        raise ReadTimeout
    try:
        with silence.asking():
            asked.append("somebody else's question")
    except Unavailable:
        pass
    assert bool(asked) is not quick
