"""Root's part on a machine: who may ask it, and for what. Each refusal beside what is allowed."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from .parts import NOBODY, mount, running, started

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="it is root's part"),
]
INSTALL = f"test{secrets.token_hex(4)}"
# What stands for a program that waits: the socket, and one answer.
WAITS = """
use IO::Socket::UNIX;
mkdir "/run/bdap", 0700;
my $door = IO::Socket::UNIX->new(Local => "/run/bdap/claim", Listen => 1) or die $!;
while (my $one = $door->accept) { my $claim = <$one>; print $one "claimed\\n"; }
"""
SERVER = ["perl", "-e", WAITS]
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as door:
    door.connect(sys.argv[1])
    door.sendall(b'{"op": "hello"}\\n')
    print(door.makefile().readline(), end="")
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder that servers may have and write in, one that they may only read, and others."""
    tmp_path.chmod(0o755)
    for name in ("data", "names", "secrets"):
        (tmp_path / name).mkdir()
    (tmp_path / "data/out").symlink_to(tmp_path / "secrets")
    return tmp_path


@pytest.fixture
def part(store: Path) -> Iterator[Path]:
    rules = {"install": INSTALL, "read": [f"{store}/names"], "write": [f"{store}/data"], "lowest": 20000}
    with running(store, rules) as path:
        yield path


def ask(path: Path, op: str, **wanted: Any) -> Any:
    """Its answer; what it does not do as a text."""
    with closing(socket.socket(socket.AF_UNIX)) as door:
        door.connect(str(path))
        door.sendall(json.dumps({"op": op, **wanted}).encode() + b"\n")
        said = json.loads(door.makefile().readline())
    return said.get("failed", said.get("done"))


@pytest.fixture(scope="module")
def slot() -> Iterator[Any]:
    with started(SERVER, **{"bdap.hub": INSTALL, "bdap.kind": "warm"}) as made:
        yield made


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with started(SERVER, **{"bdap.hub": INSTALL, "bdap.kind": "server"}) as made:
        yield made


@pytest.fixture(scope="module")
def others() -> Iterator[Any]:
    with started(SERVER, **{"bdap.hub": "another", "bdap.kind": "warm"}) as made:
        yield made


@pytest.mark.parametrize(
    ("uid", "group", "answers"),
    [(0, 0, True), (NOBODY, NOBODY, True), (NOBODY, 4321, False), (4321, NOBODY, False), (4321, 4321, False)],
    ids=["root", "the-hub", "the-hubs-account-without-the-group", "another-of-the-group", "anybody"],
)
def test_who_may_speak_to_it(part: Path, store: Path, uid: int, group: int, answers: bool) -> None:
    """The account's other programs lack the group, and other accounts' programs are not let in by it."""
    for folder in (store, *store.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o711)
    command = ["setpriv", f"--reuid={uid}", f"--regid={group}", "--clear-groups", "/usr/bin/python3", "-c", ASK, part]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ('"done"' in done.stdout) == answers, done.stdout + done.stderr


def test_only_what_waits_for_this_platform(part: Path, slot: Any, server: Any, others: Any, store: Path) -> None:
    own = [mount(f"{store}/data", "/eos/data", read_only=False)]
    for target, kind in ((others, "none of this platform's"), (server, "not of the kind")):
        assert kind in ask(part, "put", container=target.id, mounts=own)
        assert "refused" in ask(part, "hand", container=target.id, claim={**CLAIM})
        assert "refused" in ask(part, "waits", container=target.id)
    for name in (slot.name, slot.id[:12], "../" + slot.id):
        assert "whole id" in ask(part, "put", container=name, mounts=own)
    assert ask(part, "waits", container=slot.id) is True
    assert ask(part, "put", container=slot.id, mounts=own) is None  # the control
    assert slot.exec_run(["touch", "/eos/data/new"]).exit_code == 0 and (store / "data/new").exists()
    assert ask(part, "cpu", container=server.id) > 0 and "refused" in ask(part, "cpu", container=others.id)


