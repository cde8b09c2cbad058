"""The walls around people's servers and dashboards, tried from inside; the host, or the time before, is the control."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network
from typing import Any

import docker
import httpx
import pytest

from bdap_hub.dashboards.running.runtime_docker import DockerRuntime
from bdap_hub.errors import Unavailable
from bdap_hub.settings import Settings
from bdap_hub.spawning import firewall
from bdap_hub.spawning.images import debian
from bdap_hub.spawning.plan import container_name

from .conftest import Platform

pytestmark = pytest.mark.docker

OUTSIDE, METADATA = "198.51.100.2", "169.254.77.77"
PROBE = """
import json, socket, sys
def opens(host, port):
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False
print(json.dumps([opens(host, port) for host, port in json.loads(sys.argv[1])]))
"""
# System calls that escapes are made of (numbers of x86-64), and one that everybody needs; 0, or what the kernel says.
# Engines from 26 on let ptrace and process_vm_readv through: they reach own processes of the container alone.
CALLS = {
    "unshare a user namespace": [272, 0x10000000],
    "unshare mounts": [272, 0x00020000],
    "keyctl": [250, 0, -4, 1],
    "add_key": [248, "user", "x", "y", 1, -4],
    "bpf": [321, 0, 0, 0],
    "perf_event_open": [298, 0, 0, -1, -1, 0],
    "mount": [165, "none", "/tmp", "tmpfs", 0, 0],
    "pivot_root": [155, "/", "/"],
    "setns": [308, 0, 0],
    "open_by_handle_at": [304, -1, 0, 0],
    "fsopen": [430, "tmpfs", 0],
    "getpid": [39],
}
CALL = """
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(numbers):
    ctypes.set_errno(0)
    arguments = [ctypes.c_long(one) if isinstance(one, int) else one.encode() for one in numbers]
    return 0 if libc.syscall(*arguments) >= 0 else ctypes.get_errno()
def alone(numbers):
    reader, writer = os.pipe()
    if not os.fork():
        os.write(writer, bytes([call(numbers)]))
        os._exit(0)
    return os.read(reader, 1)[0]
