"""Features, other map services, drawings, prints and states of maps, without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bdap
import bqplot
import geopandas
import ipyleaflet
import ipywidgets as widgets
import numpy as np
import pytest
import shapely
from bdap import client as clients
from bdap.charts import lines_figure, scatter_figure, transect_figure
from bdap.map import chain, features, view, wkb
from bdap.map.symbols import OTHER, symbols

from bdap_hub.processing.vectorfiles import parquet
from tests.extensions.platform import BOUNDS, DAYS, Platform, platform
from tests.extensions.test_map import texts

WEST, SOUTH, EAST, NORTH = BOUNDS


def square(name: str, size: float, x: float = WEST) -> dict[str, Any]:
    ring = [[x, SOUTH], [x + size, SOUTH], [x + size, SOUTH + size], [x, SOUTH + size], [x, SOUTH]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "properties": {"name": name, "size": size}, "geometry": geometry}


FIELDS = {"type": "FeatureCollection", "features": [square(n, 0.01 * (i + 1)) for i, n in enumerate("abcdefg")]}


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """The stand-in, as the default platform."""
    with platform() as running:
        client = clients.Client("token", running.processing, running.catalogue)
        monkeypatch.setattr(clients, "_default", client)
        yield running


@pytest.fixture
def ndvi(services: Platform) -> bdap.Cube:
    """NDVI with dates."""
    return bdap.collection("s2").ndvi()


def layer_of(shown: bdap.Map, name: str) -> Any:
    return next(layer for layer in shown.layers if layer.name == name)


@pytest.mark.parametrize("form", ["geojson", "fgb", "parquet"])
def test_files_of_features_are_read_with_their_attributes(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"fields.{form}"
    table = geopandas.GeoDataFrame.from_features(FIELDS["features"], crs="EPSG:4326")
    if form == "geojson":
        path.write_text(json.dumps(FIELDS))
    elif form == "fgb":
        table.to_file(path, driver="FlatGeobuf", SPATIAL_INDEX="NO")
    else:
        parquet.write(path, FIELDS["features"])  # type: ignore[arg-type]
    found = features.read(path)["features"]
    assert [each["properties"]["name"] for each in found] == list("abcdefg")
    assert all(shapely.geometry.shape(e["geometry"]).equals(g) for e, g in zip(found, table.geometry, strict=True))
    assert features.box_of(features.read(path)) == pytest.approx((WEST, SOUTH, WEST + 0.07, SOUTH + 0.07))


def test_what_cannot_be_read_says_why(services: Platform, tmp_path: Path) -> None:
    (tmp_path / "broken.geojson").write_text("{")
    (tmp_path / "other.kml").write_text("")
    table = geopandas.GeoDataFrame.from_features(FIELDS["features"], crs="EPSG:4326")
    table.to_crs("EPSG:3035").to_file(tmp_path / "metres.fgb", driver="FlatGeobuf")
    shown = bdap.Map()
    for name, words in (("broken.geojson", "cannot be read"), ("other.kml", "no known kind"), ("x.fgb", "no file")):
        shown.add_vector(tmp_path / name, "fields")
        assert shown.messages == ["fields"] and words in texts(shown) and shown.names == []
    shown.add_vector(tmp_path / "metres.fgb", "fields")
    assert "is in EPSG:3035" in texts(shown) and "write it in degrees" in texts(shown)
    shown.add_vector(FIELDS, "fields", by="colour")
    assert "no feature has the attribute" in texts(shown) and "name, size" in texts(shown)
    assert shown.add_vector(FIELDS, "fields").messages == []


@pytest.mark.parametrize("text", ["POINT Z (1 2 3)", "MULTIPOLYGON (((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))"])
@pytest.mark.parametrize("flavor", ["iso", "extended"])
@pytest.mark.parametrize("order", [0, 1])
def test_binary_geometries(text: str, flavor: str, order: int) -> None:
    shape = shapely.from_wkt(text)
    given = shapely.to_wkb(shapely.set_srid(shape, 4326), flavor=flavor, byte_order=order, include_srid=flavor != "iso")
    assert shapely.geometry.shape(wkb.geojson(given)).equals(shapely.force_2d(shape))
    with pytest.raises(ValueError, match="not well-known binary"):
        wkb.geojson(given[:12])


def test_many_positions_are_thinned_and_it_says_so(services: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    angles = np.linspace(0, 2 * np.pi, 5001)
    ring = np.stack([8.6 + 0.05 * np.cos(angles), 45.6 + 0.05 * np.sin(angles)], axis=1).tolist()
    round_ = {"type": "Polygon", "coordinates": [ring]}
    whole = features.read(round_)
    assert features.thinned(whole) == (whole, 0.0)
    less, cell = features.thinned(whole, 500)
    got = shapely.geometry.shape(less["features"][0]["geometry"])
    assert features.positions(less) <= 500 and cell > 0
    assert got.hausdorff_distance(shapely.geometry.shape(round_)) < 2 * cell
    monkeypatch.setattr(features, "MOST", 500)
    shown = bdap.Map()
    monkeypatch.setattr(features.thinned, "__defaults__", (500,))
    assert "thinned to 500 positions" in texts(shown.add_vector(round_, "circle"))


def points(count: int) -> dict[str, Any]:
    """So many points on a line of ten degrees, each with its number."""
    places = np.linspace(0, 10, count).tolist()
    made = [{"type": "Point", "coordinates": [x, 45.0]} for x in places]
    return {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {"n": n}, "geometry": g} for n, g in enumerate(made)],
    }


def test_many_points_are_thinned_to_one_in_each_cell() -> None:
    less, cell = features.thinned(points(5000), 500)
    kept = [each["properties"]["n"] for each in less["features"]]
    assert 100 < features.positions(less) <= 500 and 0 < cell < 0.1
    assert kept[0] == 0 and sorted(set(kept)) == kept and kept[-1] > 4900
    many = features.read({"type": "MultiPoint", "coordinates": np.linspace((0, 45), (10, 45), 5000).tolist()})
    assert 100 < features.positions(features.thinned(many, 500)[0]) <= 500
    with pytest.raises(bdap.BadCube, match="more than 5 positions even when they are thinned"):
        features.thinned(points(5000), 5)


def test_colours_by_numbers_and_by_words() -> None:
    found = symbols(FIELDS["features"], "#000000", 0.2, 2, "size")
    assert len(found.colors) == 5 and found.of({"size": 0.01}) == "#ffffcc" and found.of({"size": 0.07}) == "#253494"
    assert found.of({"size": None}) == OTHER and found.rows("x")[0][1].startswith("0.01 –")
    words = symbols(FIELDS["features"], "#000000", 0.2, 2, "name", {"a": "#ff0000", "b": "#00ff00"})
    assert (words.of({"name": "b"}), words.of({"name": "z"})) == ("#00ff00", OTHER)
    assert symbols(FIELDS["features"], "#123456", 0.2, 2).of({}) == "#123456"
    table = [*FIELDS["features"], square("none", float("nan"))]
    assert symbols(table, "#000000", 0.2, 2, "size").edges == found.edges and found.of({"size": float("nan")}) == OTHER
    same = symbols([square("a", 1), square("b", 1)], "#000000", 0.2, 2, "size")
    assert same.of({"size": 1.0}) == same.colors[0] != OTHER


def test_features_on_a_map_fade_have_a_legend_and_tell_their_attributes(services: Platform) -> None:
    shown = bdap.Map().add_vector(FIELDS, "fields", by="size", fill=0.5)
    layer = layer_of(shown, "fields")
    assert shown.center == pytest.approx([SOUTH + 0.035, WEST + 0.035]) and "fields, size" in texts(shown)
    before = layer.data
    shown.fade("fields", 0.5)
    assert layer.style["opacity"] == 0.5 and layer.style["fillOpacity"] == 0.25 and layer.data is before
    layer._handle_mouse_events(None, {"event": "click", "properties": {"name": "<a>", "style": {}}}, [])
    shown._on_event(type="click", coordinates=[SOUTH, WEST])
    assert "&lt;a&gt;" in texts(shown) and ">style<" not in texts(shown)


def test_a_wms_is_asked_by_the_browser(services: Platform) -> None:
    shown = bdap.Map().add_wms("https://maps.example.org/wms", "relief", "Relief", opacity=0.6)
    layer = layer_of(shown, "Relief")
    assert (layer.url, layer.layers, layer.opacity) == ("https://maps.example.org/wms", "relief", 0.6)
    with pytest.raises(bdap.BadCube, match="no address of a WMS"):
        shown.add_wms("maps.example.org", "relief")


def test_a_table_comes_as_features_or_as_tiles(services: Platform) -> None:
    shown = bdap.Map().add_table("regions", "Regions", by="size")
    assert shown.messages == [] and layer_of(shown, "Regions").data["features"][0]["properties"]["name"] == "a"
    services.many = True
    shown.add_table("regions", "Many", color="#ff0000", fill=0.1)
    layer = layer_of(shown, "Many")
    assert isinstance(layer, ipyleaflet.VectorTileLayer) and layer.url.endswith(
        "/tables/regions/{z}/{x}/{y}.mvt?sig=abc"
    )
    assert layer.layer_styles["regions"]["color"] == "#ff0000" and shown.state["layers"][-1]["table"] == "regions"
    assert bdap.Map.from_state(shown.state).state == shown.state
    assert "too many features to be coloured" in texts(shown.add_table("regions", "wrong", by="size"))


def drawn(shown: bdap.Map, geometry: dict[str, Any]) -> Any:
    """What the browser tells when something was drawn; the chart that follows."""
    feature = {"type": "Feature", "properties": {"style": {"color": "#0b5cad"}}, "geometry": geometry}
    pen = next(each for each in shown.controls if isinstance(each, ipyleaflet.DrawControl))
    pen.data = [*pen.data, feature]
    pen._handle_leaflet_event(None, {"event": "draw:created", "geo_json": feature}, [])
    return shown._sheet._place.children[0] if shown._sheet._place.children else None


def test_an_area_that_is_drawn_gives_charts(ndvi: bdap.Cube, services: Platform) -> None:
    shown = bdap.Map().add(ndvi.median() * 100, "NDVI").draw()
    with pytest.raises(bdap.BadCube, match="nothing is drawn"):
        _ = shown.geometry
    area = FIELDS["features"][0]["geometry"]
    chart = drawn(shown, area)
    assert list(chart.marks[0].y) == [3, 4] and services.posted("/histogram")[-1] == {"geometry": area}
    assert shown.geometry == area and shown.drawn["features"][0]["properties"] == {}
    sheet = shown._sheet
    sheet.choice.value = "Statistics"
    assert "standard deviation" in sheet._place.children[0].value
    sheet.choice.value = "Time series"
    assert len(sheet._place.children[0].marks[0].x) == len(DAYS)
    dated = services.posted("/services")[-1]["process"]["process_graph"]
    assert [node["process_id"] for node in dated.values()] == ["load_collection", "reduce_dimension", "apply"]
    sheet.choice.value = "Scatter"
    assert "a scatter needs two bands" in sheet._place.children[0].value
    services.values = {"B04": 1.0, "B08": 2.0}
    sheet.cube = bdap.collection("s2").bands("B04", "B08").median()
    sheet._show()
    assert not isinstance(sheet._place.children[0], widgets.HTML), sheet._place.children[0].value
    assert list(sheet._place.children[0].marks[0].y) == [2.0, 2.0, 2.0]
    services.refusal = (400, {"message": "the geometry does not meet the data", "remedy": "draw elsewhere"})
    sheet.choice.value = "Histogram"
    assert "does not meet the data" in sheet._place.children[0].value


def test_a_line_gives_a_transect_and_a_point_its_values(ndvi: bdap.Cube, services: Platform) -> None:
    shown = bdap.Map().add(ndvi.median(), "NDVI").draw()
    chart = drawn(shown, {"type": "LineString", "coordinates": [[8.6, 45.6], [8.7, 45.6]]})
    assert list(chart.marks[0].x) == [0, 10, 20] and chart.axes[0].label == "" and len(shown.drawn["features"]) == 1
    drawn(shown, {"type": "Point", "coordinates": [8.6, 45.6]})
    assert "0.625" in texts(shown) and services.calls[-1].query == {"lon": ["8.6"], "lat": ["45.6"]}


def test_charts_beside_the_map_of_what_was_drawn(ndvi: bdap.Cube, services: Platform) -> None:
    shown = bdap.Map().add(ndvi.median(), "NDVI").draw()
    drawn(shown, FIELDS["features"][0]["geometry"])
    services.values = {"B04": 1.0, "B08": 2.0}
    bands = bdap.collection("s2").bands("B04", "B08").median()
    dots = shown.scatter_figure(bands, "B08", "B04")
    assert (list(dots.marks[0].x), [axis.label for axis in dots.axes]) == ([2.0] * 3, ["B08", "B04"])
    with pytest.raises(bdap.BadCube, match="needs two bands"):
        shown.scatter_figure(bands, "B08", "B99", (8.5, 45.5, 8.6, 45.6))
    with pytest.raises(bdap.BadCube, match="along a line, not a Polygon"):
        shown.transect_figure(ndvi.median())
    services.times, services.values = ["2025-mam", "2025-jja"], {"2025-mam": 1.0, "2025-jja": 2.0}
    with pytest.raises(bdap.BadCube, match="the cube has value"):
        shown.scatter_figure(bdap.collection("s2").bands("B04", "B08").composite("season"), "2025-mam", "2025-jja")
    services.times = []
    line = {"type": "LineString", "coordinates": [[8.6, 45.6], [8.7, 45.6]]}
    figure = shown.transect_figure(ndvi.median(), line, "Along")
    assert list(figure.marks[0].x) == [0, 10, 20] and figure.axes[0].label == "metres along the line"


def test_a_map_is_printed_as_it_is_seen(ndvi: bdap.Cube, services: Platform, tmp_path: Path) -> None:
    shown = bdap.Map().add(ndvi.median(), "NDVI", opacity=0.5).add(ndvi.max(), "hidden").hide("hidden")
    shown.add_vector(FIELDS, "fields", by="name")
    assert shown.png(tmp_path / "map.png", "Fields", width=800) == b"PNG" == (tmp_path / "map.png").read_bytes()
    (sent,) = services.posted("/print")
    assert sent["bbox"] == BOUNDS and (sent["width"], sent["title"]) == (800, "Fields")
    ground, tiles, vector = sent["layers"]
    assert ground["basemap"] and (tiles["service"], tiles["opacity"]) == ("s1", 0.5)
    assert len(vector["features"]) == 7 and vector["rows"][0] == ["#1d6996", "a"]
    shown.set_trait("bounds", ((45.55, 8.55), (45.6, 8.65)))
    shown.png(width=500)
    assert services.posted("/print")[-1]["bbox"] == [8.55, 45.55, 8.65, 45.6]
    with pytest.raises(bdap.BadCube, match="nothing to print"):
        bdap.Map().png()


def test_a_state_makes_the_same_map_again(ndvi: bdap.Cube, services: Platform, tmp_path: Path) -> None:
    shown = bdap.Map(center=(45.6, 8.6), zoom=12).add(ndvi.median().colormap("rdylgn", 0, 1), "NDVI", opacity=0.5)
    shown.add_vector(FIELDS, "fields", by="size").hide("fields").add(ndvi.max(), "highest").swipe("NDVI", "highest")
    shown.add_wms("https://maps.example.org/wms", "relief").draw()
    drawn(shown, FIELDS["features"][0]["geometry"])
    services.times = [f"{day}T10:15:00Z" for day in DAYS]
    shown.add(ndvi, "dates").at("dates", "2025-06")
    shown.save_state(tmp_path / "map.json")
    assert "sig=" not in (tmp_path / "map.json").read_text() and "token" not in (tmp_path / "map.json").read_text()
    again = bdap.Map.from_state(tmp_path / "map.json")
    assert again.state == shown.state and again.names == shown.names and again.center == [45.6, 8.6]
    assert again._shown["dates"].layer.url.endswith("time=2025-06-15T10:15:00Z")
    with pytest.raises(bdap.BadCube, match="no state of a map"):
        bdap.Map.from_state({"center": [0, 0]})
    for broken in ({"version": 1}, {**shown.state, "center": "x"}, {**shown.state, "layers": [{"kind": "cube"}]}):
        with pytest.raises(bdap.BadCube, match="state of a map is not whole"):
            bdap.Map.from_state(broken)
    for write in (shown.save_state, shown.png):
        with pytest.raises(bdap.BadCube, match="cannot be written"):
            write(tmp_path / "nowhere" / "map")
    with pytest.raises(bdap.BadCube, match="holds no map"):
        bdap.Map.from_state(tmp_path / "none.json")


def test_a_cell_that_runs_again_shows_the_same_view(
    ndvi: bdap.Cube, services: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    services.times = [f"{day}T10:15:00Z" for day in DAYS]

    def run(keep: str = "season") -> bdap.Map:
        return bdap.Map(keep=keep).add(ndvi, "NDVI").add_vector(FIELDS, "fields")

    first = run()
    first.center, first.zoom = (45.61, 8.59), 14
    first.fade("NDVI", 0.5).at("NDVI", "2025-06").hide("fields")
    again = run()
    assert (again.center, again.zoom) == ([45.61, 8.59], 14) and again.state == first.state
    assert again._shown["NDVI"].layer.url.endswith("time=2025-06-15T10:15:00Z") and "fields" in again.names
    other = run("another")
    assert other.zoom != 14 and other._shown["NDVI"].opacity == 1
    Path(".bdap/maps.json").write_text('{"season": {"center": "x", "layers": [1]}}')
    assert run()._shown["fields"].visible
    assert "sig=" not in Path(".bdap/maps.json").read_text()


def test_charts_leave_out_what_is_not_there() -> None:
    two = lines_figure({"B04": [("2025-01-01", 1.0), ("2025-03-01", None)], "B08": [("2027-01-01", 2.0)]})
    assert [len(mark.x) for mark in two.marks] == [1, 1] and two.marks[1].display_legend
    dots = scatter_figure([1, None, 3], [4, 5, None], ("a", "b")).marks[0]
    assert (list(dots.x), list(dots.y)) == ([1], [4])
    line = transect_figure([0, 6000], {"value": [1.0, None]}).marks[0]
    assert list(line.x) == [0, 6] and np.isnan(line.y[1])
    assert isinstance(lines_figure({}), bqplot.Figure)


def test_steps_tell_what_was_read() -> None:
    answer = {"chain": [{"process": "<x>", "values": {"B04": None, "B08": 1.23456}}]}
    assert "B04 no data<br>B08 1.235" in chain.steps_html(answer) and "<x>" not in chain.steps_html(answer)
    assert chain.series(answer) == {} and chain.opened([]) == ""
    dated = {"2025-01-01T00:00:00Z": {"B04": 1.0}, "2025-01-02T00:00:00Z": {"B04": 2.0}}
    assert chain.of_time(dated, list(dated), "2025-01-01") == {"B04": 1.0} and chain.of_time(dated, ()) == dated
    assert chain.at(dated, "2025-01-01") == {"B04": 1.0} and chain.at(dated, "") == {"B04": 2.0}
    assert chain.series({"chain": [{"values": dated}]}) == {"B04": [("2025-01-01", 1.0), ("2025-01-02", 2.0)]}


@pytest.mark.parametrize(("zoom", "lat"), [(3, -60.0), (11.5, 0.0), (11.5, 46.7)])
def test_pixels_down_a_map_and_back(zoom: float, lat: float) -> None:
    below = view.further_down(zoom, lat, 100)
    assert below < lat and view.pixels_down(zoom, lat, below) == pytest.approx(100)
    assert view.further_down(zoom, below, -100) == pytest.approx(lat)
    assert view.pixels_down(0, 85.0511, -85.0511) == pytest.approx(256, abs=0.01)  # the world is one tile


def test_a_click_on_a_narrow_map_opens_one_card(ndvi: bdap.Cube, services: Platform) -> None:
    services.chain = [{"node": "a", "process": "load_collection", "values": {"2025-01-01": 0.5, "2025-01-11": 0.6}}]
    shown = bdap.Map(height="440px").add(ndvi.median(), "NDVI")
    shown.set_trait("pixel_bounds", ((0, 0), (360, 440)))
    shown._on_event(type="click", coordinates=[45.6, 8.6])
    card = shown._notes["series"].widget
    assert "0.625" in card.children[1].value and isinstance(card.children[2], bqplot.Figure)
    assert shown._popup is None and "legend" not in shown._notes and shown._marker.opacity == 1
    card.children[0].children[1].click()
    assert "series" not in shown._notes and "legend" in shown._notes and shown._marker.opacity == 0
