"""What `docker run` gives a container that is a machine of its own, with a Docker engine and systemd inside.

Plain --privileged does not do: dockerd may not give what this host has not. Nor does ALL without it: engines differ in
what that means, and those from 26 on do not drop what the host has not.
"""

from __future__ import annotations

from pathlib import Path

CAPABILITIES = (  # in the order of their bits
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
    "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
    "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
)


def _had() -> list[str]:
    """What this host has of them."""
    (bounding,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "CapBnd" in line]
    return [name for bit, name in enumerate(CAPABILITIES.split()) if int(bounding, 16) >> bit & 1]


RIGHTS = [
    *(f"--cap-add={name}" for name in _had()),
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--device-cgroup-rule=a *:* rwm",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--volume=/var/lib/docker",
]
