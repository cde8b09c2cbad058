"""Where there is no engine: what is tried, and the one line that says what to do where nothing may be tried."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bdap_hub.demo import docker_engine, mounts
from bdap_hub.errors import Unavailable
from bdap_hub.spawning.images import debian


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An account without rights on a host without an engine: an empty PATH, no socket, not root."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr(docker_engine, "_ping", lambda: "silent")
    monkeypatch.setattr(docker_engine, "_find", lambda program: None)
    monkeypatch.setattr(debian, "as_root", lambda: None)
    return tmp_path


def test_missing_and_not_permitted(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian.shutil, "which", lambda name, **_: "/usr/bin/apt-get")
    with pytest.raises(Unavailable) as refused:
        docker_engine.ensure_engine(pytest.fail, nobody)
    assert refused.value.message == "Docker Engine is missing and this account may not install it"
    assert refused.value.remedy == "run 'sudo apt-get install docker.io', or use make demo ENGINE=process"


def test_missing_and_no_apt(nobody: Path) -> None:
    with pytest.raises(Unavailable, match="no Debian or Ubuntu") as refused:
        docker_engine.ensure_engine(pytest.fail, nobody)
    assert "ENGINE=process" in refused.value.remedy


def test_installed_but_not_running_and_not_permitted(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "_find", lambda program: "/usr/sbin/dockerd")
    with pytest.raises(Unavailable, match="installed but not running") as refused:
        docker_engine.ensure_engine(pytest.fail, nobody)
    assert "systemctl start docker" in refused.value.remedy


def test_running_but_not_ours_to_use(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "_ping", lambda: "permission")
    with pytest.raises(Unavailable, match="may not use the Docker engine") as refused:
        docker_engine.ensure_engine(pytest.fail, nobody)
    assert "usermod -aG docker" in refused.value.remedy


def test_a_docker_host_that_is_silent_is_named(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(Unavailable, match=r"DOCKER_HOST=unix:///nowhere\.sock"):
        docker_engine.ensure_engine(pytest.fail, nobody)


def test_a_socket_without_the_right_is_told_apart_from_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    assert docker_engine._ping() == "silent"


def test_a_dockerd_that_dies_is_quoted(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = nobody / "dockerd"
    broken.write_text("#!/bin/sh\necho 'level=info msg=hello'\necho 'failed to start daemon: no cgroups'\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setattr(docker_engine, "_find", lambda program: str(broken) if program == "dockerd" else None)
    monkeypatch.setattr(debian, "as_root", lambda: [])
    monkeypatch.setattr(mounts, "ensure_cgroups", lambda root, progress: [])
    monkeypatch.setattr(mounts, "ensure_root", lambda root, progress: None)
    with pytest.raises(Unavailable, match="failed to start daemon: no cgroups") as refused:
        docker_engine.ensure_engine(lambda line: None, nobody / "var")
    assert "ENGINE=process" in refused.value.remedy


def test_an_engine_is_started_remembered_and_stopped(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for dockerd: the real one would end the engine that the other tests use."""
    stand_in, answers = nobody / "dockerd", nobody / "answers"
    stand_in.write_text(f"#!/bin/sh\ntouch {answers}\nexec sleep 60\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setattr(docker_engine, "_find", lambda program: str(stand_in) if program == "dockerd" else None)
    monkeypatch.setattr(docker_engine, "_ping", lambda: None if answers.exists() else "silent")
    monkeypatch.setattr(docker_engine, "_read_pid", lambda process: process.pid)
    monkeypatch.setattr(debian, "as_root", lambda: [])
    monkeypatch.setattr(mounts, "ensure_cgroups", lambda root, progress: [])
    monkeypatch.setattr(mounts, "ensure_root", lambda root, progress: None)
    said: list[str] = []
    engine = docker_engine.ensure_engine(said.append, nobody / "var")
    assert engine is not None
    assert "started" in said[-1]
    assert docker_engine._runs(engine.pid)
    engine.stop()
    assert not docker_engine._runs(engine.pid)
    assert not engine.record.exists()


@pytest.mark.parametrize(
    ("owner", "ours"),
    [("dead", True), ("living", False), ("self", True)],
    ids=["its owner died", "its owner still runs", "it is this process's own"],
)
def test_an_engine_left_behind_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, ours: bool
) -> None:
    monkeypatch.setattr(docker_engine, "_ping", lambda: None)
    daemon = subprocess.Popen([sys.executable, "-c", "input()", "dockerd"], stdin=subprocess.PIPE)
    try:
        while not docker_engine._runs(daemon.pid, "dockerd"):
            assert daemon.poll() is None
        owners = {"dead": 2**22 + 1, "living": daemon.pid, "self": os.getpid()}
        record = tmp_path / "run/dockerd.json"
        record.parent.mkdir()
        record.write_text(json.dumps({"pid": daemon.pid, "owner": owners[owner], "mounts": []}))
        engine = docker_engine.ensure_engine(pytest.fail, tmp_path)
        assert (engine is not None) is ours
    finally:
        daemon.kill()
        daemon.wait()
    assert docker_engine.ensure_engine(pytest.fail, tmp_path) is None


