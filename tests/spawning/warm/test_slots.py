"""One waiting container on the real engine: what it holds before a claim, who may claim it, and what a claim brings.

By a hub that is root, and by one that has root's part beside it: the promises are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bdap_hub.errors import Unavailable
from bdap_hub.spawning.engines import File, links
from bdap_hub.spawning.engines.claimed import Claimed
from bdap_hub.spawning.engines.docker import DockerEngine
from bdap_hub.spawning.plan import Limits, Mount, SpawnPlan
from bdap_hub.spawning.warm.sizes import template
from bdap_hub.spawning.warm.slots import DockerSlots
from bdap_hub.spawning.warm.waits import Slot, no_files
from tests.spawning.node.parts import running

pytestmark = pytest.mark.docker

PORT = 8888
# What a server would be: the claim's command must be JupyterHub's, whose configuration is not complete here.
SERVER = ["jupyterhub-singleuser", "--version"]
KEY = "/run/bdap-tls/own.pem"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DockerEngine]:
    """An engine whose claimed containers are written down in a folder of the test's; all are gone afterwards."""
    engine = DockerEngine("here", claimed=Claimed(tmp_path / "warm"))
    yield engine
    for one in await engine.lane.call("containers", all=True, filters={"label": f"bdap.hub={INSTALL}"}):
        await engine.remove(one["Id"])


INSTALL = f"test{secrets.token_hex(4)}"


