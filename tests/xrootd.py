"""XRootD and its FUSE client in EOS's place: a real network store that can die, hang and come back."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import free_port

CONFIG = """
all.export /
all.adminpath {folder}/admin
all.pidpath {folder}/admin
oss.localroot {folder}/served
xrd.port {port}
"""
REMOUNT = """#!/bin/sh
[ -e {folder}/may-come-back ] || exit 1
umount -l {mount} 2>/dev/null
exec xrootdfs {mount} -o rdr=root://127.0.0.1:{port}//,allow_other,uid=nobody
"""


@dataclass
class Store:
    """`served` is what the server holds, `mount` where its client shows it; `remount` brings that back if it may."""

    folder: Path
    port: int
    server: subprocess.Popen[bytes] = field(init=False)

    @property
    def served(self) -> Path:
        return self.folder / "served"

    @property
    def mount(self) -> Path:
        return self.folder / "eos" / "store"

    @property
    def remount(self) -> Path:
        return self.folder / "remount"

    @property
    def client(self) -> int:
        """The process id of the FUSE client."""
        found = subprocess.run(["pgrep", "-f", f"xrootdfs {self.mount} "], capture_output=True, text=True, check=False)
        return int(found.stdout.split()[0])

    def start(self) -> None:
        """Server and client, the latter below a shared mount, as systemd has it everywhere."""
        for part in ("admin", "served/data", "served/projects"):
            (self.folder / part).mkdir(parents=True)
        self.mount.mkdir(parents=True)
        (self.folder / "config").write_text(CONFIG.format(folder=self.folder, port=self.port))
        self.remount.write_text(REMOUNT.format(folder=self.folder, mount=self.mount, port=self.port))
        self.remount.chmod(0o755)
        self.open_to_all()
        subprocess.run(["mount", "--bind", self.mount.parent, self.mount.parent], check=True)
        subprocess.run(["mount", "--make-rshared", self.mount.parent], check=True)
        command = ["xrootd", "-c", str(self.folder / "config"), "-R", "nobody", "-l", f"{self.folder}/admin/log"]
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.allow_back(True)
        self._until(self._listens)  # a client that comes before its server waits for two minutes
        self._until(self.come_back)

    def _until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not ready():
            assert self.server.poll() is None and time.monotonic() < deadline, (self.folder / "admin/log").read_text()
            time.sleep(0.05)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def open_to_all(self) -> None:
        """The client acts as nobody: it knows nothing of people's uids."""
        for path in (self.folder, self.folder / "admin", self.served, *self.served.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)

    def come_back(self) -> bool:
        """Mount it; whether it answers."""
        run = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
        subprocess.run([str(self.remount)], timeout=30, **run)
        return subprocess.run(["ls", str(self.mount / "data")], timeout=30, **run).returncode == 0

    def allow_back(self, allowed: bool) -> None:
        """Whether `remount` mounts it again."""
        flag = self.folder / "may-come-back"
        flag.touch() if allowed else flag.unlink(missing_ok=True)

    def die(self) -> None:
        """The client is killed: all that it showed is dead until it is unmounted."""
        self.allow_back(False)
        os.kill(self.client, signal.SIGKILL)

    def unmount(self) -> None:
        """What is left at its place is the folder of this host."""
        subprocess.run(["umount", "-l", self.mount], check=True)

    def hang(self, hanging: bool) -> None:
        """The client answers nobody, or again. None is mounted beside it: `allow_back` lets one come where it died."""
        self.allow_back(False)
        os.kill(self.client, signal.SIGSTOP if hanging else signal.SIGCONT)

    def stop(self) -> None:
        """Take everything away."""
        for found in subprocess.run(["pgrep", "-f", f"xrootdfs {self.mount} "], capture_output=True).stdout.split():
            os.kill(int(found), signal.SIGKILL)
        subprocess.run(["umount", "-l", self.mount], capture_output=True, check=False)
        subprocess.run(["umount", "-l", self.mount.parent], capture_output=True, check=False)
        self.server.kill()
        self.server.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def new() -> Store:
    """A store that runs; skips, visibly, where this machine cannot mount one."""
    if os.geteuid() != 0:
        pytest.skip("mounting XRootD's FUSE client needs root")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("there is no /dev/fuse here: XRootD's FUSE client cannot run")
    if shutil.which("xrootd") is None or shutil.which("xrootdfs") is None:
        pytest.fail("XRootD is missing: run `make test` once, it installs it")
    store = Store(Path(tempfile.mkdtemp(prefix="bdaptest-xrootd-")), free_port())
    try:
        store.start()
    except BaseException:
        store.stop()
        raise
    return store
