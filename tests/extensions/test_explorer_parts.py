"""The explorer's pure parts: addresses, periods and time lines, looks, themes, steps of cubes."""

from __future__ import annotations

from typing import Any

import bdap
import pytest
from bdap.client import ASKED
from bdap.recipe import Recipe, Sheet, read_sheet
from collections_explorer import compose, show, themes
from collections_explorer.bands import Class, read_bands
from collections_explorer.catalogue import Catalogue
from collections_explorer.looks import Look, find, looks
from collections_explorer.panel import Panel
from collections_explorer.period import Period, read_period, timeline
from collections_explorer.scene import Scene, frame_of, span_of
from collections_explorer.view import Camera, Side, View, read, write

from tests.extensions.platform import platform

JULY = Period("2025-07-10")


def asset(common: str = "", scale: float = 0.0001, **more: Any) -> dict[str, Any]:
    """One asset with one band, as the catalogue describes it."""
    band = {"raster:scale": scale, "raster:offset": 0} | ({"eo:common_name": common} if common else {})
    return {"title": common.title(), "roles": ["data"], "bands": [band], **more}


OPTICAL = {
    "id": "s2",
    "title": "Sentinel-2 scenes",
    "item_assets": {
        "B02": asset("blue"),
        "B03": asset("green"),
        "B04": asset("red"),
        "B08": asset("nir"),
        "SCL": {"title": "Scene classification", "roles": ["data", "classification"], "bands": [{"name": "SCL"}]},
        "preview": {"roles": ["thumbnail"]},
    },
}
LOOKS = looks(read_bands(OPTICAL))


def found(identifier: str) -> Look | None:
    return find(LOOKS, read_bands(OPTICAL), identifier)


# --- addresses --------------------------------------------------------------------------------------------------------

WHOLE = View(
    Side("s2", JULY, "index:NDVI"), Side("s2-old", Period("2025-03"), "natural"), Camera(45.8, 8.625, 11), (45.81, 8.63)
)


def test_an_address_says_all_that_is_seen() -> None:
    query = write(WHOLE)
    assert query == (
        "collection=s2&date=2025-07-10&look=index%3ANDVI&with=s2-old&with-date=2025-03&with-look=natural"
        "&at=45.8000,8.6250,11&place=45.81000,8.63000"
    ).replace("%3A", ":")
    assert read(query) == (WHOLE, ()) == read("?" + query)
    assert read(write(View())) == (View(), ())


@pytest.mark.parametrize(
    ("query", "left", "part"),
    [
        ("collection=../etc/passwd", None, "“../etc/passwd” is no name of a collection"),
        ("collection=s2&date=2025-13", Side("s2"), "“2025-13” is no date"),
        ("collection=s2&date=2025-02-30", Side("s2"), "is no date"),
        ("collection=s2&look=<b>", Side("s2"), "“<b>” is no way to draw"),
        ("collection=s2&at=north", Side("s2"), "“north” is no place on the map"),
        ("collection=s2&at=91,0,3", Side("s2"), "is no place on the map"),
        ("collection=s2&place=1,nan", Side("s2"), "is no place"),
        ("collection=" + "a" * 3000, None, "too long"),
    ],
)
def test_what_is_wrong_in_an_address_is_said_and_left_out(query: str, left: Side | None, part: str) -> None:
    view, said = read(query)
    assert view == View(left) and len(said) == 1 and part in said[0]


def test_what_others_put_into_addresses_is_passed_over() -> None:
    assert read("utm_source=mail&collection=s2&with=") == (View(Side("s2")), ())


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "days", "label"),
    [
        ("", "all", None, "all dates"),
        ("2024", "year", ("2024-01-01", "2024-12-31"), "2024"),
        ("2024-02", "month", ("2024-02-01", "2024-02-29"), "February 2024"),
        ("2025-07-10", "day", ("2025-07-10", "2025-07-10"), "10 July 2025"),
    ],
)
def test_periods(text: str, kind: str, days: tuple[str, str] | None, label: str) -> None:
    found = read_period(text)
    assert found is not None and (found.kind, found.days, found.label) == (kind, days, label)


@pytest.mark.parametrize("text", ["25", "2025-7", "2025-07-1", "2025-00", "2025-06-31", "٢٠٢٥", "2025-07-10T00:00"])
def test_what_is_no_period(text: str) -> None:
    assert read_period(text) is None


def test_a_season_is_shown_by_months_with_the_empty_ones() -> None:
    line = timeline([("2025-03", 2), ("2025-06", 50)], [], Period())
    assert line.unit == "month" and [bar.count for bar in line.bars] == [2, 0, 0, 50]
    assert [bar.label for bar in line.bars] == ["Mar 2025", "Apr", "May", "Jun"]
    assert line.bars[3].title == "June 2025: 50 items" and line.path == (("", "All dates"),)


