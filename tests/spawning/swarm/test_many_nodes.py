"""The real hub on a swarm of three machines: GPUs, neighbours, and what becomes of people when a machine changes.

Each machine has a Docker engine of its own. The GPUs are fake at the driver's end; Docker's way to them is real.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from click.testing import CliRunner

from bdap_hub import database
from bdap_hub.cli import main
from bdap_hub.settings import Settings
from bdap_hub.spawning.gpu.tables import allocations
from bdap_hub.spawning.lifecycle import ends
from bdap_hub.spawning.plan import container_name
from tests.conftest import make_settings
from tests.hub.conftest import Platform, launch

from .machines import GPUS, NETWORK, NODES, SERVER, Machines

pytestmark = pytest.mark.docker

GPU = {"project": "agriculture", "image": "gpu"}
LAB = {"project": "agriculture", "image": "lab"}
FOREST = {"project": "forest", "image": "lab"}


@pytest.fixture(scope="module")
def platform(machines: Machines) -> Iterator[Platform]:
    """A hub on this host, its servers on the machines; ana, ben and olga may use GPUs."""
    folder = machines.folder / "hub"
    folder.mkdir()
    settings: Settings = make_settings(
        folder / "var",
        spawning={
            "engine": "swarm",
            "memory": "200M",
            "idle_timeout": 0,
            "gpu_hours": 2,
            "swarm": {"address": machines.host},
        },
        hub={"api_bind": machines.host},
        **{name: {"bind": machines.host} for name in ("processing", "catalogue", "dashboards")},
    )
    settings.images = tuple(image.model_copy(update={"reference": SERVER}) for image in settings.images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", machines.socket("node1"))
        found = launch(folder, settings)
        try:
            found.api("POST", "/groups/project-agriculture/users", json={"users": ["ben"]}).raise_for_status()
            yield found
            for name in ("ana", "ben", "olga"):
                found.stop(name)
        finally:
            found.close()
            machines.open()


class Person:
    """Somebody with a server that runs."""

    def __init__(self, platform: Platform, machines: Machines, name: str) -> None:
        self.machines, self.service = machines, container_name(platform.settings, name)

    @property
    def node(self) -> str:
        client, _ = self.machines.inside(self.service)
        return next(node for node, other in self.machines.clients.items() if other is client)

    @property
    def container(self) -> str:
        return self.machines.inside(self.service)[1]

    @property
    def gpus(self) -> list[str]:
        """What the driver's end shows inside."""
        return self.sh("ls /dev/nvidia 2>/dev/null").split()

    @property
    def port(self) -> int:
        """Where its machine has it published."""
        client, container = self.machines.inside(self.service)
        return int(client.inspect_container(container)["NetworkSettings"]["Ports"]["8888/tcp"][0]["HostPort"])

    @property
    def inner(self) -> str:
        client, container = self.machines.inside(self.service)
        return str(client.inspect_container(container)["NetworkSettings"]["Networks"][NETWORK]["IPAddress"])

    def sh(self, script: str) -> str:
        return self.machines.exec(self.service, script)[1]

    def reaches(self, address: str, port: int) -> bool:
        """Whether a connection from inside is taken."""
        perl = "exit(IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 2) ? 0 : 1)"
        return self.machines.exec(self.service, f"perl -MIO::Socket::INET -e '{perl}' {address} {port}")[0] == 0


def person(platform: Platform, machines: Machines, name: str, options: dict[str, str]) -> Person:
    platform.start(name, options)
    return Person(platform, machines, name)


def held(platform: Platform) -> dict[str, tuple[str, str]]:
    rows = allocations(database.connect(platform.settings.database))
    return {row.person: (row.node, row.device) for row in rows}


def told(platform: Platform, name: str) -> str:
    """What their page says about the end of their server."""
    end = ends.last(database.connect(platform.settings.database), name).get("")
    return end.words if end else ""


def servers(platform: Platform, name: str) -> dict[str, object]:
    return dict(platform.api("GET", f"/users/{name}").json()["servers"])


