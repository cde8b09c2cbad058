"""The hub is killed in each phase of a start: what was there, what is there afterwards, what the person reads."""

from __future__ import annotations

import pytest

from bdap_hub.spawning.lifecycle import reasons
from bdap_hub.spawning.plan import container_name
from tests.own_engine import UUIDS

from .conftest import GPU, Rig

pytestmark = pytest.mark.docker

# phase, GPU places that are written down then, the container's state then
PHASES = [
    ("asked", 0, None),
    ("placed", 1, None),
    ("created", 1, "created"),
    ("started", 1, "running"),
    ("listening", 1, "running"),
]


@pytest.mark.parametrize(("phase", "places", "state"), PHASES)
def test_a_start_that_the_hub_did_not_survive_leaves_nothing(
    rig: Rig, phase: str, places: int, state: str | None
) -> None:
    platform, name = rig.platform, container_name(rig.platform.settings, "ana")
    rig.phases.hold(phase)
    asking = rig.ask(GPU)
    platform.wait(lambda: rig.phases.reached(phase), 20, f"the phase {phase}")
    assert (len(rig.gpus()), rig.containers().get(name)) == (places, state)
    platform.kill_hub()
    asking.join(10)
    rig.phases.release()
    platform.start_hub()
    platform.wait(rig.nothing_left, 20, "nothing to be left")
    assert rig.told() == reasons.HUB_ENDED

    platform.start("ana", GPU)
    assert list(rig.containers().values()) == ["running"] and list(rig.gpus().values()) == ["ana"]
    assert rig.container().labels["bdap.gpus"] in UUIDS
    assert rig.told() == "", "it runs again: nothing to tell"


def test_a_server_that_was_ready_is_found_again(rig: Rig) -> None:
    platform = rig.platform
    platform.start("ana", GPU)
    before, gpus, routes = rig.container().id, rig.gpus(), rig.routes()
    platform.kill_hub()
    platform.start_hub()
    platform.wait(lambda: rig.servers()[""]["ready"], 20, "ana's server")
    assert (rig.container().id, rig.gpus(), rig.routes()) == (before, gpus, routes)
    assert rig.visit("").status_code == 200 and rig.told() == ""
