"""Three machines of a swarm in containers of this host, each with its own Docker engine; the GPUs of one are fake."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from bdap_hub.cli.node import write_files
from bdap_hub.settings import Settings
from bdap_hub.spawning import node as part
from bdap_hub.spawning.engines.lane import Lane
from bdap_hub.spawning.host import propagation_of
from bdap_hub.spawning.images import debian
from bdap_hub.spawning.images.platform import docker_client
from tests.nested import RIGHTS
from tests.side_by_side import draw_network

HERE = Path(__file__).parent
IMAGE = "bdaptest/node:latest"
DEBIAN = "bdap/debian:trixie"
SERVER = "bdaptest/server:latest"  # Debian, and a few lines that answer HTTP instead of JupyterLab
NODES = ("node1", "node2", "node3")  # a manager, a worker, and a worker with GPUs
GPUS = ("GPU-00000000-0000-0000-0000-00000000000a", "GPU-00000000-0000-0000-0000-00000000000b")
NETWORK = "bridge"


@dataclass
class Machines:
    """A swarm of three. `folder` is the same on all and on this host, as a shared file system is."""

    folder: Path
    prefix: str = field(default_factory=lambda: f"bdaptest-swarm-{secrets.token_hex(3)}")
    third: int = field(default_factory=lambda: draw_network(215))
    clients: dict[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """This host as the nodes reach it."""
        return f"10.215.{self.third}.1"

    def address(self, node: str) -> str:
        return f"10.215.{self.third}.{10 + NODES.index(node)}"

    def socket(self, node: str) -> str:
        return f"unix://{self.folder}/{node}.sock"

    def lane(self) -> Lane:
        """A way to the manager."""
        return Lane(
            "swarm", lambda seconds: docker.APIClient(base_url=self.socket("node1"), version="1.45", timeout=seconds)
        )

    def up(self) -> None:
        """Start them, make them a swarm, and prepare each as docs/how-to/many-nodes.md says."""
        build()
        network = f"10.215.{self.third}.0/24"
        run("docker", "network", "create", f"--subnet={network}", f"--gateway={self.host}", self.prefix)
        archive = self.folder / "debian.tar"
        with archive.open("wb") as out:
            subprocess.run(["docker", "save", DEBIAN, SERVER], stdout=out, check=True)
        for node in NODES:
            self._start(node)
        for node in NODES:
            self.clients[node] = self._client(node)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda node: self._load(node, archive), NODES))
        manager = self.clients["node1"]
        manager.init_swarm(advertise_addr=self.address("node1"))
        token = manager.inspect_swarm()["JoinTokens"]["Worker"]
        for node in NODES[1:]:
            self.clients[node].join_swarm([f"{self.address('node1')}:2377"], token, advertise_addr=self.address(node))
        for node in NODES:
            self.label(node, "bdap.servers", "true")

    def _start(self, node: str) -> None:
        daemon: dict[str, Any] = {"hosts": ["unix:///var/run/docker.sock", self.socket(node)], "icc": False}
        daemon["insecure-registries"] = [f"{self.host}/32"]  # one that a test runs on this host
        if node == "node3":
            daemon["node-generic-resources"] = [f"{gpu}=1" for gpu in GPUS]
            daemon["labels"] = ["bdap.gpu.model=NVIDIA Fake", "bdap.gpu.memory=80G"]
            daemon["default-runtime"] = "nvidia"
            daemon["runtimes"] = {"nvidia": {"path": "/usr/local/bin/nvidia-container-runtime"}}
        config, gpus = self.folder / f"{node}.json", self.folder / f"{node}-gpus"
        config.write_text(json.dumps(daemon))
        gpus.mkdir()
        for gpu in GPUS if node == "node3" else ():
            (gpus / gpu).write_text("fake")
        shared = f"-v={self.folder}:{self.folder}:{propagation_of(self.folder)}"
        volumes = [shared, f"-v={gpus}:/run/fake-gpus"]
        volumes.append(f"-v={config}:/etc/docker/daemon.json")
        place = [f"--network={self.prefix}", f"--ip={self.address(node)}", f"--hostname={node}"]
        run("docker", "run", "-d", f"--name={self.prefix}-{node}", *place, *RIGHTS, *volumes, IMAGE)

    def _client(self, node: str) -> Any:
        deadline = time.monotonic() + 60
        while True:
            try:
                found = docker.APIClient(base_url=self.socket(node), version="1.45", timeout=60)
                found.ping()
                return found
            except (docker.errors.DockerException, OSError):
                if time.monotonic() > deadline:
                    pytest.fail(f"{node} does not start:\n{self.log(node)}")
                time.sleep(0.1)

    def _load(self, node: str, archive: Path) -> None:
        with archive.open("rb") as data:
            told = list(self.clients[node].load_image(data))  # to its end: whoever hangs up ends the loading
        if failed := [one for one in told if "error" in one]:
            pytest.fail(f"{node} did not load {archive.name}: {failed}")

    def load(self, image: str, *nodes: str) -> None:
        """Have an image of this host's on those machines."""
        archive = self.folder / "image.tar"
        with archive.open("wb") as out:
            subprocess.run(["docker", "save", image], stdout=out, check=True)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda node: self._load(node, archive), nodes))
        archive.unlink()

    def serve_parts(self, settings: Settings) -> None:
        """Root's part of each machine for that hub, brought and started as docs/how-to/many-nodes.md says."""
        for node in NODES:
            place, name = f"/etc/bdap-{settings.install_id}", f"{self.prefix}-{node}"
            own = self.folder / f"{node}-{settings.install_id}"
            write_files(settings, self.address(node), own, place)
            run("docker", "exec", name, "mkdir", "-p", f"/opt/bdap-{settings.install_id}")
            run("docker", "cp", str(own), f"{name}:{place}")
            run("docker", "cp", str(Path(part.__file__).parent), f"{name}:/opt/bdap-{settings.install_id}/node")
            self.start_part(node, settings.install_id)

    def start_part(self, node: str, install: str) -> None:
        """As its unit does; returns when it listens."""
        log = f"/run/bdap-{install}.log"
        program = f"python3 -I -S /opt/bdap-{install}/node /etc/bdap-{install}/config.json"
        command = f"echo $$ >/run/bdap-{install}.pid; exec {program} >{log} 2>&1"
        run("docker", "exec", "-d", f"{self.prefix}-{node}", "sh", "-c", command)
        for _ in range(100):
            if "ready" in self.sh(node, f"cat {log} 2>&1; true"):
                return
            time.sleep(0.1)
        raise AssertionError(self.sh(node, f"cat {log}"))

    def end_part(self, node: str, install: str) -> None:
        """It is gone, with the processes of who spoke to it."""
        self.sh(node, f"kill $(cat /run/bdap-{install}.pid)")

    def _change(self, node: str, change: Callable[[dict[str, Any]], None]) -> None:
        manager = self.clients["node1"]
        for _ in range(20):
            found = next(one for one in manager.nodes() if one["Description"]["Hostname"] == node)
            change(found["Spec"])
            try:
                manager.update_node(found["ID"], found["Version"]["Index"], found["Spec"])
                return
            except docker.errors.APIError as error:
                if "out of sequence" not in str(error):
                    raise
        raise AssertionError(f"{node} changes all the time")

    def label(self, node: str, key: str, value: str | None) -> None:
        """Give a node a label, or take it away."""

        def change(spec: dict[str, Any]) -> None:
            spec["Labels"] = {**(spec.get("Labels") or {}), key: value}
            if value is None:
                del spec["Labels"][key]

        self._change(node, change)

    def make(self, node: str, availability: str) -> None:
        """active, pause or drain."""
        self._change(node, lambda spec: spec.update(Availability=availability))

    def state(self, node: str) -> str:
        found = next(one for one in self.clients["node1"].nodes() if one["Description"]["Hostname"] == node)
        return str(found["Status"]["State"])

    def open(self) -> None:
        """Without any hub's firewall: its rules let no other hub in."""
        for node in NODES:
            self.sh(node, "iptables -F INPUT; iptables -F DOCKER-USER")

    def kill(self, node: str) -> None:
        """Power off."""
        run("docker", "kill", f"{self.prefix}-{node}")

    def revive(self, node: str) -> None:
        """Power on again; returns when the swarm has it back."""
        run("docker", "start", f"{self.prefix}-{node}")
        deadline = time.monotonic() + 60
        while self.state(node) != "ready":
            assert time.monotonic() < deadline, self.log(node)
            time.sleep(0.2)

    def sh(self, node: str, script: str, text: str = "") -> str:
        """What a script prints on that machine."""
        return run("docker", "exec", "-i", f"{self.prefix}-{node}", "sh", "-c", script, text=text)

    def log(self, node: str) -> str:
        return run("sh", "-c", f"docker logs --tail=30 {self.prefix}-{node} 2>&1")

    def inside(self, service: str) -> tuple[Any, str]:
        """(client, container's id) of a running server, found on whichever machine has it."""
        for client in self.clients.values():
            try:
                rows = client.containers(filters={"label": f"com.docker.swarm.service.name={service}"})
            except (docker.errors.DockerException, OSError):
                continue  # that machine is off
            if rows:
                return client, rows[0]["Id"]
        raise AssertionError(f"{service} runs nowhere")

    def exec(self, service: str, script: str) -> tuple[int, str]:
        """(exit status, output) of a shell script in a running server."""
        client, container = self.inside(service)
        started = client.exec_create(container, ["sh", "-c", script])
        output = client.exec_start(started["Id"]).decode().strip()
        return client.exec_inspect(started["Id"])["ExitCode"], output

    def close(self) -> None:
        for client in self.clients.values():
            client.close()
        names = " ".join(f"{self.prefix}-{node}" for node in NODES)
        run("sh", "-c", f"docker rm -fv {names}; docker network rm {self.prefix}; true")


def build() -> None:
    """The machines' image and the servers'; the engine's own cache makes this quick the second time."""
    with_apt = HERE / ".apt.conf"
    with_apt.write_text(debian.apt_options())
    try:
        for target, image in (("machine", IMAGE), ("server", SERVER)):
            command = [docker_client(building=True), "build", "--network=host", f"--target={target}", f"--tag={image}"]
            command += [f"--secret=id=apt,src={with_apt}", str(HERE)]
            done = subprocess.run(
                command, capture_output=True, text=True, env={**os.environ, "DOCKER_BUILDKIT": "1"}, check=False
            )
            if done.returncode:
                pytest.fail(f"{image} cannot be built:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    finally:
        with_apt.unlink()


def run(*command: str, text: str = "") -> str:
    """Of this host's own engine, whatever DOCKER_HOST says now."""
    own = {key: value for key, value in os.environ.items() if key != "DOCKER_HOST"}
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=own, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return done.stdout
