"""Rules of dashboards on several machines: which is chosen, what an order may ask for, whose words are understood."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.dashboards.nodes import images, order, serve, several, tunnels, wire
from bdap_hub.dashboards.nodes.client import FarRuntime
from bdap_hub.dashboards.nodes.several import Place, SeveralRuntime, ranked
from bdap_hub.dashboards.running.runtime import Ending, Launch, Runtime, service_addresses
from bdap_hub.errors import BadRequest, BadSettings, Unavailable
from bdap_hub.settings import Settings, load

from .conftest import FAR


def test_the_order_of_machines_is_the_same_everywhere_and_spreads_releases() -> None:
    names = ["this host", "10.0.0.2:7430", "10.0.0.3:7430"]
    first = [ranked(f"p--d{number}--v1", names)[0] for number in range(300)]
    assert all(first.count(name) > 60 for name in names)
    for number in range(300):
        if first[number] != names[1]:  # who goes moves its own releases alone
            assert ranked(f"p--d{number}--v1", [names[0], names[2]])[0] == first[number]


WRONG: list[tuple[str, Any]] = [
    ("name", "../x"),
    ("name", "agriculture--outage"),
    ("bundle", "../../etc"),
    ("entry", "../index.ipynb"),
    ("entry", "/etc/passwd"),
    ("uid", 0),
    ("uid", 1000),
    ("uid", "60001"),
    ("kind", "static"),
    ("kind", "shell"),
    ("environment", {"LD_PRELOAD": "/x"}),
    ("environment", {"BDAP_TOKEN": 5}),
    ("environment", ["BDAP_TOKEN"]),
    ("image", "bdap/lab:latest"),
    ("memory", "999T"),
    ("memory", 5),
    ("cpus", 0),
    ("cpus", 1000),
    ("data", ["/etc"]),
    ("data", ["/eos/data/../../etc"]),
    ("data", ["/eos/files/ana/x"]),
    ("data", ["/run/secrets/key"]),
    ("data", "/eos/data/x"),
]


@pytest.mark.parametrize(("what", "value"), WRONG)
def test_an_order_for_more_than_a_dashboard_may_have(settings: Settings, launch: Launch, what: str, value: Any):
    good = order.written(launch, "")
    assert replace(order.read(good, settings), means=None) == replace(launch, means=None)  # the positive control
    with pytest.raises(BadRequest):
        order.read({**good, what: value}, settings)


def test_data_that_a_node_lacks_is_looked_for_on_another(settings: Settings, launch: Launch):
    good = order.written(launch, "")
    (settings.store.data / "there").mkdir(parents=True)
    mounts = order.read({**good, "data": ["/eos/data/there"]}, settings).means
    assert mounts is not None and mounts.mounts == ((settings.store.data / "there", "/eos/data/there"),)
    with pytest.raises(Unavailable, match="no '/eos/data/missing' on this machine"):
        order.read({**good, "data": ["/eos/data/missing"]}, settings)


def test_secrets_stay_on_the_hubs_host(launch: Launch):
    assert launch.means is not None and order.can_travel(launch)
    secret = replace(launch.means, mounts=((Path("/x"), "/run/secrets/key"),))
    assert not order.can_travel(replace(launch, means=secret))


class Fake:
    """A machine that keeps names alone: what is tested is which one is asked."""

    def __init__(self, away: bool = False) -> None:
        self.started: dict[str, float] = {}
        self.away, self.now = away, 0.0

    def __getattribute__(self, name: str) -> Any:
        if name in vars(Runtime) and object.__getattribute__(self, "away"):
            raise Unavailable("away")
        return object.__getattribute__(self, name)

    def start(self, launch: Launch) -> None:
        self.now += 1
        self.started[launch.name] = self.now

    def address(self, name: str) -> str | None:
        return "127.0.0.1:1" if name in self.started else None

    def logs(self, name: str) -> str:
        return ""

    def memory(self, name: str) -> int:
        return 0

    def ended(self) -> dict[str, Ending]:
        return {}

    def stop(self, name: str) -> None:
        self.started.pop(name, None)

    def running(self) -> dict[str, float]:
        return dict(self.started)

    def stop_all(self) -> None:
        self.started.clear()

    def tidy(self) -> None: ...


@pytest.fixture
def fakes() -> dict[str, Fake]:
    return {name: Fake() for name in ("this host", "a", "b")}


def of(fakes: dict[str, Fake], room: Callable[[str], int] = lambda name: 2**40, **more: Any) -> SeveralRuntime:
    runtimes: dict[str, Runtime] = dict(fakes)
    return SeveralRuntime([Place(name, one, lambda name=name: room(name)) for name, one in runtimes.items()], **more)


def test_where_a_release_is_started(fakes: dict[str, Fake], launch: Launch):
    order_of = ranked(FAR, sorted(fakes))
    of(fakes).start(launch)
    assert [name for name, one in fakes.items() if one.started] == [order_of[0]]
    of(fakes).start(launch)  # another process finds it
    assert [name for name, one in fakes.items() if one.started] == [order_of[0]]
    of(fakes).stop(FAR)
    assert not any(one.started for one in fakes.values())
    of(fakes, room=lambda name: 0 if name == order_of[0] else 2**40).start(launch)
    assert [name for name, one in fakes.items() if one.started] == [order_of[1]]
    of(fakes).stop(FAR)
    of(fakes, publishes=True).start(launch)
    assert [name for name, one in fakes.items() if one.started] == ["this host"]


def test_a_machine_that_is_away(fakes: dict[str, Fake], launch: Launch, monkeypatch: pytest.MonkeyPatch):
    first, second = ranked(FAR, sorted(fakes))[:2]
    fakes[first].away = True
    runtime = of(fakes)
    runtime.start(launch)
    assert list(fakes[second].started) == [FAR] and runtime.address(FAR)
    fakes[first].away, fakes[second].away = False, True
    with pytest.raises(Unavailable, match="does not answer just now"):  # it may be back in a moment
        runtime.address(FAR)
    fakes[second].away = False
    assert runtime.address(FAR)
    fakes[second].away = True
    monkeypatch.setattr(several, "GONE_SECONDS", 0.0)
    with contextlib.suppress(Unavailable):
        runtime.address(FAR)
    time.sleep(0.01)
    runtime.start(launch)
    assert list(fakes[first].started) == [FAR]
    for one in fakes.values():
        one.away = True
    for ask in (runtime.running, lambda: of(fakes).address(FAR), lambda: of(fakes).start(launch)):
        with pytest.raises(Unavailable):
            ask()


def test_what_publishes_asks_this_host_and_believes_no_other_instead(fakes: dict[str, Fake], launch: Launch):
    publishes = of(fakes, publishes=True)
    publishes.start(launch)
    fakes["this host"].away = True
    for ask in (lambda: publishes.address(FAR), lambda: publishes.stop(FAR)):
        with pytest.raises(Unavailable):
            ask()
    fakes["this host"].away = False
    assert publishes.address(FAR)
    publishes.stop(FAR)
    assert publishes.address(FAR) is None


NONSENSE = (b"", b"no JSON\n", b"[]\n", b'{"done": {"../x": 1}}\n', b'{"done": {"a--b--v1": "x"}}\n', b'{"done": 5}\n')


@pytest.mark.parametrize("answer", NONSENSE)
def test_what_nobody_understands(settings: Settings, answer: bytes, monkeypatch: pytest.MonkeyPatch):
    far = FarRuntime(settings, "127.0.0.1:1")
    monkeypatch.setattr(far.line, "_new", lambda *_: answer)
    with pytest.raises(Unavailable, match=r"understands|ended the connection"):
        far.running()
    monkeypatch.setattr(far.line, "_new", lambda *_: b'{"done": {"a--b--v1": 5.5}}\n')
    assert far.running() == {"a--b--v1": 5.5}  # the positive control


def test_a_port_that_nobody_asks_for_is_given_back(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    ways = tunnels.Tunnels("127.0.0.1", 1, wire.hub_side(settings))
    first = ways.to("a--b--v1")
    host, _, port = first.rpartition(":")
    assert ways.to("c--d--v1") != first == ways.to("a--b--v1")
    socket.create_connection((host, int(port)), 5).close()  # the positive control
    monkeypatch.setattr(tunnels, "FORGOTTEN", 0.0)
    assert ways.to("e--f--v1")
    deadline = time.monotonic() + 10
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < deadline:
            socket.create_connection((host, int(port)), 5).close()
            time.sleep(0.05)


def _archive(file: Path, members: dict[str, Any]) -> Path:
    with tarfile.open(file, "w") as archive:
        for name, said in members.items():
            content = json.dumps(said).encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


NAMING: list[dict[str, Any]] = [
    {"manifest.json": [{"RepoTags": ["bdap/lab:latest"]}]},
    {"manifest.json": [{"RepoTags": None}], "repositories": {"bdap/lab": {"latest": "x"}}},
    {"index.json": {"manifests": [{"annotations": {"io.containerd.image.name": "docker.io/bdap/lab:latest"}}]}},
    {"./index.json": {"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "latest"}}]}},
]


@pytest.mark.parametrize("members", NAMING)
def test_an_image_that_brings_a_name_along(tmp_path: Path, members: dict[str, Any]):
    assert images.named(_archive(tmp_path / "named.tar", members))
    plain = {"manifest.json": [{"RepoTags": None}], "index.json": {"manifests": [{"digest": "x"}]}}
    assert images.named(_archive(tmp_path / "plain.tar", plain)) == ""  # the positive control
    with pytest.raises(BadRequest, match="brings the name"):
        images.load(tmp_path / "named.tar", "0" * 64)


def test_an_archive_that_engines_may_read_otherwise(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in ("manifest.json", "./manifest.json"):
            info = tarfile.TarInfo(name)
            info.size = 2
            archive.addfile(info, io.BytesIO(b"[]"))
    with tarfile.open(tmp_path / "y.tar", "w") as archive:
        link = tarfile.TarInfo("manifest.json")
        link.type, link.linkname = tarfile.SYMTYPE, "another.json"
        archive.addfile(link)
    for name in ("x.tar", "y.tar"):
        with pytest.raises(BadRequest, match="cannot be read"):
            images.named(tmp_path / name)


def test_the_files_that_the_documentation_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = (Path(__file__).parents[2] / "docs/how-to/dashboards-on-many-nodes.md").read_text()
    _, hub, node = (part.split("```")[0] for part in page.split("```yaml\n")[1:])  # the first is an inventory
    monkeypatch.setenv("BDAP_CONFIG", str(tmp_path / "bdap.yaml"))
    (tmp_path / "bdap.yaml").write_text(node)
    found = load()
    assert (found.environment, found.var, found.dashboards.most_memory) == (
        "production",
        Path("/srv/bdap-dashboards"),
        "8G",
    )
    more = 'hub: {public_url: "https://hub.example.org"}\nidentity: {issuer: "https://login.example.org"}\n'
    (tmp_path / "bdap.yaml").write_text(hub + more)
    assert load().dashboards.nodes == ("192.0.2.11:7430",)


def test_where_services_listen_elsewhere_is_nothing_to_dashboards_here(settings: Settings):
    settings.processing.bind, settings.processing.also_bind = "192.0.2.10", "172.30.0.1"
    own = serve._closed(settings)
    assert service_addresses(own, "172.19.0.1")["BDAP_PROCESSING_URL"].startswith("http://172.19.0.1:")
    assert service_addresses(settings, "172.19.0.1")["BDAP_PROCESSING_URL"].startswith("http://192.0.2.10:")


def test_the_settings_name_machines_by_address_and_port():
    for wrong in ("node2", "node2:7430", "192.0.2.11", "192.0.2.11:0", "192.0.2.11:x"):
        with pytest.raises(BadSettings, match=r"dashboards.nodes"):
            load(environment="demo", dashboards={"nodes": [wrong]})
    with pytest.raises(BadSettings, match=r"dashboards.node_hub: 'hub.example' is no IP address"):
        load(environment="demo", dashboards={"node_hub": "hub.example"})
    assert load(environment="demo", dashboards={"node_hub": "2001:DB8::10"}).dashboards.node_hub == "2001:db8::10"
    good = ("192.0.2.11:7430", "[2001:db8::1]:7430")
    assert load(environment="demo", dashboards={"nodes": good}).dashboards.nodes == good
