"""Dashboards on several machines: each node is a process of its own with a folder of its own, at another address."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import yaml
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed

from bdap_hub import certificates
from bdap_hub.cli import main
from bdap_hub.dashboards.bundles.bundle import bundles_of, read_bundle, store_bundle
from bdap_hub.dashboards.gateway.serving import create_gateway
from bdap_hub.dashboards.nodes import line, order, serve, wire
from bdap_hub.dashboards.nodes.client import FarRuntime, _zipped
from bdap_hub.dashboards.nodes.several import SeveralRuntime, ranked
from bdap_hub.dashboards.releases.means import Means
from bdap_hub.dashboards.running.runtime import Launch, make_runtime
from bdap_hub.dashboards.snapshots.reading import answers
from bdap_hub.errors import BadRequest, NotFound, Unavailable
from bdap_hub.settings import Settings
from tests.conftest import free_port, make_settings
from tests.serving import Services

from .conftest import FAR, notebook
from .test_docker import PROBE, processing
from .test_outages import HOST, Shown, moved


@dataclass
class Machine:
    """`bdap dashboards node serve`, as on another machine."""

    address: str
    port: int
    folder: Path
    config: Path
    settings: Settings
    process: subprocess.Popen[bytes] | None = None

    @property
    def where(self) -> str:
        return f"{self.address}:{self.port}"

    def start(self) -> None:
        environment = {**os.environ, "BDAP_CONFIG": str(self.config)}
        command = [str(Path(sys.executable).with_name("bdap")), "dashboards", "node", "serve", str(self.folder)]
        self.process = subprocess.Popen(command, env=environment)

    def wait(self) -> None:
        """Until it listens."""
        assert self.process is not None
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection((self.address, self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, "the node does not listen"
                time.sleep(0.1)

    def kill(self) -> None:
        """Its releases go on, as those of a machine that is cut off."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(20)


@dataclass
class Cluster:
    """The hub's host and two more."""

    settings: Settings
    machines: list[Machine] = field(default_factory=list)

    def add(self, tmp_path: Path, number: int) -> Machine:
        address, port, home = f"127.0.0.{number}", free_port(), tmp_path / f"node{number}"
        own = self.settings.model_copy(deep=True)
        own.var = home / "var"
        own.dashboards.network = f"{self.settings.dashboards.network}-{number}"
        own.dashboards.nodes = ()
        own.var.mkdir(parents=True)
        config = home / "bdap.yaml"
        config.write_text(yaml.safe_dump(own.model_dump(mode="json")))
        found = Machine(address, port, home / "node", config, own)
        self.settings.dashboards.nodes += (found.where,)
        self.machines.append(found)
        return found

    def prepare(self, tmp_path: Path) -> None:
        """As an operator does it: files are written on the hub's host."""
        config = tmp_path / "hub.yaml"
        config.write_text(yaml.safe_dump(self.settings.model_dump(mode="json")))
        for machine in self.machines:
            arguments = ["files", machine.address, str(machine.folder), "--port", str(machine.port)]
            runner = CliRunner(env={"BDAP_CONFIG": str(config)})
            done = runner.invoke(main, ["dashboards", "node", *arguments], catch_exceptions=False)
            assert done.exit_code == 0, done.output

    def runs(self, name: str) -> list[str]:
        """Where a release runs."""
        return [m.where for m in self.machines if name in make_runtime(m.settings).running()]

    def end(self) -> None:
        for machine in self.machines:
            machine.kill()
            make_runtime(machine.settings).stop_all()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes, without containers."""
    tmp_path = tmp_path_factory.mktemp("cluster")
    settings = make_settings(tmp_path / "hub")
    settings.spawning.engine = "process"
    settings.dashboards.node_hub = "127.0.0.1"
    found = Cluster(settings)
    found.add(tmp_path, 2)
    found.add(tmp_path, 3)
    found.prepare(tmp_path)
    try:
        for machine in found.machines:
            machine.start()
        for machine in found.machines:
            machine.wait()
        yield found
    finally:
        found.end()


async def test_visitors_of_a_release_on_another_machine_and_what_happens_when_that_goes(cluster: Cluster):
    settings = cluster.settings
    shown, services = Shown(settings), Services()
    shown.publisher.runtime = make_runtime(settings, publishes=True)
    gateway = create_gateway(settings)
    keeper = gateway.state.gateway.keeper
    try:
        assert await asyncio.to_thread(shown.publish, "# Far away") == 1
        assert cluster.runs(FAR) == [] and FAR in shown.runtime.running()  # looked at on the hub's own host
        await asyncio.to_thread(shown.runtime.stop, FAR)
        best = next(one for one in ranked(FAR, ["this host", *settings.dashboards.nodes]) if one != "this host")
        keep_off_this_host(keeper, settings)
        services.serve(gateway, settings.dashboards.gateway_port)
        visitor = await shown.joined(await asyncio.to_thread(shown.path))
        assert await moved(visitor, 4)
        assert cluster.runs(FAR) == [best]
        page = await asyncio.to_thread(shown.platform.eventual, HOST, 200)
        assert "Far away" in page.text

        machine = next(one for one in cluster.machines if one.where == best)
        other = next(one for one in cluster.machines if one.where != best)
        machine.kill()
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(30):
                while True:
                    await visitor.recv()
        again = await shown.joined(await asyncio.to_thread(shown.path))
        assert await moved(again, 5)
        assert sorted(cluster.runs(FAR)) == sorted([best, other.where])  # the one that was cut off runs on

        machine.start()
        await asyncio.to_thread(machine.wait)
        await asyncio.sleep(line.SILENT_SECONDS + 0.2)
        await asyncio.to_thread(keeper._engine().tidy)
        assert cluster.runs(FAR) == [other.where]
        assert await moved(again, 6), "who looks goes on"
        await again.close()
    finally:
        services.end()
        await asyncio.to_thread(shown.runtime.stop_all)


def keep_off_this_host(keeper: Any, settings: Settings) -> None:
    """The hub's own host has no room: machines are chosen among the others."""
    several = make_runtime(settings)
    assert isinstance(several, SeveralRuntime)
    here = replace(several.here, room=lambda: 0)
    keeper._runtime = SeveralRuntime([here, *list(several.places.values())[1:]])


