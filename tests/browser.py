"""Chromium for tests: the system's, which does not hear that this machine's network changes.

It gives up what it is about to ask for (net::ERR_NETWORK_CHANGED) whenever an interface gets an address. Engines give
their networks addresses all the time here, so Chromium is started without netlink sockets, by which the kernel tells.

    python browser.py CHROMIUM ARGUMENT...
"""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import shutil
import struct
import sys
from pathlib import Path

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOCKET = {"x86_64": 41, "aarch64": 198}
"""The number of the system call socket(2)."""


def deaf_chromium(folder: Path) -> Path | None:
    """A script in that folder that starts the system's Chromium so; None where there is no Chromium."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        return None
    script = folder / "chromium"
    script.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-I", __file__, path])} "$@"\n')
    script.chmod(0o755)
    return script


def refuse_netlink() -> None:
    """From now on socket(AF_NETLINK, ...) fails with EAFNOSUPPORT in this process and all that come of it.

    A classic BPF program in seccomp's filter mode: struct seccomp_data has the call's number at offset 0, its first
    argument at 16. Calls of other architectures pass: this keeps nobody out, it only keeps Chromium calm.
    """
    load, equal, answer = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
    program = b"".join(
        struct.pack("HBBI", *line)
        for line in (
            (load, 0, 0, 0),
            (equal, 0, 3, SOCKET[platform.machine()]),
            (load, 0, 0, 16),
            (equal, 0, 1, 16),  # AF_NETLINK
            (answer, 0, 0, 0x00050000 | 97),  # SECCOMP_RET_ERRNO | EAFNOSUPPORT
            (answer, 0, 0, 0x7FFF0000),  # SECCOMP_RET_ALLOW
        )
    )
    lines = ctypes.create_string_buffer(program, len(program))
    whole = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(lines)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, whole, 0, 0):  # no new privileges; seccomp, filter
        raise OSError(ctypes.get_errno(), "netlink sockets cannot be refused: this kernel takes no seccomp filter")


if __name__ == "__main__":
    if platform.machine() in SOCKET:
        refuse_netlink()
    os.execv(sys.argv[1], sys.argv[1:])
