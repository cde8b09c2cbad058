"""Folders put into a running container: read-only ones stay so, what covers others covers from the beginning."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.spawning.node import namespaces

from .parts import mount, started

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="entering a container's namespaces needs root"),
]
BEFORE = "mkdir -p /eos/data /tmp/away && ln -s /tmp/away /link && sleep 600"


@pytest.fixture(scope="module")
def container() -> Iterator[Any]:
    with started(["sh", "-c", BEFORE]) as made:
        yield made


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Two stores and something empty. Everybody may write there: it is the mount that refuses."""
    for name in ("one/open", "one/closed", "two/open", "two/closed", "empty"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / f"{name.replace('/', '-')}.txt").write_text("x")
    return tmp_path


def put(container: Any, *mounts: dict[str, Any], **more: Any) -> subprocess.CompletedProcess[str]:
    wanted = {"pid": container.attrs["State"]["Pid"], "container": container.id, "mounts": mounts, **more}
    command = [sys.executable, "-I", namespaces.__file__]
    return subprocess.run(command, input=json.dumps(wanted), capture_output=True, text=True, timeout=30, check=False)


def run(container: Any, *command: str) -> tuple[int, str]:
    code, output = container.exec_run(list(command))
    return code, output.decode().strip()


def test_a_store_is_replaced_whole(container: Any, host: Path) -> None:
    for name, replace in (("one", False), ("two", True)):
        done = put(
            container,
            mount(host / name, "/eos/data"),
            mount(host / "empty", "/eos/data/closed"),
            mount(host / name / "open", "/eos/projects/mine", read_only=False),
            replace=replace,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert run(container, "ls", "/eos/data/open", "/eos/projects/mine") == (
            0,
            f"/eos/data/open:\n{name}-open.txt\n\n/eos/projects/mine:\n{name}-open.txt",
        )
        assert run(container, "ls", "/eos/data/closed") == (0, "empty.txt")  # what lies below is not to be seen
        code, said = run(container, "touch", "/eos/data/open/new")
        assert code and "Read-only" in said
        assert run(container, "touch", "/eos/projects/mine/new") == (0, "")  # the control: it is the mount
    mounts = run(container, "cat", "/proc/self/mountinfo")[1]
    assert mounts.count(" /eos/data ") == 1 and "/one" not in mounts  # nothing is left below


def test_what_does_not_answer_is_not_taken_for_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What should be covered and cannot be looked at would be shown."""
    namespaces.make(str(tmp_path / "new"), folder=True)
    assert (tmp_path / "new").is_dir()  # the control

    def dead(path: str) -> os.stat_result:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr(os, "lstat", dead)
    with pytest.raises(OSError, match="not connected"):
        namespaces.make(str(tmp_path / "other"), folder=True)
    monkeypatch.undo()
    assert not (tmp_path / "other").exists()


def test_a_file_and_the_host_name(container: Any, host: Path) -> None:
    done = put(container, mount(host / "empty/empty.txt", "/run/one.txt"), hostname="another")
    assert (done.returncode, done.stderr) == (0, "")
    assert run(container, "cat", "/run/one.txt") == (0, "x")
    assert run(container, "hostname") == (0, "another")


def test_a_link_of_the_containers_leads_nowhere(container: Any, host: Path) -> None:
    for target in ("/link", "/link/below"):
        done = put(container, mount(host / "one", target))
        assert done.returncode and "Too many levels of symbolic links" in done.stderr, target
    assert run(container, "ls", "-A", "/tmp/away") == (0, "")


def test_another_containers_process_is_refused(container: Any, host: Path) -> None:
    wanted = {"pid": os.getpid(), "container": container.id, "mounts": [mount(host / "one", "/eos/data")]}
    command = [sys.executable, "-I", namespaces.__file__]
    done = subprocess.run(command, input=json.dumps(wanted), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode and "is none of container" in done.stderr
