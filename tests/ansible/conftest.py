"""A fresh Debian trixie host to deploy to: a container with systemd and sshd, reached by a throw-away key."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.nested import RIGHTS

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "ansible"
IMAGE = "bdaptest-ansible-host:trixie"
NAME = "bdaptest-ansible-host"
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


@pytest.fixture(scope="session")
def run() -> object:
    """Runs a command; AssertionError with its output when it fails."""
    return run_command


@pytest.fixture(scope="session")
def ansible_playbook() -> str:
    """The command; skips, visibly, where ansible-core is not installed."""
    beside = Path(sys.executable).parent / "ansible-playbook"
    found = os.environ.get("ANSIBLE_PLAYBOOK") or (str(beside) if beside.exists() else shutil.which("ansible-playbook"))
    if not found:
        pytest.skip("ansible-playbook is not installed: pip install -r ansible/requirements.txt")
    return found


@dataclass
class Host:
    """The host under test: its address and the inventory that names it."""

    address: str
    inventory: Path
    playbook_command: str

    def play(self, playbook: str, *options: str, minutes: float = 30) -> str:
        """Run a playbook on the host; its whole output, which is also printed for the record."""
        command = [self.playbook_command, "-i", str(self.inventory), *options, playbook]
        environment = {**os.environ, "ANSIBLE_HOST_KEY_CHECKING": "false", "ANSIBLE_NOCOLOR": "1"}
        output = run_command(*command, seconds=minutes * 60, cwd=ANSIBLE, env=environment).stdout
        print(output)
        return output

    def shell(self, *command: str) -> str:
        """Output of a command inside the host."""
        return run_command("docker", "exec", NAME, *command).stdout

    def copy_in(self, file: Path, path: str) -> None:
        """Copy a file of ours into the host."""
        run_command("docker", "cp", str(file), f"{NAME}:{path}")


@pytest.fixture(scope="session")
def host(ansible_playbook: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The running host; removed at the end unless BDAP_KEEP is set."""
    folder = tmp_path_factory.mktemp("host")
    _ensure_image()
    subprocess.run(["docker", "rm", "-fv", NAME], capture_output=True)
    images = os.environ.get("BDAP_IMAGES_ARCHIVE", "")
    mounts = [f"--volume={images}:/images.tar:ro"] if images else []
    subprocess.run(["docker", "network", "create", NAME], capture_output=True)
    run_command(
        "docker", "run", "-d", f"--name={NAME}", f"--network={NAME}", "--hostname=bdap-host", *OPTIONS, *mounts, IMAGE
    )
    try:
        key = folder / "key"
        run_command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        run_command("docker", "exec", NAME, "mkdir", "-p", "-m", "700", "/root/.ssh")
        run_command("docker", "cp", f"{key}.pub", f"{NAME}:/root/.ssh/authorized_keys")
        run_command("docker", "exec", NAME, "chown", "root:root", "/root/.ssh/authorized_keys")
        found = json.loads(run_command("docker", "inspect", NAME).stdout)
        address = found[0]["NetworkSettings"]["Networks"][NAME]["IPAddress"]
        _wait_for_ssh(address, key)
        yield Host(address, _inventory(folder, address, key, bool(images)), ansible_playbook)
    finally:
        if not os.environ.get("BDAP_KEEP"):
            subprocess.run(["docker", "rm", "-fv", NAME], capture_output=True)
            subprocess.run(["docker", "network", "rm", NAME], capture_output=True)


def _inventory(folder: Path, address: str, key: Path, archive: bool) -> Path:
    """The demo inventory with this host in it, and what this site adds: its certificates, the version under test."""
    inventory = folder / "inventory"
    shutil.copytree(ANSIBLE / "inventories/demo", inventory)
    host: dict[str, object] = {
        "ansible_host": address,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(key),
        "bdap_ca_certificates": [str(path) for path in sorted(Path("/usr/local/share/ca-certificates").glob("*.crt"))],
        "bdap_http_proxy": os.environ.get("http_proxy", ""),
        # /proc/sys is read-only in a container, where the engine would turn IPv6 off
        "engine_environment": {"DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE": "1"},
        "platform_version": os.environ.get("BDAP_DEPLOY_VERSION", "HEAD"),
    }
    # the same host as a machine of a swarm, for root's part there
    host["bdap_settings"] = {"spawning": {"swarm": {"address": address, "node_port": 7420}}}
    if archive:
        host["platform_images_archive"] = "/images.tar"
    # JSON is YAML.
    groups = {name: {"hosts": {"bdap-demo": host}} for name in ("bdap", "bdap_nodes")}
    (inventory / "hosts.yml").write_text(json.dumps(groups))
    return inventory


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


def _wait_for_ssh(address: str, key: Path) -> None:
    command = ["ssh", "-i", str(key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    deadline = time.monotonic() + 40
    while subprocess.run(
        [*command, "-o", "ConnectTimeout=2", f"root@{address}", "true"], capture_output=True
    ).returncode:
        if time.monotonic() > deadline:
            raise AssertionError(f"no ssh on {address} within 40 s:\n{run_command('docker', 'logs', NAME).stdout}")
        time.sleep(0.5)
