"""People's servers on the real Docker engine, started by the real hub: what they can reach and what they cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import docker
import httpx
import pytest

from bdap_hub.spawning.plan import container_name

from .conftest import Platform

pytestmark = pytest.mark.docker

LAB = {"project": "agriculture", "image": "lab"}


class Server:
    """A running server, seen from inside."""

    def __init__(self, platform: Platform, name: str) -> None:
        self.container: Any = docker.from_env().containers.get(container_name(platform.settings, name))
        self.attrs = self.container.attrs

    def sh(self, script: str) -> tuple[int, str]:
        """(exit status, output) of a shell script run as the person."""
        code, output = self.container.exec_run(["sh", "-c", script], workdir="/")
        return code, output.decode().strip()


@pytest.fixture(scope="module")
def ana(platform: Platform) -> Server:
    """Ana's server; ben's runs beside it. The forest's collection is the forest's alone."""
    settings = platform.settings
    for name, visibility in (("open", "public"), ("plots", "project")):
        (settings.store.data / name).mkdir(parents=True, exist_ok=True)
        (settings.store.data / name / "pixels.tif").write_text(name)
        record = settings.var / "catalogue" / name / "collection.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({"bdap:visibility": visibility, "bdap:project": "forest"}))
    platform.start("ben", {"project": "forest", "image": "lab"})
    platform.start("ana", LAB)
    return Server(platform, "ana")


@pytest.fixture(scope="module")
def ben(platform: Platform, ana: Server) -> Server:
    return Server(platform, "ben")


def test_everybody_has_an_own_uid_and_a_name(ana: Server, ben: Server) -> None:
    assert ana.sh("id -un && whoami && id -gn") == (0, "ana\nana\nagriculture")
    uids = {server.sh("id -u")[1] for server in (ana, ben)}
    assert len(uids) == 2 and all(20000 <= int(uid) < 21000 for uid in uids)


def test_no_capability_and_no_way_to_one(ana: Server) -> None:
    _, status = ana.sh("grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs)' /proc/self/status")
    found = dict(line.split(":\t") for line in status.splitlines())
    assert found == {"CapPrm": "0" * 16, "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}


def test_limits(ana: Server) -> None:
    host = ana.attrs["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (700 * 2**20, 700 * 2**20, 200)
    assert (host["CpuQuota"], host["CpuPeriod"], host["Privileged"]) == (100_000, 100_000, False)


def test_the_memory_limit_ends_the_kernel_not_the_server(ana: Server) -> None:
    assert ana.sh("python3 -c 'x = bytearray(100 << 20)'")[0] == 0
    assert ana.sh("python3 -c 'x = b\"x\" * (900 << 20)'")[0] != 0
    ana.container.reload()
    assert ana.container.status == "running"


FORK_BOMB = """
import os, signal, time
children = []
try:
    while len(children) < 400:
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
        children.append(child)