def test_a_server_is_bounded_and_never_unbounded(part: Path, slot: Any, server: Any, others: Any) -> None:
    for target in (slot, others):
        assert "refused" in ask(part, "limit", container=target.id, limits=LIMITS)
    for wrong in ({}, {**LIMITS, "MemorySwap": -1}, {**LIMITS, "Privileged": 1}, {"PidsLimit": 5}):
        assert "without bounds" in ask(part, "limit", container=server.id, limits=wrong)
    assert ask(part, "limit", container=server.id, limits=LIMITS) is None  # the control
    server.reload()
    assert {key: server.attrs["HostConfig"][key] for key in LIMITS} == LIMITS


CLAIM = {"uid": 20000, "gid": 20001, "groups": [20002], "command": ["x"]}
KEY = {"path": "/run/bdap-tls/key.pem", "content": "a2V5", "uid": 20000, "gid": 20001, "mode": 0o400}
LIMITS = {"Memory": 2**28, "MemorySwap": 2**28, "NanoCpus": 5 * 10**8, "PidsLimit": 99}


def test_only_folders_files_and_ids_that_servers_have(part: Path, slot: Any, store: Path) -> None:
    def put(**wanted: Any) -> Any:
        return ask(part, "put", container=slot.id, **wanted)

    refused = {
        "elsewhere": put(mounts=[mount("/etc", "/eos/x")]),
        "the platform's secrets": put(mounts=[mount(f"{store}/secrets", "/eos/x")]),
        "a step back": put(mounts=[mount(f"{store}/data/../secrets", "/eos/x")]),
        "beside by its name": put(mounts=[mount(f"{store}/data-x", "/eos/x")]),
        "to write, where one reads": put(mounts=[mount(f"{store}/names", "/eos/x", read_only=False)]),
        "over the kernel's": put(mounts=[mount(f"{store}/data", "/proc/sys")]),
        "over the kernel's, spelt otherwise": put(mounts=[mount(f"{store}/data", "//proc")]),
        "over everything": put(mounts=[mount(f"{store}/data", "/")]),
        "shared": put(mounts=[{**mount(f"{store}/data", "/eos/x"), "propagation": "rshared"}]),
        "a file elsewhere": put(files=[{**KEY, "path": "/etc/passwd"}]),
        "a file of root's": put(files=[{**KEY, "uid": 0}]),
        "a file that all read": put(files=[{**KEY, "mode": 0o644}]),
        "no bounds": put(limits={**LIMITS, "Memory": -1}),
        "another limit": put(limits={**LIMITS, "CpusetCpus": "0"}),
        "root": ask(part, "hand", container=slot.id, claim={**CLAIM, "uid": 0}),
        "an account's group": ask(part, "hand", container=slot.id, claim={**CLAIM, "groups": [27]}),
        "an image in words": ask(part, "image", image="x?fromSrc=http://x"),
    }
    assert {what: str(said).startswith("refused: ") for what, said in refused.items()} == dict.fromkeys(refused, True)
    assert "Too many levels of symbolic links" in put(mounts=[mount(f"{store}/data/out", "/eos/x")])
    assert "not understood" in ask(part, "run", container=slot.id) and "not understood" in put(argument=1)
    # the controls
    own = [mount(f"{store}/names", "/eos/names")]
    assert put(mounts=own, files=[KEY], limits=LIMITS, hostname="forest-ana") is None
    assert slot.exec_run(["hostname"]).output == b"forest-ana\n"
    assert slot.exec_run(["stat", "-c", "%a %u", KEY["path"]]).output == b"400 20000\n"
    slot.reload()
    assert slot.attrs["HostConfig"]["PidsLimit"] == 99
    assert ask(part, "hand", container=slot.id, claim=CLAIM) is None


def test_what_is_claimed_gets_no_more_folders(part: Path, slot: Any, store: Path) -> None:
    own = [mount(f"{store}/data", "/eos/late")]
    slot.exec_run(["mv", "/run/bdap/claim", "/run/bdap/away"])  # as it is once somebody has claimed it
    try:
        assert ask(part, "waits", container=slot.id) is False
        assert "it is somebody's" in ask(part, "put", container=slot.id, mounts=own)
        assert ask(part, "put", container=slot.id, files=[KEY]) is None  # such as a new certificate
    finally:
        slot.exec_run(["mv", "/run/bdap/away", "/run/bdap/claim"])
    assert ask(part, "put", container=slot.id, mounts=own) is None  # the control