print(json.dumps({name: alone(numbers) for name, numbers in json.loads(sys.argv[1]).items()}))
"""
EPERM = 1
LISTEN = "import http.server as h; h.ThreadingHTTPServer(('', 80), h.SimpleHTTPRequestHandler).serve_forever()"
Place = tuple[str, int]


@dataclass
class Walls:
    """Containers on the bridges, and things that listen around them."""

    settings: Settings
    servers: dict[str, Any]
    dashboard: Any
    stranger: Any
    listener: int

    def opens(self, container: Any, *places: Place) -> list[bool]:
        """Which of these the container can connect to."""
        code, output = container.exec_run(["python3", "-c", PROBE, json.dumps(places)], workdir="/")
        assert code == 0, output
        return list(json.loads(output))

    def address(self, container: Any) -> str:
        (network,) = container.attrs["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    @property
    def gateways(self) -> tuple[str, str]:
        servers, dashboards = firewall.bridges(self.settings)
        return servers.gateway, dashboards.gateway


def host_opens(place: Place) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(place, timeout=2).close()
        return True
    return False


def as_root(*command: str) -> str:
    done = subprocess.run([*(debian.as_root() or []), *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@contextlib.contextmanager
def listening(address: str, port: int = 0, family: int = socket.AF_INET) -> Iterator[int]:
    """Something that accepts connections on this host, as its sshd does."""

    class Server(ThreadingHTTPServer):
        address_family = family

    server = Server((address, port), SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def walls(platform: Platform) -> Iterator[Walls]:
    """Ana's and ben's servers, something like a dashboard, and a container of somebody else; no firewall yet."""
    settings, engine = platform.settings, docker.from_env()
    settings.dashboards.network = f"bdaptest-boards-{secrets.token_hex(3)}"
    DockerRuntime(settings).host_address()
    with contextlib.ExitStack() as after:
        after.callback(engine.networks.get(settings.dashboards.network).remove)
        elsewhere = engine.networks.create(f"bdaptest-other-{secrets.token_hex(3)}", check_duplicate=True)
        after.callback(elsewhere.remove)

        def listen(network: str) -> Any:
            made = engine.containers.run("bdap/lab:latest", ["python3", "-c", LISTEN], network=network, detach=True)
            after.callback(made.remove, force=True)
            made.reload()
            return made

        board, stranger = listen(settings.dashboards.network), listen(elsewhere.name)
        for name, project in (("ana", "agriculture"), ("ben", "forest")):
            platform.stop(name)
            platform.start(name, {"project": project, "image": "lab"})
            after.callback(platform.stop, name)
        servers = {name: engine.containers.get(container_name(settings, name)) for name in ("ana", "ben")}
        listener = after.enter_context(listening("0.0.0.0"))
        yield Walls(settings, servers, board, stranger, listener)


@pytest.fixture
def closed(walls: Walls) -> Iterator[Callable[[Any], None]]:
    """Puts the firewall up, with a policy for what lies outside."""

    def close(egress: Any = "all") -> None:
        walls.settings.spawning.egress = egress
        firewall.apply(walls.settings)

    close()
    yield close
    firewall.remove(walls.settings)


@pytest.fixture(scope="module")
def outside(walls: Walls) -> Iterator[None]:
    """Another machine behind this one, with an address of the world and one such as a cloud's metadata has."""
    name = f"bdap{secrets.token_hex(3)}"
    as_root("ip", "netns", "add", name)
    try:
        as_root("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        as_root("ip", "address", "add", "198.51.100.1/24", "dev", name)
        as_root("ip", "link", "set", name, "up")
        for address in (f"{OUTSIDE}/24", f"{METADATA}/32"):
            as_root("ip", "-n", name, "address", "add", address, "dev", "eth0")
        as_root("ip", "-n", name, "link", "set", "eth0", "up")
        as_root("ip", "route", "add", METADATA, "via", OUTSIDE)
        listener = subprocess.Popen(
            [*(debian.as_root() or []), "ip", "netns", "exec", name, "python3", "-c", LISTEN], stderr=subprocess.DEVNULL
        )
        try:
            for place in ((OUTSIDE, 80), (METADATA, 80)):
                _until(lambda place=place: host_opens(place))
            yield
        finally:
            as_root("kill", str(listener.pid))
            listener.wait(10)
    finally:
        as_root("ip", "netns", "delete", name)


def _until(check: Callable[[], bool]) -> None:
    for _ in range(50):
        if check():
            return
        threading.Event().wait(0.1)
    pytest.fail("what lies outside does not answer the host")


def test_without_the_firewall_the_hosts_ports_are_open(walls: Walls) -> None:
    """The control of all that follows: it is the rules that refuse."""
    assert walls.opens(walls.servers["ana"], (walls.gateways[0], walls.listener)) == [True]
    assert walls.opens(walls.dashboard, (walls.gateways[1], walls.listener)) == [True]


def test_a_server_reaches_the_platform_and_nothing_else_of_this_host(
    walls: Walls, closed: Callable[[Any], None]
) -> None:
    ana, gateway, settings = walls.servers["ana"], walls.gateways[0], walls.settings
    with listening(gateway, settings.processing.port), listening("0.0.0.0", settings.admin.port):
        allowed = [(gateway, settings.hub.api_port), (gateway, settings.processing.port)]
        others = [walls.gateways[1], as_root("hostname", "-I").split()[0]]
        refused = [
            (gateway, walls.listener),
            (gateway, settings.admin.port),
            *((address, walls.listener) for address in others),
            (walls.gateways[1], settings.admin.port),
        ]
        assert [host_opens(place) for place in refused] == [True] * len(refused)
        assert walls.opens(ana, *allowed) == [True, True]
        assert walls.opens(ana, *refused) == [False] * len(refused)


def test_a_server_still_works(walls: Walls, platform: Platform, closed: Callable[[Any], None]) -> None:
    """The host reaches it, and it the hub's API, where it asks who its visitor is."""
    headers = {"Authorization": f"token {platform.token_of('ana')}"}
    assert httpx.get(f"{platform.url}/user/ana/api/status", headers=headers, timeout=20).status_code == 200
    platform.stop("ana")
    platform.start("ana", {"project": "agriculture", "image": "lab"})
    walls.servers["ana"] = docker.from_env().containers.get(container_name(walls.settings, "ana"))


def test_nobody_reaches_a_neighbour_or_another_bridge(walls: Walls, closed: Callable[[Any], None]) -> None:
    ana, ben = walls.servers["ana"], walls.servers["ben"]
    places = [(walls.address(ben), 8888), (walls.address(walls.stranger), 80), (walls.address(walls.dashboard), 80)]
    assert [host_opens(place) for place in places] == [True, True, True]
    assert walls.opens(ana, *places) == [False, False, False]
    assert walls.opens(walls.dashboard, (walls.address(ana), 8888), *places[:2]) == [False, False, False]
    assert walls.opens(walls.stranger, places[0], places[2]) == [False, False]


def test_a_dashboard_reaches_its_services_only(walls: Walls, outside: None, closed: Callable[[Any], None]) -> None:
    gateway, settings = walls.gateways[1], walls.settings
    with listening(gateway, settings.catalogue.port):
        assert walls.opens(walls.dashboard, (gateway, settings.catalogue.port)) == [True]
        places = [(gateway, walls.listener), (walls.gateways[0], settings.hub.api_port), (OUTSIDE, 80), (METADATA, 80)]
        assert [host_opens(place) for place in places] == [True] * 4
        assert walls.opens(walls.dashboard, *places) == [False] * 4


def test_the_world_is_open_by_policy_and_the_metadata_address_never(
    walls: Walls, outside: None, closed: Callable[[Any], None]
) -> None:
    ana, places = walls.servers["ana"], [(OUTSIDE, 80), (METADATA, 80)]
    for egress, expected in (
        ("all", True),
        ("none", False),
        ((IPv4Network("198.51.100.0/24"), IPv4Network("169.254.0.0/16")), True),
        ((IPv4Network("203.0.113.0/24"),), False),
    ):
        closed(egress)
        assert walls.opens(ana, *places, (walls.gateways[0], walls.settings.hub.api_port)) == [expected, False, True]
    firewall.remove(walls.settings)
    assert walls.opens(ana, *places) == [True, True]


def test_there_is_no_ipv6(walls: Walls, closed: Callable[[Any], None]) -> None:
    ana = walls.servers["ana"]
    assert ana.exec_run(["sh", "-c", "cat /proc/net/if_inet6 2>/dev/null | grep -v ' lo$'"])[1] == b""
    if not socket.has_ipv6:
        pytest.skip("this host has no IPv6")
    interface = firewall.bridges(walls.settings)[0].interface
    shown = json.loads(as_root("ip", "-j", "-6", "address", "show", "dev", interface) or "[]")
    found = [one["local"] for link in shown for one in link.get("addr_info", ())]
    with listening("::", family=socket.AF_INET6) as port:
        assert host_opens(("::1", port))
        assert walls.opens(ana, *((f"{address}%eth0", port) for address in found)) == [False] * len(found)


def test_the_rules_stand_once_and_go_again(walls: Walls, closed: Callable[[Any], None]) -> None:
    suffix = walls.settings.install_id[:8]
    tool = firewall._tool(debian.as_root() or [])
    for command in (tool, tool.replace("iptables", "ip6tables")):
        before = as_root(command, "-S")
        closed("all")
        assert as_root(command, "-S") == before
        assert next(line for line in before.splitlines() if line.startswith("-A INPUT")).endswith(suffix)
    firewall.remove(walls.settings)
    firewall.remove(walls.settings)
    for command in (tool, tool.replace("iptables", "ip6tables")):
        assert suffix not in as_root(command, "-S")


def test_where_rules_cannot_be_set_the_risk_is_named(walls: Walls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "as_root", lambda: None)
    with pytest.raises(Unavailable, match=r"reach every port that listens on this host"):
        firewall.apply(walls.settings)


def test_what_a_server_is_made_of_seen_from_inside(walls: Walls) -> None:
    ana = walls.servers["ana"]

    def sh(script: str) -> str:
        return str(ana.exec_run(["sh", "-c", script])[1].decode().strip())

    assert sh("grep -E '^(Seccomp|NoNewPrivs|CapBnd):' /proc/1/status").split() == [
        "CapBnd:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2",
    ]  # fmt: skip
    assert sh("ulimit -c; cat /proc/self/oom_score_adj").split() == ["0", "500"]
    assert sh("cat /proc/1/comm") == "docker-init"
    assert sh("(true & exec sleep 0.1) & sleep 0.4; grep -l 'State:.Z' /proc/[0-9]*/status") == ""
    assert "Read-only" in sh("echo 1 > /proc/sys/kernel/pid_max; echo 1 > /sys/kernel/mm/transparent_hugepage/enabled")
    assert sh("(head -qc1 /proc/kcore /proc/keys /proc/timer_list; ls /sys/firmware) 2>/dev/null") == ""
    assert sh("ls /var/run/docker.sock /run/docker.sock /run/containerd 2>/dev/null") == ""
    assert sh("hostname") == "agriculture-ana" != socket.gethostname()
    assert sh("touch /tmp/mine && echo $?") == "0"
    assert walls.servers["ben"].exec_run(["ls", "/tmp/mine"])[0] != 0


def test_system_calls_that_escapes_are_made_of_are_refused(walls: Walls) -> None:
    """The control is the same image, person and capabilities (none), without the engine's seccomp profile.

    Some of them want a capability, too, or are closed by the host's own settings: then both refuse.
    """
    command = ["python3", "-c", CALL, json.dumps(CALLS)]
    refused = dict.fromkeys(CALLS, EPERM) | {"getpid": 0}
    assert json.loads(walls.servers["ana"].exec_run(command, workdir="/")[1]) == refused
    engine, user = docker.from_env(), walls.servers["ana"].attrs["Config"]["User"]
    options = ["no-new-privileges:true", "seccomp=unconfined"]
    output = engine.containers.run(
        "bdap/lab:latest", command, user=user, cap_drop=["ALL"], security_opt=options, remove=True, network_mode="none"
    )
    let_through = {name for name, error in json.loads(output).items() if error != EPERM}
    assert {"keyctl", "add_key", "setns", "getpid"} <= let_through


def test_nothing_of_the_host_is_in_sight(walls: Walls) -> None:
    ana = walls.servers["ana"]
    uid = ana.attrs["Config"]["User"].partition(":")[0]

    def lines(script: str) -> set[str]:
        return set(ana.exec_run(["sh", "-c", script])[1].decode().split())

    assert lines("stat -c %u /proc/[0-9]*") == {uid}
    assert lines("find / -xdev -type f -perm /6000 2>/dev/null") == set()  # no program that would make one root
    assert lines("find /dev -type b; find /dev -maxdepth 1 -type c") <= {
        f"/dev/{name}" for name in ("full", "null", "random", "tty", "urandom", "zero", "console")
    }
    assert lines("find / -xdev -type s 2>/dev/null; ls -d /proc/1/root/host* 2>/dev/null") == set()
    assert lines("env | grep -i -E 'DOCKER|SOCK'") == set()
