"""What of the store a server sees, and which mounts are dead, as tables."""

from __future__ import annotations

import pytest

from bdap_hub.access import Person
from bdap_hub.settings import Settings
from bdap_hub.spawning import Site, choices, plan
from bdap_hub.spawning.store import mounts
from bdap_hub.spawning.store.mounts import Mount, read, stale, written

DATA, COVER = Mount("/s/data", "/eos/data", propagation="rslave"), Mount("/v/empty", "/eos/data/plots")
MINE = Mount("/s/projects/a", "/eos/projects/a", read_only=False, propagation="rslave")
ALL = (DATA, COVER, MINE)
INFO = """
76 1 0:40 / / rw - overlay overlay rw
93 76 0:50 /data /eos/data ro master:4 - fuse xrootdfs rw
97 93 254:0 /v/empty /eos/data/plots ro - ext4 /dev/vda rw
98 76 0:50 /projects/a /eos/projects/a rw master:4 - fuse xrootdfs rw
""".strip()
HELD = INFO.replace("0:50 /data", "254:0 /v/.away").replace("0:50 /projects/a", "254:0 /v/.away")


@pytest.mark.parametrize(
    ("mountinfo", "devices", "expected"),
    [
        (INFO, {"/s/data": "0:50", "/s/projects/a": "0:50"}, ()),
        (INFO, {"/s/data": "0:57", "/s/projects/a": "0:57"}, ALL),
        (INFO, {"/s/data": "0:57", "/s/projects/a": "0:50"}, (DATA, COVER)),  # what covers goes with what it covers
        (INFO, {"/s/data": "0:50"}, ()),  # a folder that is not there replaces nothing
        (INFO, {}, ()),
        (HELD, {"/s/data": "254:0", "/s/projects/a": "254:0"}, ALL),  # a plain folder on the same disk as the holder
        (HELD, {"/s/projects/a": "0:50"}, (MINE,)),
        ("76 1 0:40 / / rw - overlay overlay rw", {"/s/data": "0:50"}, (DATA, COVER)),  # it was taken away and not hung
        (INFO + "\n99 76 0:57 /data /eos/data ro - fuse x rw", {"/s/data": "0:57"}, ()),  # the topmost counts
    ],
)
def test_what_is_replaced(mountinfo: str, devices: dict[str, str], expected: tuple[Mount, ...]) -> None:
    assert stale(ALL, mountinfo, devices) == expected


def test_the_label_says_it_whole() -> None:
    assert read(written(ALL)) == ALL and read("") == ()


def test_a_start_without_the_store_holds_its_places(settings: Settings, people: dict[str, Person]) -> None:
    site = Site("h", 20000, {"agriculture": 20001}, hidden=("plots",), store_lost=True)
    found = plan(settings, people["ana"], choices(settings.policy(), people["ana"])[0], site)
    away = f"{settings.var.resolve()}/{mounts.AWAY}"
    held = [mount for mount in found.mounts if mount.target.startswith("/eos")]
    assert held == [Mount(away, "/eos/data"), Mount(away, "/eos/projects/agriculture")]
    wanted = read(found.labels[mounts.LABEL])
    assert [m.target for m in wanted] == ["/eos/data", "/eos/data/plots", "/eos/projects/agriculture"]
