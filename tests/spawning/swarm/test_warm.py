"""Containers that wait on the machines of a swarm, through the real hub with TLS inside.

A claimed server is what a cold one is, on the machine where that would be.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509

from bdap_hub.settings import Settings
from bdap_hub.spawning.engines.swarm_calls import service_of
from bdap_hub.spawning.plan import container_name
from tests.conftest import make_settings
from tests.hub.conftest import Platform, launch

from .machines import Machines

pytestmark = pytest.mark.docker
LAB = {"project": "agriculture", "image": "lab"}
# Of a process of the person's, as the kernel tells: the server itself.
INSIDE = """
import glob, json, os
def read(path): return open(path).read()
pids = [p for p in glob.glob("/proc/[0-9]*") if os.stat(p).st_uid >= 20000 and p != f"/proc/{os.getpid()}"]
server = max(pids, key=lambda p: int(p[6:]))
status = dict(l.split(":\\t", 1) for l in read(server + "/status").splitlines())
rights = ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Umask"]
mounts = [l.split() for l in read(server + "/mountinfo").splitlines()]
groups = dict(reversed(l.split(":", 2)[1:]) for l in read(server + "/cgroup").splitlines())
print(json.dumps({
    "rights": {k: status[k].split() for k in rights},
    "mounts": sorted([m[4], m[3].rpartition("/")[2], m[5]] for m in mounts if m[4][:4] in ("/hom", "/eos", "/var")),
    "ulimits": read(server + "/limits"),
    "hostname": os.uname().nodename,
    "pem": sorted((f, oct(os.stat(f).st_mode), os.stat(f).st_uid) for f in glob.glob("/run/bdap-tls/*")),
}))
"""


@pytest.fixture(scope="module")
def platform(machines: Machines) -> Iterator[Platform]:
    """A hub with TLS inside; the image is on two machines, none of them with GPUs."""
    machines.load("bdap/lab", "node1", "node2")
    folder = machines.folder / "warm"
    folder.mkdir()
    warm = {"least": 1, "most": 2, "keep_free": "100M", "patience": 20}
    swarm = {"address": machines.host, "node_port": 7422}
    settings: Settings = make_settings(
        folder / "var",
        spawning={"engine": "swarm", "memory": "700M", "idle_timeout": 0, "swarm": swarm, "warm": warm},
        hub={"api_bind": machines.host, "internal_ssl": True},
        **{name: {"bind": machines.host} for name in ("processing", "catalogue", "dashboards")},
    )
    machines.serve_parts(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", machines.socket("node1"))
        found = launch(folder, settings)
        try:
            yield found
            for name in ("ana", "ben"):
                found.stop(name)
        finally:
            found.close()
            for one in machines.clients["node1"].services(filters={"label": f"bdap.hub={settings.install_id}"}):
                machines.clients["node1"].remove_service(one["ID"])


class Server:
    """Somebody's, on whichever machine."""

    def __init__(self, platform: Platform, machines: Machines, name: str) -> None:
        self.machines = machines
        self.service = service_of(machines.clients["node1"], container_name(platform.settings, name))

    @property
    def claimed(self) -> bool:
        return "--warm-" in self.service["Spec"]["Name"]

    @property
    def node(self) -> str:
        return str(self.service["Spec"]["Labels"]["bdap.node"])

    @property
    def container(self) -> dict[str, Any]:
        client, container = self.machines.inside(self.service["Spec"]["Name"])
        return dict(client.inspect_container(container))

    def inside(self) -> dict[str, Any]:
        """What it is, as the kernel sees it, asked as its person; and its limits, as the engine has set them."""
        client, container = self.machines.inside(self.service["Spec"]["Name"])
        started = client.exec_create(container, ["python", "-c", INSIDE], user="20000:20001")
        said = client.exec_start(started["Id"]).decode()
        host = self.container["HostConfig"]
        limits = {key: host[key] for key in ("Memory", "MemorySwap", "NanoCpus", "PidsLimit")}
        return {**json.loads(said), "limits": limits}


