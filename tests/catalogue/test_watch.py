"""Watching: collections follow their folders, with the options they were ingested with."""

from __future__ import annotations

import shutil
import threading
import time
from typing import Any

import pytest
from click.testing import CliRunner

from bdap_hub.catalogue import scan
from bdap_hub.catalogue.disk import read_json, write_json
from bdap_hub.catalogue.store import open_catalogue
from bdap_hub.catalogue.watch import look_once, watch
from bdap_hub.errors import BadRequest
from bdap_hub.settings import Settings
from tests.catalogue.meanwhile import then
from tests.catalogue.test_ingest import DEMO, run, write_tif


def look(settings: Settings, *names: str, prune: bool = False) -> list[str]:
    said: list[str] = []
    look_once(settings, names, said.append, prune=prune)
    return said


def days(settings: Settings, collection: str = DEMO) -> set[str]:
    return {item["properties"]["datetime"][:10] for item in open_catalogue(settings).items.every(collection)}


def test_what_comes_changes_and_goes_is_followed(stocked: Settings) -> None:
    run(stocked)
    record = stocked.var / "catalogue" / DEMO / "collection.json"
    before = record.stat().st_mtime_ns, read_json(record)
    assert look(stocked) == []
    assert before[1] == read_json(record)
    folder = stocked.store.data / DEMO
    shutil.copytree(folder / "2025-04-18", folder / "2025-06-20")
    assert look(stocked, DEMO) == [f"{DEMO}: 1 added, 0 updated, 3 unchanged, 0 with errors"]
    assert read_json(record)["extent"]["temporal"]["interval"][0][1].startswith("2025-06-20")
    shutil.rmtree(folder / "2025-06-20")
    assert look(stocked) == [] and "2025-06-20" in days(stocked)
    assert "are gone" in look(stocked, prune=True)[0] and "2025-06-20" not in days(stocked)
    assert read_json(record)["bdap:items"] == 3


def test_options_and_visibility_are_those_of_the_ingest(stocked: Settings) -> None:
    loose = stocked.store.data / "loose"
    write_tif(loose / "one_B04.tif")
    run(stocked, "loose", "loose", datetime="2025-06-01", scale=0.5, visibility="people", title="Loose")
    write_tif(loose / "two_B04.tif")
    assert look(stocked) == ["loose: 1 added, 0 updated, 1 unchanged, 0 with errors"]
    found = {item["id"]: item for item in open_catalogue(stocked).items.every("loose")}
    assert days(stocked, "loose") == {"2025-06-01"}
    assert found["two"]["assets"]["B04"]["raster:bands"][0]["scale"] == 0.5
    stac = open_catalogue(stocked).collections()["loose"].stac
    assert (stac["bdap:visibility"], stac["title"]) == ("people", "Loose")


def test_one_that_fails_does_not_hold_up_the_others(stocked: Settings) -> None:
    write_tif(stocked.store.data / "a" / "2025-01-01_B04.tif")
    run(stocked, "a", "a")
    run(stocked)
    shutil.rmtree(stocked.store.data / "a")
    shutil.copytree(stocked.store.data / DEMO / "2025-04-18", stocked.store.data / DEMO / "2025-07-20")
    first, second = look(stocked)
    assert first.startswith("a: ") and second == f"{DEMO}: 1 added, 0 updated, 3 unchanged, 0 with errors"
    with pytest.raises(BadRequest, match="no collection 'other'"):
        look(stocked, "other")


def test_it_goes_on_until_it_is_told_to_stop(stocked: Settings) -> None:
    run(stocked)
    said: list[str] = []
    stop = threading.Event()
    options: dict[str, Any] = {"seconds": 0.05, "prune": False, "stop": stop}
    watching = threading.Thread(target=watch, args=(stocked, (), said.append), kwargs=options)
    watching.start()
    try:
        shutil.copytree(stocked.store.data / DEMO / "2025-04-18", stocked.store.data / DEMO / "2025-08-20")
        deadline = time.monotonic() + 60
        while "2025-08-20" not in days(stocked) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        stop.set()
        watching.join(60)
    assert not watching.is_alive() and "2025-08-20" in days(stocked)


def test_the_command(stocked: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from bdap_hub.cli import root

    run(stocked)
    monkeypatch.setattr(root.settings, "load", lambda: stocked)
    shutil.copytree(stocked.store.data / DEMO / "2025-04-18", stocked.store.data / DEMO / "2025-09-20")
    done = CliRunner().invoke(root.main, ["catalogue", "watch", "--once"])
    assert done.exit_code == 0 and "1 added" in done.output


def test_what_others_say_of_a_collection_meanwhile_stays(stocked: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator's change, while its folder or that of a collection before it is looked through."""
    write_tif(stocked.store.data / "a" / "2025-01-01_B04.tif")
    run(stocked, "a", "a")
    run(stocked)
    records = [stocked.var / "catalogue" / name / "collection.json" for name in ("a", DEMO)]

    def narrow() -> None:
        for record in records:
            write_json(record, read_json(record) | {"bdap:visibility": "people", "title": "Renamed"})

    shutil.copytree(stocked.store.data / DEMO / "2025-04-18", stocked.store.data / DEMO / "2025-06-20")
    then(monkeypatch, scan, "find", narrow)
    assert look(stocked) == [f"{DEMO}: 1 added, 0 updated, 3 unchanged, 0 with errors"]
    for record in records:
        assert (read_json(record)["bdap:visibility"], read_json(record)["title"]) == ("people", "Renamed")
    assert read_json(records[1])["bdap:items"] == 4


def test_a_collection_that_is_taken_away_meanwhile_stays_away(
    stocked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        write_tif(stocked.store.data / name / "2025-01-01_B04.tif")
        run(stocked, name, name)

    def remove() -> None:
        for name in ("a", "b"):
            shutil.rmtree(stocked.var / "catalogue" / name)
            open_catalogue(stocked).items.forget(name)

    then(monkeypatch, scan, "find", remove)
    assert look(stocked) == []
    assert open_catalogue(stocked).collections() == {} and open_catalogue(stocked).items.counts() == {}


def test_files_of_a_folder_that_it_had_before_are_left_out(stocked: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    run(stocked)
    record = stocked.var / "catalogue" / DEMO / "collection.json"
    shutil.copytree(stocked.store.data / DEMO / "2025-04-18", stocked.store.data / DEMO / "2025-06-20")

    def move() -> None:
        write_json(record, read_json(record) | {"bdap:folder": "/eos/data/forest-plots"})

    then(monkeypatch, scan, "find", move)
    assert look(stocked) == [f"{DEMO}: {DEMO} has another folder by now"]
    assert read_json(record)["bdap:folder"] == "/eos/data/forest-plots" and len(days(stocked)) == 3
    assert look(stocked)[0].startswith(f"{DEMO}: 1 added, 1 updated")
