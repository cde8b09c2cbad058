"""Which plans a waiting container may serve, and how many shall wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bdap_hub.access import Person
from bdap_hub.settings import Settings
from bdap_hub.spawning.plan import Limits, Mount, Site, SpawnPlan, choices, plan
from bdap_hub.spawning.warm.sizes import refusal, template, wanted


@pytest.fixture
def of_ana(settings: Settings, people: dict[str, Person]) -> SpawnPlan:
    return one(settings, people["ana"], "agriculture", 20000)


@pytest.fixture
def of_ben(settings: Settings, people: dict[str, Person]) -> SpawnPlan:
    return one(settings, people["ben"], "forest", 20001)


def one(settings: Settings, person: Person, project: str, uid: int) -> SpawnPlan:
    choice = next(c for c in choices(settings.policy(), person) if c.image.name == "lab")
    return plan(settings, person, choice, Site("192.0.2.1", uid, {project: uid}, hidden=(project,)))


def test_nothing_of_the_person_is_in_a_template(of_ana: SpawnPlan, of_ben: SpawnPlan) -> None:
    assert of_ana != of_ben and template(of_ana) == template(of_ben)
    text = repr(template(of_ana))
    assert "bdap/lab" in text and not [word for word in ("ana", "agriculture", "20000", "/home") if word in text]


@pytest.mark.parametrize(
    "change",
    [
        {"image": "bdap/other"},
        {"network": "another"},
        {"cap_drop": ()},
        {"security_options": ()},
        {"gpus": ("GPU-1",)},
        {"cdi": ("nvidia.com/gpu=0",)},
    ],
)
def test_what_a_claim_cannot_give_must_be_there_before(of_ana: SpawnPlan, change: dict[str, object]) -> None:
    assert template(replace(of_ana, **change)) != template(of_ana)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"limits": Limits(2**40, 64, 9)},
        {"mounts": ()},
        {"groups": (7,)},
        {"environment": {"A": "b"}},
        {"umask": "077"},
        {"hostname": "x"},
    ],
)
def test_what_a_claim_gives_may_differ(of_ana: SpawnPlan, change: dict[str, object]) -> None:
    assert template(replace(of_ana, **change)) == template(of_ana)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"gpus": ("GPU-1",)}, "it has GPUs"),
        ({"mounts": (Mount("/x", "/proc/sys"),)}, "it mounts over /proc/sys"),
        ({"mounts": (Mount("/x", "/dev"),)}, "it mounts over /dev"),
        ({"mounts": (Mount("/x", "/device"),)}, ""),
    ],
)
def test_refused_for_mounts_and_gpus(of_ana: SpawnPlan, change: dict[str, object], why: str) -> None:
    assert refusal(replace(of_ana, **change)) == why  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("starts", "now", "least", "most", "count"),
    [
        ([], 0.0, 0, 4, 0),
        ([], 0.0, 1, 4, 1),
        ([0.0, 30.0, 59.0], 100.0, 1, 4, 3),
        ([0.0, 61.0, 122.0], 200.0, 1, 4, 1),
        ([0.0] * 50, 100.0, 1, 4, 4),
        ([0.0] * 50, 3700.0, 1, 4, 1),
        ([0.0] * 3, 100.0, 1, 0, 0),
    ],
)
def test_as_many_as_the_greatest_surge_of_the_last_hour(
    starts: list[float], now: float, least: int, most: int, count: int
) -> None:
    assert wanted(starts, now, least, most) == count
