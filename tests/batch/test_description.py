"""What HTCondor is asked for, compared whole, and the words that it must not take for something else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bdap_hub.batch.description import Work, describe, quoted
from bdap_hub.settings import BatchSettings

WORK = Work("j1-2", ("/opt/python", "-m", "worker"), "/eos/results/ana/j1.batch", 4096, 1.5, {"A": "b c"})
POOL = BatchSettings(collector="pool.example.org:9618", domain="example.org")


def test_a_description_says_all_that_the_pool_is_asked_for() -> None:
    assert describe(WORK, POOL, "0123456789ab") == {
        "universe": "vanilla",
        "executable": "/opt/python",
        "transfer_executable": "false",
        "arguments": "\"'-m' 'worker'\"",
        "environment": "\"'A=b c'\"",
        "initialdir": "/eos/results/ana/j1.batch",
        "input": "/eos/results/ana/j1.batch/input",
        "output": "/eos/results/ana/j1.batch/output",
        "error": "/eos/results/ana/j1.batch/errors",
        "should_transfer_files": "NO",
        "request_cpus": "1",
        "request_memory": "4608",
        "request_disk": "1048576",
        "allowed_execute_duration": "5400",
        "job_lease_duration": "1200",
        "leave_in_queue": "JobStatus == 4 && time() - CompletionDate < 604800",
        "notification": "never",
        "batch_name": "bdap",
        "My.BdapRun": '"j1-2"',
        "My.BdapHub": '"0123456789ab"',
    }


def test_the_operators_expression_is_kept_as_it_is() -> None:
    asked = POOL.model_copy(update={"requirements": 'EOSisRunning && Site == "$(SITE)"'})
    assert describe(WORK, asked, "x")["requirements"] == '(EOSisRunning && Site == "$(SITE)")'
    assert "requirements" not in describe(WORK, POOL, "x")


def test_a_fraction_of_a_second_is_one() -> None:
    assert describe(replace(WORK, hours=1e-9), POOL, "x")["allowed_execute_duration"] == "1"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], '""'),
        (["a", "b c"], "\"'a' 'b c'\""),
        (["it's"], "\"'it''s'\""),
        (['say "x"'], '"\'say ""x""\'"'),
    ],
)
def test_words_stay_whole(words: list[str], wanted: str) -> None:
    assert quoted(words) == wanted


def test_nothing_is_taken_for_a_macro() -> None:
    described = describe(replace(WORK, folder="/eos/$(HOME)"), POOL, "x")
    assert described["initialdir"] == "/eos/$(DOLLAR)(HOME)"
