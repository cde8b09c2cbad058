"""What goes wrong in notebooks, against the real services: each a sentence that says what, and what to do next."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bdap
import geopandas
import pytest
import shapely

from tests.extensions.season import DATES, SIZE, Season, box, place, season


@pytest.fixture(scope="module")
def running(hub: Any) -> Iterator[Season]:
    with season(hub) as made:
        yield made


FAR = (10.0, 10.0, 10.1, 10.1)
METRES = {"type": "Polygon", "coordinates": [[[5e5, 5e6], [5e5, 5.1e6], [6e5, 5.1e6], [5e5, 5e6]]]}
UTM = {**METRES, "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}}


def red(running: Season) -> bdap.Cube:
    return running.cube().band("B04")


WRONG: dict[str, tuple[Callable[[Season], Any], str, str]] = {
    "unknown band": (lambda s: s.cube().band("B99").last().value(*place(9, 9)), "B99", "B02"),
    "unknown collection": (
        lambda s: s.cube("seasons").last().tiles_url(),
        "no collection 'seasons'",
        "bdap.collections()",
    ),
    "empty search": (
        lambda s: s.cube().during("2020").median().tiles_url(),
        "no item of season fits",
        "widen .during()",
    ),
    "empty search, by clouds": (
        lambda s: s.cube().where(bdap.prop.cloud_cover < 1).limit(3),
        "no item of season fits",
        "widen",
    ),
    "no such item": (lambda s: s.cube().where(id="abc").median().tiles_url(), "no item of season fits", ".where()"),
    "dates swapped": (
        lambda s: s.cube().during("2024-07", "2024-05"),
        "the dates are swapped",
        'during("2024-05", "2024-07")',
    ),
    "box elsewhere": (lambda s: s.cube().inside(FAR).median().tiles_url(), "no item of season fits", ".on()"),
    "statistics elsewhere": (lambda s: red(s).last().statistics(FAR), "does not meet the data", "cube.bounds"),
    "series elsewhere": (lambda s: red(s).timeseries(shapely.box(*FAR)), "does not meet the data", "cube.bounds"),
    "histogram elsewhere": (lambda s: red(s).last().histogram(FAR), "does not meet the data", "cube.bounds"),
    "metres for degrees": (lambda s: red(s).last().statistics(METRES), "not on Earth in degrees", "to_crs(4326)"),
    "another CRS": (lambda s: red(s).last().statistics(UTM), "EPSG::32633, not in degrees", "to_crs(4326)"),
    "no CRS": (
        lambda s: red(s).last().statistics(geopandas.GeoDataFrame(geometry=[shapely.box(*FAR)])),
        "no reference system",
        "set_crs",
    ),
    "latitude first": (lambda s: red(s).last().values([(45.8, 145.0)]), "not on Earth", "(longitude, latitude)"),
    "west and east swapped": (
        lambda s: s.cube().inside((16, 45, 14, 46)),
        "west is greater than east",
        "(14, 45, 16, 46)",
    ),
    "nodata only": (lambda s: red(s).last().histogram(box(0, 0, 19, 29)), "no valid pixel", "cube.bounds"),
    "no dates left": (lambda s: red(s).median().timeseries(1, 2), "no dates any more", "before .median()"),
    "dates in a histogram": (lambda s: red(s).histogram(), "still has 3 dates", ".median()"),
    "bands in a series": (
        lambda s: s.cube().bands("B04", "B08").timeseries(*place(9, 9)),
        "has the bands B04, B08",
        ".band(name)",
    ),
    "no permission": (
        lambda s: s.cube("plots").band("B04").last().value(*place(9, 9)),
        "there is no collection 'plots' that you may read",
        "ask its owner for access",
    ),
    "somebody's job": (lambda s: bdap.job("0123456789abcdef", s.client), "you have no job", "bdap.jobs()"),
    "no such folder": (
        lambda s: red(s).last().download("/eos/nowhere/x.tif"),
        "there is no folder /eos/nowhere",
        "mounted",
    ),
    "no such format": (lambda s: red(s).last().download("x.shp"), "'x.shp' ends in no format", ".tif"),
    "bands missing for an index": (
        lambda s: s.cube().index("NDMI").last().tiles_url(),
        "no band 'swir16'",
        "it has B02",
    ),
    "index after maths": (lambda s: (s.cube() * 2).index("NDVII"), "no spectral index 'NDVII'", "NDVI"),
    "a model that is not there": (
        lambda s: s.cube().bands("B04").last().classify(model="none").tiles_url(),
        "none",
        "",
    ),
    "code where there is none": (
        lambda s: red(s).last().apply_udf("def apply_datacube(c):\n return c").tiles_url(),
        "code",
        "operators",
    ),
    "own file gone": (lambda s: bdap.from_file("/tmp/no-such.tif", client=s.client), "there is no file", "name"),
    "too large at once": (lambda s: red(s).resample(0.02).download("/tmp/huge.tif"), "the limit is", ".save("),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_is_said_what_is_wrong_and_what_to_do(running: Season, name: str) -> None:
    do, what, cure = WRONG[name]
    with pytest.raises(bdap.BdapError) as error:
        do(running)
    assert what in error.value.message and cure in error.value.remedy, str(error.value)
    assert "token" not in str(error.value) and "Traceback" not in str(error.value)


def test_right_input_is_answered(running: Season) -> None:
    """The positive control of the table above."""
    cube = red(running).last()
    assert cube.value(*place(50, 60)) and cube.statistics(box(30, 40, 50, 60))["features"]
    assert sum(cube.histogram(box(30, 40, 50, 60), 4)[1]) == 400 and red(running).timeseries(*place(50, 60))
    assert len(cube.values([place(9, 9), place(50, 60)])) == 2


def test_no_data_is_none_everywhere(running: Season) -> None:
    nothing, cube = place(5, 5), red(running)
    assert cube.last().value(*nothing) is None and cube.timeseries(*nothing) == [(day, None) for day in DATES]
    (zone,) = cube.last().statistics(box(0, 0, 9, 9))["features"]
    assert zone["properties"]["valid"] == 0 and zone["properties"]["mean"] is None


def test_a_zone_outside_beside_one_inside_has_no_numbers(running: Season) -> None:
    found = (
        red(running)
        .last()
        .statistics(geopandas.GeoDataFrame(geometry=[shapely.box(*FAR), shapely.box(*box(30, 40, 50, 60))], crs=4326))
    )
    assert [each["properties"]["mean"] is None for each in found["features"]] == [True, False]


def test_a_box_across_the_antimeridian_is_one_box(running: Season) -> None:
    cube = running.cube().inside((170, -20, -170, -10))
    extent = cube.graph["loadcollection1"]["arguments"]["spatial_extent"]
    assert [p[0] for p in extent["coordinates"][0]] == [170, 190, 190, 170, 170]
    with pytest.raises(bdap.ServiceError, match="no item of season fits"):
        cube.median().tiles_url()
    assert cube.items() == [] and "0 items" in repr(cube)
    around = running.cube().inside((13, -50, -170, 60))  # from central Europe eastwards around the world
    assert len(around.items()) == 3 and around.median().tiles_url()


def test_files_that_vanish_or_are_damaged_are_named(running: Season) -> None:
    folder = running.root / "data" / "season" / DATES[1]
    cube = running.cube().during(DATES[1])
    kept = (folder / "B02.tif").read_bytes(), (folder / "B03.tif").read_bytes()
    try:
        (folder / "B02.tif").unlink()
        (folder / "B03.tif").write_bytes(kept[1][: len(kept[1]) // 2])
        for band in ("B02", "B03"):
            with pytest.raises(bdap.ServiceError) as error:
                cube.band(band).last().statistics(box(300, 300, SIZE, SIZE))
            assert f"{band}.tif" in error.value.message and error.value.remedy and error.value.status == 503
            assert str(running.root) not in str(error.value)
        assert cube.band("B04").last().statistics(box(300, 300, 400, 400))["features"]
    finally:
        (folder / "B02.tif").write_bytes(kept[0])
        (folder / "B03.tif").write_bytes(kept[1])
    assert cube.band("B02").last().statistics(box(300, 300, 400, 400))["features"]


def test_what_one_may_not_see_is_seen_by_whom_it_belongs_to(running: Season) -> None:
    olga = running.client_of("olga")
    assert "season" in [each["id"] for each in bdap.collections(running.client)]  # other tests' may be there
    seen = {
        person: [c["id"] for c in bdap.collections(running.client_of(person))]
        for person in ("ana", "ben", "olga", "pia")
    }
    assert "plots" not in seen["ana"] and any("plots" in each for each in seen.values()), seen
    assert olga


def test_a_folder_that_may_not_be_written(running: Season, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        os, "access", lambda path, mode: False
    )  # STAND-IN: the tests run as root, who may write anywhere
    with pytest.raises(bdap.BadCube, match="you may not write into") as error:
        red(running).last().save(tmp_path / "x.tif")
    assert "folder of yours" in error.value.remedy
