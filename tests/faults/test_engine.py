"""The Docker engine hangs, dies, and comes back; its disk is full."""

from __future__ import annotations

import time

import pytest

from bdap_hub.spawning import reasons

from .conftest import GPU, Rig

pytestmark = pytest.mark.docker


def test_a_start_while_it_hangs_is_refused_in_seconds_and_the_next_one_works(rig: Rig) -> None:
    platform = rig.platform
    rig.engine.hang()
    try:
        begun = time.monotonic()
        answer = platform.api("POST", "/users/ana/server", json=GPU)
        assert time.monotonic() - begun < 20, "in quiet it is five"
        assert answer.status_code == 503 and "does not answer. Try again" in answer.json()["message"]
    finally:
        rig.engine.wake()
    platform.wait(rig.nothing_left, 20, "nothing to be left")
    platform.wait(lambda: started(rig), 30, "the next start")
    assert list(rig.gpus().values()) == ["ana"]


def test_servers_outlive_its_silence(rig: Rig) -> None:
    platform = rig.platform
    platform.start("ana", GPU)
    rig.engine.hang()
    try:
        time.sleep(8)  # longer than the hub's look
        assert rig.servers()[""]["ready"] and rig.visit("").status_code == 200
    finally:
        rig.engine.wake()
    platform.wait(lambda: rig.containers() and rig.gpus(), 20, "the engine")
    assert rig.servers()[""]["ready"] and rig.told() == ""


def test_servers_end_with_it_their_people_are_told_and_gpus_are_free(rig: Rig) -> None:
    platform = rig.platform
    for person, options in (("ana", GPU), ("ben", {"project": "forest", "image": "lab"})):
        platform.start(person, options)
    rig.engine.kill()
    rig.engine.start()
    platform.wait(lambda: rig.nothing_left() and not rig.servers("ben"), 60, "the hub to notice")
    assert {rig.told("ana"), rig.told("ben")} == {reasons.STOPPED}
    platform.start("ana", GPU)


def started(rig: Rig) -> bool:
    """A start of ana's; False where it was refused."""
    if rig.servers():
        return bool(rig.servers()[""]["ready"])
    return rig.platform.api("POST", "/users/ana/server", json=GPU).status_code == 201
