"""The pool on the real engine: as many wait as are needed, of the present build, and none outlives its hub."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.access import Person
from bdap_hub.settings import Settings
from bdap_hub.spawning.engines import links
from bdap_hub.spawning.engines.claimed import Claimed
from bdap_hub.spawning.engines.docker import DockerEngine
from bdap_hub.spawning.images.platform import docker_client
from bdap_hub.spawning.plan import Site, SpawnPlan, choices, plan
from bdap_hub.spawning.warm.pool import WarmPool
from bdap_hub.spawning.warm.slots import DockerSlots
from tests.conftest import make_settings

pytestmark = pytest.mark.docker

ANA = Person("ana", frozenset({"project-agriculture"}))
COMMAND = ["jupyterhub-singleuser", "--version"]


@pytest.fixture
def image() -> Iterator[str]:
    """The lab image by a name of the test's own, which it may give to another build."""
    name = f"bdaptest-warm-{secrets.token_hex(4)}:latest"
    subprocess.run([docker_client(), "tag", "bdap/lab:latest", name], check=True)
    yield name
    subprocess.run([docker_client(), "rmi", "-f", name], capture_output=True, check=False)


def build_anew(name: str) -> None:
    text = f"FROM bdap/lab:latest\nLABEL anew={secrets.token_hex(4)}\n"
    subprocess.run([docker_client(), "build", "-q", "-t", name, "-"], input=text.encode(), check=True)


@pytest.fixture
def settings(tmp_path: Path, network: str, image: str) -> Settings:
    tmp_path.chmod(0o755)
    found = make_settings(
        tmp_path / "var", spawning={"network": network, "warm": {"least": 1, "most": 2, "patience": 10}}
    )
    lab = found.images[0].model_copy(update={"reference": image})
    return found.model_copy(update={"images": (lab, *found.images[1:])})


@pytest.fixture
def lab(settings: Settings) -> SpawnPlan:
    """Ana's server, without her folders: they are other tests' subject."""
    choice = next(one for one in choices(settings.policy(), ANA) if one.image.name == "lab")
    found = plan(settings, ANA, choice, Site("192.0.2.1", 20000, {"agriculture": 20001}))
    return replace(found, mounts=())


def waits(settings: Settings, engine: DockerEngine) -> DockerSlots:
    """As a hub that is root has it; mounts are other tests' subject."""
    claimed = engine.claimed or Claimed(settings.var / "warm")
    link = links.child(links.rules(settings))
    return DockerSlots(engine.lane, claimed, settings.install_id, link, patience=settings.spawning.warm.patience)


class Rig:
    """Pools of one install, as hubs that come and go have them."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.tasks, self.pools = settings, list[asyncio.Task[None]](), list[WarmPool]()
        self.engine = DockerEngine("here", claimed=Claimed(settings.var / "warm"))

    def hub(self, settings: Settings | None = None) -> WarmPool:
        """One more pool, kept from now on."""
        pool = self.pool(settings)
        self.tasks.append(asyncio.ensure_future(pool.keep()))
        return pool

    def pool(self, settings: Settings | None = None) -> WarmPool:
        """One that nobody keeps."""
        self.pools.append(WarmPool(settings or self.settings, waits(self.settings, self.engine)))
        return self.pools[-1]

    async def containers(self) -> list[dict[str, Any]]:
        labels = {"label": [f"bdap.hub={self.settings.install_id}"]}
        return list(await self.engine.lane.call("containers", all=True, filters=labels))

    async def until(self, check: Callable[[list[dict[str, Any]]], object], seconds: float = 60) -> None:
        """Until the engine's list is as wanted."""
        for _ in range(int(seconds * 5)):
            if check(found := await self.containers()):
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"there are {[(one['Names'], one['State']) for one in found]}")


@pytest.fixture
async def rig(settings: Settings) -> AsyncIterator[Rig]:
    found = Rig(settings)
    yield found
    for task in found.tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    for pool in found.pools:
        await pool.waits.close()
    for one in await found.containers():
        await found.engine.remove(one["Id"])