MOUNTS_V1 = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
MOUNTS_V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"
MOUNTS_NONE = "proc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\ntmpfs /sys/fs/cgroup tmpfs rw 0 0\n"


@pytest.mark.parametrize(("table", "there"), [(MOUNTS_V1, True), (MOUNTS_V2, True), (MOUNTS_NONE, False), ("", False)])
def test_mounted_control_groups_are_recognised(table: str, there: bool) -> None:
    assert mounts.mounted(table) is there


HEAD = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"


@pytest.mark.parametrize(
    ("table", "groups"),
    [
        ("cpu\t1\t3\t1\ncpuacct\t1\t3\t1\nmemory\t4\t2\t1\n", [("cpu", "cpuacct"), ("memory",)]),
        ("cpu\t0\t3\t1\nmemory\t0\t2\t1\n", []),
        ("cpu\t1\t3\t1\nnet_cls\t5\t1\t0\n", [("cpu",)]),
        ("", []),
    ],
    ids=["version 1, two share a hierarchy", "version 2", "a disabled controller", "none at all"],
)
def test_hierarchies(table: str, groups: list[tuple[str, ...]]) -> None:
    assert mounts.hierarchies(HEAD + table) == groups


LACKING = """
from pathlib import Path
from bdap_hub.demo import mounts
there = mounts.hierarchies(Path("/proc/cgroups").read_text())
done = mounts.ensure_cgroups([], print)
print("then", mounts.unmounted(there, Path("/proc/self/mounts").read_text()), len(done))
print("again", mounts.ensure_cgroups([], print))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts: needs root")
def test_the_control_groups_that_a_root_lacks_are_mounted_beside_the_others() -> None:
    """In mounts that nobody else sees, with one of version 1 taken away; the engine would learn of no memory kill."""
    table = Path("/proc/self/mounts").read_text()
    row = next(
        (line.split() for line in table.splitlines() if line.startswith("cgroup ") and "name=" not in line), None
    )
    if row is None:
        pytest.skip("control groups are of version 2 here: one mount has them all")
    alone = ["unshare", "--mount", "--propagation", "private", "sh", "-c", 'umount -l "$0" && exec "$1" -c "$2"']
    command = [*alone, row[1], sys.executable, LACKING]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert row[3].rpartition(",")[2] in said.splitlines()[0] and "then []" in said and "again []" in said
    assert Path("/proc/self/mounts").read_text() == table


MACHINE = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n23 22 0:5 / /proc rw - proc proc rw\n"
CHROOT = "23 22 0:5 / /proc rw - proc proc rw\n24 22 0:6 / /sys rw - sysfs sysfs rw\n"


@pytest.mark.parametrize(("table", "is_mount"), [(MACHINE, True), (CHROOT, False), ("", False)])
def test_a_chroot_is_told_from_a_mounted_root(table: str, is_mount: bool) -> None:
    assert mounts.root_is_mounted(table) is is_mount
