"""What `docker run` gives a container that is a machine of its own, with a Docker engine and systemd inside.

Plain --privileged does not do: dockerd may not raise limits that this host's engine has not.
"""

from __future__ import annotations

from pathlib import Path

SYS_RESOURCE = 1 << 24


def _drops() -> list[str]:
    """Engines 26 do not drop what the host has not."""
    (bounding,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "CapBnd" in line]
    return ["--cap-drop=SYS_RESOURCE"] if int(bounding, 16) & SYS_RESOURCE else []


RIGHTS = [
    "--cap-add=ALL",
    *_drops(),
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--device-cgroup-rule=a *:* rwm",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--volume=/var/lib/docker",
]
