"""A real pool: work goes in, comes back whole, is stopped, and one that is away says nothing it should not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bdap_hub.batch.description import Work
from bdap_hub.batch.handover import HandOver
from bdap_hub.batch.pool import TOKEN, Pool, PoolAway
from bdap_hub.batch.states import Kind, Standing, too_large
from bdap_hub.cli import main
from bdap_hub.errors import BadSettings
from bdap_hub.settings import Settings
from tests.condor import CondorPool
from tests.conftest import make_settings

pytestmark = pytest.mark.docker
DEADLINE = 180
WORD = 'it\'s $(HOME) "x"'
SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), sys.stdin.read(), os.getcwd()]))"


@pytest.fixture
def settings(condor: CondorPool, tmp_path: Path) -> Settings:
    return condor.settings(tmp_path / "var", requirements="EOSisRunning", extra_memory_mb=64)


@pytest.fixture
def pool(settings: Settings) -> Iterator[Pool]:
    found = Pool(settings)
    yield found
    found.remove(standing.cluster for standing in found.standings(anew=True).values())
    found.close()


def work(settings: Settings, condor: CondorPool, *command: str) -> tuple[Work, HandOver]:
    files = HandOver(settings.store.results / "ana" / "w1.batch")
    files.write("the task")
    words = command or (condor.python, "-c", SHOW)
    return Work("w1", words, str(files.folder), 64, 1, {"WORD": WORD}), files


def wait(pool: Pool, until: Callable[[Standing], bool]) -> Standing:
    last = time.monotonic() + DEADLINE
    while not until(now := pool.standings(anew=True)["w1"]):
        assert time.monotonic() < last, now
        time.sleep(0.2)
    return now


def test_a_command_gets_its_words_and_nothing_of_the_service(
    pool: Pool, settings: Settings, condor: CondorPool
) -> None:
    words = ("it's", '"two words"', "$(HOME)", "")
    asked, files = work(settings, condor, condor.python, "-c", SHOW, *words)
    pool.submit(asked)
    assert wait(pool, lambda now: now.kind is Kind.DONE).code == 0, files.complaint()
    ((arguments, environment, given, folder),) = (json.loads(line) for line in files.lines(1))
    assert arguments == list(words) and given == "the task" and folder == str(files.folder)
    assert environment["WORD"] == WORD
    secrets = [path.read_text() for path in (settings.var / "secrets").iterdir()]
    seen = (
        json.dumps(environment)
        + condor.command("condor_q", "-allusers", "-long")
        + (files.folder / "input").read_text()
    )
    spool = condor.command("sh", "-c", "cat $(find /var/spool/condor /var/lib/condor -type f) | tr -d '\\0'")
    assert "w1" in seen and "w1" in spool
    assert len(secrets) > 3 and not [one for one in secrets if one in seen + spool]


def test_work_is_found_again_by_another_service_and_removed(pool: Pool, settings: Settings, condor: CondorPool) -> None:
    asked, _ = work(settings, condor, condor.python, "-c", "import time; time.sleep(600)")
    pool.submit(asked)
    running = wait(pool, lambda now: now.kind is Kind.RUNNING)
    elsewhere = settings.hub.model_copy(update={"public_url": "http://other.example"})
    again, foreign = Pool(settings), Pool(settings.model_copy(update={"hub": elsewhere}))
    assert again.standings()["w1"].cluster == running.cluster and foreign.standings() == {}
    again.remove([running.cluster])
    last = time.monotonic() + DEADLINE
    while found := pool.standings(anew=True):
        assert found["w1"].kind is Kind.REMOVED and time.monotonic() < last
        time.sleep(0.2)
    again.close()
    foreign.close()


def test_what_cannot_be_started_is_held(pool: Pool, settings: Settings, condor: CondorPool) -> None:
    asked, _ = work(settings, condor, "/nowhere/python")
    pool.submit(asked)
    assert wait(pool, lambda now: now.kind is Kind.HELD).hold[0] == 6


def test_what_takes_more_memory_than_it_asked_for_is_told_apart(
    pool: Pool, settings: Settings, condor: CondorPool
) -> None:
    greedy = "import time; held = b'x' * (400 << 20); time.sleep(600)"
    asked, _ = work(settings, condor, condor.python, "-c", greedy)
    pool.submit(replace(asked, memory_mb=64))
    held = wait(pool, lambda now: now.kind is Kind.HELD)
    assert too_large(held), held


def test_an_unmet_requirement_keeps_it_waiting(pool: Pool, settings: Settings, condor: CondorPool) -> None:
    picky = settings.batch.model_copy(update={"requirements": "EOSisRunning && Site == 9"})
    asked, _ = work(settings, condor)
    other = Pool(settings.model_copy(update={"batch": picky}))
    other.submit(replace(asked, run="w0"))
    other.close()
    pool.submit(asked)
    wait(pool, lambda now: now.kind is Kind.DONE)  # it came later
    assert pool.standings()["w0"].kind is Kind.WAITING


def test_the_command_tells_machines_and_jobs(
    pool: Pool, settings: Settings, condor: CondorPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bdap_hub.settings.load", lambda: settings)
    asked, _ = work(settings, condor, "/nowhere/python")
    pool.submit(asked)
    wait(pool, lambda now: now.kind is Kind.HELD)
    told = CliRunner().invoke(main, ["batch", "status"])
    assert told.exit_code == 0, told.output
    assert re.search(r"^machines   \d slots: .*Unclaimed", told.output)
    assert "jobs       0 waiting, 0 running, 1 held, 0 done" in told.output
    settings.batch.collector = f"{condor.address.partition(':')[0]}:9"
    away = CliRunner().invoke(main, ["batch", "status"])
    assert away.exit_code == 1 and "does not answer" in away.output
    settings.batch.collector = ""
    none = CliRunner().invoke(main, ["batch", "status"])
    assert none.exit_code == 1 and "there is no pool" in none.output
    settings.batch.collector = condor.address


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({}, 0, r"a job ran on condor\.\S+, with Python 3\.\d+\.\d+\n$"),
        ({"requirements": "Site == 9"}, 1, "no machine has taken the job"),
        ({"python": "/nowhere/python"}, 1, "the job is held: .*/nowhere/python"),
        ({"python": "/bin/false"}, 1, "the job ended with 1: it said nothing"),
    ],
)
def test_the_command_tries_a_job(
    settings: Settings,
    condor: CondorPool,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str],
    code: int,
    said: str,
) -> None:
    tree = settings.model_copy(update={"batch": settings.batch.model_copy(update=changed)})
    monkeypatch.setattr("bdap_hub.settings.load", lambda: tree)
    seconds = "3" if "requirements" in changed else str(DEADLINE)
    told = CliRunner().invoke(main, ["batch", "try", "--seconds", seconds])
    assert told.exit_code == code and re.search(said, told.output), told.output
    assert condor.queue('BdapHub =!= undefined && regexp("-trial$", BdapHub) && JobStatus != 3') == []
    assert list((settings.store.results / "_trial").iterdir()) == []


@pytest.mark.parametrize("how", ["nobody listens", "another's token", "no such schedd"])
def test_a_pool_that_does_not_answer_is_away(condor: CondorPool, tmp_path: Path, caplog: Any, how: str) -> None:
    changed = {
        "nobody listens": {"collector": f"{condor.address.partition(':')[0]}:9"},
        "no such schedd": {"schedd": "other.pool.internal"},
    }
    settings = condor.settings(tmp_path / "var", answer_seconds=10, **changed.get(how, {}))
    token = settings.secret(TOKEN)
    if how == "another's token":
        head, body, signature = token.split(".")
        (settings.var / "secrets" / TOKEN).write_text(f"{head}.{body}.{signature[::-1]}")
    pool = Pool(settings)
    with pytest.raises(PoolAway) as failed:
        pool.standings()
    pool.close()
    assert "batch system" in failed.value.message and condor.address not in failed.value.message
    assert "the pool" in caplog.text and token[:40] not in caplog.text


def test_a_token_is_needed(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=TOKEN):
        Pool(make_settings(tmp_path / "var"))
