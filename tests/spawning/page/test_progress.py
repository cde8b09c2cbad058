"""What the page that waits is told."""

from __future__ import annotations

import pytest

from bdap_hub.spawning.page.progress import STEPS, Progress

CASES = [
    (Progress("queued", "Number 2 in line"), {"progress": 0, "message": "Number 2 in line", "stage": "queued"}),
    (
        Progress("pulling", "Fetching the image lab", 43, 118),
        {
            "progress": 32,
            "message": "Fetching the image lab: 43 % (2 min left)",
            "stage": "pulling",
            "percent": 43,
            "eta": 118,
        },
    ),
    (
        Progress("pulling", "Fetching", 130, -4),
        {"progress": 60, "message": "Fetching: 100 % (5 s left)", "stage": "pulling", "percent": 100, "eta": 0},
    ),
    (Progress("starting", "Starting"), {"progress": 70, "message": "Starting", "stage": "starting"}),
    (
        Progress("starting", "Starting", 100),
        {"progress": 99, "message": "Starting: 100 %", "stage": "starting", "percent": 100},
    ),
]


@pytest.mark.parametrize(("now", "event"), CASES)
def test_an_event(now: Progress, event: dict[str, object]) -> None:
    assert now.event() == event


def test_the_steps_only_go_on() -> None:
    begins = [begin for _, _, begin in STEPS]
    assert begins == sorted(begins) and STEPS[-1][0] == "ready"
    assert all("ready" not in Progress(stage, "x").event() for stage, _, _ in STEPS[:-1])  # type: ignore[arg-type]