def test_decades_are_shown_by_years_then_months_then_days() -> None:
    months = [("1984-05", 3), ("1984-06", 1), ("2025-07", 99)]
    years = timeline(months, [], Period())
    assert years.unit == "year" and len(years.bars) == 42 and years.bars[0].count == 4 and years.bars[1].count == 0
    year = timeline(months, [], Period("1984"))
    assert year.unit == "month" and len(year.bars) == 12 and year.bars[4].count == 3
    days = timeline(months, ["2025-07-10", "2025-07-10", "2025-07-31"], JULY)
    assert days.unit == "day" and len(days.bars) == 31
    assert [(bar.period, bar.count) for bar in days.bars if bar.count] == [("2025-07-10", 2), ("2025-07-31", 1)]
    assert [bar.period for bar in days.bars if bar.chosen] == ["2025-07-10"]
    assert days.path == (("", "All dates"), ("2025", "2025"), ("2025-07", "July 2025"))


def test_few_dates_are_all_there_at_once() -> None:
    line = timeline([("2024-12", 1), ("2025-07", 2)], ["2025-07-10", "2024-12-31", "2025-07-20"], Period("2025-07"))
    assert line.unit == "date" and [bar.label for bar in line.bars] == ["31 Dec 2024", "10 Jul 2025", "20 Jul"]
    assert [bar.chosen for bar in line.bars] == [False, True, True]
    assert line.path == (("", "All dates"), ("2025", "2025"), ("2025-07", "July 2025"))


def test_a_time_line_of_nothing() -> None:
    assert timeline([], [], Period()).bars == ()


# --- looks ------------------------------------------------------------------------------------------------------------


def test_pictures_and_indices_out_of_common_names() -> None:
    assert [look.id for look in LOOKS][:10] == [
        "natural", "infrared", "index:NDVI", "index:NDWI", "bands:B04,B03,B02", "classes:SCL", "band:B02", "band:B03",
        "band:B04", "band:B08",
    ]  # fmt: skip
    natural, ndvi = LOOKS[0], LOOKS[2]
    assert natural.bands == ("B04", "B03", "B02") and natural.span == pytest.approx((0, 2200))
    assert ndvi.bands == ("B08", "B04") and ndvi.colormap == "rdylgn"
    assert found("") is natural and found("index:NDVI") is ndvi and found("index:XYZ") is None


def test_more_indices_are_those_whose_bands_are_there() -> None:
    more = {look.id: look for look in LOOKS if look.group == "More indices"}
    assert more["index:SAVI"].bands == ("B08", "B04") and more["index:SAVI"].span is None
    assert "index:NBR2" not in more and "index:NDVI" not in more  # no short-wave infrared; in the list above
    assert not any("lambda" in look.about for look in more.values())


def test_three_bands_of_ones_own_choice() -> None:
    own = found("bands:B08,B03,B02")
    assert own and own.bands == ("B08", "B03", "B02") and own.span == pytest.approx((0, 4000))
    for wrong in ("bands:B08,B03", "bands:B08,B03,B99", "bands:SCL,B03,B02"):
        assert found(wrong) is None


def test_the_span_follows_scale_and_offset_and_is_measured_where_nobody_knows_it() -> None:
    shifted = {
        "item_assets": {"B4": {"bands": [{"eo:common_name": "red", "raster:scale": 2e-5, "raster:offset": -0.1}]}}
    }
    assert looks(read_bands(shifted))[0].span == pytest.approx((5000, 25000))
    unknown = looks(read_bands({"item_assets": {"vv": {"bands": [{"name": "vv"}]}}}))
    assert [(look.id, look.span, look.colormap) for look in unknown] == [("band:vv", None, "viridis")]
    assert compose.measured(unknown[0], (-20.0, 0.0)).span == (-20.0, 0.0)


def test_classes_come_with_their_colours() -> None:
    classes = [{"value": 10, "description": "Tree cover", "color_hint": "006400"}]
    (look,) = looks(
        read_bands({"item_assets": {"map": {"bands": [{"name": "map", "classification:classes": classes}]}}})
    )
    assert look.kind == "classes" and (look.classes[0].name, look.classes[0].colour) == ("Tree cover", "#006400")


def test_no_bands_no_looks() -> None:
    assert (
        looks(read_bands({})) == () and looks(read_bands({"item_assets": {"preview": {"roles": ["thumbnail"]}}})) == ()
    )


def test_the_span_of_a_histogram_leaves_out_the_ends() -> None:
    assert span_of([0, 1, 2, 3, 4], [1, 49, 49, 1]) == (1.0, 3.0)
    assert span_of([0, 1, 2], [0, 0]) is None and span_of([5, 5], [9]) == (5.0, 6.0)


