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