def test_a_gpu_image_lands_on_the_gpu_node_with_its_own_gpu_and_the_third_waits(
    platform: Platform, machines: Machines
) -> None:
    ana, olga = (person(platform, machines, name, GPU) for name in ("ana", "olga"))
    assert (ana.node, olga.node) == ("node3", "node3")
    assert len(ana.gpus) == len(olga.gpus) == 1 and set(ana.gpus + olga.gpus) == set(GPUS)
    assert held(platform) == {"ana": ("node3", ana.gpus[0]), "olga": ("node3", olga.gpus[0])}

    ben = person(platform, machines, "ben", FOREST)
    assert ben.node in NODES[:2] and ben.gpus == []
    platform.stop("ben")

    first = ana.gpus
    assert platform.api("POST", "/users/ben/server", json=GPU).status_code in (201, 202)
    message = ""
    with httpx.stream(
        "GET",
        f"{platform.url}/hub/api/users/ben/server/progress",
        headers={"Authorization": f"token {platform.token_of('ben')}"},
        timeout=60,
    ) as page:
        for line in page.iter_lines():
            message = line if "in line" in line else message
            if message:
                platform.api("DELETE", "/users/ana/server")
                break
    assert "You are number 1 in line for a GPU" in message and "the next is due back by" in message
    platform.wait(lambda: servers(platform, "ben")[""]["ready"], 60, "ben's turn")  # type: ignore[index]
    assert Person(platform, machines, "ben").gpus == first
    for name in ("ben", "olga"):
        platform.stop(name)
    assert held(platform) == {}


