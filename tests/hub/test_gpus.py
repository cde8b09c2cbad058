"""GPUs on a real Docker engine, through the real hub: who gets which, who waits, what a killed hub leaves behind.

The engine is our own, with a stand-in for NVIDIA's hook on its PATH: Docker's own way to a GPU is real up to there.
The image is Debian with a few lines that answer HTTP instead of JupyterLab.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import update

from bdap_hub import database
from bdap_hub.cli import main
from bdap_hub.settings import Settings
from bdap_hub.spawning.gpu_tables import GpuAllocation, GpuUse, allocate, allocations
from bdap_hub.spawning.plan import container_name
from tests.conftest import make_settings

from .conftest import Platform, launch

pytestmark = pytest.mark.docker

UUIDS = ("GPU-00000000-0000-0000-0000-00000000000a", "GPU-00000000-0000-0000-0000-00000000000b")
GPU = {"project": "agriculture", "image": "gpu"}
HOOK = "#!/bin/sh\ncat > /dev/null\n"
SERVER = """\
#!/usr/bin/perl
use IO::Socket::INET;
my ($port) = $ENV{JUPYTERHUB_SERVICE_URL} =~ /:(\\d+)/;
my $listen = IO::Socket::INET->new(LocalPort => $port, Listen => 9, ReuseAddr => 1) or die $!;
$SIG{TERM} = sub { exit 0 };
while (my $one = $listen->accept) {
    while (<$one>) { last if /^\\r?$/ }
    print $one "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{}";
    close $one;
}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a dockerd of our own that knows of NVIDIA's hook."""
    dockerd = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if dockerd is None or os.geteuid() != 0:
        pytest.skip("needs dockerd and root, to start an engine of its own")
    folder = tmp_path_factory.mktemp("node")
    hook = folder / "bin" / "nvidia-container-runtime-hook"
    hook.parent.mkdir()
    hook.write_text(HOOK)
    hook.chmod(0o755)
    socket = f"unix://{folder}/docker.sock"
    bridge = f"bdaptest-{secrets.token_hex(3)}"  # with none at all, an engine takes docker0 away from the host's own
    command = [dockerd, "-H", socket, "--data-root", folder / "data", "--exec-root", folder / "exec"]
    command += [
        "--pidfile",
        folder / "pid",
        "--bridge",
        bridge,
        "--iptables=false",
        "--ip6tables=false",
        "--ip-masq=false",
    ]
    environment = {**os.environ, "PATH": f"{hook.parent}:{os.environ['PATH']}:/usr/sbin:/sbin"}
    _ip("link", "add", bridge, "type", "bridge")
    _ip("addr", "add", f"10.214.{secrets.randbelow(200)}.1/24", "dev", bridge)
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        client = _client(socket, daemon, folder / "log")
        _import(client, folder)
        client.socket = socket
        yield client
        for one in client.containers.list(all=True):
            one.remove(force=True)
    finally:
        daemon.terminate()
        try:
            daemon.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(daemon.pid, signal.SIGKILL)
        _ip("link", "delete", bridge)
        shutil.rmtree(folder, ignore_errors=True)


def _ip(*arguments: str) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    subprocess.run(["ip", *arguments], check=True, capture_output=True, env={**os.environ, "PATH": path})


def _client(socket: str, daemon: subprocess.Popen[bytes], log: Path) -> Any:
    deadline = time.monotonic() + 30
    while True:
        try:
            return docker.DockerClient(base_url=socket, timeout=60)
        except docker.errors.DockerException:
            if daemon.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the second engine does not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)


