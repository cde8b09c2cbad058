"""The map without a browser: layers, legend, values at a click, messages; nothing from the internet."""

from __future__ import annotations

from collections.abc import Iterator

import bdap
import bqplot
import ipyleaflet
import ipywidgets as widgets
import pytest
from bdap import client as clients
from bdap.charts import points, timeseries_figure
from bdap.map.shown import NOWHERE
from ipywidgets.widgets.widget import _instances

from tests.extensions.platform import BOUNDS, DAYS, Platform, platform


@pytest.fixture
def services() -> Iterator[Platform]:
    """The stand-in."""
    with platform() as running:
        yield running


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No platform in the environment, and none left over from another test."""
    for name in ("BDAP_TOKEN", "JUPYTERHUB_API_TOKEN", "BDAP_PROCESSING_URL", "BDAP_CATALOGUE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(clients, "_default", clients.Client(timeout=30))


@pytest.fixture
def ndvi(services: Platform) -> bdap.Cube:
    """NDVI with dates, bound to the stand-in."""
    return bdap.collection("s2", bdap.Client("token", services.processing, services.catalogue)).ndvi()


def tiles(shown: bdap.Map) -> list[ipyleaflet.TileLayer]:
    return [layer for layer in shown.layers if isinstance(layer, ipyleaflet.TileLayer)]


def texts(shown: bdap.Map) -> str:
    """All that stands in the controls and popups of the map."""
    roots = [control.widget for control in shown.controls if isinstance(control, ipyleaflet.WidgetControl)]
    roots += [layer.child for layer in shown.layers if isinstance(layer, ipyleaflet.Popup)]
    found = []
    while roots:
        each = roots.pop()
        roots += getattr(each, "children", ())
        if isinstance(each, widgets.HTML):
            found.append(each.value)
    return "\n".join(found)


def test_no_base_map_comes_from_the_internet(ndvi: bdap.Cube, services: Platform) -> None:
    shown = bdap.Map().add(ndvi.median(), "NDVI")
    assert [layer.url.split("/services/")[0] for layer in tiles(shown)] == [services.root]
    assert len(tiles(bdap.Map(basemap={"url": "http://tiles.example/{z}/{x}/{y}.png"}))) == 1
    bdap.configure("token", services.processing, services.catalogue)
    assert [layer.url for layer in tiles(bdap.Map())] == [
        f"{services.processing}/basemaps/offline/{{z}}/{{x}}/{{y}}.png"
    ]
    assert tiles(bdap.Map(basemap=None)) == []
    with pytest.raises(bdap.BadCube, match="no base map 'relief'"):
        bdap.Map(basemap="relief")


def test_the_first_layer_is_looked_at_unless_a_centre_is_given(ndvi: bdap.Cube) -> None:
    west, south, east, north = BOUNDS
    shown = bdap.Map().add(ndvi.median(), "NDVI")
    assert shown.center == pytest.approx([(south + north) / 2, (west + east) / 2]) and shown.zoom == 11
    assert bdap.Map(center=(1, 2), zoom=3).add(ndvi.median(), "NDVI").center == [1, 2]


def test_a_name_used_again_replaces_its_layer(ndvi: bdap.Cube) -> None:
    shown = bdap.Map().add(ndvi.median(), "NDVI").add(ndvi.max(), "NDVI", opacity=0.5).add(ndvi.min(), "least")
    assert [(layer.name, layer.opacity) for layer in tiles(shown)] == [("NDVI", 1), ("NDVI", 0.5), ("least", 1.0)]
    loaded(shown, "NDVI")  # until then one sees the former one
    assert [(layer.name, layer.opacity) for layer in tiles(shown)] == [("NDVI", 0), ("NDVI", 0.5), ("least", 1.0)]
    assert tiles(shown)[0].bounds == NOWHERE and tiles(shown.drop("NDVI"))[0].name == "least"


def test_a_click_shows_the_values_of_visible_layers_top_first(ndvi: bdap.Cube, services: Platform) -> None:
    shown = bdap.Map().add(ndvi.median(), "<b>median").add(ndvi.max(), "highest")
    shown._on_event(type="click", coordinates=[45.6, 8.6])
    first = texts(shown)
    assert first.index("highest") < first.index("&lt;b&gt;median") and first.count("0.625") == 2
    services.values = {"value": None}
    shown.hide("highest")
    shown._on_event(type="click", coordinates=[45.6, 8.6])
    assert "no data" in texts(shown) and "highest" not in texts(shown)
    assert services.calls[-1].query == {"lon": ["8.6"], "lat": ["45.6"]}


def test_an_error_is_a_message_on_the_map_until_it_is_mended(ndvi: bdap.Cube, services: Platform) -> None:
    services.refusal = (404, {"message": "there is no collection 's2'", "remedy": "look into <the> catalogue"})
    shown = bdap.Map().add(ndvi.median(), "NDVI")
    assert shown.messages == ["NDVI"] and not tiles(shown)
    assert "there is no collection &#x27;s2&#x27;" in texts(shown) and "look into &lt;the&gt; catalogue" in texts(shown)
    services.refusal = None
    assert shown.add(ndvi.median(), "NDVI").messages == []


def urls(shown: bdap.Map) -> list[tuple[str, float]]:
    return [(layer.url.rpartition("time=")[2], layer.opacity) for layer in tiles(shown)]


def test_a_cube_with_dates_has_a_slider_that_loads_its_neighbours_ahead(ndvi: bdap.Cube, services: Platform) -> None:
    services.times = [f"{day}T10:15:00Z" for day in DAYS]
    shown = bdap.Map().add(ndvi, "NDVI", opacity=0.5)
    first, second, third = shown.dates("NDVI")
    assert urls(shown) == [(third, 0.5)] and len(services.posted("/services")) == 1
    loaded(shown, "NDVI")
    assert urls(shown) == [(third, 0.5), (second, 0)]
    ahead = tiles(shown)[1]
    ahead._handle_leaflet_event(None, {"event": "load"}, [])
    shown.at("NDVI", "2025-06")
    assert ahead.opacity == 0.5 and urls(shown) == [(third, 0), (second, 0.5), (first, 0)]
    shown.at("NDVI", "2025-04")  # it has not come yet: one sees the former one
    assert urls(shown) == [(third, 0), (second, 0.5), (first, 0.5)]
    loaded(shown, "NDVI")
    assert urls(shown) == [(third, 0), (second, 0), (first, 0.5)] and tiles(shown)[0].bounds == NOWHERE
    shown.at("NDVI", "2025-07")
    assert urls(shown)[-1] == (third, 0.5) and len(tiles(shown)) == 4  # what is over does not come back
    with pytest.raises(bdap.BadCube, match="no date '2024'"):
        shown.at("NDVI", "2024")


def test_the_slider_stands_at_the_date_that_is_shown(ndvi: bdap.Cube, services: Platform) -> None:
    services.times = [f"{day}T10:15:00Z" for day in DAYS]
    shown = bdap.Map().add(ndvi, "NDVI").at("NDVI", "2025-04")
    bar = shown._shown["NDVI"].bar
    assert bar is not None and bar.slider.label == DAYS[0] and urls(shown)[-1][0] == services.times[0]
    bar.slider.index = 1
    assert shown._shown["NDVI"].time == services.times[1]
    again = bdap.Map.from_state(shown.state, ndvi.client)
    assert again._shown["NDVI"].bar.slider.value == again._shown["NDVI"].time == services.times[1]
    services.times = ["2025-04-18T10:15:00Z", "2025-04-18T12:00:00Z"]
    shown.add(ndvi * 2, "NDVI")
    assert shown._shown["NDVI"].bar is bar and bar.slider.label == services.times[1]
    services.times = []
    assert shown.add(ndvi.median(), "NDVI")._shown["NDVI"].bar is None


@pytest.mark.parametrize(
    "labels", [("2025-04", "2025-05"), ("2025-mam", "2025-jja"), ("2025-04-18-10", "2025-04-18-11")]
)
def test_a_click_on_composites_tells_the_period_that_is_shown(
    ndvi: bdap.Cube, services: Platform, labels: tuple[str, str]
) -> None:
    services.times = list(labels)
    services.values = {labels[0]: {"B04": 1.5, "B08": 2.5}, labels[1]: {"B04": 3.5, "B08": 4.5}}  # type: ignore[dict-item]
    services.chain = [{"node": "a", "process": "aggregate_temporal_period", "values": services.values}]
    told: list[object] = []
    shown = bdap.Map().add(ndvi, "NDVI").at("NDVI", labels[0])
    shown.on_click_value(lambda *values: told.append(values[2]))
    shown._on_event(type="click", coordinates=[45.6, 8.6])
    assert told == [{"NDVI": {"B04": 1.5, "B08": 2.5}}] and "B08 <b>2.5</b>" in texts(shown)
    chart = shown._notes["series"].widget.children[1]
    assert [list(mark.y) for mark in chart.marks] == [[1.5, 3.5], [2.5, 4.5]]
    assert shown._shown["NDVI"].bar.slider.label == labels[0]


def loaded(shown: bdap.Map, name: str) -> None:
    """What the browser tells when the tiles have come."""
    shown._shown[name].layer._handle_leaflet_event(None, {"event": "load"}, [])


def test_tiles_that_fail_are_told_once_in_words(ndvi: bdap.Cube, services: Platform) -> None:
    shown = bdap.Map().add(ndvi.median(), "NDVI")
    loaded(shown, "NDVI")
    assert shown.messages == []
    services.failures = [("2020-01-01T00:00:00Z", "long ago"), ("2999-01-01T00:00:00Z", "B04.tif <is> damaged")]
    loaded(shown, "NDVI")
    assert (
        shown.messages == ["NDVI"] and "B04.tif &lt;is&gt; damaged" in texts(shown) and "long ago" not in texts(shown)
    )
    shown._hush("NDVI")
    loaded(shown, "NDVI")
    assert shown.messages == [] and services.calls[-1].query["offset"] == ["2"]


def test_the_panel_shows_hides_fades_and_orders(ndvi: bdap.Cube) -> None:
    shown = bdap.Map().add(ndvi.median(), "median").add(ndvi.max(), "highest")
    row = shown.panel._rows["median"]
    row.opacity.value = 0.25
    assert [layer.opacity for layer in tiles(shown)] == [0.25, 1.0] and row.down.disabled
    row.up.click()
    assert [layer.name for layer in tiles(shown)] == ["highest", "median"] and shown.names == ["highest", "median"]
    row.visible.value = False
    assert [layer.name for layer in tiles(shown)] == ["highest"]
    row.visible.value = True
    assert [layer.opacity for layer in tiles(shown)] == [1.0, 0.25]
    with pytest.raises(bdap.BadCube, match="no layer 'least'"):
        shown.hide("least")


def test_a_click_tells_the_steps_and_draws_the_time_series(ndvi: bdap.Cube, services: Platform) -> None:
    services.chain = [
        {"node": "a", "process": "load_collection", "values": {d: {"B04": 1.0, "B08": 3.0} for d in DAYS}},
        {"node": "b", "process": "reduce_dimension", "values": dict.fromkeys(DAYS, 0.5)},
        {"node": "c", "process": "reduce_dimension", "values": {"value": 0.5}},
    ]
    told: list[object] = []
    shown = bdap.Map().add(ndvi.median(), "NDVI")
    shown.on_click_value(lambda *values: told.append(values))
    figure = shown.series_figure("NDVI")
    shown._on_event(type="click", coordinates=[45.6, 8.6])
    assert told == [(45.6, 8.6, {"NDVI": 0.625})]
    assert "2025-04-18 B04 1, B08 3" in texts(shown) and "load_collection" in texts(shown)
    assert list(figure.marks[0].y) == [0.5] * 3 and "45.6000" in figure.title
    chart = shown._notes["series"].widget.children[1]
    assert isinstance(chart, bqplot.Figure) and list(chart.marks[0].y) == [0.5] * 3


def test_a_curtain_between_two_layers(ndvi: bdap.Cube) -> None:
    shown = bdap.Map().add(ndvi.median(), "median").add(ndvi.max(), "highest").add(ndvi.min(), "least")
    shown.swipe("median", ndvi.mean())
    (curtain,) = (each for each in shown.controls if isinstance(each, ipyleaflet.SplitMapControl))
    assert (curtain.left_layer.name, curtain.right_layer.name) == ("median", "right")
    assert [layer.name for layer in tiles(shown)] == ["highest", "least"]
    shown.unswipe()
    assert [layer.name for layer in tiles(shown)] == ["median", "highest", "least", "right"]
    with pytest.raises(bdap.BadCube, match="both sides"):
        shown.swipe("median", "median")


def test_two_maps_move_together(ndvi: bdap.Cube) -> None:
    shown = bdap.Map().add(ndvi.median(), "median")
    one, two = shown.split("median", ndvi.max()).children
    assert (one.names, two.names) == (["median"], ["right"]) and one.center == two.center == shown.center


def test_a_colour_map_has_a_legend(ndvi: bdap.Cube) -> None:
    shown = bdap.Map().add(ndvi.median().colormap("rdylgn", -0.2, 0.9), "NDVI")
    assert "#a50026" in texts(shown) and "−0.2" in texts(shown) and "0.9" in texts(shown)
    assert "#a50026" not in texts(shown.hide("NDVI")) and "#a50026" in texts(shown.show("NDVI"))


def test_a_slider_shows_what_it_stands_at(ndvi: bdap.Cube, services: Platform) -> None:
    shown = bdap.Map()
    slider = shown.slide(lambda limit: ndvi.median() > limit, [0.2, 0.4, 0.6], "green", "NDVI above")
    loaded(shown, "green")
    assert [layer.opacity for layer in tiles(shown)] == [1, 0]
    slider.value = 0.6
    loaded(shown, "green")
    assert [layer.opacity for layer in tiles(shown)].count(1) == 1
    sent = services.posted("/services")[-1]["process"]["process_graph"]["apply1"]["arguments"]["process"]
    assert sent["process_graph"]["gt1"]["arguments"]["y"] == 0.6


def test_widgets_that_are_shown_no_more_are_closed(ndvi: bdap.Cube, services: Platform) -> None:
    services.times = [f"{day}T10:15:00Z" for day in DAYS]
    services.values = dict.fromkeys(services.times, 0.5)
    services.chain = [{"node": "a", "process": "load_collection", "values": services.values}]
    shown = bdap.Map().add(ndvi, "NDVI").draw()
    figure = shown.series_figure("NDVI")

    def uses(kind: str) -> None:
        if kind == "pan":
            loaded(shown, "NDVI")
        elif kind == "click":
            shown.identify(45.6, 8.6)
        elif kind == "histogram":
            services.times = []
            assert shown.show_histogram(ndvi.median()).messages == []
        elif kind == "message":
            shown._say("x", bdap.BadCube("wrong", "mend it"))
            shown._hush("x")
        elif kind == "draw":
            shown.draw()._sheet.tell({"type": "LineString", "coordinates": [[8.6, 45.6], [8.7, 45.6]]})
        else:
            shown.add(ndvi.max(), "more").drop("more")

    for kind in ("pan", "click", "message", "draw", "layer", "histogram"):
        uses(kind)
        before = len(_instances)
        for _ in range(5):
            uses(kind)
        assert len(_instances) == before, kind
    assert figure.comm is not None and len(figure.marks) == 1 and figure.marks[0].comm is not None
    assert all(each.comm is not None for each in [*shown.layers, *shown.controls])


def test_a_histogram_on_the_map_and_beside_it(ndvi: bdap.Cube) -> None:
    shown = bdap.Map()
    assert list(shown.histogram_figure(ndvi.median()).marks[0].y) == [3, 4]
    controls = len(shown.controls)
    assert len(shown.show_histogram(ndvi.median()).show_histogram(ndvi.median()).controls) == controls + 1


def test_a_time_series_leaves_out_days_without_value() -> None:
    series = [("2025-04-18", 0.2), ("2025-06-15", None), ("2025-07-10", 0.8)]
    days, values = points(series)
    assert [str(day)[:10] for day in days] == ["2025-04-18", "2025-07-10"] and list(values) == [0.2, 0.8]
    assert len(timeseries_figure(series).marks[0].x) == 2
    assert len(timeseries_figure([]).marks[0].x) == 0
