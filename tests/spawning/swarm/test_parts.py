"""Root's part on the machines of a swarm: the hub alone reaches it, and it tells how far a pull is there."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bdap_hub import audit, certificates, database
from bdap_hub.errors import Unavailable
from bdap_hub.settings import Settings
from bdap_hub.spawning.engines import ImageMissing
from bdap_hub.spawning.engines.links import Parts, far, trust
from bdap_hub.spawning.engines.login import CREDENTIALS, Login
from bdap_hub.spawning.engines.swarm import SwarmEngine
from bdap_hub.spawning.images import pulls
from bdap_hub.spawning.images.pulls import Pulls
from bdap_hub.spawning.page.progress import Progress
from bdap_hub.spawning.plan import Limits, Placement, SpawnPlan
from bdap_hub.spawning.store.heal import Running, Told, heal
from bdap_hub.spawning.store.mounts import LABEL, Mount
from bdap_hub.spawning.store.mounts import written as mounted
from bdap_hub.spawning.store.watch import StoreWatch
from tests.conftest import make_settings
from tests.images.registry import ACCOUNT, Registry, running

from .machines import NETWORK, Machines, run

pytestmark = pytest.mark.docker
PORT = 7421


@pytest.fixture(scope="module")
def settings(machines: Machines) -> Settings:
    """Of a hub whose machines have root's part."""
    swarm = {"address": machines.host, "node_port": PORT}
    found = make_settings(machines.folder / "parts/var", spawning={"engine": "swarm", "swarm": swarm})
    machines.serve_parts(found)
    return found


def asked(address: str, context: ssl.SSLContext) -> str:
    """What it says to somebody with those certificates; '' where it says nothing."""
    try:
        with (
            socket.create_connection((address, PORT), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=address) as door,
        ):
            door.sendall(b'{"op": "hello"}\n')
            return str(json.loads(door.makefile().readline() or "{}").get("done", {}).get("install", ""))
    except (OSError, ssl.SSLError):
        return ""


def shown(settings: Settings, name: str | None) -> ssl.SSLContext:
    """Somebody who believes the machines, and shows that certificate of the platform's."""
    found = ssl.create_default_context(cafile=certificates.files(settings, certificates.NODES)[1])
    if name:
        key, certificate = certificates.files(settings, name)
        found.load_cert_chain(certificate, key)
    return found


def test_the_hub_alone_is_let_in(settings: Settings, machines: Machines, tmp_path: Path) -> None:
    other = make_settings(tmp_path / "var")
    certificates.ensure(other)
    stranger = shown(settings, None)
    stranger.load_cert_chain(*reversed(certificates.files(other, "hub-internal")))
    who = {
        "nobody": shown(settings, None),
        "a service": shown(settings, "services"),
        "the proxy": shown(settings, "proxy-client"),
        "another platform's hub": stranger,
    }
    address = machines.address("node2")
    assert {name: asked(address, context) for name, context in who.items()} == dict.fromkeys(who, "")
    assert asked(address, trust(settings)) == settings.install_id  # the control


def test_a_machine_is_not_taken_for_another(settings: Settings, machines: Machines) -> None:
    """Its certificate names its address."""
    believes = trust(settings)
    with (
        socket.create_connection((machines.address("node2"), PORT), timeout=10) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        believes.wrap_socket(plain, server_hostname=machines.address("node3"))
    link = far("node2", machines.address("node2"), PORT, trust(settings), keep=False)
    assert asyncio.run(link.ask("hello"))["install"] == settings.install_id


def test_from_elsewhere_nobody_is_heard(settings: Settings, machines: Machines) -> None:
    """Not even by certificate: another machine, as a server on it, does not get to show one."""
    script = "import socket,sys; s=socket.create_connection((sys.argv[1], int(sys.argv[2])), 5); print(s.recv(1))"
    address = machines.address("node2")
    said = machines.sh("node1", f"python3 -c '{script}' {address} {PORT} 2>&1 || true")
    assert "b''" in said or "reset" in said, said
    assert f"refused: {machines.address('node1')} is not the hub" in machines.sh(
        "node2", f"cat /run/bdap-{settings.install_id}.log"
    )
    assert asked(address, trust(settings))  # the control


async def test_a_machine_that_hangs_delays_nobody(settings: Settings, machines: Machines) -> None:
    parts = Parts(settings)
    engine = SwarmEngine(machines.lane(), machines.lane(), parts=parts)
    node = next(one for one in await engine.nodes() if one.name == "node3")
    await parts.of(node).ask("hello")
    run("docker", "pause", f"{machines.prefix}-node3")
    try:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable):
            await parts.of(node).ask("hello", seconds=0.5)
        assert asyncio.get_running_loop().time() - begun < 10
    finally:
        run("docker", "unpause", f"{machines.prefix}-node3")
    await parts.of(node).ask("hello")


