"""What every engine promises, tried on real ones: one suite for all."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from bdap_hub.errors import Conflict, NotFound, Unavailable
from bdap_hub.spawning.engines import File, ImageMissing
from bdap_hub.spawning.engines.docker import DockerEngine
from bdap_hub.spawning.images import platform as images
from bdap_hub.spawning.plan import Limits, Mount

from .conftest import PORT, Rig

pytestmark = pytest.mark.docker


async def test_a_servers_life(rig: Rig) -> None:
    plan, engine = rig.plan(), rig.engine
    assert (await engine.state(plan.name)).phase == "absent"
    await rig.create(plan)
    assert (await engine.state(plan.name)).phase == "created"
    with pytest.raises(NotFound):
        await engine.address(plan.name, PORT)

    await engine.start(plan.name)
    state = await rig.until(plan.name, lambda state: state.phase == "running")
    assert state.node in {node.name for node in await engine.nodes()} and state.alive
    ip, port = await engine.address(plan.name, PORT)
    assert await answers(ip, port) == "hi"
    await rig.writes(plan.name, "listening")
    assert await engine.logs(plan.name) == "listening\n"

    await engine.stop(plan.name)
    state = await engine.state(plan.name)
    assert state.phase == "ended" and state.exit_code in (0, None) and state.words.startswith("it ")
    await engine.remove(plan.name)
    assert (await engine.state(plan.name)).phase == "absent"


async def test_an_image_by_its_content(rig: Rig) -> None:
    """As projects' own images are named."""
    content = images.image_id(rig.plan().image)
    assert content
    assert content.startswith("sha256:")
    name = await rig.run(rig.plan(image=content))
    await rig.until(name, lambda state: state.phase == "running")
    other = f"sha256:{'0' * 64}"
    assert await rig.engine.has_image(content) and not await rig.engine.has_image(other)
    with pytest.raises(ImageMissing, match=other):
        await rig.create(rig.plan("ben", image=other))


async def test_what_is_not_there(rig: Rig) -> None:
    name = rig.plan().name
    await rig.engine.remove(name)
    await rig.engine.stop(name)
    assert await rig.engine.logs(name) == ""
    with pytest.raises(NotFound):
        await rig.engine.start(name)


async def test_a_name_is_taken_once(rig: Rig) -> None:
    await rig.create(rig.plan())
    with pytest.raises(Conflict, match="already"):
        await rig.create(rig.plan())
    await rig.engine.remove(rig.plan().name)
    await rig.create(rig.plan())


async def test_a_running_server_is_removed_at_once(rig: Rig) -> None:
    name = await rig.run(rig.plan())
    await rig.until(name, lambda state: state.phase == "running")
    await rig.engine.remove(name)
    assert (await rig.engine.state(name)).phase == "absent"


async def test_one_that_does_not_listen_is_killed_after_its_grace(rig: Rig) -> None:
    name = await rig.run(rig.plan(environment={"STUBBORN": "1"}))
    await rig.until(name, lambda state: state.phase == "running")
    await rig.writes(name, "listening")
    begun = time.monotonic()
    await rig.engine.stop(name, grace=2)
    assert 2 <= time.monotonic() - begun < 25
    assert (await rig.engine.state(name)).phase == "ended"


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("exit 3", 3, "it ended with the code 3"),
        ("my $x = 'x' x (200 << 20); sleep 60", 137, "memory"),
    ],
)
async def test_how_it_ended(rig: Rig, script: str, code: int, words: str) -> None:
    name = await rig.run(rig.plan(), script)
    state = await rig.until(name, lambda state: state.phase == "ended")
    assert state.exit_code == code and words in state.words


async def test_an_image_that_is_not_there(rig: Rig) -> None:
    reference = "bdaptest/nowhere:1"
    assert not await rig.engine.has_image(reference)
    assert await rig.engine.has_image(rig.plan().image)
    with pytest.raises(ImageMissing, match=reference):
        await rig.create(rig.plan(image=reference))


