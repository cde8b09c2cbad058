"""Secondary web services as openEO has them: types, configuration, changes and logs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import create_engine, inspect, text

from bdap_hub.database import connect
from bdap_hub.errors import Conflict
from bdap_hub.processing.service import views
from bdap_hub.processing.service.tables import Posted, Services, StoredPlan, posted_of

from .client import Client, tile
from .conftest import DATES, X, Y, Z, make_collection, truth, write_catalogue
from .engines import decoded
from .graphs import band, load, ndvi_median

BAD_STYLE = {"style": {"colormap": "nope"}}


def palette(service: dict[str, Any]) -> bytes:
    """The palette of one of its tiles."""
    answer = tile(service)
    assert answer.status_code == 200, answer.text
    return decoded(answer.content)[1]


def test_service_types_say_what_may_be_configured(platform: Any) -> None:
    types = httpx.get(f"{platform.settings.hub.public_url}/services/processing/service_types").json()
    assert set(types) == {"XYZ", "WMTS", "TileJSON"}
    assert {"tile_size", "format", "style", "minzoom", "maxzoom"} <= types["WMTS"]["configuration"].keys()
    assert all(
        {"title", "description", "configuration", "process_parameters"} <= said.keys() for said in types.values()
    )


def test_types_start_from_their_own_addresses(ana: Client) -> None:
    urls = {kind: ana.service(band("B04"), type=kind)["url"] for kind in ("xyz", "WMTS", "TileJSON")}
    assert "/tiles/" in urls["xyz"] and "/wmts?sig=" in urls["WMTS"] and "/tilejson.json?sig=" in urls["TileJSON"]


def test_configuration_decides_size_format_and_style(ana: Client) -> None:
    style = {"colormap": ["#000000", "#ff0000"], "min": 0, "max": 10_000}
    plain, own = ana.service(band("B04")), ana.service(band("B04"), configuration={"tile_size": 512, "style": style})
    assert plain["id"] != own["id"] and own["configuration"]["tile_size"] == 512
    assert decoded(tile(own).content)[0].shape == (512, 512, 1) and decoded(tile(plain).content)[0].shape[0] == 256
    assert palette(own) != palette(plain) and set(palette(own)[1::3]) == {0}
    assert ana.service(band("B04"), configuration={"tile_size": 512, "style": style})["id"] == own["id"]
    webp = ana.service(band("B04"), configuration={"format": "webp"})
    assert ".webp?sig=" in webp["url"] and tile(webp).headers["content-type"] == "image/webp"


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        ({"type": "WMS"}, "ServiceUnsupported", "XYZ, WMTS, TileJSON"),
        ({"type": 7}, "ServiceUnsupported", "7"),
        ({"configuration": {"size": 1}}, "ServiceConfigUnsupported", "no parameter 'size'"),
        ({"configuration": {"tile_size": 300}}, "ServiceConfigInvalid", "256 or 512, not 300"),
        ({"configuration": {"tile_size": True}}, "ServiceConfigInvalid", "not True"),
        ({"configuration": {"format": "gif"}}, "ServiceConfigInvalid", "gif"),
        ({"configuration": {"minzoom": 9, "maxzoom": 3}}, "ServiceConfigInvalid", "above maxzoom"),
        ({"configuration": []}, "ServiceConfigInvalid", "is an object"),
        ({"configuration": BAD_STYLE}, "ServiceConfigInvalid", "no colormap 'nope'"),
        ({"configuration": {"style": {"rgb": ["B04", "B03", "B02"]}}}, "ServiceConfigInvalid", "'B03'"),
        ({"configuration": {"style": {"classes": True}}}, "ServiceConfigInvalid", "names no classes for 'B04'"),
        ({"plan": "gold"}, "BillingPlanInvalid", "nothing is billed"),
        ({"budget": 5}, "BudgetInvalid", "nothing is billed"),
        ({"title": 5}, "BadRequest", "title is a text"),
        ({"enabled": "yes"}, "BadRequest", "true or false"),
    ],
)
def test_what_cannot_be_offered_is_refused(ana: Client, more: dict[str, Any], code: str, sentence: str) -> None:
    answer = ana.post(band("B04"), **more)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert sentence in answer.json()["message"] + answer.json()["remedy"]


def test_percentiles_are_computed_once_and_stated(ana: Client) -> None:
    style = {"percentiles": [10, 90], "colormap": "viridis"}
    service = ana.service(band("B04", temporal_extent=[DATES[0], DATES[1]]), configuration={"style": style})
    said = service["attributes"]["style"]
    values = truth(0)["B04"]
    np.testing.assert_allclose([said["min"][0], said["max"][0]], np.percentile(values[values > 0], [10, 90]), rtol=0.02)
    index = decoded(tile(service).content)[0][..., 0]
    first = values[:256, :256].astype(float)
    want = 1 + np.clip((first - said["min"][0]) / (said["max"][0] - said["min"][0]), 0, 1) * 254
    np.testing.assert_allclose(index[first > 0], want[first > 0], atol=0.51)
    assert ana.http.get(f"/services/{service['id']}").json()["attributes"]["style"] == said
    graph = ndvi_median()
    graph["save"]["arguments"]["options"] = {"percentiles": [2, 98], "max": 0.5}
    said = ana.service(graph)["attributes"]["style"]
    assert said["max"] == 0.5 and -1 < said["min"][0] < 0


def test_classes_come_from_the_collection(ana: Client, platform: Any) -> None:
    settings = platform.settings
    described, items = make_collection(settings.store.root, "cover", "public", "")
    classes = [
        {"value": 4, "name": "vegetation", "title": "Vegetation", "color_hint": "006400"},
        {"value": 5, "name": "bare", "description": "Bare soil", "color_hint": "c8a078"},
    ]
    for entry in items:
        entry["assets"]["SCL"]["classification:classes"] = classes
    write_catalogue(settings.var, described, items)
    service = ana.service(band("SCL", "cover"), configuration={"style": {"classes": True}})
    assert [c["label"] for c in service["attributes"]["style"]["classes"]] == ["Vegetation", "Bare soil"]
    index, colours, _ = decoded(tile(service).content)
    assert colours == bytes.fromhex("000000006400c8a078")
    scl = truth(0)["SCL"][:256, :256]
    np.testing.assert_array_equal(index[..., 0], np.select([scl == 4, scl == 5], [1, 2], 0))
    assert palette(ana.service(band("SCL", "cover"))) == colours  # where nothing is said of the style, too
    assert palette(ana.service({"data": {**load("cover", bands=["SCL"]), "result": True}})) == colours  # of three dates
    assert len(palette(ana.service(band("SCL", "cover", "max")))) == 768  # a maximum of classes is no class
    assert len(palette(ana.service(band("SCL")))) == 768  # this collection names none


def test_a_service_changes_and_keeps_its_address(ana: Client) -> None:
    service = ana.service(band("B03"), configuration={"format": "png"})
    address, before = f"/services/{service['id']}", tile(service).content
    change = lambda **body: ana.http.patch(address, json=body).status_code  # noqa: E731
    assert change(title="Green", description="Of one date", configuration={"style": {"colormap": "greens"}}) == 204
    said = ana.http.get(address).json()
    assert (said["title"], said["description"], said["type"]) == ("Green", "Of one date", "XYZ")
    assert tile(service).content != before and said["configuration"]["style"] == {"colormap": "greens"}
    values = lambda: np.load(_npy(service))[0, 100, 100]  # noqa: E731
    assert values() == truth(0)["B03"][100, 100]
    assert change(process={"process_graph": band("B02")}) == 204
    assert values() == truth(0)["B02"][100, 100]
    assert ana.http.get(address).json()["configuration"]["style"] == {"colormap": "greens"}
    assert change(configuration=None) == 204 and "style" not in ana.http.get(address).json()["configuration"]


def _npy(service: dict[str, Any]) -> Any:
    import io

    return io.BytesIO(httpx.get(service["url"].format(z=Z, x=X, y=f"{Y}").replace(".png?", ".npy?")).content)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "NoDataForUpdate"),
        ({"type": "WMTS"}, "PropertyNotEditable"),
        ({"configuration": BAD_STYLE}, "ServiceConfigInvalid"),
        ({"process": {"process_graph": band("B99")}}, "BandNotAvailable"),
        ({"process": {}}, "ProcessGraphMissing"),
        ({"budget": 1}, "BudgetInvalid"),
    ],
)
def test_a_wrong_change_changes_nothing(ana: Client, body: dict[str, Any], code: str) -> None:
    service = ana.service(band("B03"))
    answer = ana.http.patch(f"/services/{service['id']}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    without_address = lambda said: {k: v for k, v in said.items() if k not in ("url", "attributes", "created")}  # noqa: E731
    assert without_address(ana.http.get(f"/services/{service['id']}").json()) == without_address(service)


def test_who_switches_a_service_off_or_takes_it_down_stops_its_tiles(ana: Client) -> None:
    service = ana.service(band("B08"), title="off and on")
    address = f"/services/{service['id']}"
    assert tile(service).status_code == 200
    assert ana.http.patch(address, json={"enabled": False}).status_code == 204
    refused = tile(service)
    assert (refused.status_code, refused.json()["code"]) == (404, "ServiceNotFound")
    assert "switched off" in refused.json()["message"]
    assert ana.http.get(address).json()["enabled"] is False
    assert ana.http.patch(address, json={"enabled": True}).status_code == 204
    assert tile(service).status_code == 200
    assert ana.http.delete(address).status_code == 204
    assert tile(service).status_code == 404 and ana.http.delete(address).json()["code"] == "ServiceNotFound"


def test_another_process_stops_within_seconds(ana: Client, platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "SECONDS", 0.0)
    service = ana.service(band("B08"), configuration={"maxzoom": 15})
    assert tile(service).status_code == 200
    assert Services(connect(platform.settings.database)).remove(service["id"], "ana")
    assert tile(service).status_code == 404


def test_services_of_others_cannot_be_changed_or_seen(ana: Client, platform: Any) -> None:
    service, ben = ana.service(band("B08"), configuration={"maxzoom": 14}), Client(platform, "ben")
    address = f"/services/{service['id']}"
    assert ben.http.patch(address, json={"title": "mine"}).status_code == 404
    for path in ("", "/logs", "/tilejson.json", "/wmts", "/WMTSCapabilities.xml"):
        assert ben.http.get(address + path).status_code == 404
        assert ana.http.get(address + path).status_code == 200
        assert httpx.get(f"{str(ana.http.base_url).rstrip('/')}{address}{path}").status_code == 401


def test_a_login_draws_without_a_signature(ana: Client, platform: Any) -> None:
    plain = ana.service(band("B08"))["url"].partition("?")[0].format(z=Z, x=X, y=Y)
    assert ana.http.get(plain).status_code == 200
    assert httpx.get(plain).status_code == 401
    assert Client(platform, "ben").http.get(plain).status_code == 404  # ben has no service of that id


def test_the_log_says_what_happened_and_why_tiles_fail(ana: Client, platform: Any) -> None:
    settings = platform.settings
    write_catalogue(settings.var, *make_collection(settings.store.root, "frail", "public", ""))
    service = ana.service(band("B04", "frail"))
    address = f"/services/{service['id']}"
    ana.http.patch(address, json={"title": "new"})
    (settings.store.root / f"data/frail/{DATES[0]}/B04.tif").unlink()
    assert [tile(service, x=X + dx).status_code for dx in (0, 1)] == [503, 503]
    entries = ana.http.get(f"{address}/logs").json()["logs"]
    assert [entry["message"] for entry in entries[:2]] == ["posted as XYZ", "changed"]
    assert len(entries) == 3  # the same failure once, however many tiles
    assert entries[2]["level"] == "error" and entries[2]["code"] == "FileUnavailable"
    assert "/eos/data/frail" in entries[2]["message"] and str(settings.store.root) not in str(entries)
    errors = ana.http.get(f"{address}/logs", params={"level": "error"}).json()["logs"]
    later = ana.http.get(f"{address}/logs", params={"offset": entries[1]["id"], "limit": 1}).json()["logs"]
    assert errors == later == entries[2:]
    assert ana.http.get(f"{address}/logs", params={"level": "loud"}).status_code == 400


def test_two_bands_are_drawn_by_a_style_for_two(ana: Client) -> None:
    graph = band("B04") | {"data": load(bands=["B04", "B08"])}
    assert "2 bands" in ana.service(graph)["attributes"]["undrawable"]
    service = ana.service(graph, configuration={"style": {"bivariate": True, "max": 10_000}})
    assert service["attributes"]["undrawable"] == "" and len(palette(service)) == 30


@pytest.mark.parametrize(
    ("before", "posted", "after"),
    [
        ("Mine", "asked by a notebook", "Mine"),
        ("Mine", "", "Mine"),
        ("Mine", "Ours", "Ours"),
        ("", "asked by a notebook", ""),
        ("asked by a notebook", "", ""),
        ("asked by a notebook", "Mine", "Mine"),
        ("", "", ""),
    ],
)
def test_a_post_without_a_name_keeps_the_one_of_before(tmp_path: Path, before: str, posted: str, after: str) -> None:
    services = Services(connect(f"sqlite:///{tmp_path}/bdap.sqlite"))
    services.add("p", "{}", "{}", "ana", posted=Posted(title=before, description="of the first"))
    assert services.add("p", "{}", "{}", "ana", posted=Posted(title=posted)).title == after
    kept = services.get("p", "ana")
    assert kept and (kept.title, kept.description) == (after, "of the first")


def test_services_of_before_keep_their_addresses(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    with create_engine(url).begin() as connection:
        connection.execute(text("CREATE TABLE processing_plans (id VARCHAR(64) PRIMARY KEY, graph TEXT, plan TEXT)"))
        connection.execute(
            text(
                "CREATE TABLE processing_services (id VARCHAR(64), owner VARCHAR(255), title VARCHAR(255),"
                " created DATETIME, PRIMARY KEY (id, owner), FOREIGN KEY(id) REFERENCES processing_plans (id))"
            )
        )
        connection.execute(text("INSERT INTO processing_plans VALUES ('p', '{}', '{}')"))
        connection.execute(
            text("INSERT INTO processing_services VALUES ('p', 'ana', 'Old', '2024-01-01 00:00:00.000000')")
        )
    services = Services(connect(url))
    (row,) = services.of("ana")
    assert (row.id, row.plan, row.title, row.kind, row.enabled) == ("p", "p", "Old", "XYZ", True)
    assert "processing_services" not in inspect(create_engine(url)).get_table_names()


def test_a_plan_goes_with_the_last_service_that_shows_it(tmp_path: Path) -> None:
    services = Services(connect(f"sqlite:///{tmp_path / 'state.db'}"))
    for owner in ("ana", "ben"):
        services.add("p", "{}", "{}", owner)
    assert services.remove("p", "ana") and services.plan("p") is not None
    assert services.remove("p", "ben") and services.plan("p") is None and not services.remove("p", "ben")
    row = services.add("p", "{}", "{}", "ana")
    services.change(row, Posted(title="other"), StoredPlan(id="q", graph="{}", plan="{}"))
    assert services.plan("p") is None and services.plan("q") is not None
    services.change(row, Posted(title="same"))
    assert services.plan("q") is not None
    services.remove(row.id, "ana")
    services.change(row, Posted(), StoredPlan(id="r", graph="{}", plan="{}"))  # gone meanwhile
    assert services.plan("q") is None and services.plan("r") is None


def test_two_changes_at_once_keep_both_or_one_is_refused(tmp_path: Path) -> None:
    """A plan takes seconds: who switches the map off meanwhile finds it off, and no style is drawn on another graph."""
    services = Services(connect(f"sqlite:///{tmp_path / 'state.db'}"))
    begun = services.add("p", "{}", "{}", "ana", posted=Posted(title="map", style="s"))
    services.change(begun, replace(posted_of(begun), enabled=False))
    services.change(begun, replace(posted_of(begun), title="fields"))
    services.change(begun, replace(posted_of(begun), style="t"), StoredPlan(id="q", graph="{}", plan="{}"))
    found = services.get(begun.id, "ana")
    assert found and (found.enabled, found.title, found.plan, found.style) == (False, "fields", "q", "t")
    for posted, plan in (
        (Posted(style="u", configuration="{1}"), None),
        (Posted(), StoredPlan(id="r", graph="{}", plan="{}")),
    ):
        with pytest.raises(Conflict, match="changed meanwhile"):
            services.change(begun, posted, plan)
    found = services.get(begun.id, "ana")
    assert found and (found.plan, found.style, found.title) == ("q", "t", "fields") and services.plan("r") is None
    services.change(found, replace(posted_of(found), style="u"))  # who has seen it as it is
    assert services.get(begun.id, "ana").style == "u"  # type: ignore[union-attr]


def test_percentiles_are_computed_in_the_turn_of_who_asks(
    ana: Client, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no longer than they wait for them."""
    gate, told = platform.processing.state.room.gate, list[Any]()
    run = gate.run

    async def noted(work: Any, *arguments: Any, **more: Any) -> Any:
        told.append((getattr(work, "__name__", ""), more.get("person"), "gone" in more))
        return await run(work, *arguments, **more)

    monkeypatch.setattr(gate, "run", noted)
    ana.service(band("B04"), configuration={"style": {"percentiles": [10, 90]}})
    assert ("percentiles", "ana", True) in told


@pytest.mark.parametrize(
    "path", ["jobs/a%00", "services/a%00b", "process_graphs/a%00", "tiles/a%00/1/1/1.png", "files/a%00"]
)
def test_an_address_with_a_null_character_is_refused(ana: Client, path: str) -> None:
    answer = ana.http.get(f"/{path}")
    assert answer.status_code == 400 and answer.json()["code"] == "BadRequest"
    assert ana.http.get(f"/{path.replace('%00', '')}").status_code == 404
