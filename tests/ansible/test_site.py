"""The playbook for real, on a fresh trixie host: converge, again, check mode, verify. Runs with BDAP_TEST_ANSIBLE=1."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from .hosts import recap

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(not os.environ.get("BDAP_TEST_ANSIBLE"), reason="takes minutes: set BDAP_TEST_ANSIBLE=1"),
]


SERVERS = ("docker", "ps", "--quiet", "--filter=name=-ana$")
# The hub's API and sshd, both on the gateway's address: the first is for servers, the second is not.
REACHES = """
import socket, sys
def reaches(port):
    with socket.socket() as s:
        s.settimeout(3)
        return s.connect_ex((sys.argv[1], port)) == 0
print([reaches(int(sys.argv[2])), reaches(22)])
"""


def test_the_whole_platform_on_a_fresh_host(site: Any, host: Any) -> None:
    first = recap(site.play("site.yml"))
    assert (first["failed"], first["unreachable"]) == (0, 0)
    assert first["changed"] > 20

    assert recap(site.play("site.yml"))["changed"] == 0
    assert recap(site.play("site.yml", "--check", "--diff"))["changed"] == 0
    assert recap(site.play("verify.yml"))["failed"] == 0

    secret = host.shell("cat", "/var/lib/bdap/secrets/proxy-auth-token").strip()
    assert len(secret) == 64
    units = host.shell("systemctl", "cat", "bdap-*").splitlines()
    assert not [line for line in units if secret in line]


def wait_for_one_that_waits(host: Any) -> None:
    """A container that has imported everything."""
    ready = "for p in $(docker ps -q --filter=name=--warm- | xargs -r docker inspect -f '{{.State.Pid}}'); do test -S "
    ready += "/proc/$p/root/run/bdap/claim && echo ready; done; true"
    for _ in range(120):
        if "ready" in host.shell("sh", "-c", ready):
            return
        time.sleep(1)
    raise AssertionError(host.shell("journalctl", "-u", "bdap-hub", "-u", "bdap-node", "-n", "30"))


def test_a_person_logs_in_and_gets_a_server(host: Any) -> None:
    wait_for_one_that_waits(host)
    host.copy_in(Path(__file__).parent / "visit.py", "/root/visit.py")
    found = json.loads(host.shell("/opt/bdap-hub/venv/bin/python", "/root/visit.py", "/var/lib/bdap/demo.json"))
    assert found["options"] == {"project": "agriculture", "image": "lab"}
    assert found["lab"] == 200
    assert found["pages"] == {"catalogue": 200, "dashboards": 200}
    container = host.shell(*SERVERS).strip()
    # the hub is not root here: root's part beside it has made the one that waited hers
    assert host.shell("docker", "inspect", "--format", '{{index .Config.Labels "bdap.kind"}}', container) == "warm\n"
    assert host.shell("docker", "exec", container, "stat", "-c", "%u", "/proc/1") == "20000\n"
    command = ("env", "BDAP_CONFIG=/etc/bdap/bdap.yaml", "/opt/bdap-hub/venv/bin/bdap", "settings")
    hub = json.loads(host.shell(*command))["hub"]
    api = (hub["api_bind"], str(hub["api_port"]))
    assert host.shell("docker", "exec", container, "python3", "-c", REACHES, *api) == "[True, False]\n"


# As the hub's account: what root's part of a machine answers it.
ASK = """
import asyncio, sys
from bdap_hub import settings
from bdap_hub.spawning.engines import links
link = links.far("here", sys.argv[1], 7420, links.trust(settings.load()), keep=False)
print(asyncio.run(link.ask("hello"))["lacks"] == "")
"""


def test_the_machines_of_a_swarm_have_roots_part(site: Any, host: Any) -> None:
    assert recap(site.play("nodes.yml"))["failed"] == 0
    assert recap(site.play("nodes.yml"))["changed"] == 0
    assert recap(site.play("nodes.yml", "--check", "--diff"))["changed"] == 0
    command = ("setpriv", "--reuid=bdap", "--regid=bdap", "--init-groups", "env", "BDAP_CONFIG=/etc/bdap/bdap.yaml")
    assert host.shell(*command, "/opt/bdap-hub/venv/bin/python", "-c", ASK, host.address) == "True\n"


def test_it_comes_back_after_parts_die_and_the_persons_server_lives_on(site: Any, host: Any) -> None:
    before = host.shell(*SERVERS)
    assert before
    host.shell("systemctl", "kill", "--signal=KILL", "bdap-hub.service", "bdap-processing.service")
    assert recap(site.play("verify.yml"))["failed"] == 0
    assert host.shell(*SERVERS) == before
