"""What maps need besides tiles: pixels and histograms of drawn areas, printed maps, base maps of our own and others."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from bdap_hub.processing.drawing import basemap, composition
from bdap_hub.processing.drawing.composition import Outline, bar
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.results import samples
from bdap_hub.processing.service import prints
from bdap_hub.settings.services import BasemapSettings

from .client import Client
from .graphs import band
from .test_areas import MOMENTS, raw, triangle
from .test_exports import evaluator, want

GREY = {"style": {"colormap": ["#000000", "#ffffff"], "min": 0, "max": 10000, "title": "Red"}}


def test_the_histogram_of_an_area_counts_its_pixels(fields: Any) -> None:
    geometry, mask = triangle(fields)
    found = samples.histogram(evaluator(fields, raw()), geometry, 20)
    pixels = want(1, "B08")[mask].astype(float)
    counts, edges = np.histogram(pixels[np.isfinite(pixels)], bins=20)
    got = found["bands"][MOMENTS[1]]["B08"]
    assert got["counts"] == counts.tolist() and got["bins"] == pytest.approx(edges.tolist())
    assert found["counts"] == found["bands"][MOMENTS[0]]["B04"]["counts"] and found["pixels"] == mask.sum()


def test_picked_pixels_are_the_same_in_every_band(fields: Any) -> None:
    geometry, mask = triangle(fields)
    found = samples.picked(evaluator(fields, raw()), geometry, 500)
    assert found["picked"] == 500 and found["pixels"] == mask.sum()
    pairs = set(zip(want(2, "B04")[mask].tolist(), want(2, "B08")[mask].tolist(), strict=True))
    got = found["values"][MOMENTS[2]]
    known = [pair for pair in zip(got["B04"], got["B08"], strict=True) if None not in pair]
    assert len(known) > 400 and set(known) <= pairs
    assert samples.picked(evaluator(fields, raw()), geometry, 10**6)["picked"] == mask.sum()


def printed(who: Client, layers: list[Any], bounds: list[float], **more: Any) -> httpx.Response:
    body = {"bbox": bounds, "width": 400, "height": 300, "layers": layers, **more}
    return who.http.post("/print", json=body)


def test_a_map_is_printed_with_legend_title_and_scale(ana: Client) -> None:
    service = ana.service(band("B04"), configuration=GREY)
    bounds = service["configuration"]["bounds"]
    west, south, east, north = bounds
    line = {"type": "LineString", "coordinates": [[west, south], [east, north]]}
    feature = {"type": "Feature", "properties": {}, "geometry": line, "style": {"color": "#ff0000", "width": 6}}
    layers = [
        {"basemap": True},
        {"service": service["id"], "title": "Red <band>"},
        {"features": [feature], "title": "Way", "rows": [["#ff0000", "a way"]]},
    ]
    answer = printed(ana, layers, bounds, title="My map")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png", answer.text
    with Image.open(io.BytesIO(answer.content)) as picture:
        said = picture.text["Description"]  # type: ignore[attr-defined]
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert "My map" in said and "Red <band>: colours from #000000 to #ffffff" in said and "a way" in said
    inside = pixels[48:348, 20:420]
    red = (inside[..., 0] > 200) & (inside[..., 1] < 60)
    assert red[150, 190:211].any() and 0 < red.mean() < 0.1  # the line goes through the middle
    grey = inside[40:260, 80:320].reshape(-1, 3)
    assert np.mean((grey[:, 0] == grey[:, 1]) & (grey[:, 1] == grey[:, 2])) > 0.9  # the tiles' picture lies there
    half = printed(ana, [{"service": service["id"], "opacity": 0.0}], bounds)
    with Image.open(io.BytesIO(half.content)) as picture:
        assert picture.getpixel((220, 150)) == (238, 241, 244)


def test_what_cannot_be_printed(ana: Client, platform: Any) -> None:
    service = ana.service(band("B04"))
    bounds, layer = service["configuration"]["bounds"], [{"service": service["id"]}]
    assert printed(ana, layer, bounds).status_code == 200
    for layers, more, status, words in (
        (layer, {"width": 5000}, 400, "from 64 to 4096"),
        (layer, {"bbox": [1, 2]}, 400, "not a bbox"),
        (layer * 21, {}, 413, "the limit is 20"),
        ([{**layer[0], "opacity": 2}], {}, 400, "from 0 to 1"),
        ([{"features": [{"type": "Feature", "geometry": None}]}], {}, 400, "not a GeoJSON"),
        ([{"service": "no-such"}], {}, 404, "no service"),
    ):
        refused = printed(ana, layers, bounds, **more)
        assert refused.status_code == status and words in refused.text, refused.text
    assert printed(Client(platform, "ben"), layer, bounds).status_code == 404
    assert printed(Client(platform, ""), layer, bounds).status_code == 401


def test_outlines_are_counted_as_they_are_drawn(ana: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prints, "MOST_OUTLINES", 3)
    point = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1, 1]}}

    def together(count: int) -> Any:
        return [{"features": [{"type": "FeatureCollection", "features": [point] * count}]}]

    assert printed(ana, together(3), [0, 0, 2, 2]).status_code == 200
    refused = printed(ana, together(4), [0, 0, 2, 2])
    assert refused.status_code == 413 and "more than 3 features" in refused.text
    assert printed(ana, together(2) * 2, [0, 0, 2, 2]).status_code == 413  # of all layers


def test_an_outline_is_the_same_wherever_it_lies() -> None:
    """It is drawn on as much of the page as it needs."""
    grid = Grid("EPSG:3857", 0, 100, 1, 1, 120, 100)
    ring = [[-20.0, 30.0], [60.0, 30.0], [60.0, 130.0], [-20.0, 130.0], [-20.0, 30.0]]
    hole = [[10.0, 40.0], [20.0, 40.0], [20.0, 50.0], [10.0, 50.0], [10.0, 40.0]]
    area = Outline({"type": "Polygon", "coordinates": [ring, hole]}, (255, 0, 0), 1.0, 2)
    far = Outline({"type": "Point", "coordinates": [500.0, 500.0]}, (0, 0, 255))
    empty = Outline({"type": "MultiPoint", "coordinates": []}, (0, 0, 255))
    picture = composition._map(grid, iter([area, far, empty]))
    ground = composition.GROUND[:3]
    assert [picture.getpixel(at) for at in ((5, 60), (59, 95), (15, 45), (15, 20), (90, 60))] == [
        *[(255, 0, 0)] * 2, *[ground] * 3,
    ]  # fmt: skip
    assert (0, 0, 255) not in {colour for _, colour in picture.getcolors()}


def test_a_scale_bar_is_round() -> None:
    assert bar(10, 240) == (2000, 200) and bar(0.3, 100) == (20, pytest.approx(66.67, abs=0.01))


@pytest.mark.parametrize(
    ("lon", "lat", "land"),
    [(9, 48, True), (-30, 30, False), (179.5, 67.5, True), (-175, 66.5, True), (0, -80, True), (177.9, 0, False)],
)
def test_land_is_land_on_both_sides_of_the_antimeridian(lon: float, lat: float, land: bool) -> None:
    x, y = basemap._projected(np.array([[float(lon), float(lat)]]))[0]
    picture = basemap.picture(Grid("EPSG:3857", x - 4000, y + 4000, 1000, 1000, 8, 8), 12)
    assert picture.getpixel((4, 4)) == (basemap.LAND if land else basemap.SEA)


def test_base_maps_are_listed_and_ours_is_everybodys(platform: Any) -> None:
    nobody = Client(platform, "")
    (own,) = nobody.http.get("/basemaps").json()["basemaps"]
    tile = httpx.get(own["url"].format(z=3, x=4, y=2))
    assert tile.headers["content-type"] == "image/png" and "max-age" in tile.headers["cache-control"]
    with Image.open(io.BytesIO(tile.content)) as picture:
        assert picture.size == (256, 256) and basemap.SEA in {c for _, c in picture.convert("RGB").getcolors() or ()}
    assert httpx.get(own["url"].format(z=3, x=8, y=2)).status_code == 404


def test_an_operators_base_map_needs_its_places() -> None:
    url = "https://maps.example.org/wmts?TileMatrix={z}&TileRow={y}&TileCol={x}"
    assert BasemapSettings(name="relief", url=url).max_zoom == 19
    for wrong in ("https://maps.example.org/{z}/{x}.png", "file:///etc/{z}{x}{y}"):
        with pytest.raises(ValidationError, match=r"\{z\}, \{x\} and \{y\}|https"):
            BasemapSettings(name="relief", url=wrong)


def test_each_address_that_asks_for_base_maps_has_its_turn(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    room, persons = platform.processing.state.room, []
    run = room.gate.run

    def noted(*work: Any, person: str = "", **more: Any) -> Any:
        persons.append(person)
        return run(*work, person=person, **more)

    monkeypatch.setattr(room.gate, "run", noted)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.2"):
        url = f"{platform.settings.processing.url}/services/processing/basemaps/offline/4/8/5.png"
        assert httpx.get(url, headers={"X-Forwarded-For": address}).status_code == 200
    assert persons == ["basemap 192.0.2.1", "basemap 192.0.2.2", "basemap 192.0.2.2"]
