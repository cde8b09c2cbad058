"""Fresh Debian trixie hosts to deploy to: containers with systemd and sshd, reached by a throw-away key."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.nested import RIGHTS

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "ansible"
IMAGE = "bdaptest-ansible-host:trixie"
PACKAGES = "systemd,systemd-sysv,dbus,python3,openssh-server,iproute2,procps"
# systemd and a nested Docker Engine, also on a host with cgroup v1.
OPTIONS = (
    *RIGHTS,
    "--tmpfs=/run",
    "--tmpfs=/run/lock",
    "--tmpfs=/tmp:exec",
    "--env=container=docker",
    "--env=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
)


def run_command(*command: str, seconds: float = 60, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command; its output, when it fails, is what the test shows."""
    done = subprocess.run(  # type: ignore[call-overload]
        command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, **options
    )
    if done.returncode:
        raise AssertionError(
            f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        )
    return done


@dataclass
class Host:
    """A host under test: its container and its address."""

    container: str
    address: str
    key: Path

    def shell(self, *command: str) -> str:
        """Output of a command inside the host."""
        return run_command("docker", "exec", self.container, *command).stdout

    def refuses(self, *command: str) -> str:
        """What a command complains about that has to fail there."""
        done = subprocess.run(["docker", "exec", self.container, *command], capture_output=True, text=True, timeout=60)
        assert done.returncode, f"{' '.join(command)} went well:\n{done.stdout}"
        return done.stdout + done.stderr

    def copy_in(self, file: Path, path: str) -> None:
        """Copy a file of ours into the host."""
        run_command("docker", "cp", str(file), f"{self.container}:{path}")

    def reached(self) -> dict[str, Any]:
        """What an inventory says about the way to it."""
        return {
            "ansible_host": self.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
        }


def of_this_site() -> dict[str, Any]:
    """What an inventory says about this site: its certificates, its proxy, the version under test."""
    certificates = sorted(Path("/usr/local/share/ca-certificates").glob("*.crt"))
    return {
        "bdap_ca_certificates": [str(path) for path in certificates],
        "bdap_http_proxy": os.environ.get("http_proxy", ""),
        "platform_version": os.environ.get("BDAP_DEPLOY_VERSION", "HEAD"),
    }


@dataclass
class Site:
    """What is deployed to: playbooks, an inventory, and the command that brings them together."""

    command: str
    inventory: Path
    playbooks: Path = ANSIBLE

    def play(self, playbook: str, *options: str, minutes: float = 30) -> str:
        """Run a playbook; its whole output, which is also printed for the record."""
        command = [self.command, "-i", str(self.inventory), *options, playbook]
        environment = {**os.environ, "ANSIBLE_HOST_KEY_CHECKING": "false", "ANSIBLE_NOCOLOR": "1"}
        output = run_command(*command, seconds=minutes * 60, cwd=self.playbooks, env=environment).stdout
        print(output)
        return output


def recap(output: str, host: str = "bdap-demo") -> dict[str, int]:
    """The counts of the recap's line about a host."""
    line = next(line for line in output.splitlines() if line.startswith(f"{host} "))
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line)}


def demo_inventory(folder: Path, groups: dict[str, dict[str, dict[str, Any]]]) -> Path:
    """The demo inventory with these groups of hosts, each with its variables."""
    inventory = folder / "inventory"
    shutil.copytree(ANSIBLE / "inventories/demo", inventory)
    # JSON is YAML.
    (inventory / "hosts.yml").write_text(json.dumps({name: {"hosts": hosts} for name, hosts in groups.items()}))
    return inventory


@contextmanager
def network(name: str) -> Iterator[str]:
    """A network for hosts; removed at the end unless BDAP_KEEP is set."""
    subprocess.run(["docker", "network", "create", name], capture_output=True)
    try:
        yield name
    finally:
        if not os.environ.get("BDAP_KEEP"):
            subprocess.run(["docker", "network", "rm", name], capture_output=True)


@contextmanager
def host(name: str, hostname: str, on: str, folder: Path, *options: str) -> Iterator[Host]:
    """A running host; removed at the end unless BDAP_KEEP is set."""
    _ensure_image()
    subprocess.run(["docker", "rm", "-fv", name], capture_output=True)
    run_command(
        "docker", "run", "-d", f"--name={name}", f"--network={on}", f"--hostname={hostname}", *OPTIONS, *options, IMAGE
    )
    try:
        key = folder / f"key-{hostname}"
        run_command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        run_command("docker", "exec", name, "mkdir", "-p", "-m", "700", "/root/.ssh")
        run_command("docker", "cp", f"{key}.pub", f"{name}:/root/.ssh/authorized_keys")
        run_command("docker", "exec", name, "chown", "root:root", "/root/.ssh/authorized_keys")
        found = json.loads(run_command("docker", "inspect", name).stdout)
        made = Host(name, found[0]["NetworkSettings"]["Networks"][on]["IPAddress"], key)
        _wait_for_ssh(made)
        yield made
    finally:
        if not os.environ.get("BDAP_KEEP"):
            subprocess.run(["docker", "rm", "-fv", name], capture_output=True)


def _ensure_image() -> None:
    if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True).returncode == 0:
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        root = Path(folder) / "root"
        run_command("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "trixie", str(root), seconds=600)
        shutil.rmtree(root / "var/cache/apt/archives")
        (root / "var/cache/apt/archives/partial").mkdir(parents=True)
        archive = Path(folder) / "root.tar"
        run_command("tar", "-C", str(root), "-cf", str(archive), ".", seconds=300)
        run_command("docker", "import", "--change", 'CMD ["/sbin/init"]', str(archive), IMAGE, seconds=300)


def _wait_for_ssh(one: Host) -> None:
    command = ["ssh", "-i", str(one.key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    deadline = time.monotonic() + 40
    while subprocess.run(
        [*command, "-o", "ConnectTimeout=2", f"root@{one.address}", "true"], capture_output=True
    ).returncode:
        if time.monotonic() > deadline:
            logs = run_command("docker", "logs", one.container).stdout
            raise AssertionError(f"no ssh on {one.address} within 40 s:\n{logs}")
        time.sleep(0.5)
