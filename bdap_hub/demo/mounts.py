"""What a container engine needs mounted, and a bare chroot lacks: control groups, and a root that is a mount point."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from ..errors import Unavailable

WHERE = Path("/sys/fs/cgroup")
BESIDE = Path("/run/bdap-control-groups")
OWN_ROOT = Path("/run/bdap-engine-root")


def hierarchies(table: str) -> list[tuple[str, ...]]:
    """The version 1 hierarchies of /proc/cgroups as groups of controllers that share one; empty under version 2.

    >>> hierarchies("#name hierarchy number enabled\\ncpu 1 3 1\\ncpuacct 1 3 1\\nmemory 4 2 1\\npids 0 1 1\\n")
    [('cpu', 'cpuacct'), ('memory',)]
    """
    found: dict[str, list[str]] = {}
    for line in table.splitlines():
        name, hierarchy, _, enabled = line.split()[:4] if not line.startswith("#") else ("", "0", "", "0")
        if hierarchy != "0" and enabled == "1":
            found.setdefault(hierarchy, []).append(name)
    return [tuple(names) for names in found.values()]


def mounted(mounts: str) -> bool:
    """Whether a table such as /proc/self/mounts holds control groups at the usual place."""
    rows = [line.split() for line in mounts.splitlines()]
    return any(len(row) > 2 and row[2] in ("cgroup", "cgroup2") and row[1].startswith(str(WHERE)) for row in rows)


def unmounted(groups: list[tuple[str, ...]], mounts: str) -> list[tuple[str, ...]]:
    """Those of `hierarchies` that no mount shows, wherever.

    >>> unmounted([("cpu", "cpuacct"), ("hugetlb",)], "cgroup /c cgroup rw,cpu,cpuacct 0 0\\n")
    [('hugetlb',)]
    """
    rows = [line.split() for line in mounts.splitlines()]
    shown = {name for row in rows if len(row) > 3 and row[2] == "cgroup" for name in row[3].split(",")}
    return [names for names in groups if not shown.issuperset(names)]


def ensure_cgroups(root: list[str], progress: Callable[[str], None]) -> list[str]:
    """Mount control groups where they are missing; what was mounted, to be unmounted in reverse.

    `root` is what to put before a command that needs root. Unavailable where the kernel refuses.
    """
    mounts = Path("/proc/self/mounts").read_text()
    groups = hierarchies(Path("/proc/cgroups").read_text())
    if mounted(mounts):
        return _complete(root, unmounted(groups, mounts), progress)
    progress(f"mounting control groups (version {1 if groups else 2}) at {WHERE}: this root has none")
    if not groups:
        return [_mount(root, "cgroup2", WHERE)]
    return [_mount(root, "tmpfs", WHERE, "mode=755"), *_mount_all(root, groups, WHERE)]


def _complete(root: list[str], groups: list[tuple[str, ...]], progress: Callable[[str], None]) -> list[str]:
    """An engine that misses one of them learns of no kill for memory; else it runs as well without."""
    if not groups:
        return []
    progress(f"mounting the control groups that this root lacks at {BESIDE}: {' '.join(map(','.join, groups))}")
    try:
        subprocess.run([*root, "mkdir", "-p", str(BESIDE)], check=True)
        return [_mount(root, "tmpfs", BESIDE, "mode=755"), *_mount_all(root, groups, BESIDE)]
    except Unavailable as error:
        subprocess.run([*root, "umount", "-R", "-l", str(BESIDE)], capture_output=True, check=False)
        progress(f"{error.message}; so servers that ran out of memory are told that they were killed")
        return []


def _mount_all(root: list[str], groups: list[tuple[str, ...]], where: Path) -> list[str]:
    done = []
    for names in groups:
        folder = where / ",".join(names)
        subprocess.run([*root, "mkdir", "-p", str(folder)], check=True)
        done.append(_mount(root, "cgroup", folder, ",".join(names)))
    return done


def root_is_mounted(table: str) -> bool:
    """Whether /proc/self/mountinfo has a mount at `/`; a directory that one merely changed root to is none."""
    return any(line.split()[4:5] == ["/"] for line in table.splitlines())


def ensure_root(root: list[str], progress: Callable[[str], None]) -> Path | None:
    """Where the engine shall change root to, so that its root is a mount point; None where `/` already is one.

    Engines since 24 unpack images in a mount namespace of their own and need that. The same files, seen once more.
    """
    if root_is_mounted(Path("/proc/self/mountinfo").read_text()):
        return None
    progress(f"mounting this root at {OWN_ROOT} for the engine: a chroot is no mount point")
    subprocess.run([*root, "mkdir", "-p", str(OWN_ROOT)], check=True)
    if not OWN_ROOT.is_mount():
        done = subprocess.run(
            [*root, "mount", "--rbind", "/", str(OWN_ROOT)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unavailable(
                f"this root cannot be mounted at {OWN_ROOT}: {done.stderr.strip()}",
                "make the chroot a mount point (mount --bind DIR DIR), or use make demo ENGINE=process",
            )
    return OWN_ROOT


def _mount(root: list[str], kind: str, where: Path, options: str = "rw") -> str:
    command = [*root, "mount", "-t", kind, "-o", options, kind, str(where)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(
            f"control groups cannot be mounted at {where}: {done.stderr.strip()}",
            "mount them on the host, or use make demo ENGINE=process",
        )
    return str(where)
