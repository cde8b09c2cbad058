"""The service with processes that draw: over HTTP, through the proxy, as with one process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from bdap_hub.processing.app import create_app
from bdap_hub.processing.drawing.formats import FORMATS
from bdap_hub.processing.service import tiles
from bdap_hub.processing.service.tile_address import Address
from bdap_hub.processing.workers.team import Team

from .client import Client, tile
from .conftest import DATES, X, Y, Z
from .graphs import band, ndvi_median
from .test_workers import long_chain, until


@pytest.fixture(scope="module")
def room(platform: Any) -> Iterator[Any]:
    """What a service with two workers shares."""
    settings = platform.settings
    section = settings.processing.model_copy(update={"processes": 2})
    app = create_app(settings.model_copy(update={"processing": section}))
    platform.serve(app, section.port)
    yield app.state.room
    platform.serve(platform.processing, section.port)


@pytest.fixture
def team(room: Any) -> Team:
    until(lambda: len(room.team.members) == 2 and all(each.ready for each in room.team.members.values()))
    found: Team = room.team
    return found


def drawn(team: Team) -> int:
    return sum(each.drawn for each in team.members.values())


def test_workers_draw_the_tiles_and_the_service_keeps_them(ana: Client, room: Any, team: Team) -> None:
    service, before = ana.service(ndvi_median(), title="by workers"), drawn(team)
    answer = tile(service)
    assert answer.status_code == 200, answer.text
    assert answer.content == room.engine.tile(room.compiled(service["id"]), Z, X, Y)
    assert tile(service).content == answer.content
    known = tile(service, **{"if-none-match": answer.headers["etag"]})
    assert known.status_code == 304 and drawn(team) == before + 1


def test_a_failure_in_a_worker_stands_in_the_services_log(ana: Client, room: Any, team: Team) -> None:
    path = Path(room.settings.store.root) / f"data/fields/{DATES[0]}/B02.tif"
    service, whole = ana.service(band("B02"), title="to fail"), path.read_bytes()
    path.write_bytes(whole[:2000])
    try:
        answer = tile(service)
    finally:
        path.write_bytes(whole)
    assert (answer.status_code, answer.json()["code"]) == (503, "FileUnavailable")
    assert answer.json()["message"] == f"/eos/data/fields/{DATES[0]}/B02.tif is damaged or not a raster"
    logs = ana.http.get(f"/services/{service['id']}/logs").json()["logs"]
    assert "FileUnavailable" in [line.get("code") for line in logs]
    assert tile(service).status_code == 200


def test_a_viewer_who_pans_on_ends_it_in_the_worker_too(ana: Client, team: Team) -> None:
    service = ana.service(long_chain(), title="panned", configuration={"tile_size": 512})
    before = drawn(team)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(service["url"].format(z=Z, x=X, y=f"{Y}@2x"), timeout=httpx.Timeout(60, read=1))
    until(lambda: not any(each.load for each in team.members.values()))
    assert drawn(team) == before and tile(ana.service(band("B04"))).status_code == 200


def test_code_of_people_is_not_for_workers(ana: Client, room: Any, team: Team) -> None:
    service = ana.service(ndvi_median(), title="of one person")
    view = room.views.get(service["id"], "ana")
    address, before = Address(Z, X + 1, Y + 1, 256, FORMATS[0]), drawn(team)
    everybodys = tiles._made(room, view, view.compiled, address, "")
    assert drawn(team) == before + 1
    plan = replace(view.compiled.plan, person="ana")
    own = replace(view, compiled=replace(view.compiled, plan=plan))
    assert tiles._made(room, own, own.compiled, address, "") == everybodys and drawn(team) == before + 1


def test_the_end_of_the_service_is_the_workers_end(platform: Any, room: Any, team: Team) -> None:
    pids = [each.pid for each in team.members.values()]
    platform.serve(platform.processing, room.settings.processing.port)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
