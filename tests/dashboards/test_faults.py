"""The last error of a dashboard: found in its log or its end, told once, and to its author alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import httpx
import pytest

from bdap_hub.dashboards.faults import DashboardFault, Faults, last_trace
from bdap_hub.dashboards.records import Live, Records
from bdap_hub.dashboards.tables import Dashboard, Release, now
from bdap_hub.database import connect
from bdap_hub.identity.tables import Account
from bdap_hub.settings import Settings

from .conftest import Platform, notebook

CELL = """[Voila] Executing notebook
[Voila] ERROR | Error at server while executing cell: {'source': 'read()'}
    Traceback (most recent call last):
      File "/opt/nbclient/client.py", line 918, in _check_raise_for_error
    nbclient.exceptions.CellExecutionError: An error occurred while executing the following cell:
    ------------------
    token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
    ------------------

    \x1b[0;31m---------------------------------------------------------------------------\x1b[0m
    \x1b[0;31mValueError\x1b[0m                                Traceback (most recent call last)
    Cell In[1], line 2
          1 token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
    ----> 2 raise ValueError("no such band: B99")
    ValueError: no such band: B99
[Voila] 200 GET /
"""
CALLBACK = """Traceback (most recent call last):
  File "app.py", line 3, in show
KeyError: 'B01'
"""
GONE = Path("/nonexistent")


@pytest.mark.parametrize(
    ("log", "reason", "first", "last"),
    [
        (CELL, "cell", "-----", "ValueError: no such band: B99"),
        (CELL + CALLBACK, "error", "Traceback", "KeyError: 'B01'"),
        (CALLBACK, "error", "Traceback", "KeyError: 'B01'"),
        (f"{CALLBACK}[Voila] 200 GET /\n2026-11-29 18:00:00 all is well\n", "error", "Traceback", "KeyError: 'B01'"),
    ],
)  # fmt: skip
def test_the_last_traceback_of_a_log(log: str, reason: str, first: str, last: str) -> None:
    found = last_trace(log)
    assert found is not None and found.reason == reason
    assert found.text.startswith(first) and found.text.splitlines()[-1].strip() == last
    assert "ghp_" not in found.text and "\x1b" not in found.text


def test_a_log_without_errors_has_none() -> None:
    assert last_trace("[Voila] Serving notebook\nTraceback of the plane: none\n") is None
    assert last_trace("") is None


@pytest.fixture
def live(database_url: str) -> Live:
    """A dashboard that could break, in SQLite and in PostgreSQL."""
    records = Records(connect(database_url))
    row = Dashboard(project="agriculture", slug="crops", title="Crops", visibility="public", owner="ana", version=0)
    words = {"title": "Crops", "visibility": "public"}
    records.add(row, Release(version=1, bundle="0" * 64, entry="index.ipynb", publisher="ana", **words))
    records.make_live(row, 1)
    found = records.live("agriculture", "crops")
    assert found is not None
    return found


def _told_ago(faults: Faults, live: Live, minutes: int) -> None:
    with faults.sessions.begin() as session:
        row = session.get_one(DashboardFault, live.id)
        row.told = now() - timedelta(minutes=minutes)


def test_a_break_is_told_once_an_hour(database_url: str, live: Live) -> None:
    one, other = (Faults(connect(database_url)) for _ in range(2))
    assert one.due() == []
    one.in_log(live, CELL, GONE)
    other.in_log(live, CELL, GONE)  # another gateway finds it, too
    assert one.due() == [live.id] and other.due() == [] and one.due() == []
    one.in_log(live, CELL, GONE)
    _told_ago(one, live, 61)
    assert one.due() == [live.id]  # it happened after the last letter, which is an hour old now
    for minutes, due in ((59, []), (61, [live.id])):
        one.keep(live, "start", "no module named earth")
        _told_ago(one, live, minutes)
        one.keep(live, "start", "no module named earth")
        assert one.due() == due
    one.untold(live.id)
    assert other.due() == [live.id]
    one.in_log(live, CALLBACK, GONE)  # an error, but visitors still see the dashboard
    one.untold(live.id)
    found = one.last(live.id)
    assert one.due() == [] and found is not None and found.trace.endswith("KeyError: 'B01'")


def test_of_a_cell_its_author_sees_number_and_source(database_url: str, live: Live, tmp_path: Path) -> None:
    source = 'token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"\nraise ValueError("no such band: B99")'
    (tmp_path / "index.ipynb").write_bytes(notebook("1", source))
    said = "\n".join(line.removeprefix("    ") for line in CELL.splitlines())
    log = said.replace('token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"\n-', f"{source}\n-")
    faults = Faults(connect(database_url))
    faults.in_log(live, log, tmp_path)
    found = faults.last(live.id)
    assert found is not None and found.trace.startswith("Code cell 2 of index.ipynb:")
    assert found.trace.endswith("ValueError: no such band: B99") and "ghp_" not in found.trace


def _with_address(platform: Platform, email: str) -> None:
    platform.hub.browser("ana")  # who was there once has an account
    with connect(platform.settings.database).begin() as session:
        session.get_one(Account, "ana").email = email


def _letters(platform: Platform) -> list[Any]:
    files = sorted((platform.settings.var / "mail").glob("*.eml"))
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]


def _eventually_letters(platform: Platform, count: int) -> list[Any]:
    deadline = time.monotonic() + 20
    while len(found := _letters(platform)) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_its_author_is_written_to_when_it_ends_by_itself(platform: Platform) -> None:
    assert platform.publish("ana", "breaks", notebook("1"), visibility="public").status_code == 201
    _with_address(platform, "ana@example.eu")
    keeper, before = platform.gateway.keeper, len(_letters(platform))
    keeper.clean_up()
    asyncio.run(_tell(platform))
    assert len(_letters(platform)) == before  # nothing happened yet
    entry = json.loads((platform.settings.var / "dashboards/run/agriculture--breaks--v1.json").read_text())
    os.killpg(int(entry["pid"]), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while keeper._engine().address("agriculture--breaks--v1") and time.monotonic() < deadline:
        time.sleep(0.05)
    keeper.clean_up()
    asyncio.run(_tell(platform))
    (letter,) = _eventually_letters(platform, before + 1)[before:]
    assert letter["To"] == "ana@example.eu" and "agriculture/breaks is broken" in letter["Subject"]
    assert f"{platform.hub.url}/services/dashboards/d/agriculture/breaks" in letter.get_content()
    keeper.clean_up()
    asyncio.run(_tell(platform))
    assert len(_letters(platform)) == before + 1


async def _tell(platform: Platform) -> None:
    """As the gateway does in its rounds, with a client of this event loop."""
    login = platform.gateway.keeper.login
    client, login.client = login.client, httpx.AsyncClient(trust_env=False)
    try:
        await platform.gateway.keeper.tell()
    finally:
        await login.client.aclose()
        login.client = client


@pytest.mark.parametrize(
    ("service", "body", "status"),
    [
        ("dashboards", {"person": "ana", "dashboard": "agriculture/crops", "reason": "start"}, 200),
        ("dashboards", {"person": "nobody", "dashboard": "agriculture/crops", "reason": "start"}, 404),
        ("dashboards", {"person": "ana", "dashboard": "agriculture/crops", "reason": "Buy gold"}, 400),
        ("dashboards", {"person": "ana", "dashboard": "gold/crops?x=1", "reason": "start"}, 400),
        ("dashboards", {"person": "ana", "dashboard": ["a"], "reason": {}}, 400),
        ("catalogue", {"person": "ana", "dashboard": "agriculture/crops", "reason": "start"}, 403),
        ("", {"person": "ana", "dashboard": "agriculture/crops", "reason": "start"}, 403),
    ],
)
def test_who_may_ask_the_hub_for_letters(platform: Platform, service: str, body: dict[str, Any], status: int) -> None:
    _with_address(platform, "ana@example.eu")
    token = platform.settings.secret(f"service-{service}") if service else platform.hub.token("ana")
    before = len(_letters(platform))
    answer = httpx.post(
        f"{platform.hub.url}/hub/api/bdap/letters", json=body, headers={"Authorization": f"token {token}"}
    )
    assert answer.status_code == status, answer.text
    assert len(_eventually_letters(platform, before + (status == 200))) == before + (status == 200)


def test_who_may_not_log_in_gets_no_letter(settings: Settings) -> None:
    from bdap_hub.identity.letters import Letters

    account = Account(name="ana", email="ana@example.eu", standing="approved", display_name="Ana")
    letters = Letters(settings, connect(settings.database))
    assert len(letters.broken(account, "agriculture/crops", "cell")) == 1
    account.standing = "blocked"
    assert letters.broken(account, "agriculture/crops", "cell") == []
