"""A real HTCondor pool in one container: manager, queue and one machine. The image is Debian's package on our Debian.

The machine sees a folder that stands for the store, and the code and Python of these tests, at their own paths.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from bdap_hub.batch.pool import TOKEN
from bdap_hub.settings import Settings
from bdap_hub.spawning.images import debian
from tests.conftest import ROOT, make_settings

BASE = "bdap/debian:trixie"
DOMAIN, HOST = "pool.internal", "condor.pool.internal"
UID = os.getuid() or 1500  # HTCondor runs nothing as root
DEADLINE = 240
DOCKERFILE = f"""
FROM {BASE}
COPY apt.conf /tmp/apt.conf
RUN export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/tmp/apt.conf; apt-get update -qq \\
 && apt-get install -qq -y --no-install-recommends condor python3 >/dev/null && rm -rf /var/lib/apt/lists/*
"""
IMAGE = f"bdaptest/condor:{hashlib.sha256(DOCKERFILE.encode()).hexdigest()[:12]}"
CONFIG = f"""
use role:CentralManager
use role:Submit
use role:Execute
CONDOR_HOST = {HOST}
NETWORK_HOSTNAME = {HOST}
UID_DOMAIN = {DOMAIN}
FILESYSTEM_DOMAIN = {DOMAIN}
TRUST_DOMAIN = {DOMAIN}
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = FS, IDTOKENS
ALLOW_DAEMON = condor@{DOMAIN}, root@{DOMAIN}
ALLOW_ADMINISTRATOR = condor@{DOMAIN}, root@{DOMAIN}
ALLOW_READ = *@{DOMAIN}
ALLOW_WRITE = *@{DOMAIN}
NEGOTIATOR_INTERVAL = 2
NEGOTIATOR_CYCLE_DELAY = 1
NEGOTIATOR_MIN_INTERVAL = 1
SCHEDD_INTERVAL = 2
SCHEDD_MIN_INTERVAL = 1
PERIODIC_EXPR_INTERVAL = 2
NUM_CPUS = 1
MEMORY = 16384
START = TRUE
PREEMPT = FALSE
RUNBENCHMARKS = 0
LIGHTNING_FAST_PATH = TRUE
use POLICY : HOLD_IF_MEMORY_EXCEEDED
STARTER_UPDATE_INTERVAL = 1
STARTER_INITIAL_UPDATE_INTERVAL = 1
POLLING_INTERVAL = 1
EOSisRunning = TRUE
STARTD_ATTRS = $(STARTD_ATTRS) EOSisRunning
"""
# While /pause is there, what comes to the machine waits before it begins.
PYTHON = """#!/bin/sh
while [ -e /pause ]; do sleep 0.1; done
exec {python} "$@"
"""
# The queue says that a job runs a moment before its starter is there.
LOSE = """
until found=$(grep -lsx condor_starter /proc/[0-9]*/comm); do sleep 0.1; done
for one in $found; do kill -KILL "$(basename "${one%/comm}")"; done
"""
START = f"""
set -eu
useradd --uid {UID} --create-home bdap
mkdir -p /etc/condor/passwords.d /etc/condor/tokens.d
chmod 700 /etc/condor/passwords.d /etc/condor/tokens.d
head -c 32 /dev/urandom | base64 > /run/key
condor_store_cred add -c -i /run/key >/dev/null
rm /run/key
exec condor_master -f
"""


class CondorPool:
    """A pool that runs. `folder` stands for the store; `python` is what settings call Python on its machines."""

    def __init__(self, container: Any, folder: Path, python: str) -> None:
        self.container, self.folder, self.python = container, folder, python
        self.address = f"{container.attrs['NetworkSettings']['IPAddress']}:9618"

    def settings(self, var: Path, **batch: Any) -> Settings:
        """Settings that hand jobs over to this pool, with a store of their own and a token that is good."""
        store = self.folder / f"store-{secrets.token_hex(4)}"
        given = {"collector": self.address, "domain": DOMAIN, "python": self.python, **batch}
        jobs = {"runner": "htcondor", "memory_mb": 2048, "workers": 8}
        settings = make_settings(var, batch=given, store={"root": store}, processing={"jobs": jobs})
        settings.store.results.mkdir(parents=True)
        os.chown(settings.store.results, UID, -1)
        (var / "secrets" / TOKEN).write_text(self.token())
        (var / "secrets" / TOKEN).chmod(0o600)
        return settings

    def command(self, *words: str, check: bool = True) -> str:
        """What a program says in the pool's container, as root there."""
        code, output = self.container.exec_run(list(words))
        assert code == 0 or not check, f"{words} ended with {code}: {output.decode()}"
        return str(output.decode())

    def token(self, name: str = "bdap") -> str:
        """A token by which one hands over work as that account."""
        return self.command(
            "condor_token_create", "-identity", f"{name}@{DOMAIN}", "-authz", "READ", "-authz", "WRITE"
        ).strip()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """What comes to the machine meanwhile does not begin."""
        self.command("touch", "/pause")
        try:
            yield
        finally:
            self.command("rm", "-f", "/pause")

    @contextmanager
    def no_matches(self) -> Iterator[None]:
        """Nothing new comes to the machine meanwhile."""
        self.command("condor_off", "-negotiator")
        try:
            yield
        finally:
            self.command("condor_on", "-negotiator")

    def lose_machine(self) -> None:
        """All that runs on the machine ends at once, without a word to anybody."""
        self.command("sh", "-c", LOSE)

    def clear(self) -> None:
        """Nothing is in the queue, and nothing is paused."""
        self.command("rm", "-f", "/pause")
        self.command("condor_rm", "-all", check=False)  # an error where there is none

    def queue(self, constraint: str = "true") -> list[str]:
        """The runs in the queue."""
        return self.command("condor_q", "-allusers", "-constraint", constraint, "-af", "BdapRun").split()


