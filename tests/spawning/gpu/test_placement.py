"""Who gets which GPU: decided from plain data."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdap_hub.spawning.gpu.placement import (
    Device,
    Held,
    Place,
    Running,
    Wish,
    due_back,
    free,
    gone,
    line,
    place,
    position,
    possible,
    suits,
    unknown,
)

BIG, SMALL = 80 * 2**30, 40 * 2**30
A0 = Device("a", "GPU-a0", "NVIDIA H100", BIG)
A1 = Device("a", "GPU-a1", "NVIDIA H100", BIG)
B0 = Device("b", "GPU-b0", "NVIDIA A100", SMALL)
MIG = Device("a", "MIG-1", "NVIDIA A100 MIG 1g.5gb", 5 * 2**30)
SHARED = Device("a", "GPU-s", "NVIDIA T4", slots=2)
OTHER = Device("a", "GPU-t", "NVIDIA T4", slots=2)


def held(device: Device, slot: int = 0, holder: str = "x", project: str = "p", until: float | None = None) -> Held:
    return Held(Place(device.node, device.id, slot), holder, project, until)


def wish(text: str) -> Wish:
    """`ana:forest@3 2xH100`: who, project, since; how many of which model."""
    who, _, what = text.partition(" ")
    who, _, since = who.partition("@")
    name, _, project = who.partition(":")
    count, _, model = what.partition("x")
    return Wish(name, project or "p", float(since or 0), int(count or 1), model)


def given_to(found: dict[str, tuple[Place, ...]]) -> dict[str, list[str]]:
    return {holder: [f"{p.device}.{p.slot}" for p in places] for holder, places in found.items()}


@pytest.mark.parametrize(
    ("devices", "taken", "waiting", "expected"),
    [
        # nothing to give, nobody to serve
        ([], [], [], {}),
        ([], [], ["ana"], {}),
        ([A0], [], [], {}),
        # one each
        ([A0], [], ["ana"], {"ana": ["GPU-a0.0"]}),
        ([A0, A1], [], ["ana", "ben@1"], {"ana": ["GPU-a0.0"], "ben": ["GPU-a1.0"]}),
        ([A0], [held(A0)], ["ana"], {}),
        ([A0, A1], [held(A0)], ["ana"], {"ana": ["GPU-a1.0"]}),
        # first come, first served
        ([A0], [], ["ben@1", "ana@2"], {"ben": ["GPU-a0.0"]}),
        ([A0], [], ["ana@2", "ben@1"], {"ben": ["GPU-a0.0"]}),
        ([A0], [], ["ben@1", "ana@1"], {"ana": ["GPU-a0.0"]}),  # at the same moment: by name
        # but a project that has less goes first
        ([A0, A1], [held(A0, project="forest")], ["ana:forest@1", "ben:farms@2"], {"ben": ["GPU-a1.0"]}),
        ([A0, A1], [], ["a:forest@1", "b:forest@2", "c:farms@3"], {"a": ["GPU-a0.0"], "c": ["GPU-a1.0"]}),
        ([A0], [held(A1, project="forest")], ["a:forest@1"], {"a": ["GPU-a0.0"]}),
        # several at once: of one node, all or none
        ([A0, A1], [], ["ana 2x"], {"ana": ["GPU-a0.0", "GPU-a1.0"]}),
        ([A0, B0], [], ["ana 2x"], {}),
        ([A0, A1, B0], [held(A0)], ["ana 2x"], {}),
        # who waits for two is not overtaken by who wants one of them
        ([A0, A1], [held(A0)], ["ana:forest@1 2x", "ben:farms@2"], {}),
        ([A0, A1, B0], [held(A0)], ["ana:forest@1 2xH100", "ben:farms@2"], {"ben": ["GPU-b0.0"]}),
        # what can never be served holds up nobody
        ([A0, A1], [], ["ana@1 3x", "ben@2"], {"ben": ["GPU-a0.0"]}),
        ([A0], [], ["ana@1 1xB200", "ben@2"], {"ben": ["GPU-a0.0"]}),
        # models, MIG instances
        ([A0, B0], [], ["ana 1xA100"], {"ana": ["GPU-b0.0"]}),
        ([A0, B0], [], ["ana 1xa100"], {"ana": ["GPU-b0.0"]}),
        ([A0, B0], [held(B0)], ["ana 1xA100"], {}),
        ([A0, MIG], [], ["ana 1x1g.5gb"], {"ana": ["MIG-1.0"]}),
        ([A0, MIG], [], ["ana"], {"ana": ["MIG-1.0"]}),  # the smallest that will do
        # nodes: the one with least to spare
        ([A0, A1, B0], [], ["ana"], {"ana": ["GPU-b0.0"]}),
        ([A0, A1, B0], [held(B0)], ["ana"], {"ana": ["GPU-a0.0"]}),
        ([A0, A1, B0], [], ["ana", "ben@1 2x"], {"ana": ["GPU-b0.0"], "ben": ["GPU-a0.0", "GPU-a1.0"]}),
        ([replace(A0, node="b"), A0], [held(A0)], ["ana"], {"ana": ["GPU-a0.0"]}),  # same id, other node
        # shared devices
        ([SHARED], [], ["ana", "ben@1", "cleo@2"], {"ana": ["GPU-s.0"], "ben": ["GPU-s.1"]}),
        ([SHARED], [held(SHARED)], ["ana"], {"ana": ["GPU-s.1"]}),
        ([SHARED], [held(SHARED, 1)], ["ana"], {"ana": ["GPU-s.0"]}),
        ([SHARED, OTHER], [held(SHARED)], ["ana"], {"ana": ["GPU-t.0"]}),  # the one less used
        ([SHARED], [], ["ana 2x"], {}),  # two slots of one device are not two devices
        ([SHARED, OTHER], [], ["ana 2x"], {"ana": ["GPU-s.0", "GPU-t.0"]}),
        # fewer slots than are held, after a change of the settings
        ([replace(SHARED, slots=1)], [held(SHARED, 1)], ["ana"], {"ana": ["GPU-s.0"]}),
        ([replace(SHARED, slots=1)], [held(SHARED, 0), held(SHARED, 1)], ["ana"], {}),
        # what is held and not there any more
        ([A0], [held(B0)], ["ana"], {"ana": ["GPU-a0.0"]}),
    ],
)
def test_places(devices: list[Device], taken: list[Held], waiting: list[str], expected: dict[str, list[str]]) -> None:
    assert given_to(place(devices, taken, map(wish, waiting))) == expected


@pytest.mark.parametrize(
    ("waiting", "taken", "expected"),
    [
        (["b@2", "a@1", "c@3"], [], "abc"),
        (["a:forest@1", "b:forest@2", "c:farms@3", "d:farms@4"], [], "acbd"),
        (["a:forest@1", "c:farms@3"], [held(A0, project="forest")], "ca"),
        (["a:forest@1", "c:farms@3"], [held(A0, project="forest"), held(A1, project="farms")], "ac"),
        (["a:forest@1 2x", "b:forest@2", "c:farms@3", "d:farms@4"], [], "acdb"),
    ],
)
def test_the_line_is_fair_to_projects(waiting: list[str], taken: list[Held], expected: str) -> None:
    assert "".join(one.holder for one in line(map(wish, waiting), taken)) == expected


@pytest.mark.parametrize(
    ("mine", "others", "expected"),
    [
        ("ana@3", [], 1),
        ("ana@3", ["b@1", "c@2", "d@4"], 3),
        ("ana:farms@3", ["b:forest@1", "c:forest@2"], 2),
        ("ana@3 1xA100", ["b@1 1xH100", "c@2 1xA100"], 2),
        ("ana@3", ["b@1 1xH100", "c@2 1xA100"], 3),
    ],
)
def test_ones_position(mine: str, others: list[str], expected: int) -> None:
    ask = wish(mine)
    assert position(ask, [A0, B0], [], [*map(wish, others), ask]) == expected


@pytest.mark.parametrize(
    ("ask", "devices", "taken", "expected"),
    [
        ("ana", [A0], [held(A0, until=500)], 500),
        ("ana", [A0, A1], [held(A0, until=500), held(A1, until=300)], 300),
        ("ana", [A0], [], 100),
        ("ana", [A0], [held(A0)], None),
        ("ana", [A0, A1], [held(A0), held(A1, until=300)], 300),
        ("ana 2x", [A0, A1], [held(A0, until=500), held(A1, until=300)], 500),
        ("ana 2x", [A0, A1], [held(A0, until=500)], 500),
        ("ana 2x", [A0, B0], [], None),
        ("ana 1xA100", [A0, B0], [held(B0, until=900)], 900),
        ("ana", [SHARED], [held(SHARED, 0, until=900), held(SHARED, 1, until=700)], 700),
        ("ana", [SHARED], [held(SHARED, 0, until=900)], 100),
        ("ana", [], [], None),
    ],
)
def test_when_one_is_due_back(ask: str, devices: list[Device], taken: list[Held], expected: float | None) -> None:
    assert due_back(wish(ask), devices, taken, now=100) == expected


def runs(holder: str, *devices: Device) -> Running:
    return Running(holder, "ana", "p", "gpu", tuple(device.id for device in devices), 5)


@pytest.mark.parametrize(
    ("taken", "running", "starting", "expected"),
    [
        ([held(A0)], [runs("x", A0)], set(), ""),
        ([held(A0)], [], set(), "0"),
        ([held(A0)], [], {"x"}, ""),  # its container is about to come
        ([held(A0)], [], {"y"}, "0"),
        ([held(A0)], [runs("y", A0)], set(), "0"),
        ([held(A0)], [runs("x", A1)], set(), "0"),  # it runs with another one
        ([held(A0), held(A1)], [runs("x", A0, A1)], set(), ""),
        ([held(A0), held(A1)], [runs("x", A1)], set(), "0"),
        ([held(A0), held(A1, holder="y")], [runs("y", A1)], set(), "0"),
    ],
)
def test_what_is_free_again(taken: list[Held], running: list[Running], starting: set[str], expected: str) -> None:
    assert "".join(str(taken.index(one)) for one in gone(taken, running, starting)) == expected


@pytest.mark.parametrize(
    ("devices", "taken", "running", "expected"),
    [
        ([A0], [held(A0)], [runs("x", A0)], []),
        ([A0], [], [runs("x", A0)], ["x GPU-a0.0"]),
        ([A0, A1], [held(A0)], [runs("x", A0, A1)], ["x GPU-a1.0"]),
        ([SHARED], [held(SHARED)], [runs("y", SHARED)], ["y GPU-s.1"]),
        ([SHARED], [], [runs("x", SHARED), runs("y", SHARED)], ["x GPU-s.0", "y GPU-s.1"]),
        ([], [], [runs("x", A0)], ["x GPU-a0.0"]),
        ([A0], [held(A0)], [runs("y", A0)], ["y GPU-a0.1"]),  # two hold one: both are written down, nobody else gets it
    ],
)
def test_what_nobody_wrote_down(
    devices: list[Device], taken: list[Held], running: list[Running], expected: list[str]
) -> None:
    found = unknown(devices, taken, running, "a")
    assert [f"{one.holder} {p.device}.{p.slot}" for one, p in found] == expected


def test_free_slots() -> None:
    assert free([A0, A1, SHARED], [held(A0), held(SHARED, 1), held(B0)]) == {A0: 0, A1: 1, SHARED: 1}


DEVICES = st.lists(
    st.builds(
        Device,
        node=st.sampled_from("ab"),
        id=st.sampled_from(["0", "1", "2"]),
        model=st.sampled_from(["H100", "A100"]),
        slots=st.integers(1, 3),
    ),
    unique_by=lambda device: (device.node, device.id),
    max_size=6,
)
WISHES = st.lists(
    st.builds(
        Wish,
        holder=st.sampled_from("abcdefgh"),
        project=st.sampled_from(["forest", "farms"]),
        since=st.integers(0, 3).map(float),
        count=st.integers(1, 3),
        model=st.sampled_from(["", "A100"]),
    ),
    unique_by=lambda one: one.holder,
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(DEVICES, WISHES, st.data())
def test_never_double_never_too_many_and_nobody_waits_beside_a_free_one(
    devices: list[Device], wishes: list[Wish], data: st.DataObject
) -> None:
    """Rounds of placing, in which some of those who hold something leave."""
    taken: list[Held] = []
    waiting = list(wishes)
    for _ in range(3):
        found = place(devices, taken, waiting)
        for holder, places in found.items():
            asked = next(one for one in waiting if one.holder == holder)
            got = [next(d for d in devices if (d.node, d.id) == (p.node, p.device)) for p in places]
            assert (
                len(set(got)) == asked.count and len({d.node for d in got}) == 1 and all(suits(asked, d) for d in got)
            )
            taken += [Held(p, holder, asked.project) for p in places]
        waiting = [one for one in waiting if one.holder not in found]
        assert len({one.place for one in taken}) == len(taken)
        for device in devices:
            mine = [one for one in taken if (one.place.node, one.place.device) == (device.node, device.id)]
            assert len(mine) <= device.slots and all(0 <= one.place.slot < device.slots for one in mine)
        leavers = data.draw(st.sets(st.sampled_from(sorted({one.holder for one in taken})))) if taken else set()
        taken = [one for one in taken if one.holder not in leavers]


@settings(max_examples=300, deadline=None)
@given(DEVICES, WISHES, WISHES)
def test_the_first_in_line_is_served_just_when_that_can_be(
    devices: list[Device], earlier: list[Wish], wishes: list[Wish]
) -> None:
    project = {one.holder: one.project for one in earlier}
    taken = [Held(p, who, project[who]) for who, places in place(devices, [], earlier).items() for p in places]
    order = [one for one in line(wishes, taken) if possible(one, devices)]
    found, spare = place(devices, taken, wishes), free(devices, taken)
    if not order:
        assert found == {}
        return
    on = [sum(suits(order[0], d) and spare[d] > 0 and d.node == node for d in devices) for node in "ab"]
    assert (order[0].holder in found) == (max(on) >= order[0].count)
