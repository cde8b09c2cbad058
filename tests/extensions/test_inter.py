"""What notebooks written for interapro call: conditions, formulas, collections, pictures, vectors and the map."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import bdap
import ipyleaflet
import pytest
from bdap import inter
from bdap.inter import imap
from bdap.inter.formula import evaluate
from bdap.inter.images import _enlarged, find
from bdap.inter.layers import of_address
from bdap.inter.rules import parse
from ipywidgets.widgets.widget import _instances

from tests.extensions.platform import Platform, platform

SQUARE = {"type": "Polygon", "coordinates": [[[8, 45], [9, 45], [9, 46], [8, 46], [8, 45]]]}
NORTH = {"type": "Polygon", "coordinates": [[[8, 46], [9, 46], [9, 47], [8, 47], [8, 46]]]}
REGIONS = {
    "type": "FeatureCollection",
    "features": [
        {"type": "Feature", "properties": {"code": "A", "area": 3, "name": "south"}, "geometry": SQUARE},
        {"type": "Feature", "properties": {"code": "B", "area": 7, "name": "north"}, "geometry": NORTH},
    ],
}


@pytest.fixture
def services() -> Iterator[Platform]:
    """The stand-in."""
    with platform() as running:
        yield running


@pytest.fixture
def client(services: Platform, monkeypatch: pytest.MonkeyPatch) -> bdap.Client:
    """The default client, bound to the stand-in."""
    made = bdap.Client("token", services.processing, services.catalogue)
    monkeypatch.setattr("bdap.client._default", made)
    return made


@pytest.fixture
def regions() -> inter.VectorLayer:
    return inter.VectorLayer().fileAdd(json.dumps(REGIONS))


@pytest.mark.parametrize(
    ("rule", "met"),
    [
        ("all", "AB"),
        ("[area] > 5", "B"),
        ("[area] >= 3 and [area] <= 7", "AB"),
        ("[code] = 'A' or [area] > 100", "A"),
        ("not ([code] = 'A')", "B"),
        ("([area] < 5) and ([name] <> 'north')", "A"),
        ('[name] == "north"', "B"),
        ("[missing] > 1", ""),
        ("[name] > 5", ""),
    ],
)
def test_conditions_choose_features(rule: str, met: str) -> None:
    meets = parse(rule)
    assert "".join(f["properties"]["code"] for f in REGIONS["features"] if meets(f["properties"])) == met


@pytest.mark.parametrize(
    "rule", ["[area] >", "area > 5 5", "[area] > 5)", "([area] > 5", "[a] ; [b]", "[area]", "__import__('os')"]
)
def test_what_is_no_condition_is_refused(rule: str) -> None:
    with pytest.raises(bdap.BadCube, match="cannot be read"):
        parse(rule)


def test_a_formula_is_the_same_graph_as_python() -> None:
    cube = bdap.collection("s2")
    made = evaluate("(B08 - B04) / (B08 + B04) * 2", cube.band)
    red, nir = cube.band("B04"), cube.band("B08")
    assert made.graph == ((nir - red) / (nir + red) * 2).graph
    assert evaluate("sqrt(-B04)", cube.band).graph == (-red).apply("sqrt").graph


@pytest.mark.parametrize(
    "text", ["B08 -", "__import__('os')", "B08.real", "B08 if B04 else 1", "pow(B08, 2)", "[B08]", "B08 @ B04", "'a'"]
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(bdap.BadCube, match="cannot be read"):
        evaluate(text, bdap.collection("s2").band)


def test_vectors_are_coloured_by_rule(regions: inter.VectorLayer) -> None:
    regions.set("all", "poly", "fill", "#111111").set("[area] > 5", "poly", "fill", "#222222").set(
        "line", "stroke", "#333333"
    )
    south, north = (regions.style_of(each) for each in regions.features)
    assert (south["fillColor"], north["fillColor"]) == ("#111111", "#222222")
    assert south["color"] == north["color"] == "#333333" and south["fillOpacity"] == 1
    regions.opacity(0)
    assert regions.style_of(regions.features[0])["fillOpacity"] == 0


def test_vectors_are_coloured_by_joined_values(regions: inter.VectorLayer) -> None:
    regions.joinAdd("code", "value", ["A", "B"], [0.2, 5]).colorCustom(["#aa0000", "#00aa00"])
    regions.legendSet("line", "stroke-width", "3").legendGraduated("value", "custom", 2, 2, 0, 10, [1, 10])
    south, north = (regions.style_of(each) for each in regions.features)
    assert (south["fillColor"], north["fillColor"], south["weight"]) == ("#aa0000", "#00aa00", 3)
    regions.joinAdd("code", "value", ["A"], [1])
    assert regions.style_of(regions.features[1])["fillOpacity"] == 0, "no value, no colour"


def test_vectors_answer(regions: inter.VectorLayer) -> None:
    assert regions.all("code") == ["A", "B"] and regions.bounds() == (8, 45, 9, 47)
    again = inter.VectorLayer("wkt")
    again.geomAdd(regions.all("GEOMETRY")[1])
    assert again.bounds() == (8, 46, 9, 47)
    regions.parameter("identifyField", "name area").parameter("identifyseparator", ": ")
    assert imap.identifyPointEx(regions, 8.5, 46.5) == "north: 7"
    assert imap.identifyPointEx(regions, 0, 0) == ""


def test_a_picture_becomes_a_layer_with_its_colours(client: bdap.Client, services: Platform) -> None:
    picture = (
        inter.ImageCollection("s2").filterOnDate(2025, 4, 1, 2025, 9, 30).filterOn("cloudcover", "<", 20).process()
    )
    picture.math("(B8 - B4) / (B8 + B4)").maskLT(0).scale(0, 0.9).colorCustom(["#aa0000", "#00aa00"]).opacity(128)
    shown = imap.Map(basemap=1)
    layer = shown.addLayer(picture.toLayer(), name="NDVI")
    graph = services.posted("/services")[-1]["process"]["process_graph"]
    load = next(node for node in graph.values() if node["process_id"] == "load_collection")["arguments"]
    assert load["temporal_extent"] == ["2025-04-01", "2025-10-01"] and "eo:cloud_cover" in load["properties"]
    saved = next(node for node in graph.values() if node["process_id"] == "save_result")["arguments"]
    assert saved["options"] == {"min": 0, "max": 0.9, "colormap": ["#aa0000", "#00aa00"]}
    assert (
        layer.opacity == pytest.approx(0.502, abs=1e-3)
        and "B08" in json.dumps(graph)
        and 'B8"' not in json.dumps(graph)
    )
    assert not [each for each in shown.layers if each.base], "no base map from the internet"


def test_a_layer_stays_as_it_was_added(client: bdap.Client) -> None:
    picture = inter.ImageCollection("s2").process().band("B04").scale(0, 100)
    made = picture.toLayer()
    picture.scale(0, 5)
    assert made.layer._style["max"] == 100


def test_the_address_of_interapros_server_is_led_here(client: bdap.Client, services: Platform) -> None:
    made = inter.ImageCollection("s2").process().band("B04").scale(0, 100).toLayer()
    away = f"https://tiles.example/jeodpp-inter-view/?x={{x}}&y={{y}}&z={{z}}&procid={made}"
    shown = imap.Map()
    shown.add_layer(ipyleaflet.TileLayer(url=away, name="B04"))
    shown.add_layer(ipyleaflet.TileLayer(url="https://tiles.example/?procid=other", name="theirs"))
    urls = {each.name: each.url for each in shown.layers}
    assert urls["B04"].startswith(services.root) and urls["theirs"].startswith("https://tiles.example")


def test_layers_that_nobody_holds_are_forgotten_in_time(client: bdap.Client) -> None:
    picture = inter.ImageCollection("s2").process().band("B04")
    held, alone = picture.toLayer(), str(picture.toLayer())
    assert of_address(f"?procid={alone}") is not None, "an address alone is enough for the latest"
    for _ in range(100):
        picture.toLayer()
    assert of_address(f"?procid={alone}") is None and of_address(f"?procid={held}") is held.layer


class Catalogue:
    """STAND-IN of a client that sees these collections."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids

    def collections(self) -> list[dict[str, str]]:
        return [{"id": each} for each in self.ids]


