"""Numbers, files, arrays and jobs out of cubes: against the real services, compared with the pixels themselves."""

from __future__ import annotations

import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bdap
import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.warp
import rioxarray  # noqa: F401  gives arrays their .rio
import shapely
import xarray

from tests.extensions.season import DATES, GRID, SIZE, Season, box, pixels, place, season

B4, B8 = pixels("B04"), pixels("B08")
AREA = (100, 120, 200, 300)
ROWS, COLUMNS = slice(100, 200), slice(120, 300)


@pytest.fixture(scope="module")
def running(hub: Any) -> Iterator[Season]:
    with season(hub) as made:
        yield made


def red(running: Season) -> bdap.Cube:
    return running.cube().band("B04")


# --- numbers --------------------------------------------------------------------------------------------------------


def test_values_at_many_places_with_their_dates(running: Season) -> None:
    places = [place(50, 60), place(300, 400), place(0, 0)]
    found = running.cube().bands("B04", "B08").values(places)
    assert found.columns == ["lon", "lat", "date", "B04", "B08"] and len(found) == 9
    assert [row["B04"] for row in found[3:6]] == B4[:, 300, 400].tolist()
    assert found[6]["B04"] is None and found[0]["date"] == DATES[0]
    frame = found.pandas()
    assert frame["date"].dt.month.tolist()[:3] == [5, 6, 7] and np.isnan(frame["B04"].iloc[6])
    one = red(running).last().values({"type": "Point", "coordinates": list(place(50, 60))})
    assert [row["value"] for row in one] == [B4[2, 50, 60]]
    many = red(running).last().values([place(row % SIZE, 77) for row in range(1, 502)])
    assert [row["value"] for row in many[20:]] == B4[2, 21:502, 77].tolist()


@pytest.mark.parametrize(
    "given",
    [
        np.array(box(*AREA)),
        shapely.box(*box(*AREA)),
        [shapely.box(*box(*AREA))],
        geopandas.GeoSeries([shapely.box(*box(*AREA))], crs=4326).to_crs(32633),
        shapely.box(*box(*AREA)).__geo_interface__,
    ],
    ids=["numpy", "shapely", "a list", "a series in UTM", "GeoJSON"],
)
def test_areas_come_in_many_forms(running: Season, given: Any) -> None:
    (zone,) = red(running).last().statistics(given)["features"]
    assert zone["properties"]["valid"] == pytest.approx(100 * 180, rel=0.02)
    assert red(running).inside(given).last().value(*place(50, 60)) is None
    assert red(running).inside(given).last().value(*place(150, 200)) == B4[2, 150, 200]
    assert len(red(running).last().values(np.array([place(50, 60), place(70, 80)]))) == 2


def test_a_series_at_a_place_and_of_an_area(running: Season) -> None:
    assert red(running).timeseries(*place(50, 60)) == list(zip(DATES, B4[:, 50, 60].tolist(), strict=True))
    found = red(running).timeseries(shapely.box(*box(*AREA)))
    np.testing.assert_allclose([value for _, value in found], np.nanmean(B4[:, ROWS, COLUMNS], axis=(1, 2)), rtol=1e-6)
    highest = red(running).timeseries(box(*AREA), statistic="max")
    assert [value for _, value in highest] == np.nanmax(B4[:, ROWS, COLUMNS], axis=(1, 2)).tolist()
    months = red(running).composite("month", "mean").timeseries(*place(50, 60))
    assert months == [(date[:7], value) for date, value in zip(DATES, B4[:, 50, 60].tolist(), strict=True)]


def test_a_histogram_of_a_box_and_of_a_geometry(running: Season) -> None:
    want, bins = np.histogram(B4[2, ROWS, COLUMNS], 8)
    for shape in (box(*AREA), shapely.box(*box(*AREA))):
        edges, counts = red(running).last().histogram(shape, bins=8)
        assert counts == want.tolist() and np.allclose(edges, bins)
    ring = shapely.Polygon([place(100, 120), place(100, 299), place(199, 120)])
    assert 0.45 < sum(red(running).last().histogram(ring)[1]) / want.sum() < 0.55


