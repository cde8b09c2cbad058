"""The audit log on both databases: written by several at once, never changed, found again."""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from subprocess import PIPE, Popen
from typing import Any

import pytest
from sqlalchemy import text

from bdap_hub import audit, database
from bdap_hub.audit import Filter
from bdap_hub.errors import BadRequest
from tests.conftest import ROOT

Store = Any


@pytest.fixture
def store(database_url: str) -> Store:
    return database.connect(database_url)


def names(found: list[audit.Event]) -> list[str]:
    return [event.person for event in found]


CHANGES = {
    "update": "UPDATE audit_events SET person = 'eve'",
    "update of nothing but one column": "UPDATE audit_events SET reason = '' WHERE id = 1",
    "delete": "DELETE FROM audit_events WHERE id = 1",
    "delete all": "DELETE FROM audit_events",
}
INSERT = "INTO audit_events (id, at, person, action, subject, outcome, reason, address) VALUES ({id}, {row})"
ROW = "'2026-01-01 00:00:00', 'eve', 'x', '', 'allowed', '', ''"


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES)
def test_the_database_refuses_to_change_an_event(store: Store, statement: str) -> None:
    audit.record(store, person="ana", action="login")
    _refused(store, statement)


def test_an_event_cannot_be_replaced(store: Store) -> None:
    audit.record(store, person="ana", action="login")
    insert = INSERT.format(id=1, row=ROW)
    if store.kw["bind"].dialect.name == "sqlite":
        _refused(store, f"INSERT OR REPLACE {insert}")
        _refused(store, f"REPLACE {insert}")
    else:
        _refused(store, f"INSERT {insert} ON CONFLICT (id) DO UPDATE SET person = excluded.person")
        _refused(store, "TRUNCATE audit_events")
    with store.begin() as session:  # the positive control: what is refused is the change, not the row
        session.execute(text(f"INSERT {INSERT.format(id=77, row=ROW)}"))
    assert names(audit.latest(store)) == ["eve", "ana"]


def _refused(store: Store, statement: str) -> None:
    with pytest.raises(Exception, match="append-only"), store.begin() as session:
        session.execute(text(statement))
    assert names(audit.latest(store))[-1] == "ana"


def test_nothing_is_too_long_or_too_odd_to_be_recorded(store: Store) -> None:
    audit.record(store, person="a" * 300, action="b" * 70, subject="nul\0", reason="\ud800" * 2000, session="c" * 64)
    event = audit.latest(store)[0]
    assert (len(event.person), len(event.action), event.subject, event.session) == (255, 64, "nul�", "c" * 12)
    assert event.reason == "?" * 1024


WRITE = """
import sys
from bdap_hub import audit, database
store = database.connect(sys.argv[1])
for number in range(200):
    audit.record(store, person=sys.argv[2], action="write", subject=str(number))
"""


def test_five_processes_lose_nothing(store: Store, database_url: str) -> None:
    writers = [Popen([sys.executable, "-c", WRITE, database_url, f"p{n}"], cwd=ROOT, stderr=PIPE) for n in range(5)]
    for writer in writers:
        assert writer.communicate(timeout=60)[1] == b""
    found = list(audit.events(store, Filter(action="write")))
    assert len(found) == 1000
    for n in range(5):
        assert [event.subject for event in found if event.person == f"p{n}"] == [str(number) for number in range(200)]


@pytest.fixture
def filled(store: Store) -> Store:
    for person, action, subject, allowed in (
        ("ana", "login", "", True),
        ("ben", "login", "", True),
        ("ana", "publish", "agriculture/crops", True),
        ("ana", "publish", "forest/trees", False),
        ("", "login", "", False),
    ):
        audit.record(store, person=person, action=action, subject=subject, allowed=allowed, reason="why")
    return store


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Filter(), [5, 4, 3, 2, 1]),
        (Filter(person="ana"), [4, 3, 1]),
        (Filter(action="login"), [5, 2, 1]),
        (Filter(outcome="refused"), [5, 4]),
        (Filter(subject="forest/trees"), [4]),
        (Filter(person="ana", action="publish", outcome="allowed"), [3]),
        (Filter(person="an"), []),
        (Filter(person="ana\0"), []),
    ],
)
def test_query(filled: Store, wanted: Filter, ids: list[int]) -> None:
    assert [event.id for event in audit.query(filled, wanted)] == ids
    assert [event.id for event in audit.events(filled, wanted)] == ids[::-1]