def _import(client: Any, folder: Path) -> None:
    """Debian from the host's engine, with the stand-in for JupyterLab."""
    host = docker.from_env()
    try:
        source = host.containers.create("bdap/debian:trixie", "true")
    except docker.errors.ImageNotFound:
        pytest.fail("bdap/debian:trixie is missing: run `make images`")
    try:
        with (folder / "root.tar").open("wb") as out:
            for chunk in source.export(chunk_size=2**20):
                out.write(chunk)
    finally:
        source.remove()
        host.close()
    with tarfile.open(folder / "root.tar", "a") as archive:
        entry = tarfile.TarInfo("usr/local/bin/jupyterhub-singleuser")
        entry.size, entry.mode = len(SERVER), 0o755
        archive.addfile(entry, io.BytesIO(SERVER.encode()))
    client.api.import_image_from_file(str(folder / "root.tar"), repository="bdaptest/gpu", tag="latest")
    (folder / "root.tar").unlink()


@pytest.fixture(scope="module")
def platform(node: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A hub with two GPUs; ana, ben and olga may use them."""
    folder = tmp_path_factory.mktemp("gpus")
    third = secrets.randbelow(200)
    pool = docker.types.IPAMPool(subnet=f"10.213.{third}.0/24", gateway=f"10.213.{third}.1")
    network = node.networks.create(
        f"bdaptest-{secrets.token_hex(3)}",
        driver="bridge",
        options={"com.docker.network.bridge.enable_icc": "false"},
        ipam=docker.types.IPAMConfig(pool_configs=[pool]),
    )
    gateway = f"10.213.{third}.1"
    settings: Settings = make_settings(
        folder / "var",
        spawning={
            "network": network.name,
            "memory": "200M",
            "idle_timeout": 0,
            "gpus": [{"id": one, "model": "NVIDIA Test", "memory": "1G"} for one in UUIDS],
            "gpu_hours": 2,
        },
        hub={"api_bind": gateway},
        **{name: {"bind": gateway} for name in ("processing", "catalogue", "dashboards")},
    )
    settings.images = tuple(
        image.model_copy(update={"reference": "bdaptest/gpu:latest"}) if image.gpu else image
        for image in settings.images
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", node.socket)
        found = launch(folder, settings)
        try:
            found.api("POST", "/groups/project-agriculture/users", json={"users": ["ben"]}).raise_for_status()
            yield found
        finally:
            found.close()
            for one in node.containers.list(all=True):
                one.remove(force=True)
            network.remove()


def gpu_of(node: Any, platform: Platform, name: str) -> str:
    """The GPU that Docker's path to the driver was asked to give this container."""
    container = node.containers.get(container_name(platform.settings, name))
    code, output = container.exec_run(["cat", "/proc/1/environ"])
    assert code == 0, output
    variables = dict(line.split("=", 1) for line in output.decode().split("\0") if "=" in line)
    assert container.labels["bdap.gpus"] == variables["NVIDIA_VISIBLE_DEVICES"]
    assert variables["BDAP_GPU_UNTIL"].endswith("Z")
    return variables["NVIDIA_VISIBLE_DEVICES"]


def held(platform: Platform) -> dict[str, str]:
    return {row.person: row.device for row in allocations(database.connect(platform.settings.database))}


class Page(threading.Thread):
    """Somebody's page of a start, which reads its progress until the start is over or it is closed."""

    def __init__(self, platform: Platform, name: str) -> None:
        super().__init__(daemon=True)
        self.url = f"{platform.url}/hub/api/users/{name}/server/progress"
        self.token, self.messages, self.closed = platform.token_of(name), [], False
        self.start()

    def run(self) -> None:
        headers = {"Authorization": f"token {self.token}"}
        with httpx.stream("GET", self.url, headers=headers, timeout=60) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    self.messages.append(json.loads(line[5:]).get("message", ""))
                if self.closed:
                    return


def test_each_gets_their_own_and_the_third_waits_in_line(platform: Platform, node: Any) -> None:
    for name in ("ana", "olga"):
        platform.start(name, GPU)
    first, second = (gpu_of(node, platform, name) for name in ("ana", "olga"))
    assert {first, second} == set(UUIDS) and held(platform) == {"ana": first, "olga": second}
    assert "It has a GPU (NVIDIA Test), until " in _home(platform, "ana")
    assert platform.api("POST", "/users/ben/server", json=GPU).status_code in (201, 202)
    page = Page(platform, "ben")
    platform.wait(lambda: any("number 1 in line" in one for one in page.messages), 20, "ben's position")
    assert any("the next is due back by" in one for one in page.messages)
    platform.stop("ana")
    platform.wait(lambda: platform.api("GET", "/users/ben").json()["servers"][""]["ready"], 30, "ben's server")
    assert gpu_of(node, platform, "ben") == first and held(platform) == {"olga": second, "ben": first}


def _home(platform: Platform, name: str) -> str:
    with platform.browser(name) as browser:
        return browser.get(f"{platform.url}/hub/home").text


def test_what_happened_while_the_hub_was_away(platform: Platform, node: Any) -> None:
    before = held(platform)
    assert set(before) == {"olga", "ben"}, "follows the test before"
    platform.kill_hub()
    node.containers.get(container_name(platform.settings, "olga")).remove(force=True)
    store = database.connect(platform.settings.database)
    # as of a start that the hub was killed in, before its container came
    lost = GpuAllocation(node="local", device="GPU-lost", slot=0, holder="lost", person="lost", since=0.0, until=None)
    lost.project, lost.image = "forest", "gpu"
    assert allocate(store, [lost])
    platform.start_hub()
    platform.wait(lambda: held(platform) == {"ben": before["ben"]}, 20, "what is gone to be free")
    assert gpu_of(node, platform, "ben") == before["ben"]
    with store() as session:
        assert {use.person for use in session.query(GpuUse)} == {"ana", "olga", "lost"}
    # and its time is up
    platform.kill_hub()
    with store() as session:
        session.execute(update(GpuAllocation).values(until=time.time() - 1))
        session.commit()
    platform.start_hub()
    platform.wait(lambda: held(platform) == {}, 40, "ben's server to end")
    assert not node.containers.list(all=True, filters={"label": "bdap.kind=server"})
    platform.wait(lambda: not platform.api("GET", "/users/ben").json()["servers"], 20, "the hub to know")


@pytest.mark.parametrize("moment", [0.3, 0.8])
def test_the_hub_is_killed_while_a_server_starts(platform: Platform, node: Any, moment: float) -> None:
    asking = threading.Thread(target=_ask, args=(platform, "ana"))
    asking.start()
    time.sleep(moment)
    platform.kill_hub()
    asking.join(10)
    platform.start_hub()

    def agree() -> bool:
        """The engine, the database and the hub say the same."""
        servers = node.containers.list(all=True, filters={"label": "bdap.kind=server"})
        running = {one.labels["bdap.person"]: one.labels["bdap.gpus"] for one in servers}
        known = {name for name in ("ana", "ben") if platform.api("GET", f"/users/{name}").json()["servers"]}
        return running == held(platform) and set(running) == known

    platform.wait(agree, 30, "no orphan")
    platform.stop("ana")
    for name in ("ana", "ben"):
        platform.start(name, GPU)
    assert {gpu_of(node, platform, name) for name in ("ana", "ben")} == set(UUIDS) and agree()
    for name in ("ana", "ben"):
        platform.stop(name)
    assert held(platform) == {}


def _ask(platform: Platform, name: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        platform.api("POST", f"/users/{name}/server", json=GPU)


def test_the_command_line_knows_all_this(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BDAP_CONFIG", str(platform.folder / "bdap.yaml"))
    listed = CliRunner().invoke(main, ["gpus", "list"])
    assert [line.split("  ")[-1] for line in listed.output.splitlines()] == ["1 of 1 free", "1 of 1 free"]
    used = CliRunner().invoke(main, ["gpus", "usage"])
    assert {line.split()[0] for line in used.output.splitlines()} == {"agriculture", "forest"}
