"""`bdap audit` and what `bdap` says when it cannot start: one line for people, lines of JSON for machines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bdap_hub import audit, cli, database
from tests.conftest import ROOT


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("BDAP_VAR", str(tmp_path))
    monkeypatch.setenv("BDAP_ENVIRONMENT", "demo")
    found = database.connect(f"sqlite:///{tmp_path}/bdap.sqlite")
    for person, action, allowed in (("ana", "login", True), ("ben", "login", False), ("ana", "publish", True)):
        audit.record(found, person=person, action=action, allowed=allowed, subject="forest", address="192.0.2.7")
    return found


def bdap(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ((), [1, 2, 3]),
        (("--person", "ana"), [1, 3]),
        (("--action", "login", "--outcome", "refused"), [2]),
        (("--subject", "forest", "--after", "2"), [3]),
        (("--since", "2026-01-01", "--until", "2999-01-01"), [1, 2, 3]),
        (("--until", "2026-01-01"), []),
    ],
)
def test_export(store: Any, options: tuple[str, ...], ids: list[int]) -> None:
    done = bdap("audit", "export", *options)
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["id"] for line in done.output.splitlines()] == ids


@pytest.mark.parametrize("command", ["export", "list"])
def test_a_wrong_date_is_one_line_with_its_remedy(store: Any, command: str) -> None:
    done = bdap("audit", command, "--since", "yesterday")
    assert done.exit_code == 1
    assert done.output == (
        "Error: 'yesterday' is no date\n  What you can do: write it as 2026-03-01 or 2026-03-01T14:30:00+01:00\n"
    )


def test_the_list_is_a_table_newest_first(store: Any) -> None:
    title, *rows = bdap("audit", "list").output.splitlines()
    assert title.split() == ["at", "(UTC)", "person", "action", "subject", "outcome", "address", "reason"]
    assert [row.split()[2:6] for row in rows] == [
        ["ana", "publish", "forest", "allowed"],
        ["ben", "login", "forest", "refused"],
        ["ana", "login", "forest", "allowed"],
    ]
    assert len(bdap("audit", "list", "--limit", "1").output.splitlines()) == 2


def test_nobody_writes_to_the_operators_terminal(store: Any) -> None:
    audit.record(store, person="\x1b[2Jeve", action="login\r", allowed=False, reason="two\nlines")
    output = bdap("audit", "list", "--limit", "1").output
    assert "\x1b" not in output and "\r" not in output and len(output.splitlines()) == 2


def test_following_shows_what_comes(store: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from bdap_hub.cli import main; main()", "audit", "export", "--follow"]
    environment = {"PYTHONPATH": str(ROOT), "BDAP_VAR": str(tmp_path), "BDAP_ENVIRONMENT": "demo"}
    process = subprocess.Popen([*command, "--person", "ana"], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert [json.loads(process.stdout.readline())["id"] for _ in range(2)] == [1, 3]
        audit.record(store, person="ben", action="login")
        audit.record(store, person="ana", action="logout")
        assert json.loads(process.stdout.readline())["id"] == 5
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("BDAP_IDENTITY__PRESET", "unheard-of", "Error: identity.preset: "),
        ("BDAP_ENVIRONMENT", "production", "production needs https"),
        ("BDAP_IDENTITY__ALGORITHMS", '["none"]', "Error: identity"),
    ],
)
@pytest.mark.parametrize("command", [("serve", "admin"), ("audit", "list"), ("settings",)])
def test_bad_settings_stop_every_command_with_one_clear_line(
    store: Any, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv(variable, value)
    done = run(*command)
    assert done.returncode == 1
    assert done.stdout == ""
    assert told in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr  # what is wrong, what to do


def test_a_missing_secret_is_named(store: Any) -> None:
    done = run("serve", "admin")
    assert done.returncode == 1
    assert "the secret 'service-admin' is missing" in done.stderr and "Traceback" not in done.stderr


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: what serves sets up logs and signals."""
    command = [sys.executable, "-c", "from bdap_hub.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
