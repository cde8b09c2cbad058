"""A clock that jumps: what is measured by it, and what is not."""

from __future__ import annotations

import pytest

from bdap_hub.spawning.steady import JUMP, Clock, Quiet


class Machine:
    """Its two clocks: one jumps, one does not."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_000_000.0, 50.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.mark.parametrize("jump", [86400.0, -86400.0, JUMP + 1])
def test_a_jump_is_left_out_until_it_is_believed(machine: Machine, jump: float) -> None:
    clock = Clock(lambda: machine.wall, lambda: machine.steady)
    machine.pass_(10)
    machine.wall += jump
    machine.pass_(5)
    assert (clock.now(), clock.jumped()) == (1_000_015.0, jump)
    clock.believe()
    assert (clock.now(), clock.jumped()) == (machine.wall, 0)


def test_a_clock_that_is_set_right_little_by_little_does_not_jump(machine: Machine) -> None:
    clock = Clock(lambda: machine.wall, lambda: machine.steady)
    for _ in range(100):
        machine.pass_(5)
        machine.wall += 1
        assert clock.now() == machine.wall
    assert clock.jumped() == 0


def test_silence_is_measured_by_the_steady_clock(machine: Machine) -> None:
    quiet = Quiet(lambda: machine.steady)
    assert quiet.seconds("ana", "10:00", before=40) == 40, "what was last heard before we listened"
    machine.pass_(20)
    assert quiet.seconds("ana", "10:00", before=99_999) == 60, "the wall's clock counts once"
    assert quiet.seconds("ana", "10:01", before=99_999) == 0, "a sign of life"
    machine.pass_(30)
    quiet.heard("ana")
    machine.pass_(7)
    assert quiet.seconds("ana", "10:01") == 7
    assert quiet.seconds("ben", "now", before=-86400) == 0, "last heard in the future"
    quiet.keep({"ben"})
    assert quiet.seconds("ana", "10:01", before=1) == 1