async def test_the_plans_promises_hold_inside(rig: Rig, store: Path) -> None:
    plan = rig.plan(mounts=(Mount(str(store), "/eos/data"),), hostname="forest-ana", limits=Limits(64 * 2**20, 0.5, 50))
    said = await rig.says(
        plan,
        "id -u; id -g; id -G; umask; hostname; pwd; cat /eos/data/data; echo; touch /eos/data/x 2>&1\n"
        "grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; ulimit -c; echo $HOME $TOKEN\n"
        "cat /proc/1/comm",
        environment={"TOKEN": "secret", "HOME": "/root"},
    )
    lines = said.split("\n")
    assert lines[:7] == ["20011", "20012", "20012 20013", "0002", "forest-ana", "/tmp", "pixels"]
    assert "Read-only file system" in lines[7]
    status = dict(line.split(":\t") for line in lines[8:12])
    assert status == {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    assert lines[12:15] == ["0", "/tmp secret", "docker-init"]


async def test_files_are_there_from_the_start_and_nobody_elses(rig: Rig) -> None:
    file = File("/run/bdap/key.pem", b"very secret", uid=20011, gid=20012)
    assert "secret" not in repr(file)
    script = "stat -c '%a %u %g' /run/bdap/key.pem; cat /run/bdap/key.pem; env"
    said = await rig.says(rig.plan("ana"), script, files=[file])
    assert said.startswith("400 20011 20012\nvery secret") and said.count("secret") == 1
    assert "No such file" in await rig.says(rig.plan("ben"), script + " 2>&1")


async def test_files_are_given_to_a_running_server(rig: Rig) -> None:
    script = """until [ -e /run/bdap-tls/ready ]; do sleep 0.1; done
    stat -c '%a %u %g' /run/bdap-tls/key.pem; cat /run/bdap-tls/key.pem; test -w /run/bdap-tls || echo kept"""
    name = await rig.run(rig.plan(), f"exec 'sh', '-c', <<'END'\n{script}\nEND\n")
    await rig.until(name, lambda state: state.phase == "running")
    files = [
        File("/run/bdap-tls/key.pem", b"very secret\n", 20011, 20012),
        File("/run/bdap-tls/ready", b"", 20011, 20012),
    ]
    await rig.engine.give(name, files)
    await rig.until(name, lambda state: state.phase == "ended")
    assert await rig.engine.logs(name) == "400 20011 20012\nvery secret\nkept\n"
    with pytest.raises((NotFound, Unavailable)):
        await rig.engine.give(rig.plan("ben").name, files)


async def test_what_is_known_of_an_image(rig: Rig) -> None:
    facts = await rig.engine.image(rig.plan().image)
    assert facts.bytes > 2**20 and isinstance(facts.labels, dict)
    with pytest.raises(NotFound):
        await rig.engine.image("bdaptest/nowhere:1")


async def test_how_much_it_has_computed(rig: Rig) -> None:
    name = await rig.run(rig.plan(), "for (1 .. 20_000_000) { $x += $_ } sleep 60")
    await rig.until(name, lambda state: state.phase == "running")
    try:
        await rig.engine.cpu_seconds(name)
    except Unavailable as error:  # of this host's control groups some are not mounted
        assert "cannot read" in error.message and isinstance(rig.engine, DockerEngine)
        return
    for _ in range(100):
        if (used := await rig.engine.cpu_seconds(name)) and used > 0.1:
            break
        await asyncio.sleep(0.1)
    assert used and 0.1 < used < 60
    with pytest.raises((NotFound, Unavailable)):
        await rig.engine.cpu_seconds(rig.plan("ben").name)


async def test_servers_are_found_by_their_labels(rig: Rig) -> None:
    begun = time.time()
    await rig.create(rig.plan("ana"))
    ben = await rig.run(rig.plan("ben"))
    gone = await rig.run(rig.plan("olga"), "exit 0")
    await rig.until(ben, lambda state: state.phase == "running")
    await rig.until(gone, lambda state: state.phase == "ended")
    found = await rig.engine.find({"bdap.hub": rig.install, "bdap.kind": "server"})
    assert [(one.labels["bdap.person"], one.state.phase) for one in found] == [
        ("ana", "created"),
        ("ben", "running"),
        ("olga", "ended"),
    ]
    assert all(begun - 2 <= one.created <= time.time() + 2 for one in found)
    assert [one.name for one in await rig.engine.find({"bdap.hub": rig.install, "bdap.person": "ben"})] == [ben]
    assert await rig.engine.find({"bdap.hub": "another"}) == []


async def test_nobody_waits_for_anothers_stop(rig: Rig) -> None:
    stubborn = [rig.plan(f"p{number}", environment={"STUBBORN": "1"}) for number in range(4)]
    names = await asyncio.gather(*(rig.run(plan) for plan in stubborn))
    other = await rig.run(rig.plan("ana"))
    for name in (*names, other):
        await rig.until(name, lambda state: state.phase == "running")
    stops = asyncio.gather(*(rig.engine.stop(name, grace=4) for name in names))
    for _ in range(5):
        begun = time.monotonic()
        await rig.engine.state(other)
        assert time.monotonic() - begun < 3  # a stop takes four
        await asyncio.sleep(0.1)
    assert not stops.done()
    await stops


async def test_nodes_say_what_they_have(rig: Rig) -> None:
    nodes = await rig.engine.nodes()
    assert nodes and all(node.state == "ready" and node.cpus >= 1 and node.memory > 2**30 for node in nodes)


async def answers(ip: str, port: int) -> str:
    """The body of `/`, as soon as it listens."""
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        for _ in range(100):
            try:
                return (await client.get(f"http://{ip}:{port}/")).text
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    raise AssertionError(f"{ip}:{port} does not answer")