def test_short_names_find_their_collection() -> None:
    assert find("S2", Catalogue("sentinel-2-demo", "sentinel-1-demo", "sentinel-20")) == "sentinel-2-demo"
    assert find("s2", Catalogue("sentinel-2-l1c", "sentinel-2-l2a")) == "sentinel-2-l2a"
    assert find("forest", Catalogue()) == "forest"
    for seen, told in ((("sentinel-2-a", "sentinel-2-b"), "sentinel-2-a, sentinel-2-b"), ((), "none that you may see")):
        with pytest.raises(bdap.BadCube, match=told):
            find("S2", Catalogue(*seen))


def test_the_tree_knows_vectors_countries_and_the_platforms_own(client: bdap.Client) -> None:
    assert inter.Collection(inter.collections.Vector).features == []
    countries = inter.Collection(inter.collections.BaseData.AdministrativeUnits.Global.VirtualEarth.Countries)
    assert {"IT", "FR", "NO"} <= set(countries.all("iso_a2"))
    assert inter.Collection(inter.collections.Any.Where.s2).name == "s2" and "s2" in dir(inter.collections)
    with pytest.raises(bdap.BadCube, match=r"BaseData\.Elevation\.MERIT"):
        inter.Collection(inter.collections.BaseData.Elevation.MERIT)


