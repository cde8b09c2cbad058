"""The watch over the store: lost and back, recorded once each, and what people are told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bdap_hub import audit, database
from bdap_hub.errors import Unavailable
from bdap_hub.settings import Settings
from bdap_hub.spawning.store import children
from bdap_hub.spawning.store.heal import Told
from bdap_hub.spawning.store.watch import BEAT, StoreWatch


def events(settings: Settings) -> list[str]:
    return [event.action for event in audit.latest(database.connect(settings.database), 10)]


def test_a_store_that_is_not_mounted_is_lost(settings: Settings) -> None:
    watch = StoreWatch(settings)
    assert asyncio.run(watch.there()) and watch.notice() == ""
    settings.store.file_system = "nosuchfs"
    for _ in range(2):
        with pytest.raises(Unavailable, match="where nosuchfs should be mounted"):
            asyncio.run(watch.look())
    assert not asyncio.run(watch.there()) and events(settings) == ["store-lost"]
    settings.store.file_system = ""
    assert asyncio.run(watch.there()) and watch.notice() == ""
    assert events(settings) == ["store-back", "store-lost"]


def test_where_nobody_heals_people_are_told_so(settings: Settings) -> None:
    watch = StoreWatch(settings)
    watch.acts, watch.lost = False, "gone"
    assert "start it again" in watch.notice() and "by itself" not in watch.notice()
    (settings.var / BEAT).touch()
    assert "by itself" in watch.notice()
    watch.lost, watch.unhealed = "", {"bdap-x-ana": "no"}
    assert "stop it and start it again" in watch.notice("bdap-x-ana") and watch.notice("bdap-x-ben") == ""


def test_of_a_machine_that_says_nothing_is_true_what_it_said_last(settings: Settings) -> None:
    watch = StoreWatch(settings)

    def hear(*told: Told) -> list[str]:
        asyncio.run(watch.hear(told))
        return [name for name in ("ana", "ben") if watch.notice(name)]

    lost, silent = Told("node2", ("ana",), away="gone"), Told("node2", ("ana",), known=False)
    well = Told("node1", ("ben",))
    assert hear(well, Told("node2", ("ana",))) == []
    assert hear(well, silent) == [], "nothing is told of what is not known"
    assert hear(well, lost) == ["ana"] and hear(well, lost) == ["ana"]
    assert hear(well, silent) == ["ana"] and "node2" in watch.notice("ana")
    assert hear(Told("node1", ("ben",), failed={"ben": "no"}), silent) == ["ana", "ben"]
    assert hear(Told("node1", ("ben",), known=False), Told("node2", ("ana",))) == ["ben"]
    assert hear(well) == []
    assert events(settings) == ["store-back", "store-lost"], "once each"


def test_a_command_that_hangs_is_left_behind_and_a_daemon_holds_nobody_up(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no answer within 0\.3 s"):
        asyncio.run(children.run(["sleep", "60"], 0.3))
    code, out, _ = asyncio.run(children.run(["sh", "-c", "sleep 5 & echo done"], 3))
    assert (code, out) == (0, b"done\n")
