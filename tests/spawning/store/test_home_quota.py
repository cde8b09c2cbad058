"""Quotas of homes: what is said of them, and that the file system holds people to them where it can."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bdap_hub.settings import Settings
from bdap_hub.spawning.store.home_quota import Homes, HomeUse, mount_of

GB = 2**30


@pytest.mark.parametrize(
    ("used", "state", "words"),
    [
        (0, "ok", "0 of 10 GB"),
        (9 * GB - 1, "ok", "9 of 10 GB"),
        (9 * GB, "near", "9 of 10 GB"),
        (10 * GB, "over", "10 of 10 GB"),
        (23 * GB, "over", "23 of 10 GB"),
    ],
)
def test_what_is_said(used: int, state: str, words: str) -> None:
    found = HomeUse(used, 10 * GB)
    assert (found.state, found.words) == (state, words)


def test_a_home_is_measured_behind_what_people_wait_for(settings: Settings) -> None:
    settings.spawning.home_quota = "1M"
    home = settings.var.resolve() / "homes" / "ana"
    home.mkdir(parents=True)
    (home / "x").write_bytes(b"x" * 950_000)

    async def measured() -> HomeUse:
        homes = Homes(settings)
        homes.measure("ana")
        homes.measure("ana")  # once is enough for a while
        assert len(homes._tasks) == 1
        await asyncio.gather(*homes._tasks)
        return homes.uses["ana"]

    assert asyncio.run(measured()).state == "near"


def test_without_a_quota_nothing_is_measured(settings: Settings) -> None:
    homes = Homes(settings)
    homes.measure("ana")
    assert not homes._tasks and not homes.limit


@pytest.fixture
def counted(settings: Settings) -> Iterator[Path]:
    """Homes on an ext4 of their own that counts by project."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system with quotas needs root")
    if missing := [tool for tool in ("mkfs.ext4", "setquota", "chattr") if not shutil.which(tool)]:
        pytest.skip(f"{missing[0]} is not installed: real quotas are not tried here")
    homes, image = settings.var.resolve() / "homes", settings.var / "disk.img"
    homes.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-O", "quota,project", str(image)], check=True)
    done = subprocess.run(["mount", "-o", "loop,prjquota", str(image), str(homes)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this kernel mounts no ext4 with project quotas: {done.stderr.strip().splitlines()[0]}")
    try:
        yield homes
    finally:
        subprocess.run(["umount", str(homes)], check=False)


def test_the_file_system_holds_people_to_it(settings: Settings, counted: Path) -> None:
    settings.spawning.home_quota = "2M"
    assert mount_of(counted) == counted
    for name, uid in (("ana", 20001), ("ben", 20002)):
        (counted / name).mkdir()
        os.chown(counted / name, uid, uid)
        asyncio.run(Homes(settings).limited(name, uid))
    write = ["setpriv", "--reuid", "20001", "--clear-groups", "dd", "if=/dev/zero", "bs=1M"]
    full = subprocess.run([*write, "count=5", f"of={counted}/ana/x"], capture_output=True, text=True)
    assert full.returncode and "quota exceeded" in full.stderr.lower()
    assert (counted / "ana/x").stat().st_size <= 2 << 20
    fits = subprocess.run([*write, "count=1", f"of={counted}/ana/x"], capture_output=True, text=True)
    assert fits.returncode == 0  # the control