def slots(pool: WarmPool, of: SpawnPlan) -> int:
    shelf = pool.expect(of)
    return len(shelf.slots) if shelf else 0


async def test_it_follows_demand_and_a_claimed_one_is_replaced(rig: Rig, lab: SpawnPlan) -> None:
    pool = rig.hub()
    assert not await pool.claim(lab, COMMAND, {})  # the first comes before any waits
    await rig.until(lambda found: slots(pool, lab) == 1)
    assert await pool.claim(lab, COMMAND, {})
    await rig.until(lambda found: slots(pool, lab) == 2)
    for _ in range(5):
        pool.started(lab)
    await asyncio.sleep(6)
    assert slots(pool, lab) == 2  # spawning.warm.most


async def test_those_of_an_older_build_are_not_claimed_and_go(rig: Rig, lab: SpawnPlan) -> None:
    pool = rig.hub()
    pool.expect(lab)
    await rig.until(lambda found: slots(pool, lab) == 1)
    (old,) = await rig.containers()
    await asyncio.to_thread(build_anew, lab.image)
    assert not await pool.claim(lab, COMMAND, {})
    await rig.until(lambda found: slots(pool, lab) >= 1 and old["Id"] not in {one["Id"] for one in found})
    assert await pool.claim(lab, COMMAND, {})  # the control


async def test_a_claim_that_gets_no_answer_is_given_up_soon(rig: Rig, lab: SpawnPlan) -> None:
    pool = rig.hub()
    pool.expect(lab)
    await rig.until(lambda found: slots(pool, lab) == 1)
    (slot,) = await rig.containers()
    await rig.engine.lane.call("pause", slot["Id"])
    begun = asyncio.get_running_loop().time()
    assert not await pool.claim(lab, COMMAND, {})
    assert asyncio.get_running_loop().time() - begun < 40
    await rig.until(lambda found: slot["Id"] not in {one["Id"] for one in found})


async def test_none_outlives_its_hub(rig: Rig, lab: SpawnPlan) -> None:
    pool = rig.hub()
    pool.expect(lab)
    await rig.until(lambda found: slots(pool, lab) == 1)
    rig.tasks[0].cancel()
    await rig.until(lambda found: not found)


async def test_those_of_a_hub_that_was_killed_go_with_the_next(rig: Rig, lab: SpawnPlan) -> None:
    killed = rig.pool()
    shelf = killed.expect(lab)
    assert shelf is not None
    await killed._tend(shelf)
    (slot,) = await rig.containers()
    rig.hub()
    await rig.until(lambda found: slot["Id"] not in {one["Id"] for one in found})


async def test_none_waits_while_memory_is_short(rig: Rig, lab: SpawnPlan) -> None:
    pool = rig.hub()
    pool.expect(lab)
    await rig.until(lambda found: slots(pool, lab) == 1)
    pool._wish = pool._wish.model_copy(update={"keep_free": "99999G"})
    await rig.until(lambda found: not found)


def pool_of(settings: Settings) -> WarmPool:
    return WarmPool(settings, waits(settings, DockerEngine("here")))


@pytest.mark.parametrize(
    "change", [{"warm": False}, {"gpu": True}, {"reference": "bdap/another:latest"}], ids=["told", "gpu", "another"]
)
def test_images_that_do_not_wait(settings: Settings, lab: SpawnPlan, change: dict[str, object]) -> None:
    assert pool_of(settings).expect(lab)  # the control
    other = settings.images[0].model_copy(update=change)
    assert not pool_of(settings.model_copy(update={"images": (other,)})).expect(lab)


def test_a_project_s_own_image_of_the_same_name_does_not_wait(settings: Settings, lab: SpawnPlan) -> None:
    pool = pool_of(settings)
    assert not pool.expect(replace(lab, image="bdap-project/agriculture/lab:1"))
    assert not pool.expect(replace(lab, labels={**lab.labels, "bdap.image": "own"}))
