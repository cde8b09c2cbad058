"""Engines to test against: this host's own, and a swarm of three machines; servers of a few lines of Perl."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.settings import Settings
from bdap_hub.spawning.engines import Engine, State
from bdap_hub.spawning.engines.docker import DockerEngine
from bdap_hub.spawning.engines.links import Parts
from bdap_hub.spawning.engines.swarm import SwarmEngine
from bdap_hub.spawning.plan import Limits, Placement, SpawnPlan
from tests.conftest import make_settings
from tests.spawning.swarm.machines import NETWORK, Machines

PORT = 8888
IMAGE = "bdap/debian:trixie"
SERVER = """
use IO::Socket::INET;
$| = 1;
my $listen = IO::Socket::INET->new(LocalPort => 8888, Listen => 9, ReuseAddr => 1) or die $!;
$SIG{TERM} = $ENV{STUBBORN} ? "IGNORE" : sub { exit 0 };
print "listening\\n";
while (my $one = $listen->accept) {
    while (<$one>) { last if /^\\r?$/ }
    print $one "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nhi";
    close $one;
}
"""


@dataclass
class Rig:
    """An engine with what it takes to run a server on it."""

    engine: Engine
    network: str
    folder: Path  # the same on all its machines
    placement: Placement
    install: str = field(default_factory=lambda: secrets.token_hex(6))
    made: list[str] = field(default_factory=list)

    def plan(self, name: str = "ana", **changes: Any) -> SpawnPlan:
        """A small server's plan."""
        found = SpawnPlan(
            image=IMAGE,
            name=f"bdaptest-{self.install}-{name}",
            hostname=name,
            uid=20011,
            gid=20012,
            groups=(20013,),
            working_dir="/tmp",
            mounts=(),
            limits=Limits(64 * 2**20, 0.5, 50),
            gpus=(),
            network=self.network,
            environment={"HOME": "/tmp"},
            labels={"bdap.hub": self.install, "bdap.kind": "server", "bdap.person": name},
            placement=self.placement,
        )
        return replace(found, **changes)

    async def run(self, plan: SpawnPlan, script: str = SERVER, **create: Any) -> str:
        """Create and start a server that runs this Perl; its name."""
        await self.create(plan, script, **create)
        await self.engine.start(plan.name)
        return plan.name

    async def create(self, plan: SpawnPlan, script: str = SERVER, **create: Any) -> None:
        self.made.append(plan.name)
        arguments = {"environment": {}, "port": PORT, **create}
        assert await self.engine.create(plan, ["perl", "-e", script], **arguments)

    async def until(self, name: str, check: Callable[[State], object], seconds: float = 60) -> State:
        """The state as soon as it is as wanted."""
        deadline = time.monotonic() + seconds
        while not check(state := await self.engine.state(name)):
            assert time.monotonic() < deadline, f"{name} is {state}\n{await self.engine.logs(name)}"
            await asyncio.sleep(0.05)
        return state

    async def writes(self, name: str, text: str) -> None:
        """Wait until its log has that text."""
        for _ in range(600):
            if text in await self.engine.logs(name):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{name} does not write {text!r}")

    async def says(self, plan: SpawnPlan, script: str, **create: Any) -> str:
        """What a shell script prints as that plan's server."""
        name = await self.run(plan, f"exec 'sh', '-c', <<'END'\n{script}\nEND\n", **create)
        await self.until(name, lambda state: state.phase == "ended")
        return await self.engine.logs(name, 100)


@pytest.fixture(scope="package")
def beside(machines: Machines) -> Settings:
    """Of a hub whose machines have root's part."""
    swarm = {"address": machines.host, "node_port": 7420}
    found = make_settings(machines.folder / "contract/var", spawning={"engine": "swarm", "swarm": swarm})
    machines.serve_parts(found)
    return found


@pytest.fixture
def parts(beside: Settings) -> Parts:
    return Parts(beside)


@pytest.fixture(params=["docker", "swarm"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """Each engine in turn; every server is gone afterwards."""
    if request.param == "docker":
        found = Rig(DockerEngine("here"), request.getfixturevalue("network"), tmp_path, Placement())
    else:
        machines: Machines = request.getfixturevalue("machines")
        engine = SwarmEngine(machines.lane(), machines.lane(), parts=request.getfixturevalue("parts"))
        await engine.prepare(NETWORK, {})
        placement = Placement(labels={"bdap.servers": "true"})
        found = Rig(engine, NETWORK, machines.folder, placement, request.getfixturevalue("beside").install_id)
    yield found
    for name in found.made:
        await found.engine.remove(name)


@pytest.fixture
def store(rig: Rig) -> Path:
    """A folder of every node with a file in it."""
    folder = rig.folder / secrets.token_hex(3)
    folder.mkdir()
    (folder / "data").write_text("pixels")
    return folder
