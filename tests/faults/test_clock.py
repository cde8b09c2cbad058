"""The clock of the hub's machine jumps while somebody has a GPU (libfaketime; the steady clock goes on)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bdap_hub.spawning.gpu.tables import allocations

from .conftest import GPU, Rig

pytestmark = pytest.mark.docker

DAY = 86400


@pytest.fixture(scope="module")
def set_clock(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], None]]:
    """Sets the hub's clock so many seconds off; the hub is started anew before the first test and after the last."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        pytest.fail("libfaketime is missing: run `make test` once, it installs it")
    off = tmp_path_factory.mktemp("clock") / "off"
    off.write_text("+0")
    rig.platform.kill_hub()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(library))
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(off))
        patch.setenv("FAKETIME_CACHE_DURATION", "1")  # without, each question for the time reads the file
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        rig.platform.start_hub()
    yield lambda seconds: off.write_text(f"{seconds:+d}") and None
    rig.platform.kill_hub()
    rig.platform.start_hub()


def test_a_gpu_is_held_as_long_as_was_said(rig: Rig, set_clock: Callable[[int], None]) -> None:
    platform = rig.platform
    platform.start("ana", GPU)

    def end() -> float:
        return float(allocations(rig.store)[0].until or 0)

    first, container = end(), rig.container().id
    for off in (2 * DAY, -2 * DAY, 0):
        set_clock(off)
        platform.wait(lambda off=off: abs(end() - first - off) < 60, 20, f"the end to move by {off} s")
        assert rig.servers()[""]["ready"] and rig.container().id == container
    assert platform.log.count("The clock of this machine jumped by") == 3


def test_one_that_waits_in_line_keeps_its_place(rig: Rig, set_clock: Callable[[int], None]) -> None:
    """With ana's and olga's servers both GPUs are out; ben waits, and gets the first that comes back."""
    platform = rig.platform
    group = "/groups/project-agriculture/users"
    platform.api("POST", group, json={"users": ["ben"]}).raise_for_status()
    for name in ("ana", "olga"):
        platform.start(name, GPU)
    asking = rig.ask(GPU, "ben")
    platform.wait(lambda: rig.servers("ben").get("", {}).get("pending") == "spawn", 20, "ben to wait")
    set_clock(3 * DAY)
    platform.wait(lambda: "jumped" in platform.log.rsplit("User ana took", 1)[1], 20, "the jump to be seen")
    assert rig.servers("ben")[""]["pending"] == "spawn"
    platform.stop("olga")
    platform.wait(lambda: rig.servers("ben")[""]["ready"], 30, "ben's server")
    assert sorted(rig.gpus().values()) == ["ana", "ben"]
    asking.join(30)
    platform.api("DELETE", group, json={"users": ["ben"]}).raise_for_status()
