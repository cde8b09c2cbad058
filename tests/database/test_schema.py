"""Tables come into being and change their shape: new databases and old ones, both engines, several processes."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

import bdap_hub.dashboards.tables
import bdap_hub.identity.tables
import bdap_hub.processing.service.tables
import bdap_hub.spawning.uids  # noqa: F401  every room that declares tables
from bdap_hub import audit, database
from bdap_hub.dashboards.records import Records
from tests.conftest import ROOT

OLD_AUDIT = """CREATE TABLE audit_events (
  id {id} PRIMARY KEY, at TIMESTAMP NOT NULL, person VARCHAR(255) NOT NULL, action VARCHAR(64) NOT NULL,
  subject VARCHAR(255) NOT NULL, outcome VARCHAR(16) NOT NULL, reason VARCHAR(1024) NOT NULL,
  address VARCHAR(64) NOT NULL)"""


def test_all_tables_and_steps_are_there(database_url: str) -> None:
    store = database.connect(database_url)
    with store() as session:
        found = inspect(session.connection())
        assert set(database.Base.metadata.tables) <= set(found.get_table_names())
        assert {index["name"] for index in found.get_indexes("audit_events")} == {
            f"audit_events_{name}" for name in ("at", "person", "action", "outcome", "subject")
        }
        steps = session.execute(text("SELECT room, number FROM schema_steps")).all()
        assert {("audit", 1), ("audit", 2), ("audit", 3)} <= {tuple(row) for row in steps}
    database.connect(database_url)  # and once more does no harm
    with store() as session:
        assert session.execute(text("SELECT room, number FROM schema_steps")).all() == steps


def test_an_old_database_keeps_its_events_and_gets_the_new_shape(database_url: str) -> None:
    old = create_engine(database_url)
    with old.begin() as connection:
        serial = "SERIAL" if old.dialect.name == "postgresql" else "INTEGER"
        connection.execute(text(OLD_AUDIT.format(id=serial)))
        connection.execute(
            text(
                "INSERT INTO audit_events (at, person, action, subject, outcome, reason, address) "
                "VALUES ('2025-12-01 10:00:00.000000', 'ana', 'login', '', 'allowed', '', '')"
            )
        )
    old.dispose()
    store = database.connect(database_url)
    audit.record(store, person="ben", action="login", session="0123456789abcdef")
    assert [(event.person, event.session) for event in audit.latest(store)] == [("ben", "0123456789ab"), ("ana", "")]
    with store() as session:
        assert len(inspect(session.connection()).get_indexes("audit_events")) == 5
        with pytest.raises(Exception, match="append-only"):
            session.execute(text("DELETE FROM audit_events"))


OLD_DASHBOARDS = """CREATE TABLE dashboards (
  id INTEGER PRIMARY KEY, project VARCHAR(32) NOT NULL, slug VARCHAR(40) NOT NULL, title VARCHAR(120) NOT NULL,
  description TEXT NOT NULL, visibility VARCHAR(16) NOT NULL, owner VARCHAR(255) NOT NULL, status VARCHAR(16) NOT NULL,
  version INTEGER NOT NULL, visits INTEGER NOT NULL, created TIMESTAMP NOT NULL, updated TIMESTAMP NOT NULL)"""
OLD_RELEASES = """CREATE TABLE dashboard_releases (
  id INTEGER PRIMARY KEY, dashboard_id INTEGER NOT NULL REFERENCES dashboards (id), version INTEGER NOT NULL,
  bundle VARCHAR(64) NOT NULL, entry VARCHAR(255) NOT NULL, publisher VARCHAR(255) NOT NULL,
  created TIMESTAMP NOT NULL, last_seen TIMESTAMP NOT NULL)"""


def test_dashboards_of_before_there_were_states(database_url: str) -> None:
    day = "'2025-12-01 10:00:00.000000'"
    old = create_engine(database_url)
    with old.begin() as connection:
        for statement in (OLD_DASHBOARDS, OLD_RELEASES):
            connection.execute(text(statement))
        for id, status in ((1, "live"), (2, "retired")):
            row = f"{id}, 'forest', 'd{id}', 'Title {id}', '', 'public', 'ana', '{status}', 2, 7, {day}, {day}"
            connection.execute(text(f"INSERT INTO dashboards VALUES ({row})"))
            for version in (1, 2):
                row = f"{10 * id + version}, {id}, {version}, 'b', 'x.ipynb', 'ana', {day}, {day}"
                connection.execute(text(f"INSERT INTO dashboard_releases VALUES ({row})"))
    old.dispose()
    records = Records(database.connect(database_url))
    live, gone = records.find("forest", "d1"), records.find("forest", "d2")
    assert live is not None and gone is not None
    assert (live.tags, live.kind, live.embed, live.keep_warm, live.visits) == ([], "voila", [], False, 7)
    found = [(one.version, one.status, one.title, one.approved, one.manifest) for one in records.releases(live)]
    assert found == [(2, "live", "Title 1", "public", {}), (1, "retired", "Title 1", "public", {})]
    assert {one.status for one in records.releases(gone)} == {"retired"}
    assert records.live("forest", "d1") is not None and records.live("forest", "d2") is None


def test_a_step_that_fails_leaves_nothing_behind(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: Any) -> None:
        connection.exec_driver_sql("CREATE TABLE half_done (id INTEGER)")
        raise RuntimeError("no more")

    monkeypatch.setitem(database._STEPS, ("broken", 1), broken)
    with pytest.raises(RuntimeError, match="no more"):
        database.connect(database_url)
    engine = create_engine(database_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    monkeypatch.delitem(database._STEPS, ("broken", 1))
    database.connect(database_url)  # the positive control


def test_two_steps_of_one_number_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="audit has two steps of number 1"):
        database.step("audit", 1)(lambda connection: None)


CONNECT_OFTEN = """
import sys
from bdap_hub import audit, database
from bdap_hub.dashboards.records import Records
from tests.conftest import ROOT
for url in sys.argv[1:]:
    print("ready", flush=True)
    sys.stdin.readline()
    database.connect(url).kw["bind"].dispose()
print("done", flush=True)
"""


def connect_at_once(urls: list[str]) -> list[str]:
    """Four processes connect to each of these at the same moment; what each said last."""
    command = [sys.executable, "-c", CONNECT_OFTEN, *urls]
    pipes: dict[str, Any] = {"stdin": PIPE, "stdout": PIPE, "stderr": STDOUT, "text": True, "bufsize": 1}
    processes = [Popen(command, cwd=ROOT, **pipes) for _ in range(4)]
    said: list[str] = []
    for _ in range(len(urls) + 1):
        said = [process.stdout.readline().strip() for process in processes]
        for process in processes:
            if process.poll() is None:
                with suppress(BrokenPipeError):
                    process.stdin.write("go\n")
    for process in processes:
        process.communicate(timeout=30)
    return said


def test_processes_that_start_at_once(database_url: str) -> None:
    assert connect_at_once([database_url]) == ["done"] * 4


def test_new_sqlite_files_are_turned_to_wal_by_several_at_once(tmp_path: Path) -> None:
    """SQLite itself does not wait here: without a second try, one in a hundred fails."""
    assert connect_at_once([f"sqlite:///{tmp_path / str(number)}.sqlite" for number in range(100)]) == ["done"] * 4
