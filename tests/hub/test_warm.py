"""Containers that wait, through the real hub and engine: a claimed server is what a cold one is, and nobody else's.

By a hub that is root, and by one that is not and has `bdap node serve` beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import docker
import pytest

from bdap_hub.spawning.engines import engine_of, links, now
from bdap_hub.spawning.plan import container_name
from tests.conftest import ROOT
from tests.spawning.node.parts import running

from .conftest import Account, Platform, with_docker

pytestmark = pytest.mark.docker

HUB = 64001  # a uid
LAB = {"project": "agriculture", "image": "lab"}
RIGHTS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Umask")
V1 = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "cpu.cfs_quota_us", "cpu.shares", "pids.max")
V2 = ("memory.max", "memory.swap.max", "cpu.max", "cpu.weight", "pids.max")


@cache
def engine() -> Any:
    """This host's, asked when a test needs it: without one the other tests are still found."""
    return docker.from_env()


@pytest.fixture(scope="module", params=["root", "beside-root"])
def warm(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Platform]:
    folder, beside = tmp_path_factory.mktemp("warm"), request.param == "beside-root"
    pool = {"least": 1, "most": 2, "keep_free": "100M", "patience": 10}
    socket = folder / "part" / "socket"
    account = Account(HUB, HUB + 1) if beside else None
    if account and any(not path.stat().st_mode & 0o001 for path in (ROOT, *ROOT.parents)):
        pytest.skip("a hub that is not root cannot read this checkout: clone it where others may read")
    with contextlib.ExitStack() as stack:
        platform = stack.enter_context(with_docker(folder, account=account, warm=pool, node_socket=str(socket)))
        if account:
            stack.enter_context(root_beside(platform, account))
        yield platform


@contextlib.contextmanager
def root_beside(platform: Platform, account: Account) -> Iterator[None]:
    """`bdap node serve`, as the unit starts it; by numbers, for the accounts have no names here."""
    rules = links.rules(platform.settings)
    (folder := platform.settings.spawning.node_socket.parent).mkdir()
    with running(folder, rules, account.uid, account.group, platform.settings.spawning.node_socket):
        yield


def waiting(platform: Platform) -> list[Any]:
    """The containers that wait for somebody, are ready to, and are known to the hub as such."""
    labels = [f"bdap.hub={platform.settings.install_id}", "bdap.kind=warm"]
    found = engine().containers.list(all=True, filters={"label": labels}, ignore_removed=True)
    return [one for one in found if f"{one.name} waits" in platform.log and socket_of(one).exists()]


def socket_of(container: Any) -> Path:
    return Path(f"/proc/{container.attrs['State']['Pid']}/root/run/bdap/claim")


def start(platform: Platform, name: str) -> Any:
    """Their server's container, claimed or not."""
    platform.start(name, LAB)
    return engine().containers.get(container_name(platform.settings, name))


def claimed(container: Any) -> bool:
    return container.labels["bdap.kind"] == "warm"


def inside(platform: Platform, name: str, container: Any) -> dict[str, Any]:
    """What a terminal of the server is, as the kernel sees it."""
    answer = platform.at_server(name, "POST", "api/terminals")
    assert answer.status_code == 200, answer.text
    platform.wait(lambda: processes(container, "bash"), 20, "a terminal")
    process = processes(container, "bash")[0]
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    environment = dict(one.split("=", 1) for one in (process / "environ").read_text().split("\0") if one)
    whole = []
    for one in processes(container):
        with contextlib.suppress(OSError):  # a shell that begins has short-lived children
            whole.append((one / "status").read_text().splitlines())
    network = container.attrs["NetworkSettings"]["Networks"]
    return {
        "rights": {key: status[key].split() for key in RIGHTS},
        "mounts": sorted((m[4], m[3], m[5], *m[6 : m.index("-")], m[m.index("-") + 1]) for m in mounts if ours(m[4])),
        "environment": {key: value for key, value in environment.items() if key not in SECRETS},
        "secrets": {key for key in environment if key in SECRETS},
        "limits": {path.name: path.read_text() for path in limits(process)},
        "ulimits": (process / "limits").read_text(),
        "oom": (process / "oom_score_adj").read_text(),
        "folder": (process / "cwd").readlink().as_posix(),
        "network": sorted(network),
        "running as": {line for text in whole for line in text if line.startswith(("Uid", "CapBnd"))},
        "hosts": hosts(process, network),
    }