def waiting(machines: Machines, platform: Platform) -> list[dict[str, Any]]:
    """Services that wait for somebody, and are ready to."""
    labels = [f"bdap.hub={platform.settings.install_id}", "bdap.kind=warm"]
    found = machines.clients["node1"].services(filters={"label": labels})
    ready = "test -S /run/bdap/claim"
    return [one for one in found if _runs(machines, one) and machines.exec(one["Spec"]["Name"], ready)[0] == 0]


def _runs(machines: Machines, service: dict[str, Any]) -> bool:
    tasks = machines.clients["node1"].tasks(filters={"service": service["ID"]})
    return any(task["Status"]["State"] == "running" for task in tasks)


def test_a_claimed_server_is_what_a_cold_one_is(platform: Platform, machines: Machines) -> None:
    platform.wait(lambda: len(waiting(machines, platform)) >= 2, 120, "one to wait on each machine with the image")
    nodes = [one["Spec"]["Labels"]["bdap.node"] for one in waiting(machines, platform)]
    assert set(nodes) == {"node1", "node2"}, "not where the GPUs are"
    platform.start("ana", LAB)
    one = Server(platform, machines, "ana")
    assert one.claimed and one.service["Spec"]["Labels"]["bdap.person"] == "ana"
    warm = one.inside()
    assert warm["rights"]["Uid"] == ["20000"] * 4 and warm["rights"]["CapBnd"] == ["0" * 16]
    assert warm["limits"] == {
        **dict.fromkeys(("Memory", "MemorySwap"), 700 * 2**20),
        "NanoCpus": 10**9,
        "PidsLimit": 512,
    }
    assert [path for path, *_ in warm["pem"]] and platform.at_server("ana", "GET", "api").status_code == 200
    platform.start("ben", {"project": "forest", "image": "lab"})
    assert Server(platform, machines, "ben").node != one.node, "what was claimed counts where the next one goes"
    platform.stop("ben")
    platform.stop("ana")
    assert not machines.clients["node1"].services(filters={"name": one.service["Spec"]["Name"]})

    for _ in range(5):  # until none waits any more: those who come then start cold
        for other in waiting(machines, platform):
            machines.clients["node1"].remove_service(other["ID"])
        platform.start("ana", LAB)
        if not (cold := Server(platform, machines, "ana")).claimed:
            break
        platform.stop("ana")
    assert not cold.claimed and cold.inside() == warm
    platform.stop("ana")


def test_the_server_believes_the_hub_and_the_proxy_alone(platform: Platform, machines: Machines) -> None:
    """Its certificate names the machine's address."""
    platform.start("ana", LAB)
    found = platform.api("GET", "/users/ana?include_stopped_servers").json()["servers"][""]
    assert found["ready"] and platform.at_server("ana", "GET", "api").status_code == 200
    server = Server(platform, machines, "ana")
    port = server.container["NetworkSettings"]["Ports"]["8888/tcp"][0]["HostPort"]
    pem = ssl.get_server_certificate((machines.address(server.node), int(port)))
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert [str(one.value) for one in names.value] == [machines.address(server.node)]
    assert platform.settings.hub.scheme == "https"
    platform.stop("ana")


def test_a_machine_without_its_part_keeps_nobody_waiting(platform: Platform, machines: Machines) -> None:
    """With TLS inside, servers get their certificates by it: who starts there is told so, and nothing is left."""
    install, nodes = platform.settings.install_id, ("node1", "node2")
    for node in nodes:
        machines.end_part(node, install)
    try:
        answer = platform.api("POST", "/users/ana/server", json=LAB)
        platform.wait(lambda: not platform.api("GET", "/users/ana").json()["servers"], 60, "the start to fail")
        assert answer.status_code >= 400 or "root's part on node" in platform.log
        labels = [f"bdap.hub={install}", "bdap.person=ana"]
        assert not machines.clients["node1"].services(filters={"label": labels})
    finally:
        for node in nodes:
            machines.start_part(node, install)
    platform.start("ana", LAB, 90)  # the control
    platform.stop("ana")