@pytest.mark.parametrize(
    ("given", "kept"), [("007", "007"), ("20", 20), (20, 20), ("20.5", 20.5), ("20.0", 20), ("1e3", 1000), ("2a", "2a")]
)
def test_a_text_that_is_no_number_stays_a_text(client: bdap.Client, given: object, kept: object) -> None:
    graph = inter.ImageCollection("s2").filterOn("name", "=", given).process().cube.graph
    load = next(node for node in graph.values() if node["process_id"] == "load_collection")
    (test,) = load["arguments"]["properties"]["name"]["process_graph"].values()
    assert (test["process_id"], test["arguments"]["y"]) == ("eq", kept)


def test_a_place_at_the_date_line_is_enlarged_across_it() -> None:
    assert _enlarged((8, 45, 9, 46), 1) == (7, 44, 10, 47)
    assert _enlarged((178, -18, 179, -17), 2) == (176, -20, -179, -15)
    assert _enlarged((-179, 0, -178, 1), 2) == (179, -2, -176, 3)
    assert _enlarged((-100, -80, 100, 80), 90) == (-180, -90, 180, 90)


def test_vectors_without_values_or_extent(regions: inter.VectorLayer, tmp_path: Path) -> None:
    regions.joinAdd("code", "value", ["A", "B"], [0.2, float("nan")]).colorCustom(["#aa0000", "#00aa00"])
    regions.legendGraduated("value", breaks=[1, 10])
    assert regions.style_of(regions.features[1])["fillOpacity"] == 0
    assert inter.VectorLayer().geomAdd("POINT EMPTY").bounds() is None
    (tmp_path / "regions.geojson").write_text(json.dumps(REGIONS))
    assert inter.VectorLayer(tmp_path / "regions.geojson").all("code") == ["A", "B"]