def test_query_by_time(filled: Store) -> None:
    now = datetime.now(UTC)
    wanted = Filter(since=now - HOUR, until=now + HOUR)
    assert [event.id for event in audit.query(filled, wanted)] == [5, 4, 3, 2, 1]
    assert [event.id for event in audit.events(filled, wanted)] == [1, 2, 3, 4, 5]
    for wanted in (Filter(since=now + HOUR), Filter(until=now - HOUR)):
        assert audit.query(filled, wanted) == [] == list(audit.events(filled, wanted))


def test_times_are_compared_in_utc(filled: Store) -> None:
    east = datetime.now(UTC).astimezone(datetime.strptime("+0900", "%z").tzinfo)
    assert len(audit.query(filled, Filter(since=east - HOUR))) == 5
    assert audit.query(filled, Filter(since=east + HOUR)) == []


def test_pages(filled: Store) -> None:
    first = audit.query(filled, Filter(person="ana"), limit=2)
    assert [event.id for event in first] == [4, 3]
    assert [event.id for event in audit.query(filled, Filter(person="ana"), limit=2, before=3)] == [1]


def test_events_are_read_piece_by_piece(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "CHUNK", 2)
    assert [event.id for event in audit.events(filled, Filter())] == [1, 2, 3, 4, 5]
    assert [event.id for event in audit.events(filled, Filter(), after=1, last=4)] == [2, 3, 4]


def test_an_export_waits_for_events_on_their_way(store: Store, database_url: str) -> None:
    """Ids are given out before events are visible: an export that passed one over would never show it."""
    if database_url.startswith("sqlite"):
        return  # one writer at a time: none can be passed over
    audit.record(store, person="first", action="x")
    under_way = store()
    under_way.add(
        audit.Event(
            at=datetime.now(UTC),
            **dict.fromkeys(("person", "action", "subject", "outcome", "reason"), "slow"),
            address="",
        )
    )
    under_way.flush()
    newest: list[int] = []
    reader = threading.Thread(target=lambda: newest.append(audit.newest_id(store)))
    reader.start()
    time.sleep(0.3)
    assert newest == []
    under_way.commit()
    reader.join(10)
    assert newest == [2]
    under_way.close()


def test_a_line_is_json_with_every_field(filled: Store) -> None:
    shown = json.loads(audit.line(audit.query(filled, Filter(), limit=1, before=5)[0]))
    assert datetime.fromisoformat(shown.pop("at")).utcoffset() == timedelta(0)
    assert shown == {
        "id": 4,
        "person": "ana",
        "action": "publish",
        "subject": "forest/trees",
        "outcome": "refused",
        "reason": "why",
        "address": "",
        "session": "",
    }
    audit.record(filled, person="two\nlines", action="x")
    assert "\n" not in audit.line(audit.latest(filled)[0])


@pytest.mark.parametrize(
    ("given", "end", "moment"),
    [
        ("2026-03-01", False, "2026-03-01T00:00:00+00:00"),
        ("2026-03-01", True, "2026-03-02T00:00:00+00:00"),
        ("2026-03-01T12:00:00", True, "2026-03-01T12:00:00+00:00"),
        ("2026-03-01T12:00:00+02:00", False, "2026-03-01T10:00:00+00:00"),
    ],
)
def test_moments(given: str, end: bool, moment: str) -> None:
    found = audit.moment(given, end=end)
    assert found is not None and found.isoformat() == moment


@pytest.mark.parametrize("given", ["yesterday", "2026-13-01", "9999-12-31", "2026-03-01; DROP", "x" * 5000])
def test_what_is_no_moment(given: str) -> None:
    with pytest.raises(BadRequest, match="is no date"):
        audit.moment(given, end=True)
    assert audit.moment("") is None