def test_a_server_gets_the_store_back_where_it_was(part: Path, store: Path) -> None:
    """Another file system lies at the source now, as after a mount that died; the bind stays with the old one."""
    own = {"bdap.hub": INSTALL, "bdap.kind": "server"}
    data, wanted = store / "data", mount(f"{store}/data", "/eos/data")
    with started(SERVER, volumes=[f"{data}:/eos/data:ro"], **own) as server:

        def mend(one: dict[str, Any]) -> Any:
            said = ask(part, "mend", servers=[{"container": server.id, "mounts": [one]}])
            return said if isinstance(said, str) else said["servers"]

        assert mend(wanted) == {server.id: []}
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", data], check=True)
        try:
            (data / "new").write_text("pixels")
            assert server.exec_run(["cat", "/eos/data/new"]).exit_code
            assert mend(mount(f"{store}/data", "/eos/more")) == {server.id: []}  # nothing was there
            assert "refused" in mend(mount("/etc", "/eos/data"))
            assert mend(wanted) == {server.id: ["/eos/data"]}
            assert server.exec_run(["cat", "/eos/data/new"]).output == b"pixels"
            assert server.exec_run(["touch", "/eos/data/x"]).exit_code
            assert server.exec_run(["ls", "/eos/more"]).exit_code
        finally:
            subprocess.run(["umount", "-l", data], check=True)


def test_what_is_hidden_stays_so_where_the_store_comes_late(part: Path, store: Path) -> None:
    """A server that was started without the store has its places held, and no covers."""
    for name in ("names/.away", "names/empty", "data/plots"):
        (store / name).mkdir()
    (store / "data/plots/secret").write_text("the forest's")
    wanted = [mount(f"{store}/data", "/eos/data"), mount(f"{store}/names/empty", "/eos/data/plots")]
    own = {"bdap.hub": INSTALL, "bdap.kind": "server"}
    with started(SERVER, volumes=[f"{store}/names/.away:/eos/data:ro"], **own) as server:
        said = ask(part, "mend", servers=[{"container": server.id, "mounts": wanted}])
        assert said["servers"] == {server.id: ["/eos/data", "/eos/data/plots"]}
        assert server.exec_run(["ls", "/eos/data"]).output.split() == [b"out", b"plots"]
        assert server.exec_run(["ls", "-A", "/eos/data/plots"]).output == b""


def test_a_store_that_does_not_answer_is_told(part: Path, store: Path) -> None:
    """Of the platform's own folders alone: whoever asks learns nothing of others."""

    def away(*folders: Path, **more: str) -> str:
        return str(ask(part, "mend", servers=[], folders=[str(one) for one in folders], **more)["away"])

    data, elsewhere = store / "data", store.parent / "nobody-made-this"
    assert away(data, elsewhere) == away() == ""
    assert "where fuse should be mounted" in away(data, file_system="fuse")
    data.rename(store / "moved")
    try:
        assert away(data) == "No such file or directory"
    finally:
        (store / "moved").rename(data)
    assert away(data) == ""


def test_a_link_in_a_container_leads_nowhere(part: Path, slot: Any) -> None:
    slot.exec_run(["sh", "-c", "mv /run/bdap /run/real && ln -s real /run/bdap"])
    try:
        assert ask(part, "waits", container=slot.id) is False
        assert "Too many levels of symbolic links" in ask(part, "hand", container=slot.id, claim=CLAIM)
    finally:
        slot.exec_run(["sh", "-c", "rm /run/bdap && mv /run/real /run/bdap"])
    assert ask(part, "waits", container=slot.id) is True


def test_it_needs_nothing_of_the_platform() -> None:
    """A copy of the folder and Python are all that a machine has of it."""
    from .parts import FOLDER

    found = [line for file in FOLDER.glob("*.py") for line in file.read_text().splitlines() if "import " in line]
    names = {line.split()[1].split(".")[0] for line in found if line.startswith(("import ", "from "))}
    assert names - {""} <= set(sys.stdlib_module_names)