async def test_a_server_on_a_machine_gets_the_store_back(settings: Settings, machines: Machines) -> None:
    """The machine's own mount has died and come back; what the hub's host has is something else."""
    data = settings.store.data
    data.mkdir(parents=True, exist_ok=True)
    mounts = (Mount(str(data), "/eos/data"),)
    labels = {"bdap.hub": settings.install_id, "bdap.kind": "server", LABEL: mounted(mounts)}
    wanted = replace(plan("bdap/debian:trixie", "node2"), mounts=mounts, labels=labels)
    engine = SwarmEngine(machines.lane(), machines.lane(), parts=Parts(settings))
    await engine.create(wanted, ["sleep", "600"], {}, 1)
    try:
        await engine.start(wanted.name)
        for _ in range(300):
            if placed := await engine.placed({"bdap.hub": settings.install_id}):
                break
            await asyncio.sleep(0.1)
        server = Running(wanted.name, placed[0].container, mounts, engine.part_of(placed[0].node))
        machines.sh("node2", f"mount -t tmpfs tmpfs {data} && echo pixels > {data}/new")
        assert machines.exec(wanted.name, "cat /eos/data/new")[0]
        (told,) = await heal([server])
        assert told == Told("node2", (wanted.name,))
        assert machines.exec(wanted.name, "cat /eos/data/new") == (0, "pixels")

        watch = StoreWatch(settings)
        look = [server], [str(data), str(settings.store.projects)]
        settings.store.projects.mkdir(parents=True, exist_ok=True)
        await watch.hear(await heal(*look))
        assert watch.notice(wanted.name) == ""
        machines.sh("node2", f"mount -t tmpfs tmpfs {settings.store.root}")
        await watch.hear(await heal(*look))
        assert "does not answer on node2, where your server runs" in watch.notice(wanted.name)
        assert watch.notice("somebody-elses") == "" and await watch.there()  # this host's own is well
        machines.sh("node2", f"umount -l {settings.store.root}")
        await watch.hear(await heal(*look))
        assert watch.notice(wanted.name) == ""
        found = audit.latest(database.connect(settings.database), 2)
        assert [event.action for event in found] == ["store-back", "store-lost"]
        assert found[0].reason == "back on node2" and "lost on node2: No such file" in found[1].reason
    finally:
        machines.sh("node2", f"umount -l {settings.store.root} {data} || true")
        await engine.remove(wanted.name)


@pytest.fixture
def registry(tmp_path: Path, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """One that the machines reach."""
    monkeypatch.setenv("DOCKER_HOST", machines.socket("node1"))
    with running(tmp_path, address=machines.host) as found:
        yield found


@pytest.fixture
def image(tmp_path: Path, registry: Registry, machines: Machines) -> str:
    """An image of 80 MB that only the registry has."""
    root, name = tmp_path / "root", f"{registry.host}/bdap/pulltest-{secrets.token_hex(3)}:1"
    root.mkdir()
    (root / "noise").write_bytes(os.urandom(80 * 2**20))
    tar = subprocess.run(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE, check=True).stdout
    client = machines.clients["node1"]
    client.import_image_from_data(tar, *name.rsplit(":", 1))
    account = {"username": ACCOUNT[0], "password": ACCOUNT[1]}
    said = list(client.push(name, auth_config=account, stream=True, decode=True))
    assert not [event for event in said if "error" in event], said[-1]
    client.remove_image(name, force=True)
    return name


def login(settings: Settings, registry: Registry, password: str) -> Login:
    path = settings.var / "secrets" / CREDENTIALS
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{ACCOUNT[0]}:{password}")
    return Login(registry.host, path.parent)


async def test_a_pull_on_a_machine_says_how_far_it_is(
    settings: Settings, machines: Machines, registry: Registry, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "LOOK", 0.02)  # on this machine it is over in a moment
    account = login(settings, registry, ACCOUNT[1])
    engine = SwarmEngine(machines.lane(), machines.lane(), account, Parts(settings))
    told: list[Progress] = []
    assert not await engine.has_image(image, "node2")
    await Pulls(engine).have(image, "Test", told.append, "node2")
    assert await engine.has_image(image, "node2") and not await engine.has_image(image, "node3")
    shares = [one.percent for one in told if one.percent is not None]
    assert shares == sorted(shares) and shares and 0 < shares[-1] <= 100
    assert "Fetching the image Test" in told[-1].sentence
    with pytest.raises(ImageMissing, match="node3") as missing:  # a start there is told to wait for a pull
        await engine.create(plan(image, "node3"), ["true"], {}, 1)
    assert missing.value.node == "node3"
    assert await engine.create(plan(image, "node2"), ["true"], {}, 1)  # the control
    await engine.remove(plan(image, "node2").name)


def plan(image: str, node: str) -> SpawnPlan:
    found = SpawnPlan(
        image=image,
        name=f"bdaptest-pull-{node}",
        hostname="x",
        uid=20000,
        gid=20001,
        groups=(),
        working_dir="/",
        mounts=(),
        limits=Limits(64 * 2**20, 0.5, 50),
        gpus=(),
        network=NETWORK,
        environment={},
        labels={"bdap.kind": "test"},
    )
    return replace(found, placement=Placement(node))


async def test_a_pull_that_the_registry_refuses_says_why(
    settings: Settings, machines: Machines, registry: Registry, image: str
) -> None:
    right, wrong = (
        SwarmEngine(machines.lane(), machines.lane(), account, Parts(settings))
        for account in (login(settings, registry, ACCOUNT[1]), Login())
    )
    await right.pull(image, "node1")  # the manager knows it now
    with pytest.raises(ImageMissing, match=r"node3: .*(denied|unauthorized|no basic auth|authorization)"):
        await wrong.pull(image, "node3")
    await right.pull(image, "node3")  # the control
