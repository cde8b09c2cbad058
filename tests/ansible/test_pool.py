"""The role condor for real, on three fresh trixie hosts: the hub's, a central manager, a machine that runs jobs.

Runs with BDAP_TEST_ANSIBLE=1.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import hosts
from .hosts import Host, Site, recap

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(not os.environ.get("BDAP_TEST_ANSIBLE"), reason="takes minutes: set BDAP_TEST_ANSIBLE=1"),
]
NAME = "bdaptest-ansible-pool"
MACHINES = ("hub", "manager", "runs")
AS_THE_HUB = ("runuser", "--user=bdap", "--", "env", "-C/", "BDAP_CONFIG=/etc/bdap/bdap.yaml")
PLAYBOOKS = ("batch.yml", "nodes.yml")


@dataclass
class Pool:
    """The three hosts, and what is played on them."""

    site: Site
    hub: Host
    manager: Host
    runs: Host

    def play(self, playbook: str, *options: str) -> list[dict[str, int]]:
        """Play it; the counts of each host that was in it."""
        output = self.site.play(playbook, *options)
        return [recap(output, name) for name in MACHINES if re.search(rf"^{name} +:", output, re.MULTILINE)]


@pytest.fixture(scope="module")
def pool(ansible_playbook: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """Hosts on which all is played once; two of them share a store."""
    folder = tmp_path_factory.mktemp("pool")
    playbooks = folder / "ansible"
    shutil.copytree(hosts.ANSIBLE, playbooks)
    shutil.copy(Path(__file__).parent / "batch.yml", playbooks)
    shared = [f"--volume={NAME}-store:/srv/bdap/store", f"--volume={NAME}-pip:/root/.cache/pip"]
    with ExitStack() as stack:
        stack.callback(_forget, f"{NAME}-store", f"{NAME}-pip")
        net = stack.enter_context(hosts.network(NAME))
        made = {
            name: stack.enter_context(
                hosts.host(f"{NAME}-{name}", name, net, folder, *([] if name == "manager" else shared))
            )
            for name in MACHINES
        }
        variables = {name: one.reached() for name, one in made.items()}
        variables["hub"] |= {
            **hosts.of_this_site(),
            "platform_checkout": str(hosts.ROOT),
            "bdap_settings": {"processing": {"jobs": {"memory_mb": 512}}},
        }
        groups = {"bdap": "hub", "bdap_pool_manager": "manager", "bdap_pool": "runs"}
        inventory = hosts.demo_inventory(folder, {group: {name: variables[name]} for group, name in groups.items()})
        found = Pool(Site(ansible_playbook, inventory, playbooks), **made)
        for playbook in PLAYBOOKS:
            assert not [counts for counts in found.play(playbook) if counts["failed"] or counts["unreachable"]]
        yield found


def _forget(*volumes: str) -> None:
    if not os.environ.get("BDAP_KEEP"):
        subprocess.run(["docker", "volume", "rm", *volumes], capture_output=True)


def test_a_job_runs_on_the_machine_for_it_and_nothing_changes_a_second_time(pool: Pool) -> None:
    assert [counts["failed"] for counts in pool.play("verify.yml", "--tags=pool")] == [0, 0, 0]
    told = pool.hub.shell(*AS_THE_HUB, "/opt/bdap-hub/venv/bin/bdap", "batch", "try")
    assert re.fullmatch(r"a job ran on runs, with Python 3\.13\.\d+\n", told)
    assert pool.hub.shell("id", "bdap") == pool.runs.shell("id", "bdap")
    for playbook in PLAYBOOKS:
        assert {counts["changed"] for counts in pool.play(playbook)} == {0}, playbook


def test_keys_and_tokens_are_roots_and_of_no_use_beyond_their_purpose(pool: Pool) -> None:
    keys = "find /etc/condor/passwords.d /etc/condor/tokens.d -type f -printf '%f %m %u\n' | sort"
    listed = {name: getattr(pool, name).shell("sh", "-c", keys) for name in MACHINES}
    assert listed == {"hub": "POOL 600 root\n", "manager": "POOL 600 root\n", "runs": "bdap 600 root\n"}
    assert pool.hub.shell("stat", "-c", "%a %U", "/var/lib/bdap/secrets/htcondor-token") == "600 bdap\n"

    # a machine that runs jobs looks at the pool and offers itself, and is nobody's submitter or queue
    assert "slot1" in pool.runs.shell("condor_status", "-af", "Name")
    assert "DENIED" in pool.runs.refuses("condor_rm", "-name", "hub.localhost", "-all")
    offer = 'printf \'MyType = "%s"\\nName = "x"\\nMyAddress = "<192.0.2.9:9618>"\\n\' > /tmp/ad && condor_advertise'
    pool.runs.shell("sh", "-c", f"{offer % 'Machine'} UPDATE_STARTD_AD /tmp/ad")
    pool.runs.refuses("sh", "-c", f"{offer % 'Scheduler'} UPDATE_SCHEDD_AD /tmp/ad")


def test_nobody_else_gets_in_and_nothing_goes_in_the_clear(pool: Pool) -> None:
    nobody = ("runuser", "--user=nobody", "--", "env", "-C/")
    for one in (pool.hub, pool.manager, pool.runs):
        assert "slot1" in one.shell("condor_status", "-af", "Name")
        assert re.search("DENIED|Failed to authenticate", one.refuses(*nobody, "condor_status"))
    assert "Schedd: hub" in pool.hub.shell("condor_q")
    assert "DENIED" in pool.hub.refuses(*nobody, "condor_q")
    for kinds in (("ENCRYPTION",), ("INTEGRITY",), ("ENCRYPTION", "INTEGRITY", "AUTHENTICATION")):
        never = [f"_CONDOR_SEC_CLIENT_{kind}=NEVER" for kind in kinds]
        assert "Connection closed during command authorization" in pool.manager.refuses("env", *never, "condor_status")
    told = pool.runs.shell("condor_ping", "-verbose", "-type", "COLLECTOR", "READ")
    assert re.search(r"Encryption: +AES\n", told) and re.search(r"using: +IDTOKENS\n", told), told


def test_it_listens_at_its_address_in_the_pool_alone(pool: Pool) -> None:
    for one in (pool.hub, pool.manager, pool.runs):
        listening = one.shell("sh", "-c", "ss -Hlntup | grep condor | awk '{print $5}'").split()
        assert f"{one.address}:9618" in listening
        assert {place.rpartition(":")[0] for place in listening} == {one.address}


def test_a_machine_says_whether_it_sees_the_store(pool: Pool) -> None:
    look = pool.runs.shell("condor_config_val", "STARTD_CRON_STORE_EXECUTABLE").strip()
    sign = pool.runs.shell("condor_config_val", "STARTD_CRON_STORE_ARGS").strip()
    assert pool.runs.shell(look, sign) == "EOSisRunning = true\n"
    assert pool.runs.shell(look, f"{sign}/elsewhere") == "EOSisRunning = false\n"
    assert "true" in pool.runs.shell("condor_status", "-af", "EOSisRunning")
