"""Debian as a source of parts: packages of this host by apt, and a trixie root file system by debootstrap.

Nothing here runs unless this account may do it; every refusal names the command a person with the right can run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ...errors import Unavailable

Progress = Callable[[str], None]

SUITE = "trixie"
MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Manuals and translations: 40 MB nobody reads in a container. Licences (doc/*/copyright) stay.
LEFT_OUT = ("./dev/*", "./usr/share/man/*", "./usr/share/locale/*", "./var/cache/apt/*", "./var/lib/apt/lists/*")


def as_root() -> list[str] | None:
    """What to put before a command that needs root: nothing, `sudo -n`, or None where we may not."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def install(packages: Iterable[str], progress: Progress, why: str, optional: Iterable[str] = ()) -> None:
    """Install packages of the distribution; Unavailable with the command to run where that is not permitted.

    `optional` names those that only some releases have, because others hold their files in another package.
    """
    names = list(packages)
    remedy = f"run 'sudo apt-get install {' '.join(names)}'"
    apt, root = shutil.which("apt-get"), as_root()
    if apt is None or root is None:
        reason = "this is no Debian or Ubuntu" if apt is None else "this account may not install it"
        raise Unavailable(f"{why} is missing and {reason}", remedy)
    progress(f"installing {' '.join(names)} by apt")
    quiet = [*root, "env", "DEBIAN_FRONTEND=noninteractive", apt, "-qq"]
    _apt([*quiet, "update"], why, remedy)
    names += [name for name in optional if _exists(name)]
    with _no_service_starts(root):
        _apt([*quiet, "install", "-y", "--no-install-recommends", *names], why, remedy)


def _apt(command: list[str], why: str, remedy: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise Unavailable(f"apt-get could not install {why}: {last}", remedy)


def _exists(package: str) -> bool:
    shown = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, check=False).stdout
    return "Candidate:" in shown and "Candidate: (none)" not in shown


@contextlib.contextmanager
def _no_service_starts(root: list[str]) -> Iterator[None]:
    """Without systemd, a package must not start its daemon behind our back: we start what we can also stop."""
    policy = Path("/usr/sbin/policy-rc.d")
    if Path("/run/systemd/system").exists() or policy.exists():
        yield
        return
    _write(root, policy, "#!/bin/sh\nexit 101\n")
    subprocess.run([*root, "chmod", "755", str(policy)], check=True)
    try:
        yield
    finally:
        subprocess.run([*root, "rm", "-f", str(policy)], check=False)


def apt_options() -> str:
    """This host's apt settings that a build behind the same proxy or mirror needs; empty where there are none."""
    config = shutil.which("apt-config")
    if config is None:
        return ""
    dump = subprocess.run([config, "dump"], capture_output=True, text=True, check=False).stdout
    wanted = ("Acquire::http::Proxy ", "Acquire::https::Proxy ", "Acquire::Check-Valid-Until ", "Acquire::Check-Date ")
    return "".join(f"{line}\n" for line in dump.splitlines() if line.startswith(wanted))


def sources() -> str:
    """The apt sources of an image: the release, its updates and its security updates."""
    mirror = os.environ.get("BDAP_DEBIAN_MIRROR", MIRROR).rstrip("/")
    security = os.environ.get("BDAP_DEBIAN_SECURITY_MIRROR", f"{mirror}-security")
    return f"deb {mirror} {SUITE} main\ndeb {mirror} {SUITE}-updates main\ndeb {security} {SUITE}-security main\n"


def root_archive(archive: Path, progress: Progress) -> None:
    """Write a minimal Debian root as a tar file; its packages' signatures are checked by the archive's keyring."""
    root = as_root()
    if root is None:
        raise Unavailable(
            "Debian's base is made by debootstrap, which needs root",
            "give a base image instead: BASE_IMAGE=debian:trixie-slim",
        )
    if shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None or not KEYRING.exists():
        install(("debootstrap", "debian-archive-keyring", "gpgv"), progress, "debootstrap")
    mirror = os.environ.get("BDAP_DEBIAN_MIRROR", MIRROR).rstrip("/")
    folder = Path(tempfile.mkdtemp(prefix="bdap-debian-", dir="/var/tmp"))
    try:
        _debootstrap([*root, "env", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"], folder, mirror, progress)
        _write(root, folder / "etc/apt/sources.list", sources())
        _write(root, folder / "etc/dpkg/dpkg.cfg.d/lean", _lean())
        left_out = [f"--exclude={pattern}" for pattern in LEFT_OUT]
        subprocess.run(
            [*root, "tar", "-C", str(folder), *left_out, "--numeric-owner", "-cf", str(archive), "."], check=True
        )
    finally:
        subprocess.run([*root, "rm", "-rf", "--one-file-system", str(folder)], check=False)


def _debootstrap(root: list[str], folder: Path, mirror: str, progress: Progress) -> None:
    command = [*root, "debootstrap", "--variant=minbase", f"--keyring={KEYRING}", "--force-check-gpg"]
    command += ["--include=ca-certificates", SUITE, str(folder), mirror]
    last, spoken = "", time.monotonic()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            last = line.strip() or last
            if time.monotonic() - spoken > 5:
                progress(f"debian: {last.removeprefix('I: ')}")
                spoken = time.monotonic()
    if process.returncode:
        raise Unavailable(
            f"debootstrap of {SUITE} from {mirror} failed: {last}",
            "set BDAP_DEBIAN_MIRROR to a mirror this host reaches, or give BASE_IMAGE",
        )


def _lean() -> str:
    return "path-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n"


def _write(root: list[str], path: Path, text: str) -> None:
    subprocess.run([*root, "tee", str(path)], input=text, text=True, stdout=subprocess.DEVNULL, check=True)