def test_what_is_asked_of_a_node(cluster: Cluster, launch: Launch):
    far = FarRuntime(cluster.settings, cluster.machines[0].where)
    assert far.running() == {} and far.address(FAR) is None and far.room() > 0
    far.start(launch)  # its bundle is brought first
    assert list(far.running()) == [FAR]
    kept = bundles_of(cluster.machines[0].settings) / launch.bundle.name
    assert (kept / "index.ipynb").read_bytes() == (launch.bundle / "index.ipynb").read_bytes()
    deadline = time.monotonic() + 60
    while not far.memory(FAR) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert far.memory(FAR) > 0 and isinstance(far.logs(FAR), str) and far.ended() == {}
    far.stop(FAR)
    assert far.running() == {} and far.address(FAR) is None


def test_a_bundle_that_is_another_than_announced(cluster: Cluster, launch: Launch):
    far = FarRuntime(cluster.settings, cluster.machines[0].where)
    said = {"ask": "bundle", "sha256": "0" * 64, "entry": "index.ipynb"}
    with pytest.raises(BadRequest, match="not the one that was announced"):
        far.line.tell(said, [_zipped(launch.bundle), b""], 10)
    kept = bundles_of(cluster.machines[0].settings)
    assert not (kept / ("0" * 64)).exists()
    shutil.rmtree(kept / launch.bundle.name, ignore_errors=True)
    said["sha256"] = launch.bundle.name  # the positive control
    far.line.tell(said, [_zipped(launch.bundle), b""], 10)
    assert (kept / launch.bundle.name / launch.entry).is_file()


def test_a_release_that_does_not_run_there_has_no_door(cluster: Cluster):
    far = FarRuntime(cluster.settings, cluster.machines[0].where)
    with pytest.raises(NotFound, match="does not run here"):
        far.line.ask("join", object, name=FAR)
    with pytest.raises(BadRequest, match="not asked 'shell'"):
        far.line.ask("shell", object)


def _knock(machine: Machine, tls: ssl.SSLContext | None, source: str = "127.0.0.1") -> bytes:
    """What somebody else hears."""
    try:
        with socket.create_connection((machine.address, machine.port), 5, (source, 0)) as plain:
            plain.settimeout(5)
            connection = tls.wrap_socket(plain, server_hostname=machine.address) if tls else plain
            connection.sendall(b'{"ask": "running"}\n')
            return connection.recv(1000)
    except OSError:
        return b""


def test_nobody_else_is_heard(cluster: Cluster):
    machine, settings = cluster.machines[0], cluster.settings
    ours = wire.hub_side(settings)
    assert json.loads(_knock(machine, ours)) == {"done": {}}  # the positive control
    assert _knock(machine, ours, source="127.0.0.9") == b""  # the right certificate at another address
    nobody = ssl.create_default_context(cafile=certificates.files(settings, certificates.NODES)[1])
    assert _knock(machine, nobody) == b""
    for pair in ("hub-internal", "proxy-client"):  # other parts of the platform
        another = ssl.create_default_context(cafile=certificates.files(settings, certificates.NODES)[1])
        key, certificate = certificates.files(settings, pair)
        another.load_cert_chain(certificate, key)
        assert _knock(machine, another) == b""
    server = certificates.for_server(settings, "ana", "127.0.0.1")  # a person's own server
    own = machine.folder.parent / "ana"
    own.mkdir()
    (own / "key").write_bytes(server.key)
    (own / "certificate").write_bytes(server.certificate)
    persons = ssl.create_default_context(cafile=certificates.files(settings, certificates.NODES)[1])
    persons.load_cert_chain(own / "certificate", own / "key")
    assert _knock(machine, persons) == b""
    assert b"done" not in _knock(machine, None)  # no TLS at all


