"""What HTCondor says about work, and what people read of it."""

from __future__ import annotations

from typing import Any

import pytest

from bdap_hub.batch.states import Kind, Standing, sentence, standings, too_large, too_long


def ad(run: str, status: int, cluster: int = 7, **more: Any) -> dict[str, Any]:
    return {"BdapRun": run, "ClusterId": cluster, "JobStatus": status, "ServerTime": 1000, **more}


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (ad("a", 1), Standing(Kind.WAITING, 7)),
        (ad("a", 2, JobCurrentStartDate=900), Standing(Kind.RUNNING, 7, start=900, seconds=100)),
        (ad("a", 6, JobCurrentStartDate=900), Standing(Kind.RUNNING, 7, start=900, seconds=100)),
        (ad("a", 7, JobCurrentStartDate=900), Standing(Kind.RUNNING, 7, start=900, seconds=100)),
        (ad("a", 3), Standing(Kind.REMOVED, 7)),
        (ad("a", 4, ExitBySignal=False, ExitCode=3), Standing(Kind.DONE, 7, code=3)),
        (ad("a", 4, ExitBySignal=True, ExitSignal=9), Standing(Kind.DONE, 7, code=-9)),
        (
            ad("a", 5, HoldReasonCode=34, HoldReasonSubCode=1, HoldReason="slot1@h: memory", Iwd="/eos/x"),
            Standing(Kind.HELD, 7, folder="/eos/x", hold=(34, 1), reason="slot1@h: memory"),
        ),
    ],
)
def test_an_advertisement_is_a_standing(said: dict[str, Any], wanted: Standing) -> None:
    assert standings([said]) == {"a": wanted}


def test_who_came_first_is_before() -> None:
    found = standings([ad("c", 1, 9), ad("b", 2, 8), ad("a", 1, 7), ad("d", 1, 10)])
    assert {run: standing.ahead for run, standing in found.items()} == {"a": 0, "b": 0, "c": 1, "d": 2}


@pytest.mark.parametrize(
    ("hold", "large", "long"),
    [
        ((34, 0), True, False),
        ((21, 102), True, False),
        ((26, 102), True, False),
        ((21, 0), False, False),
        ((46, 0), False, True),
        ((47, 0), False, True),
        ((1, 102), False, False),
    ],
)
def test_memory_and_time_are_told_apart(hold: tuple[int, int], large: bool, long: bool) -> None:
    held = Standing(Kind.HELD, 7, hold=hold)
    assert (too_large(held), too_long(held)) == (large, long)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "an operator"),
        (6, "could not start"),
        (26, "the rules"),
        (999, "the batch system stopped the job (reason 999)"),
    ],
)
def test_people_read_no_machine_and_no_path(code: int, words: str) -> None:
    said = sentence(Standing(Kind.HELD, 7, hold=(code, 0), reason="slot1@node7.internal: /eos/secret"))
    assert words in said and "tell the operators" in said
    assert "node7" not in said and "/eos" not in said