def test_bits_and_what_cannot_be(client: bdap.Client) -> None:
    def picture() -> inter.ImageProcess:
        return inter.ImageCollection("s2").process().band("QA_PIXEL")

    steps = [node["arguments"] for node in picture().bitwise("and", 0b1100).cube.graph.values()]
    assert '"first": 2' in json.dumps(steps) and '"count": 2' in json.dumps(steps)
    for wrong in (
        lambda: picture().bitwise("and", 0b101),
        lambda: picture().bitwise("xor", 1),
        lambda: picture().arith("%", 2),
        lambda: picture().scale(2, 1),
        lambda: picture().blend(picture(), 2),
        lambda: picture().classify([1, 2], ["#ff0000"]),
        lambda: picture().classify([1], ["#ff0000", "#00ff00"], ["low"]),
        lambda: picture().arith("**", picture()),
        lambda: inter.VectorLayer().geomAdd("POLYGON bad"),
        lambda: inter.VectorLayer().joinAdd("a", "b", [1, 2], [1]),
        lambda: inter.VectorLayer(Path("nowhere.shp")),
        lambda: imap.Map().addBasemap(3),
        lambda: imap.identifyPointEx(picture(), 8, 45, 3857),
        lambda: inter.VectorLayer().legendGraduated("a", breaks=[1]),
        lambda: inter.VectorLayer().set("blob", "fill", "#ff0000"),
        lambda: inter.VectorLayer("nowhere.shp"),
    ):
        with pytest.raises(bdap.BadCube) as error:
            wrong()
        assert error.value.remedy


def test_layers_of_the_map_come_and_go(client: bdap.Client, regions: inter.VectorLayer) -> None:
    shown = imap.Map(basemap=60)
    shown.addLayer(inter.ImageCollection("s2").process().band("B04").toLayer(), name="red")
    drawn = shown.addLayer(regions.toLayer(), name="regions")
    assert shown.names == ["red", "regions"] and drawn in shown.layers
    assert drawn.data["features"][0]["properties"]["style"]["fillColor"] == "#3388ff"
    shown.replaceLayer("regions", regions.set("all", "poly", "fill", "#123456").toLayer())
    assert shown._shown["regions"].layer.data["features"][0]["properties"]["style"]["fillColor"] == "#123456"
    shown.removeLayer("red")
    assert shown.names == ["regions"]
    shown.zoomToImageExtent(regions)
    assert shown.center == [46, 8.5]
    shown.clear()
    assert shown.names == []
    shown.drawPolygons()
    assert shown.getFeatures() == [] and shown.getExtent() is None


def test_a_place_that_was_set_stays(regions: inter.VectorLayer) -> None:
    shown, moved = imap.Map(), imap.Map()
    shown.center, shown.zoom = [50, 4], 6
    for each in (shown, moved):
        each.addLayer(regions.toLayer())
    assert (shown.center, shown.zoom) == ([50, 4], 6) and moved.center == [46, 8.5]


def test_a_click_opens_what_identify_popup_says(client: bdap.Client, regions: inter.VectorLayer) -> None:
    shown = imap.Map()
    imap.identifyPopup(shown, regions.parameter("identifyfield", "name area").parameter("identifyseparator", "<br>"))
    shown._handle_leaflet_event(None, {"event": "interaction", "type": "click", "coordinates": [45.5, 8.5]}, None)
    (popup,) = [each for each in shown.layers if isinstance(each, ipyleaflet.Popup)]
    assert popup.child.value == "south<br>3"
    before = len(_instances)
    shown._handle_leaflet_event(None, {"event": "interaction", "type": "click", "coordinates": [46.5, 8.5]}, None)
    assert len(_instances) == before and popup.comm is None, "the former one is closed"
    picture = inter.ImageCollection("s2").process().band("B04")
    assert imap.identifyPointEx(picture, 8.6, 45.6) == "0.625"


def test_the_old_name_leads_to_the_same() -> None:
    import jeodpp.imap
    from jeodpp import imap as old_map
    from jeodpp import inter as old

    assert old is inter and old_map is imap is jeodpp.imap