def test_a_machine_that_does_not_take_a_release(cluster: Cluster, launch: Launch):
    far = FarRuntime(cluster.settings, cluster.machines[0].where)
    assert launch.means is not None
    large = replace(launch, means=replace(launch.means, memory="900G"))
    with pytest.raises(Unavailable, match="memory: '900G'"):  # as one that does not answer: the next is asked
        far.start(large)
    assert far.running() == {}


async def test_connections_of_one_dashboard_to_the_services_are_bounded(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    machine = cluster.machines[0]
    node = serve.Node(machine.settings, serve.door_of(machine.folder))
    monkeypatch.setattr(serve, "MOST_OF_RELEASE", 5)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(100):
            writer.write(said)
        writer.close()

    async def said(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
        connection[1].write(b"x")
        with contextlib.suppress(ConnectionError):
            return await connection[0].read(10)
        return b""

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as service:
        port = service.sockets[0].getsockname()[1]
        async with await asyncio.start_server(node._to_service(port), "127.0.0.1", 0) as door:
            at = door.sockets[0].getsockname()
            held = [await asyncio.open_connection(*at) for _ in range(5)]
            assert [await said(one) for one in held] == [b"x"] * 5
            assert await said(await asyncio.open_connection(*at)) == b""
            neighbour = await asyncio.open_connection(*at, local_addr=("127.0.0.7", 0))
            assert await said(neighbour) == b"x"
            held[0][1].close()
            for _ in range(100):  # there is room again, in a moment
                if await said(await asyncio.open_connection(*at)) == b"x":
                    break
                await asyncio.sleep(0.05)
            else:
                pytest.fail("there is no room again")
            for _, writer in (*held, neighbour):
                writer.close()


@pytest.fixture
def contained(settings: Settings, tmp_path: Path) -> Iterator[Cluster]:
    """One node, with containers."""
    settings.dashboards.network = f"bdaptest-nodes-{settings.install_id}"
    settings.dashboards.node_hub = "127.0.0.1"
    found = Cluster(settings)
    found.add(tmp_path, 2)
    found.prepare(tmp_path)
    try:
        found.machines[0].start()
        found.machines[0].wait()
        yield found
    finally:
        found.end()
        engine = docker.from_env()
        for network in engine.networks.list(names=[settings.dashboards.network]):
            network.remove()
        for image in engine.images.list(order.REPOSITORY):
            for tag in image.tags:
                if tag.startswith(f"{order.REPOSITORY}:"):
                    engine.images.remove(tag)


@pytest.mark.docker
def test_a_container_on_another_machine(contained: Cluster, settings: Settings):
    """Its image is brought, too; from inside it reaches the hub's services, and nothing else."""
    bundle = read_bundle("index.ipynb", notebook(PROBE), 2**20)
    own = settings.dashboards
    folder = store_bundle(bundle, bundles_of(settings))
    launch = Launch(FAR, folder, "index.ipynb", 60_001, {"BDAP_TOKEN": "t"}, Means(own.image, own.memory, own.cpus))
    far = FarRuntime(settings, contained.machines[0].where)
    with processing(settings.processing.port, "127.0.0.1"):
        far.start(launch)
        deadline = time.monotonic() + 90
        while not answers(far.address(FAR) or "") and time.monotonic() < deadline:
            time.sleep(0.2)
        page = html.unescape(httpx.get(f"http://{far.address(FAR)}/", timeout=90).text)
    found = json.loads(re.search(r"PROBE(\{.*?\})END", page)[1])  # type: ignore[index]
    assert (found["uid"], int(found["capabilities"], 16), found["no_new"]) == (60_001, 0, "1")
    for allowed in ("bundle_read", "tmp_write", "service"):
        assert found[allowed], allowed
    for refused in ("bundle_write", "root_write", "store", "socket", "internet", "metadata"):
        assert not found[refused], refused
    assert far.memory(FAR) > 0 and list(far.running()) == [FAR]
    [container] = docker.from_env().containers.list(filters={"label": f"bdap.release={FAR}"})
    brought = f"{order.REPOSITORY}:{docker.from_env().images.get(own.image).id.removeprefix('sha256:')}"
    assert container.attrs["Config"]["Image"] == brought
    container.kill()
    assert far.address(FAR) is None
