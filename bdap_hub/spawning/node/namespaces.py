"""Puts folders and files of this host into a running container, or replaces such as are dead: Docker does neither.

In a process of its own (`in_child`; or `python -I namespaces.py`, one JSON object on stdin), because it enters a
container's namespaces and must not return from there. Root and Linux 5.12 (mount_setattr); only the standard library.
"""

from __future__ import annotations

import base64
import ctypes
import errno
import json
import os
import select
import signal
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Linux' numbers, the same on every architecture that has these calls.
OPEN_TREE, MOVE_MOUNT, OPENAT2, MOUNT_SETATTR = 428, 429, 437, 442
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
OPEN_TREE_CLONE = 1
FROM_FD, TO_FD = 0x4, 0x40  # MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH
READ_ONLY = 1  # MOUNT_ATTR_RDONLY
MS_REC, MS_PRIVATE, MS_SLAVE = 1 << 14, 1 << 18, 1 << 19
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
CLONE_NEWNS = 0x00020000
RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 2, 4, 8
PROPAGATION = {"rprivate": MS_PRIVATE, "rslave": MS_SLAVE}

libc = ctypes.CDLL(None, use_errno=True)
Mount = dict[str, Any]


class MountAttributes(ctypes.Structure):
    """struct mount_attr of mount_setattr(2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


class OpenHow(ctypes.Structure):
    """struct open_how of openat2(2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


def _checked(what: str, result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def _call(what: str, *arguments: Any) -> int:
    return _checked(what, int(libc.syscall(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))))


def beneath(root: str, rest: str) -> int:
    """What lies at `rest` in the folder `root`, whose own name may hold links; from there on none is followed."""
    top = os.open(root, os.O_PATH | os.O_CLOEXEC)
    if not rest:
        return top
    how = OpenHow(os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
    try:
        return _call(f"open {root}/{rest}", OPENAT2, top, os.fsencode(rest), ctypes.byref(how), ctypes.sizeof(how))
    finally:
        os.close(top)


def detached(mount: Mount) -> int:
    """A copy of the host's mount as one that hangs nowhere yet, with the wanted rights from the beginning."""
    flags = OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH | os.O_CLOEXEC
    place = beneath(mount.get("root", mount["source"]), mount.get("rest", ""))
    tree = _call(f"open_tree {mount['source']}", OPEN_TREE, place, b"", flags)
    os.close(place)
    wanted = MountAttributes(READ_ONLY if mount["read_only"] else 0, 0, PROPAGATION[mount["propagation"]], 0)
    how = (AT_EMPTY_PATH | AT_RECURSIVE, ctypes.byref(wanted), ctypes.sizeof(wanted))
    _call(f"mount_setattr {mount['source']}", MOUNT_SETATTR, tree, b"", *how)
    return tree


def opened(target: str, how_far: int = os.O_PATH) -> int:
    """The place to hang something at; no link on the way is followed, for it would be the container's."""
    how = OpenHow(how_far | os.O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS)
    return _call(f"open {target}", OPENAT2, AT_FDCWD, os.fsencode(target), ctypes.byref(how), ctypes.sizeof(how))


def make(target: str, folder: bool) -> None:
    """An empty folder, or file, to hang something at, unless there is one. OSError where that cannot be told."""
    if not is_there(target):
        if os.path.realpath(parent := str(Path(target).parent)) != parent:
            raise OSError(errno.ELOOP, f"{target}: {os.strerror(errno.ELOOP)}")
        Path(target).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        Path(target).mkdir(mode=0o755) if folder else Path(target).touch(mode=0o644)


def is_there(path: str) -> bool:
    """Whether something lies at `path`: a store that does not answer is no answer."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def hang(tree: int, target: str, folder: bool = True) -> None:
    """Move a detached mount to `target`."""
    make(target, folder)
    place = opened(target)
    _call(f"move_mount {target}", MOVE_MOUNT, tree, b"", place, b"", FROM_FD | TO_FD)
    os.close(place)


def take_away(target: str) -> None:
    """Unmount all that hangs at `target`, dead or alive; what holds files there open keeps them."""
    while libc.umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW) == 0:
        pass
    if (error := ctypes.get_errno()) not in (errno.EINVAL, errno.ENOENT):  # it is no mount (any more)
        raise OSError(error, f"umount {target}: {os.strerror(error)}")


def enter(pid: int, container: str) -> int:
    """The host name and the mounts of that container's process are ours from now on; a descriptor of the latter's.

    What was opened is looked at before it is entered: the number may be another process's by now.
    """
    names, mounts = (os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("uts", "mnt"))
    if container not in Path(f"/proc/{pid}/cgroup").read_text():
        raise OSError(0, f"process {pid} is none of container {container[:12]}")
    for namespace in (names, mounts):
        _checked("setns", libc.setns(namespace, 0))
    return mounts


def below(mount: Mount, other: Mount) -> bool:
    """Whether `mount` hangs inside `other`."""
    return bool(mount["target"].startswith(f"{other['target'].rstrip('/')}/"))


def assembled(top: Mount, inner: list[Mount], trees: dict[str, int], here: int) -> int:
    """`top` with what covers parts of it, as one detached tree: at no moment is it to be seen uncovered.

    Put together in a copy of the container's mounts that only this process sees.
    """
    _checked("unshare", libc.unshare(CLONE_NEWNS))
    _checked("mount /", libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    take_away(top["target"])
    hang(trees[top["target"]], top["target"])
    for mount in inner:
        try:
            hang(trees[mount["target"]], mount["target"])
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EROFS) or is_there(mount["target"]):
                raise  # else what it covers is not there
    flags = OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC
    whole = _call(f"open_tree {top['target']}", OPEN_TREE, AT_FDCWD, os.fsencode(top["target"]), flags)
    _checked("setns back", libc.setns(here, CLONE_NEWNS))
    return whole


def put(mounts: list[Mount], trees: dict[str, int], here: int, replace: bool) -> None:
    """Hang all of them, whole subtrees at once."""
    for top in [one for one in mounts if not any(below(one, other) for other in mounts)]:
        inner = sorted((one for one in mounts if below(one, top)), key=lambda one: one["target"])
        tree = assembled(top, inner, trees, here) if inner else trees[top["target"]]
        if replace:
            take_away(top["target"])
        hang(tree, top["target"], stat.S_ISDIR(os.fstat(trees[top["target"]]).st_mode))


def write(file: dict[str, Any]) -> None:
    """A file in the container's own root: its owner and rights are set before its content."""
    make(file["path"], folder=False)
    with os.fdopen(opened(file["path"], os.O_WRONLY | os.O_TRUNC), "wb") as out:
        os.fchown(out.fileno(), file["uid"], file["gid"])
        os.fchmod(out.fileno(), file["mode"])
        out.write(base64.b64decode(file["content"]))


def rename(hostname: str) -> None:
    """The host name, and where it stood in the container's own files."""
    hosts, before = Path("/etc/hosts"), socket.gethostname()
    socket.sethostname(hostname)
    Path("/etc/hostname").write_text(f"{hostname}\n")
    lines = (line.split() for line in hosts.read_text().splitlines())
    hosts.write_text("".join("\t".join(hostname if w == before else w for w in line) + "\n" for line in lines))


def carry_out(wanted: dict[str, Any]) -> None:
    """What is wanted: pid, container, mounts, and optionally replace, files and hostname."""
    pid = int(wanted["pid"])
    trees = {mount["target"]: detached(mount) for mount in wanted["mounts"]}
    put(wanted["mounts"], trees, enter(pid, wanted["container"]), wanted.get("replace", False))
    for file in wanted.get("files", ()):
        write(file)
    if wanted.get("hostname"):
        rename(wanted["hostname"])


def problem(wanted: dict[str, Any]) -> str:
    """Carry it out; '' when all of it is done."""
    try:
        carry_out(wanted)
    except (OSError, KeyError, ValueError) as error:
        return str(error) or repr(error)
    return ""


def in_child(work: Callable[[], str], seconds: float = 30.0) -> str:
    """What `work` says in a process that is for nothing else. OSError where it hangs, as on a dead store."""
    answer, ask = os.pipe()
    child = os.fork()
    if not child:
        said = "it ended without a word"
        try:
            said = work()
        finally:
            os.write(ask, said.encode()[:60_000])
            os._exit(0)
    os.close(ask)
    with os.fdopen(answer, "rb") as stream:
        if not select.select([stream], [], [], seconds)[0]:
            os.kill(child, signal.SIGKILL)  # nobody waits for it: not even that may end it at once
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        text = stream.read().decode(errors="replace")
    os.waitpid(child, 0)
    return text


if __name__ == "__main__":
    sys.exit(problem(json.load(sys.stdin)) or None)