@contextmanager
def pool() -> Iterator[CondorPool]:
    """A pool, once it has a machine to offer; it is gone afterwards."""
    try:
        engine = docker.from_env(timeout=600)
        engine.ping()
    except docker.errors.DockerException:
        pytest.fail("no Docker engine answers: start it (`systemctl start docker`)")
    _ensure_image(engine)
    folder = Path(tempfile.mkdtemp(prefix="bdaptest-condor-"))
    folder.chmod(0o755)
    config = _file(folder / "pool.conf", CONFIG, 0o644)
    python = _file(folder / "python", PYTHON.format(python=sys.executable), 0o755)
    code = {ROOT, Path(sys.prefix), Path(sys.base_prefix)} - {Path("/usr")}
    volumes = {str(path): {"bind": str(path), "mode": "ro"} for path in code}
    volumes[str(config)] = {"bind": "/etc/condor/config.d/50-pool.conf", "mode": "ro"}
    volumes[str(folder)] = {"bind": str(folder), "mode": "rw"}
    around = {parent for path in code for parent in path.parents}
    parents = " ".join(sorted(str(one) for one in around if not any(one.is_relative_to(path) for path in code)))
    container = engine.containers.run(
        IMAGE,
        ["sh", "-c", f"chmod a+x {parents}; {START}"],
        name=f"bdaptest-condor-{secrets.token_hex(4)}",
        hostname=HOST,
        init=True,
        detach=True,
        volumes=volumes,
    )
    try:
        container.reload()
        found = CondorPool(container, folder, str(python))
        _wait_for_machine(found)
        yield found
    finally:
        container.remove(force=True)
        engine.close()
        shutil.rmtree(folder, ignore_errors=True)


def _file(path: Path, text: str, mode: int) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def _ensure_image(engine: Any) -> None:
    with contextlib.suppress(docker.errors.ImageNotFound):
        engine.images.get(IMAGE)
        return
    if not engine.images.list(BASE):
        pytest.fail(f"{BASE} is missing: run `make images`")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text(DOCKERFILE)
        (Path(folder) / "apt.conf").write_text(debian.apt_options())
        engine.images.build(path=folder, tag=IMAGE, network_mode="host", rm=True)


def _wait_for_machine(found: CondorPool) -> None:
    until = time.monotonic() + DEADLINE
    while "slot1" not in found.command("condor_status", "-af", "Name", check=False):
        found.container.reload()
        if found.container.status != "running" or time.monotonic() > until:
            pytest.fail(f"the pool does not start:\n{found.container.logs().decode()[-3000:]}")
        time.sleep(0.5)
