"""What a release has mounted of the store is what was checked: a folder may become a link in between.

Docker is told a path, so it is looked afterwards, while the container's processes are held: no link on the way there.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import DockerException

SECONDS = 60.0


@dataclass(frozen=True)
class Place:
    """What lies somewhere, whatever it is called: of which file system it is, and which of its inodes."""

    device: int
    inode: int


def checked(source: Path) -> Place | None:
    """What lies at an absolute path without a link on the way; None where there is one, or nothing."""
    held = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        for part in source.parts[1:]:
            below = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
            os.close(held)
            held = below
        found = os.fstat(held)
        return None if stat.S_ISLNK(found.st_mode) else Place(found.st_dev, found.st_ino)
    except OSError:
        return None
    finally:
        os.close(held)


def inside(client: Any, container: Any, targets: list[str], image: str) -> list[Place | None]:
    """What the container has at those paths of its own: by the kernel's word, or by a helper of `image`, which is the
    platform's, where this process may not look into others."""
    places = [f"/proc/{container.attrs['State']['Pid']}/root{target}" for target in targets]
    try:
        return [_place(Path(place).stat()) for place in places]
    except PermissionError:
        return helped(client, container, targets, image)
    except OSError:
        return [None for _ in targets]


def helper_spec(container: str, labels: dict[str, str], targets: list[str], image: str) -> dict[str, Any]:
    """What the helper is created with: it sees the container's processes, and nothing else. PURE."""
    return {
        "image": image,
        "command": ["/usr/bin/stat", "-L", "-c", "%d %i", *(f"/proc/1/root{target}" for target in targets)],
        "entrypoint": [],
        "labels": {**labels, "bdap.kind": "look"},
        "user": "0:0",
        "pid_mode": f"container:{container}",
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": ["SYS_PTRACE"],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": "64m",
        "detach": True,
    }


def helped(client: Any, container: Any, targets: list[str], image: str) -> list[Place | None]:
    """The same, by a container for one look."""
    labels = {"bdap.hub": container.labels.get("bdap.hub", "")}
    helper = client.containers.create(**helper_spec(container.id, labels, targets, image))
    try:
        helper.start()
        failed = helper.wait(timeout=SECONDS)["StatusCode"]
        lines = helper.logs(stdout=True, stderr=False).decode().split("\n")[:-1]
        if failed or len(lines) != len(targets):
            return [None for _ in targets]
        return [Place(*map(int, line.split())) for line in lines]
    finally:
        with contextlib.suppress(DockerException, OSError):
            helper.remove(force=True)


def _place(found: os.stat_result) -> Place:
    return Place(found.st_dev, found.st_ino)
