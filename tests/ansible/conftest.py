"""Where ansible-playbook is, and the one host that the whole platform is deployed to."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import hosts
from .hosts import Host, Site

NAME = "bdaptest-ansible-host"


@pytest.fixture(scope="session")
def run() -> object:
    """Runs a command; AssertionError with its output when it fails."""
    return hosts.run_command


@pytest.fixture(scope="session")
def ansible_playbook() -> str:
    """The command; skips, visibly, where ansible-core is not installed."""
    beside = Path(sys.executable).parent / "ansible-playbook"
    found = os.environ.get("ANSIBLE_PLAYBOOK") or (str(beside) if beside.exists() else shutil.which("ansible-playbook"))
    if not found:
        pytest.skip("ansible-playbook is not installed: pip install -r ansible/requirements.txt")
    return found


@pytest.fixture(scope="session")
def host(ansible_playbook: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The running host; removed at the end unless BDAP_KEEP is set."""
    images = os.environ.get("BDAP_IMAGES_ARCHIVE", "")
    mounts = [f"--volume={images}:/images.tar:ro"] if images else []
    with (
        hosts.network(NAME) as net,
        hosts.host(NAME, "bdap-host", net, tmp_path_factory.mktemp("host"), *mounts) as one,
    ):
        yield one


@pytest.fixture(scope="session")
def site(ansible_playbook: str, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The demo on this host, which is also a machine of a swarm and runs batch jobs."""
    variables: dict[str, object] = {
        **host.reached(),
        **hosts.of_this_site(),
        # /proc/sys is read-only in a container, where the engine would turn IPv6 off
        "engine_environment": {"DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE": "1"},
        # for root's part on the machines of a swarm
        "bdap_settings": {
            "spawning": {"swarm": {"address": host.address, "node_port": 7420}},
            "processing": {"jobs": {"memory_mb": 512}},
        },
    }
    if os.environ.get("BDAP_IMAGES_ARCHIVE"):
        variables["platform_images_archive"] = "/images.tar"
    groups = {name: {"bdap-demo": variables} for name in ("bdap", "bdap_nodes", "bdap_pool")}
    return Site(ansible_playbook, hosts.demo_inventory(tmp_path_factory.mktemp("site"), groups))
