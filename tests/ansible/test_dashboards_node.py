"""The role dashboards_node for real, on a fresh trixie host; this machine is the hub's host.

What needs a container runs with BDAP_TEST_ANSIBLE=1.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from bdap_hub.dashboards.nodes.client import FarRuntime
from bdap_hub.errors import Unavailable
from bdap_hub.settings import Settings
from tests.conftest import free_port
from tests.serving import standing

from . import hosts
from .hosts import Host, Site, recap

NAME = "bdaptest-ansible-dashboards"
DASHBOARDS = "172.30.241.1"  # the gateway of their bridge, on each machine
PORT = 7440


@dataclass
class Hub:
    """This machine as the hub's host, as far as further machines are concerned."""

    site: Site
    address: str
    config: Path

    @property
    def written(self) -> dict[str, Any]:
        """What the role platform wrote into its bdap.yaml."""
        return dict(yaml.safe_load(self.config.read_text()))

    def settings(self, monkeypatch: pytest.MonkeyPatch) -> Settings:
        """The same, as its services read it."""
        monkeypatch.setenv("BDAP_CONFIG", str(self.config))
        return Settings()


def hub_of(folder: Path, command: str, address: str, machines: dict[str, dict[str, Any]], **more: Any) -> Hub:
    """An inventory of this machine and those; nothing is played yet."""
    root, config = folder / "root", folder / "bdap.yaml"
    root.mkdir()
    (root / "venv").symlink_to(Path(sys.prefix))
    playbooks = folder / "ansible"
    shutil.copytree(hosts.ANSIBLE, playbooks)
    shutil.copy(Path(__file__).parent / "hub_settings.yml", playbooks)
    here = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_host": address,
        "bdap_user": "root",
        "bdap_root": str(root),
        "bdap_var": str(folder / "var"),
        "bdap_config": str(config),
        **more,
    }
    groups = {"bdap": {"bdap-demo": here}} | ({"bdap_dashboard_nodes": machines} if machines else {})
    return Hub(Site(command, hosts.demo_inventory(folder, groups), playbooks), address, config)


MACHINES: dict[str, dict[str, Any]] = {
    "one": {"ansible_host": "192.0.2.31"},
    "two": {"ansible_host": "two.example.org", "dashboards_node_address": "2001:db8::32", "dashboards_node_port": 7431},
}


def test_the_hubs_settings_name_the_machines_of_the_inventory(ansible_playbook: str, tmp_path: Path) -> None:
    hub = hub_of(tmp_path, ansible_playbook, "192.0.2.10", MACHINES)
    hub.site.play("hub_settings.yml")
    found = hub.written["dashboards"]
    assert (found["node_hub"], found["nodes"]) == ("192.0.2.10", ["192.0.2.31:7430", "[2001:db8::32]:7431"])
    assert recap(hub.site.play("hub_settings.yml"))["changed"] == 0


def test_without_machines_nothing_listens_for_any(ansible_playbook: str, tmp_path: Path) -> None:
    hub = hub_of(tmp_path, ansible_playbook, "192.0.2.10", {})
    hub.site.play("hub_settings.yml")
    assert hub.written["dashboards"]["network"] == "bdap-dashboards"  # the positive control
    assert not {"node_hub", "nodes"} & set(hub.written["dashboards"])


def test_a_name_is_no_address_of_the_hub(ansible_playbook: str, tmp_path: Path) -> None:
    hub = hub_of(tmp_path, ansible_playbook, "hub.example.org", MACHINES)
    with pytest.raises(AssertionError, match=r"'hub\.example\.org' is no IP address"):
        hub.site.play("hub_settings.yml")
    assert not hub.config.exists()


@dataclass
class Machine:
    """The further machine, and the hub's host that it is played from."""

    hub: Hub
    host: Host

    def play(self, *options: str) -> dict[str, int]:
        return recap(self.hub.site.play("dashboards.yml", *options), "one")


