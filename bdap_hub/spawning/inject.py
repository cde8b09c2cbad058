"""Puts folders of this host into a running container, and gives it a host name: what Docker can do only at a start.

A program of its own (`python -I inject.py`, a JSON object on stdin), because it enters the container's namespaces and
must never return from there. It needs root on the container's host and Linux 5.12. Imports nothing but the standard
library.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

# Linux' numbers, the same on every architecture that has these calls.
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = 1, 4
READ_ONLY = 1  # MOUNT_ATTR_RDONLY
MS_REC, MS_PRIVATE, MS_SLAVE = 1 << 14, 1 << 18, 1 << 19
PROPAGATION = {"rprivate": MS_PRIVATE, "rslave": MS_SLAVE}

_libc = ctypes.CDLL(None, use_errno=True)


class MountAttributes(ctypes.Structure):
    """struct mount_attr of mount_setattr(2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


def _call(what: str, *arguments: Any) -> int:
    result = int(_libc.syscall(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def detached(mount: dict[str, Any]) -> int:
    """A copy of the host's folder as a mount that hangs nowhere yet, with the wanted rights."""
    flags = OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC
    tree = _call(f"open_tree {mount['source']}", OPEN_TREE, AT_FDCWD, os.fsencode(mount["source"]), flags)
    wanted = MountAttributes(READ_ONLY if mount["read_only"] else 0, 0, PROPAGATION[mount["propagation"]], 0)
    size = ctypes.sizeof(wanted)
    at = AT_EMPTY_PATH | AT_RECURSIVE
    _call(f"mount_setattr {mount['source']}", MOUNT_SETATTR, tree, b"", at, ctypes.byref(wanted), size)
    return tree


def hang(tree: int, target: str) -> None:
    """Move the detached mount to `target`, which is made where it is missing. No link on the way is followed."""
    Path(target).mkdir(mode=0o755, parents=True, exist_ok=True)
    if os.path.realpath(target) != target:
        raise OSError(0, f"{target} is a link in this image")
    _call(f"move_mount {target}", MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH)


def enter(pid: int) -> None:
    """The container's own view of files and its host name; OSError where this process may not."""
    for name in ("uts", "mnt"):
        with Path(f"/proc/{pid}/ns/{name}").open() as namespace:
            if _libc.setns(namespace.fileno(), 0):
                raise OSError(ctypes.get_errno(), f"setns {name}: {os.strerror(ctypes.get_errno())}")


def main() -> None:
    """Carry out what stands on stdin; the status is 0 when all of it is done."""
    wanted = json.load(sys.stdin)
    trees = [(detached(mount), mount["target"]) for mount in wanted["mounts"]]
    pid = int(wanted["pid"])
    if wanted["container"] not in Path(f"/proc/{pid}/cgroup").read_text():
        raise OSError(0, f"process {pid} is none of container {wanted['container'][:12]}")
    enter(pid)
    for tree, target in sorted(trees, key=lambda one: one[1].count("/")):
        hang(tree, target)
    socket.sethostname(wanted["hostname"])
    Path("/etc/hostname").write_text(f"{wanted['hostname']}\n")


if __name__ == "__main__":
    try:
        main()
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"{error}")