# --- the list ---------------------------------------------------------------------------------------------------------

SHELF: list[dict[str, Any]] = [
    {"id": "s1-grd", "title": "Sentinel-1"},
    {"id": "worldcover-2021", "title": "WorldCover"},
    {"id": "soil", "title": "Soil", "themes": [{"concepts": [{"id": "soil maps"}], "scheme": "x"}]},
    {"id": "misc", "title": "Demonstration"},
    OPTICAL,
]


def test_collections_are_grouped_by_theme() -> None:
    found = [(shelf["name"], [one["id"] for one in shelf["cards"]]) for shelf in themes.shelves(SHELF)]
    assert found == [
        ("Optical images", ["s2"]), ("Radar images", ["s1-grd"]), ("Land cover", ["worldcover-2021"]),
        ("Soil maps", ["soil"]), ("Other data", ["misc"]),
    ]  # fmt: skip


def test_words_find_collections() -> None:
    assert [one["id"] for one in themes.shelves(SHELF, "ndvi")[0]["cards"]] == ["s2"]
    assert themes.shelves(SHELF, "ndvi radar") == []


# --- steps of cubes ---------------------------------------------------------------------------------------------------


def steps(period: str, identifier: str) -> list[str]:
    look = found(identifier)
    assert look
    recipe = compose.picture(Side("s2", Period(period), identifier), look, read_bands(OPTICAL), "title")
    recipe.build()  # each step is a method of cubes
    return [name for name, _ in recipe.steps]


def test_a_day_is_shown_as_it_is_and_longer_times_without_clouds() -> None:
    assert steps("2025-07-10", "natural") == ["during", "bands", "first", "stretch"]
    assert steps("2025-07", "index:NDVI") == ["during", "mask_clouds", "index", "median", "colormap"]
    assert steps("", "natural") == ["bands", "last", "stretch"]
    assert steps("2025-07", "classes:SCL") == ["during", "bands", "last"]


def test_the_history_is_that_of_an_index_near_the_place() -> None:
    told = compose.told(LOOKS[0], LOOKS)
    assert told.id == "index:NDVI"
    recipe = compose.history(Side("s2", JULY), told, read_bands(OPTICAL), (45.8, 8.6))
    assert recipe.steps[0] == ("inside", ((8.59, 45.79, 8.61, 45.81),))
    assert recipe.steps[1:] == (("mask_clouds", ()), ("index", ("NDVI",)))
    within = compose.history(Side("s2", JULY), told, read_bands(OPTICAL), (45.8, 8.6), JULY.year)
    assert within.steps[1] == ("during", ("2025",))


def test_places_near_each_other_share_the_box_of_their_history() -> None:
    near = [(45.8 + step / 1000, 8.6 - step / 1000) for step in range(-4, 5)]
    assert {compose.around(place) for place in near} == {(8.59, 45.79, 8.61, 45.81)}
    assert compose.around((-0.006, 8.6)) == (8.59, -0.02, 8.61, 0.0)


def test_what_is_shown_and_asked_has_no_title_of_its_own_so_that_it_makes_room() -> None:
    described = {**OPTICAL, "extent": {"spatial": {"bbox": [[8, 45, 9, 46]]}}}
    scene = Scene(Side("s2", JULY), described, read_bands(OPTICAL), LOOKS, LOOKS[2])
    with platform() as services:
        client = bdap.Client("token", services.processing, services.catalogue)
        scene.tiles(client), scene.values(client, 45.8, 8.6)
        scene.history(client, 45.8, 8.6), scene.history(client, 45.8012, 8.6)
        assert [body["title"] for body in services.posted("/services")] == [ASKED] * 3


RECIPE = Recipe("s2", (("between", ("2025-07-10", "2025-07-10")), ("bands", ("B04",)), ("first", ())), 'Red "10 July"')


def test_the_code_makes_the_same_cube() -> None:
    made = eval(RECIPE.code(), {"bdap": bdap})
    assert made.graph == RECIPE.build().graph
    assert Sheet((RECIPE, RECIPE), (45.8, 8.6, 11)).code().count("bdap.collection") == 2


def test_a_sheet_survives_an_address() -> None:
    sheet = Sheet((RECIPE,), (45.8, 8.6, 11))
    assert read_sheet(sheet.text()) == sheet
    boxed = Sheet((Recipe("s2", (("inside", ((8.5, 45, 9, 46),)),)),))
    assert read_sheet(boxed.text()) == boxed