def test_statistics_of_zones_are_geojson_and_tables(running: Season) -> None:
    frame = geopandas.GeoDataFrame(
        {"name": ["field", "corner"]}, geometry=[shapely.box(*box(*AREA)), shapely.box(*box(0, 0, 40, 40))], crs=4326
    )
    zones = red(running).last().statistics(frame.to_crs(32633))
    assert [each["properties"]["name"] for each in zones["features"]] == ["field", "corner"]
    own = red(running).last().statistics(frame)["features"]
    part = B4[2, ROWS, COLUMNS]
    assert own[0]["properties"]["valid"] == part.size and own[0]["properties"]["nodata"] == 0
    assert own[0]["properties"]["mean"] == pytest.approx(part.mean()) and own[1]["properties"]["nodata"] == 600
    assert zones["features"][0]["properties"]["valid"] == pytest.approx(part.size, rel=0.02)
    assert zones.geopandas().crs.to_epsg() == 4326 and len(geopandas.GeoDataFrame.from_features(zones)) == 2
    dated = running.cube().bands("B04", "B08").statistics(frame)
    assert dated.pandas().groupby(["name", "band"])["mean"].count().tolist() == [3] * 4
    assert f"{DATES[1]}_B08_mean" in dated["features"][0]["properties"]


def test_items_and_dates(running: Season) -> None:
    cube = running.cube()
    assert cube.dates() == list(DATES) and cube.composite("month").dates() == ["2024-05", "2024-06", "2024-07"]
    clouds = [item["properties"]["eo:cloud_cover"] for item in cube.sorted("-cloud_cover").items()]
    assert clouds == [80, 35, 5]
    assert cube.where(bdap.prop.cloud_cover.between(5, 40)).dates() == list(DATES[:2])
    assert cube.where((bdap.prop.cloud_cover < 6) | (bdap.prop.cloud_cover > 60)).dates() == [DATES[1], DATES[2]]
    assert cube.sorted("cloud_cover").limit(1).dates() == [DATES[1]] and cube.limit(1).dates() == [DATES[2]]
    assert cube.band("B04").during("2024-06").dates() == [DATES[1]] and cube.ndvi().during("2023").dates() == []
    first, *others = cube.items()
    assert others and [each["id"] for each in cube.where(id=first["id"]).items()] == [first["id"]]
    west, south, east, north = cube.bounds
    assert west < place(256, 256)[0] < east and south < place(256, 256)[1] < north


@pytest.mark.parametrize("counted", [True, False])
def test_the_card_of_many_items_says_the_first_and_the_last(
    running: Season, monkeypatch: pytest.MonkeyPatch, counted: bool
) -> None:
    """Also where the catalogue counts items only when it is asked to."""
    monkeypatch.setattr("bdap.look.FOOTPRINTS", 1)
    monkeypatch.setattr("bdap.look._looks", {})
    if not counted:
        monkeypatch.setattr("bdap_hub.catalogue.embedded.MANY", 0)
    cube = running.cube().where(bdap.prop.cloud_cover < 99)
    assert f"3 items, {DATES[0]} to {DATES[2]}" in repr(cube)
    assert "the newest 1 days and the first" in (cube._repr_html_() or "")


def test_a_cube_shows_what_it_reads(running: Season) -> None:
    cube = running.cube().where(bdap.prop.cloud_cover < 50)
    assert (
        repr(cube)
        == "<Cube of season: 2 items, 2024-05-01 to 2024-06-01; bands B02, B03, B04, B08, SCL; nothing read yet>"
    )
    assert "then NDVI, median over time" in repr(cube.index("NDVI").median())
    html = cube._repr_html_()
    assert html.count("<svg") == 2 and "2 footprints" in html and "Sentinel-2 of one season" in html
    empty = running.cube().during("2020")
    assert "0 items" in repr(empty) and "Nothing fits" in empty._repr_html_()
    hidden = running.cube("plots")
    assert repr(hidden) == "<Cube of plots: 1 process, nothing read yet>" and hidden._repr_html_() is None