@pytest.fixture(params=["root", "beside-root"])
async def slots(rig: DockerEngine, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[DockerSlots]:
    assert rig.claimed is not None
    rules = {"install": INSTALL, "read": [], "write": [str(tmp_path)], "lowest": 20000}
    with contextlib.ExitStack() as stack:
        if request.param == "root":
            link = links.child(rules)
        else:
            link = links.local(stack.enter_context(running(tmp_path, rules)))
        found = DockerSlots(rig.lane, rig.claimed, INSTALL, link, patience=20)
        yield found
        await found.close()


@pytest.fixture
def plan(network: str, tmp_path: Path) -> SpawnPlan:
    tmp_path.chmod(0o755)
    for name in ("home", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "home").chmod(0o777)
    (tmp_path / "data/pixels").write_text("pixels")
    return SpawnPlan(
        image="bdap/lab:latest",
        name=f"bdap-{INSTALL}-ana",
        hostname="forest-ana",
        uid=20007,
        gid=20008,
        groups=(20009,),
        working_dir="/home/ana",
        mounts=(Mount(f"{tmp_path}/home", "/home/ana", read_only=False), Mount(f"{tmp_path}/data", "/eos/data")),
        limits=Limits(300 * 2**20, 0.5, 77),
        gpus=(),
        network=network,
        environment={"HOME": "/home/ana"},
        labels={"bdap.hub": INSTALL, "bdap.kind": "server", "bdap.person": "ana"},
    )


LINK = "Too many levels of symbolic links"


async def waiting(slots: DockerSlots, plan: SpawnPlan) -> Slot:
    return await slots.make(template(plan), "bdap-warm", PORT, "local")


async def process(rig: DockerEngine, slot: Slot) -> Path:
    """Its first process, in /proc."""
    return Path(f"/proc/{(await rig.lane.call('inspect_container', slot.container))['State']['Pid']}")


def listening(process: Path) -> list[str]:
    """Its ports that somebody could connect to; not the engine's name server on its loopback."""
    tables = [(process / "net" / name).read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    return [line for lines in tables for line in lines if line.split()[3] == "0A" and "0B00007F" not in line]


async def test_before_the_claim_it_holds_nothing_and_offers_nothing(
    slots: DockerSlots, rig: DockerEngine, plan: SpawnPlan
) -> None:
    slot = await waiting(slots, plan)
    found = await rig.lane.call("inspect_container", slot.container)
    assert not found["HostConfig"].get("Mounts") and not found["HostConfig"]["Binds"]
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert sorted(found["HostConfig"]["CapAdd"]) == ["SETGID", "SETPCAP", "SETUID"]
    assert "no-new-privileges:true" in found["HostConfig"]["SecurityOpt"]
    assert slot.secret not in json.dumps(found)  # neither labels nor environment
    assert await rig.find({"bdap.kind": "server", "bdap.hub": INSTALL}) == []  # nobody's server
    assert [slot.container] == await slots.left_behind()
    own = await process(rig, slot)
    assert listening(own) == []
    folder = (own / "root/run/bdap").stat()
    assert (folder.st_mode & 0o777, folder.st_uid) == (0o700, 0)


async def test_a_claim_brings_what_the_plan_says(
    slots: DockerSlots, rig: DockerEngine, plan: SpawnPlan, tmp_path: Path
) -> None:
    slot = await waiting(slots, plan)
    keys = File(KEY, b"key", plan.uid, plan.gid, 0o400)
    held = asyncio.ensure_future(
        hold(await process(rig, slot))
    )  # its server ends at once here: look while it is being claimed
    await slots.claim(slot, plan, SERVER, {"TOKEN": "t"}, lambda address: [keys] if address == slot.address else [])
    mounts, file = await held
    assert mounts["/home/ana"].split(",")[0] == "rw" and mounts["/eos/data"].split(",")[0] == "ro"
    assert file == (b"key", 0o400, plan.uid, plan.gid)
    found = await rig.lane.call("inspect_container", plan.name)
    assert found["Id"] == slot.container
    host = found["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (300 * 2**20, 300 * 2**20, 77)
    (server,) = await rig.find(dict(plan.labels))
    assert (server.name, server.labels) == (plan.name, plan.labels)
    assert await rig.find({**plan.labels, "bdap.person": "ben"}) == []
    assert "t" not in [one.partition("=")[2] for one in found["Config"]["Env"]]


async def hold(root: Path) -> tuple[dict[str, str], tuple[bytes, int, int, int]]:
    """Its mounts and the file, as soon as both are there; the content comes last."""
    for _ in range(2000):
        with contextlib.suppress(OSError):
            fields = [line.split() for line in (root / "mountinfo").read_text().splitlines()]
            path = root / f"root{KEY}"
            if content := path.read_bytes():
                about = path.stat()
                return {f[4]: f[5] for f in fields}, (content, about.st_mode & 0o777, about.st_uid, about.st_gid)
        await asyncio.sleep(0.002)
    raise AssertionError("nothing was brought")


async def test_a_wrong_secret_ends_it_and_is_told_apart_from_the_right_one(
    slots: DockerSlots, rig: DockerEngine, plan: SpawnPlan
) -> None:
    slot, other = await waiting(slots, plan), await waiting(slots, plan)
    own = await process(rig, slot)
    with pytest.raises(Unavailable, match="did not take the claim"):
        await slots.claim(replace(slot, secret="0" * 64), plan, SERVER, {})
    assert not own.exists()
    await slots.claim(other, plan, SERVER, {})  # the control


async def test_it_can_be_claimed_once(slots: DockerSlots, rig: DockerEngine, plan: SpawnPlan) -> None:
    slot = await waiting(slots, plan)
    own = await process(rig, slot)
    first = socket.socket(socket.AF_UNIX)
    first.connect(str(own / "root/run/bdap/claim"))  # whoever comes first is the only one, before they say anything
    for _ in range(100):
        if not await slots.lives(slot):
            break
        await asyncio.sleep(0.05)
    with pytest.raises(Unavailable, match="does not wait"):
        await slots.claim(slot, plan, SERVER, {})
    assert not own.exists()
    first.close()


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda plan, tmp: replace(plan, mounts=(Mount(f"{tmp}/nowhere", "/eos/data"),)), "nowhere"),
        (lambda plan, tmp: replace(plan, mounts=(Mount(f"{tmp}/data", "/bin/x"),)), LINK),
        (lambda plan, tmp: replace(plan, uid=0), "ids begin at 20000"),
    ],
    ids=["no-such-folder", "through-a-link", "root"],
)
async def test_what_fails_leaves_no_container(
    slots: DockerSlots,
    rig: DockerEngine,
    plan: SpawnPlan,
    tmp_path: Path,
    break_it: Callable[[SpawnPlan, Path], SpawnPlan],
    words: str,
) -> None:
    slot = await waiting(slots, plan)
    own = await process(rig, slot)
    with pytest.raises(Unavailable, match=words):
        await slots.claim(slot, break_it(plan, tmp_path), SERVER, {})
    assert not own.exists()
    assert await slots.left_behind() == []


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """A shared mount of the host, as /eos is."""
    store = tmp_path / "store"
    store.mkdir()
    subprocess.run(["mount", "--bind", store, store], check=True)
    subprocess.run(["mount", "--make-rshared", store], check=True)
    (store / "data").mkdir()
    yield store
    subprocess.run(["umount", "-R", store], check=False)


def mount_late(store: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", store / "data"], check=True)
    (store / "data/late").write_text("pixels")


def seen(process: Path, target: str) -> list[str]:
    """What the kernel says of a mount in it."""
    lines = (process / "mountinfo").read_text().splitlines()
    return next(line.split() for line in lines if line.split()[4] == target)


async def test_a_store_mounted_again_appears_in_it(
    slots: DockerSlots, rig: DockerEngine, plan: SpawnPlan, store: Path
) -> None:
    slot = await waiting(slots, plan)
    own = await process(rig, slot)
    await slots._bring(slot, replace(plan, mounts=(Mount(str(store), "/eos", propagation="rslave"),)), no_files)
    mount_late(store)
    assert "tmpfs" in seen(own, "/eos/data")
    assert any(one.startswith("master:") for one in seen(own, "/eos")) and seen(own, "/eos")[5].startswith("ro")


async def test_an_image_that_cannot_wait_is_told_why(slots: DockerSlots, plan: SpawnPlan) -> None:
    with pytest.raises(Unavailable, match="did not get ready to wait"):
        await slots.make(template(plan), "true", PORT, "local")
    assert await slots.left_behind() == []
