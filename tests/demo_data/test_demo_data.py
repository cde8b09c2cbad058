"""The demo imagery: real COGs, the same every time, true to its curves, quick to make and quicker to skip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from shapely import union_all
from shapely.geometry import shape

from bdap_hub.demo.data import SEASON, Truth, generate, make_collection
from bdap_hub.demo.data.generate import Overpass, Plan
from bdap_hub.errors import Conflict

BANDS = ("B02", "B03", "B04", "B08")


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return generate(tmp_path_factory.mktemp("data"), size=256, dates=3)


def read(truth: Truth, day: str, band: str) -> np.ndarray:
    with rasterio.open(truth.data / day / f"{band}.tif") as file:
        return file.read(1)


def scl_at_10m(truth: Truth, day: str) -> np.ndarray:
    return read(truth, day, "SCL").repeat(2, 0).repeat(2, 1)


def test_both_collections_are_there_with_every_band(truth: Truth) -> None:
    assert truth.dates == ["2025-03-14", "2025-04-18", "2025-05-16"]
    for collection, days in (("sentinel-2-demo", 3), ("forest-plots", 2)):
        folders = sorted(p for p in (truth.data.parent / collection).iterdir() if not p.name.startswith("."))
        assert len(folders) == days
        for folder in folders:
            assert {p.name for p in folder.glob("*.tif")} == {f"{band}.tif" for band in (*BANDS, "SCL")}


@pytest.mark.parametrize("band", [*BANDS, "SCL"])
def test_files_are_cogs_in_utm_with_scale_and_nodata(truth: Truth, band: str) -> None:
    with rasterio.open(truth.data / "2025-03-14" / f"{band}.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
        assert file.crs.to_epsg() == 32632
        assert file.nodata == 0
        assert file.res == ((20, 20) if band == "SCL" else (10, 10))
        assert file.scales == ((1.0,) if band == "SCL" else (0.0001,))
        assert file.offsets == (0.0,)


def test_large_files_have_overviews(tmp_path: Path) -> None:
    plan = Plan("wide", 1024, (Overpass("2025-07-10", 0.1),), seed=1)
    truth = make_collection(tmp_path, plan)
    with rasterio.open(truth.data / "2025-07-10" / "B04.tif") as file:
        assert file.block_shapes == [(512, 512)]
        assert file.overviews(1) == [2]


def test_clear_field_pixels_have_the_ndvi_of_their_curve(truth: Truth) -> None:
    parcel = truth.parcel
    for i, day in enumerate(truth.dates):
        red, nir = read(truth, day, "B04").astype(float), read(truth, day, "B08").astype(float)
        clear = (parcel >= 0) & np.isin(scl_at_10m(truth, day), (4, 5))
        error = ((nir - red) / (nir + red))[clear] - truth.ndvi[parcel[clear], i]
        assert clear.sum() > 10_000
        assert abs(error.mean()) < 0.0005
        assert np.abs(error).max() < 0.02


def test_clouds_cover_what_the_plan_says_and_the_truth_would_notice(truth: Truth) -> None:
    """The positive control of the test above: under clouds the curve is not met."""
    day = "2025-04-18"
    cloud = np.isin(scl_at_10m(truth, day), (8, 9))
    assert cloud.mean() == pytest.approx(0.28, abs=0.08)
    red, nir = read(truth, day, "B04").astype(float), read(truth, day, "B08").astype(float)
    under = cloud & (truth.parcel >= 0)
    error = ((nir - red) / (nir + red))[under] - truth.ndvi[truth.parcel[under], 1]
    assert np.abs(error).mean() > 0.1


def test_clouds_move_and_the_lake_stays(truth: Truth) -> None:
    first, second = (np.isin(scl_at_10m(truth, day), (8, 9)) for day in truth.dates[1:])
    both = (first & second).sum() / max(1, min(first.sum(), second.sum()))
    assert both < 0.8
    lake = truth.cover == 2
    assert 0.05 < lake.mean() < 0.3
    assert (scl_at_10m(truth, "2025-03-14")[lake] == 6).mean() > 0.7


def test_the_season_greens_and_ends(tmp_path: Path) -> None:
    """Maize is bare in April, green in July; winter wheat is green in May, harvested in August."""
    plan = Plan("year", 256, tuple(Overpass(d, 0) for d in ("2025-04-18", "2025-05-16", "2025-07-20", "2025-08-20")), 5)
    truth = make_collection(tmp_path, plan)
    names = [crop["name"] for crop in truth.about["crops"]]

    def mean(crop: str, day: str) -> float:
        return float(truth.ndvi[truth.crop == names.index(crop), truth.dates.index(day)].mean())

    assert mean("maize", "2025-04-18") < 0.3 < 0.7 < mean("maize", "2025-07-20")
    assert mean("winter wheat", "2025-08-20") < 0.35 < 0.7 < mean("winter wheat", "2025-05-16")


def test_the_same_seed_gives_the_same_pixels(truth: Truth, tmp_path: Path) -> None:
    again = generate(tmp_path, size=256, dates=3)
    for band in (*BANDS, "SCL"):
        assert np.array_equal(read(truth, "2025-04-18", band), read(again, "2025-04-18", band))


def test_a_second_run_skips_what_is_there(truth: Truth) -> None:
    before = {p: p.stat().st_mtime_ns for p in truth.data.rglob("*.tif")}
    lines: list[str] = []
    generate(truth.data.parent, lines.append, size=256, dates=3)
    beside = "sentinel-1-demo, dem-demo, land-cover-demo, regions-demo"
    assert lines == [f"{name}: there already" for name in ("sentinel-2-demo", beside, "forest-plots")]
    assert before == {p: p.stat().st_mtime_ns for p in truth.data.rglob("*.tif")}


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    plan = Plan("resumed", 128, (Overpass("2025-04-18", 0), Overpass("2025-05-18", 0)), 3)
    truth = make_collection(tmp_path, plan)
    kept = (truth.data / "2025-04-18" / "B04.tif").stat().st_mtime_ns
    (truth.folder / "stamp.json").unlink()
    for path in (truth.data / "2025-05-18").iterdir():
        path.unlink()
    (truth.data / "2025-05-18").rmdir()
    make_collection(tmp_path, plan)
    assert (truth.data / "2025-05-18" / "B04.tif").is_file()
    assert (truth.data / "2025-04-18" / "B04.tif").stat().st_mtime_ns == kept


def test_files_of_somebody_else_are_never_removed(tmp_path: Path) -> None:
    theirs = tmp_path / "sentinel-2-demo" / "mine.tif"
    theirs.parent.mkdir()
    theirs.write_text("precious")
    with pytest.raises(Conflict, match="did not make"):
        generate(tmp_path, size=128, dates=1)
    assert theirs.read_text() == "precious"


def test_the_swath_ends_in_september() -> None:
    assert [o.day for o in SEASON.overpasses if o.edge] == ["2025-09-13"]


def open_companion(truth: Truth, path: str) -> np.ndarray:
    with rasterio.open(truth.data.parent / path) as file:
        assert file.crs.to_epsg() == 32632 and "Synthetic" in file.tags()["TIFFTAG_IMAGEDESCRIPTION"]
        return file.read(1)


def test_land_cover_is_the_truths(truth: Truth) -> None:
    classes = open_companion(truth, "land-cover-demo/2025-01-01/class.tif")
    meadow = truth.about["crops"][3]["name"]
    assert meadow == "meadow"
    fields = truth.parcel >= 0
    assert set(np.unique(classes[fields])) == {30, 40}
    assert (classes[fields] == 30).mean() == pytest.approx((truth.crop[truth.parcel[fields]] == 3).mean())
    assert {int(v) for v in np.unique(classes[truth.cover == 2])} == {80}


def test_lakes_are_level_and_lie_lowest(truth: Truth) -> None:
    height = open_companion(truth, "dem-demo/2025-01-01/elevation.tif")
    water, fields = truth.cover == 2, truth.parcel >= 0
    assert np.median(height[water]) == height.min() == 194 and np.median(height[fields]) > 250


def test_radar_sees_water_leaves_and_the_flood(truth: Truth) -> None:
    half = (slice(None, None, 2), slice(None, None, 2))
    water, fields = (truth.cover == 2)[half], (truth.parcel >= 0)[half]
    radar = {(d, b): open_companion(truth, f"sentinel-1-demo/{d}/{b}.tif")
             for d in ("2025-07-06", "2025-08-11", "2025-09-16") for b in ("VV", "VH")}  # fmt: skip
    usual, flood = radar["2025-08-11", "VV"], radar["2025-09-16", "VV"]
    assert np.median(usual[water]) < -18 < -14 < np.median(usual[fields])
    dark = (flood - usual < -3) & fields
    assert 0.005 < dark.mean() < 0.2 and (radar["2025-07-06", "VV"] - usual < -3)[fields].mean() < dark.mean() / 2
    maize = (truth.crop == 0)[truth.parcel][half] & fields
    wheat = (truth.crop == 1)[truth.parcel][half] & fields
    vh = radar["2025-08-11", "VH"]  # wheat is harvested, maize stands
    assert np.median(vh[maize]) - np.median(vh[wheat]) > 3


def test_regions_fill_the_scene_without_overlap(truth: Truth) -> None:
    found = json.loads((truth.data.parent / "regions-demo/regions.geojson").read_text())["features"]
    shapes = [shape(each["geometry"]) for each in found]
    assert [each["properties"]["NUTS_ID"] for each in found] == ["XX101", "XX102", "XX103", "XX104"]
    assert all(each.is_valid and each.area > 0.1 * sum(s.area for s in shapes) for each in shapes)
    whole = union_all(shapes)
    assert whole.geom_type == "Polygon" and sum(s.area for s in shapes) == pytest.approx(whole.area, rel=1e-4)


def test_companions_are_made_once_and_never_over_others_files(truth: Truth, tmp_path: Path) -> None:
    cover = truth.data.parent / "land-cover-demo/2025-01-01/class.tif"
    before = cover.stat().st_mtime_ns
    generate(truth.data.parent, size=256, dates=3)
    assert cover.stat().st_mtime_ns == before
    (tmp_path / "dem-demo").mkdir()
    (tmp_path / "dem-demo" / "mine.tif").write_text("mine")
    with pytest.raises(Conflict, match="did not make"):
        generate(tmp_path, size=64, dates=1)
    assert (tmp_path / "dem-demo" / "mine.tif").read_text() == "mine"
