"""The Docker engine hangs, dies, and comes back; its disk is full."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from bdap_hub.spawning.lifecycle import reasons
from tests.conftest import ROOT

from .conftest import GPU, LAB, Rig

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
        platform.wait(lambda: "does not answer" in platform.log.rsplit("User ana took", 1)[1], 30, "the hub's look")
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


def test_with_live_restore_servers_outlive_it(rig: Rig) -> None:
    platform = rig.platform
    rig.engine.stop()
    before = rig.engine.arguments
    rig.engine.arguments = (*before, "--live-restore")
    rig.engine.start()
    try:
        platform.wait(lambda: started(rig), 30, "the start")
        container, gpus = rig.container().id, rig.gpus()
        rig.engine.kill()
        assert rig.visit("").status_code == 200, "it answers without its engine"
        rig.engine.start()
        rig.looked()
        assert rig.servers()[""]["ready"] and (rig.container().id, rig.gpus()) == (container, gpus)
    finally:
        platform.stop("ana")
        rig.engine.stop()
        rig.engine.arguments = before
        rig.engine.start()


def test_a_hub_that_starts_without_it_says_so_in_one_line_and_ends(rig: Rig) -> None:
    environment = {
        **os.environ,
        "BDAP_CONFIG": str(rig.platform.folder / "bdap.yaml"),
        "DOCKER_HOST": f"unix://{rig.platform.folder}/nobody.sock",
    }
    command = [sys.executable, "-m", "jupyterhub", "-f", str(ROOT / "jupyterhub_config.py")]
    done = subprocess.run(command, env=environment, cwd=rig.platform.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "The hub does not start: the Docker engine does not answer" in done.stderr.splitlines()[-1]


def test_its_disk_is_full(rig: Rig) -> None:
    with rig.engine.full_disk():
        answer = rig.platform.api("POST", "/users/ana/server", json=GPU)
        assert answer.status_code == 503, answer.text
        assert "the disk of the machine that runs servers is full" in answer.json()["message"]
        rig.platform.wait(rig.nothing_left, 20, "nothing to be left")
    rig.platform.start("ana", GPU)


def test_the_disk_of_the_homes_is_full(rig: Rig) -> None:
    homes = rig.platform.settings.var / "homes"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", str(homes)], check=True)
    try:
        answer = rig.platform.api("POST", "/users/ana/server", json=LAB)
        assert answer.status_code == 503, answer.text
        assert "the disk that holds people's home folders is full" in answer.json()["message"]
        assert rig.nothing_left()
    finally:
        subprocess.run(["umount", "-l", str(homes)], check=True)
    rig.platform.start("ana", LAB)


def started(rig: Rig) -> bool:
    """A start of ana's; False where it was refused."""
    if rig.servers():
        return bool(rig.servers()[""]["ready"])
    return rig.platform.api("POST", "/users/ana/server", json=GPU).status_code == 201