@pytest.fixture(scope="module")
def machine(ansible_playbook: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Played once."""
    folder = tmp_path_factory.mktemp("dashboards")
    with hosts.network(NAME) as net, hosts.host(NAME, "one", net, folder) as one:
        [config] = json.loads(hosts.run_command("docker", "network", "inspect", NAME).stdout)[0]["IPAM"]["Config"]
        variables = {
            **one.reached(),
            **hosts.of_this_site(),
            # /proc/sys is read-only in a container, where the engine would turn IPv6 off
            "engine_environment": {"DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE": "1"},
            "platform_checkout": str(hosts.ROOT),
            "dashboards_node_port": PORT,
            "dashboards_node_settings": {"dashboards": {"most_cpus": 1.5}},
        }
        said = {
            "processing": {"port": free_port()},
            "dashboards": {"most_memory": "3G", "most_cpus": 8},
            "store": {"mount": "/store"},
        }
        hub = hub_of(folder, ansible_playbook, config["Gateway"], {"one": variables}, bdap_settings=said)
        hub.site.play("hub_settings.yml")
        found = Machine(hub, one)
        first = found.play()
        assert (first["failed"], first["unreachable"]) == (0, 0) and first["changed"] > 15
        yield found


slow = pytest.mark.skipif(not os.environ.get("BDAP_TEST_ANSIBLE"), reason="takes minutes: set BDAP_TEST_ANSIBLE=1")


@pytest.mark.docker
@slow
def test_a_second_time_nothing_changes(machine: Machine) -> None:
    assert machine.play()["changed"] == 0
    assert machine.play("--check", "--diff")["changed"] == 0


@pytest.mark.docker
@slow
def test_the_hub_is_heard_there_and_nobody_without_its_certificate(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = machine.hub.settings(monkeypatch)
    assert settings.dashboards.nodes == (f"{machine.host.address}:{PORT}",)
    far = FarRuntime(settings, settings.dashboards.nodes[0])
    assert far.running() == {} and far.room() > 0
    settings.var = settings.var / "another"
    with pytest.raises(Unavailable):
        FarRuntime(settings, settings.dashboards.nodes[0]).running()


@pytest.mark.docker
@slow
def test_its_settings_are_the_hubs_but_for_its_own(machine: Machine) -> None:
    command = ("env", "BDAP_CONFIG=/etc/bdap/bdap.yaml", "/opt/bdap-hub/venv/bin/bdap", "settings")
    found = json.loads(machine.host.shell(*command))
    theirs = machine.hub.written
    assert found["hub"]["public_url"] == theirs["hub"]["public_url"]
    assert found["processing"]["port"] == theirs["processing"]["port"]
    assert (found["store"]["root"], found["store"]["mount"]) == (theirs["store"]["root"], "/store")
    assert (found["dashboards"]["most_memory"], found["dashboards"]["most_cpus"]) == ("3G", 1.5)
    assert found["dashboards"]["nodes"] == [] and found["projects"] == []


@pytest.mark.docker
@slow
def test_it_runs_behind_the_firewall_without_roots_rights(machine: Machine) -> None:
    shell = machine.host.shell
    rules = shell("iptables", "-S", "INPUT").splitlines()
    assert rules[1].startswith("-A INPUT -j BDAP-INPUT-")
    pid = shell("systemctl", "show", "--value", "-p", "MainPID", "bdap-dashboards-node.service").strip()
    status = dict(line.split(":\t", 1) for line in shell("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line)
    assert status["Uid"].split()[0] == shell("id", "-u", "bdap").strip() != "0"
    assert int(status["CapEff"], 16) == 1 << 19  # CAP_SYS_PTRACE
    found = shell("find", "/etc/bdap-dashboards", "-printf", "%f %m %u\\n").split("\n")
    assert {"bdap-dashboards 700 bdap", "key.pem 600 bdap"} <= set(found)
    assert not [line for line in found if line and line.split()[1] not in ("700", "600")]


FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"


@pytest.mark.docker
@slow
def test_its_dashboards_reach_the_hubs_services(machine: Machine) -> None:
    port = machine.hub.written["processing"]["port"]
    with standing(machine.hub.address, port, _Says):
        found = machine.host.shell("python3", "-c", FETCH, f"http://{DASHBOARDS}:{port}/services/processing/health")
    assert found == "/services/processing/health\n"


class _Says(SimpleHTTPRequestHandler):
    """What it was asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())