def test_nobody_reaches_a_neighbours_server_or_a_machines_ports(
    platform: Platform, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each refusal has its positive control: the same attempt before the rules are there."""
    ana, ben, olga = (person(platform, machines, name, LAB) for name in ("ana", "ben", "olga"))
    assert {ana.node, ben.node} == {"node1", "node2"}, "one on each, by what they have to spare"
    beside = ana if olga.node == ana.node else ben
    far = ben if beside is ana else ana
    tries = {
        "a neighbour on another machine": lambda: olga.reaches(machines.address(far.node), far.port),
        "a neighbour on the same machine": lambda: olga.reaches(machines.address(olga.node), beside.port),
        "the swarm's manager": lambda: olga.reaches(machines.address("node1"), 2377),
        "the machine's own ports": lambda: olga.reaches(machines.address(olga.node), 7946),
        "another machine's ports": lambda: olga.reaches(machines.address("node3"), 7946),
        "a port of the hub's host": lambda: olga.reaches(machines.host, platform.settings.hub.proxy_api_port + 1),
    }
    with listening(machines.host, platform.settings.hub.proxy_api_port + 1):
        assert {what: attempt() for what, attempt in tries.items()} == dict.fromkeys(tries, True)
        # the bridge of each machine lets no container talk to another, rules or not
        assert not olga.reaches(beside.inner, 8888) and beside.reaches("127.0.0.1", 8888)

        monkeypatch.setenv("BDAP_CONFIG", str(platform.folder / "bdap.yaml"))
        for node in NODES:
            listing = machines.sh(node, "iptables -S")
            rules = CliRunner().invoke(main, ["firewall", "node"], input=listing, catch_exceptions=False)
            machines.sh(node, "iptables-restore --noflush", rules.output)
        assert {what: attempt() for what, attempt in tries.items()} == dict.fromkeys(tries, False)
    assert olga.reaches(machines.host, platform.settings.hub.api_port)
    for name in ("ana", "ben", "olga"):  # the hub and its proxy still reach them all
        token = platform.token_of(name)
        answer = httpx.get(f"{platform.url}/user/{name}/", headers={"Authorization": f"token {token}"}, timeout=20)
        assert (answer.status_code, answer.text) == (200, "{}")
        platform.stop(name)
    assert person(platform, machines, "ana", LAB).gpus == []  # and new ones start
    platform.stop("ana")


def listening(address: str, port: int) -> socket.socket:
    """Something on this host that is none of a server's business."""
    return socket.create_server((address, port))


def test_a_label_that_changes_ends_nobody_and_new_servers_go_elsewhere(platform: Platform, machines: Machines) -> None:
    ana, ben = person(platform, machines, "ana", GPU), person(platform, machines, "ben", LAB)
    before = (ana.container, ben.container)
    machines.label("node3", "bdap.servers", None)
    machines.label(ben.node, "bdap.servers", "no")
    machines.label("node3", "colour", "blue")
    time.sleep(3)
    assert (ana.container, ben.container) == before and len(ana.gpus) == 1
    olga = person(platform, machines, "olga", LAB)
    assert olga.node not in ("node3", ben.node)
    platform.stop("olga")
    refused = platform.api("POST", "/users/olga/server", json=GPU)
    assert refused.status_code in (400, 403, 503), platform.log[-3500:]
    for node in NODES:
        machines.label(node, "bdap.servers", "true")
    assert (ana.container, ben.container) == before
    for name in ("ana", "ben"):
        platform.stop(name)


def test_a_paused_machine_keeps_its_servers_and_a_drained_one_ends_them(platform: Platform, machines: Machines) -> None:
    ana, ben = person(platform, machines, "ana", LAB), person(platform, machines, "ben", LAB)
    assert ana.node != ben.node
    left, gone, kept = ana.node, ben.node, ana.container
    machines.make(gone, "pause")
    time.sleep(2)
    assert ben.node == gone
    olga = person(platform, machines, "olga", LAB)
    assert olga.node == left

    machines.make(gone, "drain")
    # asking makes the hub look; it says why, and a new server comes elsewhere
    platform.wait(lambda: _again(platform, "ben", LAB), 60, "ben's new server")
    assert Person(platform, machines, "ben").node == left and ana.container == kept
    assert f"the operator is emptying {gone}, the machine that it ran on" in platform.log
    assert told(platform, "ben") == "", "it runs again"
    machines.make(gone, "active")
    for name in ("ana", "ben", "olga"):
        platform.stop(name)


def _again(platform: Platform, name: str, options: dict[str, str]) -> bool:
    """Ask for a server as often as it takes."""
    found = servers(platform, name).get("")
    if found and found["ready"]:  # type: ignore[index]
        platform.api("POST", f"/users/{name}/server", json=options)
        time.sleep(0.5)
        found = servers(platform, name).get("")
        return bool(found and found["ready"] and _runs(platform, name))  # type: ignore[index]
    if not found:
        platform.api("POST", f"/users/{name}/server", json=options)
    return False


def _runs(platform: Platform, name: str) -> bool:
    token = platform.token_of(name)
    answer = httpx.get(f"{platform.url}/user/{name}/", headers={"Authorization": f"token {token}"}, timeout=20)
    return answer.status_code == 200 and answer.text == "{}"


def test_a_killed_machine_is_reported_and_its_gpu_is_nobodys_until_it_is_back(
    platform: Platform, machines: Machines
) -> None:
    ben = person(platform, machines, "ben", LAB)
    person(platform, machines, "ana", GPU)
    kept = ben.container
    machines.kill("node3")
    killed = time.monotonic()
    while machines.state("node3") == "ready":
        assert held(platform)["ana"][0] == "node3", "not before it is known to be dead"
        assert time.monotonic() - killed < 60
        time.sleep(0.2)
    platform.wait(lambda: told(platform, "ana"), 30, "ana to be told")
    assert told(platform, "ana") == (
        "Your server is gone: node3, the machine that it ran on, does not answer any more. Your files are where you "
        "left them. Start it again: it comes up on another machine."
    )
    begun = time.monotonic()
    olga = person(platform, machines, "olga", LAB)  # a dead machine holds up nobody
    assert olga.node != "node3" and time.monotonic() - begun < 15
    platform.wait(lambda: _again(platform, "ana", LAB), 60, "ana's new server elsewhere")
    assert Person(platform, machines, "ana").node != "node3" and held(platform) == {}
    assert ben.container == kept

    machines.revive("node3")
    assert platform.api("POST", "/users/pia/server", json=GPU).status_code >= 400
    platform.stop("ana")
    platform.wait(lambda: _gpu_again(platform), 90, "the GPU to be given out again")
    assert len(Person(platform, machines, "ana").gpus) == 1
    assert {gpu for _, gpu in held(platform).values()} == set(Person(platform, machines, "ana").gpus)


def _gpu_again(platform: Platform) -> bool:
    found = servers(platform, "ana").get("")
    if not found:
        platform.api("POST", "/users/ana/server", json=GPU)
    return bool(found and found["ready"])  # type: ignore[index]