except OSError:
    pass
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(len(children))
"""


def test_a_fork_bomb_hits_the_limit(ana: Server) -> None:
    _, output = ana.sh(f"python3 -c '{FORK_BOMB}'")
    assert 10 < int(output) < 200


def test_the_data_is_there_to_read_only(ana: Server) -> None:
    assert ana.sh("cat /eos/data/open/pixels.tif ~/eos/data/open/pixels.tif") == (0, "openopen")
    code, output = ana.sh("touch /eos/data/open/mine")
    assert code != 0 and "Read-only file system" in output


def test_a_collection_of_another_project_is_not_there(ana: Server, ben: Server) -> None:
    assert ben.sh("cat /eos/data/plots/pixels.tif") == (0, "plots")
    assert ana.sh("ls -A /eos/data/plots") == (0, "")


def test_the_projects_folder_is_writable_and_shared_by_its_members(ana: Server, platform: Platform) -> None:
    umask = ana.sh("grep -h Umask $(grep -lE '^Name:.*jupyter' /proc/[0-9]*/status)")[1]
    assert umask.split() == ["Umask:", "0002"]  # of the server; `exec` below does not inherit it
    assert ana.sh("umask 002; echo hi > /eos/projects/agriculture/from-ana")[0] == 0
    made = platform.settings.store.projects / "agriculture" / "from-ana"
    folder = made.parent.stat()
    assert (made.stat().st_gid, made.stat().st_mode & 0o777) == (folder.st_gid, 0o664)
    assert made.stat().st_uid == int(ana.sh("id -u")[1])


def test_other_projects_are_not_there(ana: Server, ben: Server) -> None:
    assert ana.sh("ls /eos/projects") == (0, "agriculture")
    assert ben.sh("ls /eos/projects") == (0, "forest")


def test_one_home_each(ana: Server) -> None:
    assert ana.sh("cd && pwd && stat -c %a:%U . && touch x && ls /home") == (0, "/home/ana\n700:ana\nana")


def test_the_host_is_out_of_sight(ana: Server, platform: Platform) -> None:
    assert ana.sh("ls /var/run/docker.sock /run/docker.sock")[0] != 0
    assert str(platform.settings.var) not in ana.sh("env")[1]
    # the proxy's API is on loopback: not to be reached from a container
    probe = "import socket; socket.create_connection(('{}', {}), 3)"
    gateway, hub = platform.settings.hub.api_bind, platform.settings.hub
    assert ana.sh(f'python3 -c "{probe.format(gateway, hub.api_port)}"')[0] == 0
    assert ana.sh(f'python3 -c "{probe.format(gateway, hub.proxy_api_port)}"')[0] != 0


def test_neighbours_do_not_reach_each_other(ana: Server, ben: Server, platform: Platform) -> None:
    network = platform.settings.spawning.network
    address = ben.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
    probe = f"python3 -c \"import socket; socket.create_connection(('{address}', 8888), 3)\""
    assert ben.sh(probe)[0] == 0
    assert ana.sh(probe)[0] != 0


def test_the_environment_is_the_contract(ana: Server, platform: Platform) -> None:
    found = dict(line.split("=", 1) for line in ana.sh("env")[1].splitlines() if "=" in line)
    section = platform.settings.processing
    expected = {
        "BDAP_PROJECT": "agriculture",
        "BDAP_STORE": "/eos",
        "BDAP_PROCESSING_URL": f"http://{section.bind}:{section.port}/services/processing",
    }
    assert {key: found.get(key) for key in expected} == expected
    me = platform.api("GET", "/user", token=found["JUPYTERHUB_API_TOKEN"]).json()
    assert (me["name"], me["groups"]) == ("ana", ["project-agriculture"])
    assert {f"access:services!service={n}" for n in ("processing", "catalogue", "dashboards")} <= set(me["scopes"])
    assert not [scope for scope in me["scopes"] if "admin" in scope or "tokens" in scope]
    # enough to be known, not to act for the person on the hub
    assert platform.api("DELETE", "/users/ana/server", token=found["JUPYTERHUB_API_TOKEN"]).status_code in (403, 404)


def test_the_labels_tell_whose_it_is(ana: Server) -> None:
    labels = ana.container.labels
    assert {key: labels[f"bdap.{key}"] for key in ("kind", "person", "project", "image")} == {
        "kind": "server",
        "person": "ana",
        "project": "agriculture",
        "image": "lab",
    }


@pytest.fixture
def killed(platform: Platform, ana: Server) -> Iterator[Platform]:
    platform.kill_hub()
    yield platform
    platform.processes["hub"].poll() is None or platform.start_hub()


def test_a_killed_hub_leaves_servers_alive_and_finds_them_again(killed: Platform, ana: Server) -> None:
    headers = {"Authorization": f"token {ana.sh('echo $JUPYTERHUB_API_TOKEN')[1]}"}
    ana.container.reload()
    assert ana.container.status == "running"
    killed.start_hub()
    model = killed.api("GET", "/users/ana").json()["servers"][""]
    assert (model["ready"], model["stopped"]) == (True, False)

    answer = httpx.get(f"{killed.url}/user/ana/api/status", headers=headers, timeout=20, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    ana.container.reload()
    assert ana.container.attrs["Id"] == ana.attrs["Id"]


def test_stopped_is_removed_and_the_home_kept(platform: Platform, ana: Server) -> None:
    ana.sh("echo kept > ~/notes.txt")
    platform.stop("ana")
    with pytest.raises(docker.errors.NotFound):
        docker.from_env().containers.get(container_name(platform.settings, "ana"))
    platform.start("ana", LAB)
    assert Server(platform, "ana").sh("cat ~/notes.txt") == (0, "kept")


def test_a_container_that_died_is_noticed_and_removed(platform: Platform, ben: Server) -> None:
    ben.container.kill()

    def another() -> bool:
        """Asking for it again makes the hub look; it is refused while the hub, which has seen it, tidies."""
        platform.api("POST", "/users/ben/server", json={"project": "forest", "image": "lab"})
        ready = platform.api("GET", "/users/ben").json()["servers"][""]["ready"]
        found = docker.from_env().containers.list(filters={"name": container_name(platform.settings, "ben")})
        return bool(ready and found) and found[0].id != ben.container.id

    platform.wait(another, 60, "ben's new server")