def processes(container: Any, command: str = "") -> list[Path]:
    """Those of a container, in /proc; all, or those that run this command."""
    titles = (top := container.top(ps_args="-o pid,comm"))["Titles"]
    rows = [dict(zip(titles, row, strict=True)) for row in top["Processes"]]
    return [Path(f"/proc/{row['PID']}") for row in rows if command in ("", row["COMMAND"])]


def limits(process: Path) -> list[Path]:
    """Of its cgroup, in either version."""
    found = {}
    for line in (process / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":")
        for name in controllers.split(","):
            found[name] = Path(f"/sys/fs/cgroup/{name}{path}")
    if "memory" in found:
        return [found[name.partition(".")[0]] / name for name in V1]
    return [found[""] / name for name in V2]


SECRETS = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")


def ours(target: str) -> bool:
    """Not what is each container's own: its root, its cgroup; not the engine's init, which cold ones have."""
    return target not in ("/", "/usr/sbin/docker-init") and not target.startswith(("/etc/", "/sys/fs/cgroup/"))


def hosts(process: Path, network: Any) -> set[str]:
    """Names of itself; the address is each one's own."""
    address = next(iter(network.values()))["IPAddress"]
    text = (process / "root/etc/hosts").read_text()
    return {name for line in text.splitlines() if line.startswith(address) for name in line.split()[1:]}


def test_a_claimed_server_is_what_a_cold_one_is(warm: Platform) -> None:
    ready = warm.settings.store.data / "scene.tif"
    ready.write_text("pixels")
    warm.wait(lambda: waiting(warm), 60, "a container to wait")
    slot = waiting(warm)[0]
    container = start(warm, "ana")
    assert claimed(container) and container.id == slot.id
    one = inside(warm, "ana", container)
    assert one["running as"] == {"Uid:\t20000\t20000\t20000\t20000", "CapBnd:\t0000000000000000"}
    assert warm.at_server("ana", "GET", "nbdime/difftool").status_code == 200  # which no start loads
    warm.stop("ana")
    for _ in range(5):  # until none waits any more: those who come then start cold
        for other in waiting(warm):
            other.remove(force=True)
        container = start(warm, "ana")
        if not claimed(container):
            break
        warm.stop("ana")
    assert not claimed(container)
    cold = inside(warm, "ana", container)
    assert cold == one
    assert warm.at_server("ana", "GET", "nbdime/difftool").status_code == 200
    warm.stop("ana")


def test_whoever_waits_is_nobodys_server_and_a_claimed_one_is_its_persons(warm: Platform) -> None:
    def servers() -> dict[str, str]:
        labels = {"bdap.hub": warm.settings.install_id, "bdap.kind": "server"}
        return {one.name: one.labels["bdap.person"] for one in now(lambda: engine_of(warm.settings).find(labels))}

    warm.wait(lambda: waiting(warm), 60, "a container to wait")
    assert servers() == {}
    container = start(warm, "ana")
    assert claimed(container) and servers() == {container.name: "ana"}
    warm.stop("ana")
    assert servers() == {}


def test_one_that_does_not_answer_is_passed_over(warm: Platform) -> None:
    warm.wait(lambda: waiting(warm), 60, "a container to wait")
    broken = waiting(warm)
    for one in broken:
        one.pause()
    container = start(warm, "ana")
    assert container.id not in {one.id for one in broken}
    assert warm.at_server("ana", "GET", "api").status_code == 200
    warm.stop("ana")