# --- arrays ---------------------------------------------------------------------------------------------------------


def test_xarray_is_lazy_and_lies_on_the_exact_pixels(running: Season) -> None:
    found = running.cube().bands("B04", "B08").to_xarray(chunks=200)
    assert found.dims == ("t", "bands", "y", "x") and found.shape == (3, 2, SIZE, SIZE)
    assert found.chunks[2:] == ((200, 200, 112), (200, 200, 112)) and found.dtype == np.float32
    np.testing.assert_array_equal(found.sel(bands="B08").values, B8)
    assert [str(day)[:10] for day in found.t.values] == list(DATES)
    assert found.rio.crs.to_epsg() == 3857 and found.rio.transform().almost_equals(
        rasterio.Affine(GRID.xres, 0, GRID.left, 0, -GRID.yres, GRID.top), 1e-6
    )
    assert pickle.loads(pickle.dumps(found)).isel(t=0, bands=0).values[300, 400] == B4[0, 300, 400]


def test_a_piece_reads_a_piece(running: Season, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    send = bdap.Client.send
    monkeypatch.setattr(
        bdap.Client, "send", lambda self, *a, **o: (asked.append(o.get("params")), send(self, *a, **o))[1]
    )
    found = red(running).last().to_xarray(chunks=128)
    assert not [each for each in asked if each and "left" in each]
    np.testing.assert_array_equal(found[130:140, 10:20].values, B4[2, 130:140, 10:20])
    assert [each for each in asked if each and "left" in each] == [{"left": 0, "top": 128, "width": 128, "height": 128}]


def test_numpy_and_rasterio_hold_the_same(running: Season) -> None:
    np.testing.assert_array_equal(red(running).max().to_numpy(), np.fmax.reduce(B4))
    with red(running).last().to_rasterio() as dataset:
        np.testing.assert_array_equal(dataset.read(1), B4[2])
        assert dataset.crs.to_epsg() == 3857
        back = bdap.from_rasterio(dataset, "back", running.client)
    assert back.last().value(*place(50, 60)) == B4[2, 50, 60]


def test_pyjeo_gets_a_file(running: Season, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cube = red(running).last()
    with pytest.raises(bdap.BadCube, match="pyjeo is not installed") as error:
        cube.to_pyjeo()
    assert "download(" in error.value.remedy

    class Jim:
        """STAND-IN for pyjeo's, which is no package of PyPI: it reads the file as it is made."""

        def __init__(self, path: str) -> None:
            with rasterio.open(path) as file:
                self.pixels = file.read(1)

            self.io = SimpleNamespace(write=lambda target: shutil.copy(self.kept, target))
            self.kept = shutil.copy(path, tmp_path / "jim.tif")

    monkeypatch.setitem(sys.modules, "pyjeo", SimpleNamespace(Jim=Jim))
    back = bdap.from_pyjeo(cube.to_pyjeo(), "jim", running.client)
    assert back.last().value(*place(50, 60)) == B4[2, 50, 60]
    np.testing.assert_array_equal(cube.to_pyjeo().pixels, B4[2])
    np.testing.assert_array_equal(cube.to_pyjeo(tmp_path / "kept.tif").pixels, B4[2])
    assert (tmp_path / "kept.tif").is_file()


def test_neighbourhoods_and_other_grids_in_arrays(running: Season) -> None:
    smooth = red(running).last().focal("median", 5)
    np.testing.assert_array_equal(smooth.to_xarray(chunks=100).values, smooth.to_numpy())
    coarse = red(running).last().resample(GRID.xres * 4, method="average").to_xarray()
    assert coarse.shape == (SIZE // 4, SIZE // 4) and float(coarse.x[1] - coarse.x[0]) == pytest.approx(GRID.xres * 4)


def test_arrays_come_back_as_cubes(running: Season, tmp_path: Path) -> None:
    array = running.cube().bands("B04", "B08").to_xarray(chunks=None)
    back = bdap.from_xarray(array * 2, "twice", running.client)
    again = back.to_xarray(chunks=None)
    assert back.to_xarray().dims == ("t", "bands", "y", "x")
    np.testing.assert_array_equal(again.sel(bands="B08").values, B8 * 2)
    own = bdap.from_numpy(np.arange(300.0).reshape(15, 20), (8, 45, 9, 46), name="ramp", client=running.client)
    assert own.last().value(8.01, 45.99) == 0 and own.last().value(8.99, 45.01) == 299
    path = running.cube().band("B04").last().download(tmp_path / "red.tif")
    assert bdap.from_file(path, client=running.client).last().value(*place(50, 60)) == B4[2, 50, 60]


def of_degrees(values: Any, times: list[Any], **attributes: Any) -> xarray.DataArray:
    """An array as climate data are: time, lat (from south to north), lon."""
    lat, lon = np.linspace(45, 46, values.shape[1]), np.linspace(8, 9, values.shape[2])
    return xarray.DataArray(values, {"time": times, "lat": lat, "lon": lon}, ("time", "lat", "lon"), attrs=attributes)


def test_moments_and_no_data_of_whole_numbers_come_back(running: Season) -> None:
    values = np.arange(2 * 20 * 30, dtype=np.int16).reshape(2, 20, 30)
    values[1, 5, 7] = -1
    moments = list(np.array(["2024-06-01T06:00", "2024-06-02T18:30"], "datetime64[ns]"))
    own = bdap.from_xarray(of_degrees(values, moments, _FillValue=-1), "hours", running.client)
    again = own.to_xarray(chunks=None)
    assert again.t.values.tolist() == np.array(moments).tolist()
    np.testing.assert_array_equal(again.values[:, 0], np.where(values == -1, np.nan, values)[:, ::-1])
    assert own.max().value(8, 45) == values[1, 0, 0]
    months = bdap.from_xarray(of_degrees(values * 1.0, ["2024-05", "2024-06"], _FillValue=-1.0), "m", running.client)
    assert [str(each)[:10] for each in months.to_xarray(chunks=None).t.values] == ["2024-05-01", "2024-06-01"]
    assert np.isnan(months.to_xarray(chunks=None).values).sum() == 1


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (of_degrees(np.zeros((2, 4, 4)), ["2024-mam", "2024-jja"]), "'2024-mam' is no date"),
        (of_degrees(np.zeros((2, 4, 4)), ["2024-06-01T06:00", "2024-06-01T18:30"]), "has 2024-06-01 more than once"),
        (of_degrees(np.zeros((2, 4, 4)), [1, 2]), "'1' is no date"),
        (of_degrees(np.zeros((2, 4, 4)), [1, 2]).rename(lat="rows"), "no dimension 'y'"),
    ],
)
def test_arrays_that_say_too_little_are_refused(running: Season, array: Any, part: str) -> None:
    with pytest.raises(bdap.BadCube, match=part):
        bdap.from_xarray(array, client=running.client)


def test_a_histogram_across_the_antimeridian(running: Season) -> None:
    own = bdap.from_numpy(np.arange(200.0).reshape(10, 20), (179, 10, 181, 11), name="pacific", client=running.client)
    assert sum(own.last().histogram(own.last().bounds, bins=4)[1]) == 200
    assert sum(own.last().histogram((179.5, 10, -179.5, 11), bins=4)[1]) == 100


def test_cubes_in_different_reference_systems_meet_on_the_pixels_of_the_first(running: Season) -> None:
    corners = [place(*corner) for corner in ((0, 0), (0, SIZE), (SIZE, 0), (SIZE, SIZE))]
    x, y = rasterio.warp.transform("EPSG:4326", "EPSG:32633", *zip(*corners, strict=True))
    own = bdap.from_numpy(np.full((40, 40), 7.0), (min(x), min(y), max(x), max(y)), 32633, "sevens", running.client)
    both = red(running).last() - own.last()
    assert both.value(*place(300, 400)) == B4[2, 300, 400] - 7
    found = both.to_xarray(chunks=None)
    assert found.rio.crs.to_epsg() == 3857
    x, y = GRID.left + 400.5 * GRID.xres, GRID.top - 300.5 * GRID.yres
    assert found.sel(x=x, y=y, method="nearest", tolerance=0.01).item() == B4[2, 300, 400] - 7
    assert own.to_xarray().rio.crs.to_epsg() == 32633


# --- files and jobs -------------------------------------------------------------------------------------------------


def test_a_download_is_a_file_or_nothing(running: Season, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = red(running).last().download(tmp_path / "red.tif", dtype="uint16", nodata=0)
    with rasterio.open(path) as file:
        assert file.dtypes == ("uint16",) and file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        np.testing.assert_array_equal(file.read(1), np.nan_to_num(B4[2]))
    with xarray.open_dataset(running.cube().bands("B04").download(tmp_path / "all.nc")) as file:
        np.testing.assert_array_equal(file["B04"].values, B4)
    with xarray.open_zarr(red(running).last().download(tmp_path / "one.zarr"), consolidated=None) as file:
        np.testing.assert_array_equal(file["value"].values, B4[2])
    zones = red(running).last().zonal({"type": "Feature", "properties": {"id": 7}, "geometry": _area()})
    frame = geopandas.read_file(zones.download(tmp_path / "zones.geojson"))
    assert len(frame) == 1 and frame["id"].tolist() == [7]
    picture = red(running).last().colormap("viridis", 0, 10000).download(tmp_path / "red.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(bdap.ServiceError, match="B99"):
        running.cube().band("B99").last().download(tmp_path / "none.tif")
    assert {each.name for each in tmp_path.iterdir()} == {"red.tif", "all.nc", "one.zarr", "zones.geojson", "red.png"}


def _area() -> dict[str, Any]:
    return shapely.box(*box(*AREA)).__geo_interface__


def test_a_job_outlives_the_notebook_and_puts_its_file_where_it_was_asked_to(running: Season, tmp_path: Path) -> None:
    made = red(running).last().save(tmp_path / "job.tif", title="red", wait=False)
    with pytest.raises(bdap.StillRunning, match=f"job {made.id} goes on") as stopped:
        made.wait(seconds=0)
    assert made.id in stopped.value.remedy and not list(tmp_path.iterdir())
    taken_up = bdap.job(made.id, running.client)  # as another kernel does
    assert taken_up.title == "red" and taken_up.wait().status == "finished"
    with rasterio.open(tmp_path / "job.tif") as file:
        np.testing.assert_array_equal(file.read(1), B4[2])
    assert made.id in [each.id for each in bdap.jobs(running.client)] and "red" in repr(bdap.jobs(running.client))
    assert "finished" in repr(made) and any("finished" in line for line in made.logs())
    made.delete()
    assert "you have no job" in repr(made)
    with pytest.raises(bdap.ServiceError, match="you have no job"):
        bdap.job(made.id, running.client)


def test_several_dates_become_a_file_each(running: Season, tmp_path: Path) -> None:
    red(running).save(f"{tmp_path}/red.tif")
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"red_{day}.tif" for day in DATES]
    with rasterio.open(tmp_path / f"red_{DATES[1]}.tif") as file:
        np.testing.assert_array_equal(file.read(1), B4[1])


def test_a_job_can_be_canceled_and_says_why_it_failed(running: Season, tmp_path: Path) -> None:
    made = red(running).save(tmp_path / "x.tif", wait=False)
    assert made.cancel().status in ("canceled", "finished")
    failing = red(running).save(tmp_path / "three.png", wait=False)
    with pytest.raises(bdap.JobFailed, match="3 dates"):
        failing.wait()
    assert not list(tmp_path.iterdir())
