"""What one part lost and another still has: containers that no hub knows, routes of a proxy that was restarted."""

from __future__ import annotations

import pytest

from bdap_hub import audit
from bdap_hub.spawning.lifecycle import orphans, reasons
from tests.own_engine import IMAGE

from .conftest import GPU, LAB, Rig

pytestmark = pytest.mark.docker


def test_a_container_that_no_hub_knows_is_removed_and_written_down(rig: Rig) -> None:
    platform, install = rig.platform, rig.platform.settings.install_id
    platform.start("ana", LAB)
    of_ours = {"bdap.hub": install, "bdap.person": "ben", "bdap.project": "forest", "bdap.image": "lab"}
    labels = {
        "orphan": {**of_ours, "bdap.kind": "server"},
        "waits": {"bdap.hub": install, "bdap.kind": "warm"},
        "board": {**of_ours, "bdap.kind": "dashboard"},
        "others": {**of_ours, "bdap.hub": "another", "bdap.kind": "server"},
    }
    made = {
        name: rig.client.containers.run(IMAGE, ["sleep", "600"], detach=True, name=name, labels=found)
        for name, found in labels.items()
    }
    try:
        platform.wait(lambda: "orphan" not in rig.containers(), 30, "the orphan to go")
        left = {one.name for one in rig.client.containers.list(ignore_removed=True)}
        assert {"waits", "board", "others", rig.container().name} == left
        platform.wait(lambda: ("ben", "forest/lab", orphans.WHY) in removed(rig), 30, "the record of its end")
    finally:
        for name, one in made.items():
            if name != "orphan":
                one.remove(force=True)


def removed(rig: Rig) -> list[tuple[str, str, str]]:
    """Whose servers were removed, of which image, and why."""
    found = audit.query(rig.store, audit.Filter(action="remove-server"))
    return [(event.person, event.subject, event.reason) for event in found]


def test_one_that_the_hub_forgot_while_it_could_not_stop_it_goes_later(rig: Rig) -> None:
    platform = rig.platform
    platform.start("ana", GPU)
    rig.engine.hang()
    try:
        platform.api("DELETE", "/users/ana/server")
        platform.wait(lambda: not rig.servers(), 30, "the hub to give up")
    finally:
        rig.engine.wake()
    platform.wait(rig.nothing_left, 40, "nothing to be left")


def test_a_container_removed_from_outside_is_noticed_and_told(rig: Rig) -> None:
    rig.platform.start("ana", GPU)
    rig.container().remove(force=True)
    rig.platform.wait(rig.nothing_left, 20, "the hub to notice")
    assert rig.told() == reasons.LOST


def test_a_proxy_that_was_killed_has_its_routes_again_in_seconds(rig: Rig) -> None:
    platform = rig.platform
    platform.start("ana", LAB)
    routes = rig.routes()
    platform.processes["proxy"].kill()
    platform.processes["proxy"].wait(10)
    platform.start_proxy()
    platform.wait(lambda: rig.routes() == routes, 20, "the routes")
    assert rig.visit("").status_code == 200


def test_what_a_server_was_given_ends_with_it_also_after_a_restart(rig: Rig) -> None:
    platform = rig.platform
    platform.start("ana", LAB)
    variables = rig.container().attrs["Config"]["Env"]
    token = dict(one.split("=", 1) for one in variables)["JUPYTERHUB_API_TOKEN"]
    assert platform.api("GET", "/user", token=token).status_code == 200
    platform.kill_hub()
    platform.start_hub()
    assert platform.api("GET", "/user", token=token).status_code == 200
    platform.stop("ana")
    platform.wait(lambda: platform.api("GET", "/user", token=token).status_code == 403, 60, "its token to end")