@pytest.mark.parametrize(
    "text",
    [
        "no json", "[]", "[[], null]", '[[["s2","t",[]]], "x"]', '[[["../x","t",[]]], null]',
        '[[["s2","t",[["__class__"]]]], null]', '[[["s2","t",[["to_json"]]]], null]',
        '[[["s2","t",[["bands","\\");import os;("]]]], null]', '[[["s2","t",[["stretch",0,Infinity]]]], null]',
        '[[["s2","t",[["stretch",true,1]]]], null]', '[[["s2","t",[["between",{"a":1}]]]], null]',
        '[[["s2","t",[["first"],["first"],["first"]]],["a","",[]],["b","",[]]], null]', "[" * 3000,
        "[" + " " * 5000 + "]", '[[["s2","t",[["stretch",0,1' + "0" * 400 + "]]]], null]",
        '[[["s2","t",[["first"]]]], [1' + "0" * 400 + ", 0, 1]]",
    ],
)  # fmt: skip
def test_an_address_brings_no_code(text: str) -> None:
    with pytest.raises(bdap.BadCube, match="does not describe a picture"):
        read_sheet(text)


def test_a_title_from_an_address_stays_a_title() -> None:
    sheet = read_sheet('[[["s2","x\\"); import os\\n(\\u2028",[["first"]]]], null]')
    namespace: dict[str, Any] = {}
    exec(sheet.code().replace("bdap.Map()", "Made()"), {"Made": Made, **namespace})
    assert Made.titles[-1] == 'x"); import os('


class Made:
    """Stands in for the map: keeps what is added."""

    titles: list[str] = []

    def add(self, _: Any, title: str) -> Made:
        self.titles.append(title)
        return self


# --- words ------------------------------------------------------------------------------------------------------------


def test_a_history_in_words() -> None:
    ndvi = LOOKS[2]
    assert show.history_words(ndvi, [("2025-01-01", None)]) == "Vegetation (NDVI): no data here on any of 1 dates."
    assert show.history_words(ndvi, [("2025-01-01", 0.1), ("2025-07-01", 0.9), ("2025-08-01", None)]) == (
        "Vegetation (NDVI) on 2 of 3 dates: lowest 0.1 on 2025-01-01, highest 0.9 on 2025-07-01."
    )
    cover = Look("classes:map", "Cover", "classes", ("map",), classes=(Class(10, "Trees"), Class(40, "Crops")))
    assert (
        show.said(cover, 10.0) == "Trees (10)" and show.said(cover, 7.0) == "7" and show.said(cover, None) == "no data"
    )
    changed = [("2020", 10.0), ("2021", 10.0), ("2022", 40.0)]
    assert show.history_words(cover, changed) == "Trees (10) since 2020; Crops (40) since 2022."


# --- what a browser may say -------------------------------------------------------------------------------------------


def test_only_gestures_are_heard() -> None:
    heard: list[tuple[str, Any]] = []
    panel = Panel(lambda what, data: heard.append((what, data)))
    for content in (
        {"create_widget": ["subprocess", "Popen"], "props": {"args": {"functionRef": "close"}}, "id": "x"},
        {"update_ref": {"functionRef": "close"}, "id": "x", "prop": "themes"},
        {"event": "close", "data": {}},
        {"event": "act", "data": {"do": 7}},
        {"event": "act", "data": "browse"},
        {"event": "act", "data": {"do": "browse"}, "create_widget": ["os", "system"]},
        "act",
    ):
        panel._handle_custom_msg(content, [])
    assert heard == []
    panel._handle_custom_msg({"event": "act", "data": {"do": "browse"}}, [])
    assert heard == [("browse", {"do": "browse"})]


# --- very large collections -------------------------------------------------------------------------------------------


class Counting(Catalogue):
    """STAND-IN for the catalogue: so many items in all, and in view."""

    def __init__(self, everywhere: int, in_view: int) -> None:
        self.everywhere, self.in_view = everywhere, in_view

    def count(self, name: str, period: Period, box: Any = None) -> int:
        return self.in_view if box else self.everywhere


@pytest.mark.parametrize(
    ("everywhere", "in_view", "frame", "problem"),
    [
        (400, 400, None, ""),
        (0, 0, None, "There is no item of July 2025: choose another time on the time line."),
        (1_000_000, 7, (8, 45, 9, 46), ""),
        (1_000_000, 5_000, (8, 45, 9, 46), "5,000 items of July 2025 lie in view: zoom in to see them."),
        (1_000_000, 0, (8, 45, 9, 46), "None of 1,000,000 items of July 2025 lies in view: move the map."),
    ],
)
def test_only_what_is_in_view_is_drawn_of_very_many(everywhere: int, in_view: int, frame: Any, problem: str) -> None:
    side = Side("s2", Period("2025-07"))
    assert frame_of(Counting(everywhere, in_view), side, (8, 45, 9, 46)) == (frame, problem)
