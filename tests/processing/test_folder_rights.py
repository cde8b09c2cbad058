"""Rights to folders of the store: collections hide theirs, projects have their own, grants go down to a folder.

And how long a signed address serves.
"""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bdap_hub import entitlements
from bdap_hub.access import Person
from bdap_hub.database import shared
from bdap_hub.errors import NotAllowed, NotLoggedIn
from bdap_hub.processing.cubes.extent import WORLD
from bdap_hub.processing.graphs.plan import Owned, Plan
from bdap_hub.processing.service.rights import Rights
from bdap_hub.settings import ProjectSettings, Settings
from bdap_hub.web import HubLogin, Principal
from tests.conftest import make_settings

ANA, BEN = Person("ana", frozenset({"project-agriculture"})), Person("ben", frozenset({"project-forest"}))
NOBODY = Person("nobody", frozenset())
TREES = "/eos/data/plots/trees"


def granted(folder: Path, mount: str = "/eos") -> Rights:
    """Forest may read a folder of the collection `plots`, which is agriculture's."""
    settings: Settings = make_settings(folder, store={"mount": mount})
    forest = ProjectSettings(
        name="forest",
        title="Forest",
        group="project-forest",
        images=("lab",),
        store=({"path": TREES.replace("/eos", mount), "mode": "read"},),  # type: ignore[arg-type]
    )
    settings = settings.model_copy(update={"projects": (settings.projects[0], forest)})
    home = settings.var / "catalogue/plots"
    home.mkdir(parents=True)
    record = {"id": "plots", "bdap:visibility": "project", "bdap:project": "agriculture"}
    (home / "collection.json").write_text(json.dumps(record))
    return Rights(settings, HubLogin(settings, "processing"))


async def test_the_event_loop_does_not_wait_for_the_database(tmp_path: Path) -> None:
    rights, asked = granted(tmp_path), list[int]()
    engine = shared(rights.settings.database).kw["bind"]
    event.listen(engine, "before_cursor_execute", lambda *_: asked.append(threading.get_ident()))
    plots = Plan("", (), (Owned("plots", "project", "agriculture"),), WORLD)
    entitlements.reading.forget()
    assert await rights.checked(plots, ANA) is False
    assert asked and threading.get_ident() not in asked
    with pytest.raises(NotAllowed):
        await rights.checked(plots, BEN)
    entitlements.reading.forget()
    rights.check(plots, ANA)
    assert threading.get_ident() in asked  # as it would be without


@pytest.mark.parametrize(
    ("person", "path", "allowed"),
    [
        (ANA, "/eos/data/plots/x.tif", True),
        (BEN, "/eos/data/plots/x.tif", False),
        (BEN, f"{TREES}/x.tif", True),
        (BEN, "/eos/data/plots/trees2/x.tif", False),
        (BEN, "/eos/data/open/x.tif", True),
        (NOBODY, "/eos/data/open/x.tif", False),
        (BEN, "/eos/projects/forest/x.tif", True),
        (ANA, "/eos/projects/forest/x.tif", False),
        (ANA, "/eos/projects/none/x.tif", False),
        (ANA, "/eos/data/plots/../plots/x.tif", False),
        (ANA, "/etc/passwd", False),
    ],
)
def test_who_reads_what(tmp_path: Path, person: Person, path: str, allowed: bool) -> None:
    rights = granted(tmp_path)
    if allowed:
        rights.read(path, person)
        return
    with pytest.raises(NotAllowed):
        rights.read(path, person)


@pytest.mark.parametrize("mount", ["/eos", "/eos/jeodpp"])
def test_a_plan_names_the_fewest_folders_that_its_person_may_read(tmp_path: Path, mount: str) -> None:
    rights = granted(tmp_path, mount)
    folders = [f"{mount}/data/plots/trees/a", f"{mount}/data/plots/trees/b"]
    whole = rights.covering(folders, ANA)
    assert [(one.id, one.kind) for one in whole] == [(f"{mount}/data/plots", "path")]
    parts = rights.covering(folders, BEN)
    assert [one.id for one in parts] == folders
    with pytest.raises(NotAllowed, match="not a member of project agriculture"):
        rights.covering([*folders, f"{mount}/data/plots/other"], BEN)


def test_a_plan_of_one_is_not_anothers(tmp_path: Path) -> None:
    rights = granted(tmp_path)

    def plan(*owned: Owned) -> Plan:
        return Plan("x", (), owned, WORLD)

    wide, narrow = plan(*rights.covering([TREES], ANA)), plan(*rights.covering([TREES], BEN))
    assert (
        rights.check(wide, ANA) is False and rights.check(narrow, BEN) is False and rights.check(narrow, ANA) is False
    )
    with pytest.raises(NotAllowed):
        rights.check(wide, BEN)


def test_a_record_that_cannot_be_read_is_nobodys(tmp_path: Path) -> None:
    rights: Any = granted(tmp_path)
    rights.read("/eos/data/plots/x.tif", ANA)
    (rights.settings.var / "catalogue/plots/collection.json").write_text("{")
    with pytest.raises(NotAllowed):
        rights.read("/eos/data/plots/x.tif", ANA)


async def test_an_address_that_was_read_before_expires_all_the_same(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, processing={"tile_url_hours": 5 / 3600})
    rights = Rights(settings, HubLogin(settings, "processing"))
    signature = rights.sign("plan", Principal(Person("dashboard:a", frozenset({"g"})), "release"))
    for _ in range(2):
        assert (await rights.signed_person("plan", signature)).groups == {"g"}
    with pytest.raises(NotAllowed, match="another service"):
        await rights.signed_person("other", signature)
    await asyncio.sleep(5.1)
    with pytest.raises(NotLoggedIn, match="expired"):
        await rights.signed_person("plan", signature)
