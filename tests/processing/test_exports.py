"""Results as files: each format, read by others' libraries, holds what numpy computes from the sources."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  the accessor .rio
import xarray

from bdap_hub.processing.cancel import CallerGone, Cancel, under
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.results import export as exports
from bdap_hub.processing.results.export import Extent, block_side, check, export, extent_of
from bdap_hub.processing.results.pixels import Evaluator
from bdap_hub.settings import Settings

from .conftest import DATES, SIZE, truth
from .engines import compiled, expected_median
from .graphs import arg, call, load, ndvi_median, node, of

BANDS = ("B04", "B08")


def saved(form: str, options: Any = None, **extents: Any) -> dict[str, Any]:
    """Two bands of all dates, as they are, in a format."""
    return {
        "data": load(bands=list(BANDS), **extents),
        "save": node("save_result", True, data=of("data"), format=form, options=options or {}),
    }


def evaluator(fields: Any, raw: Any, **limits: Any) -> Evaluator:
    settings = Settings(environment="demo", store={"root": fields[0]}, processing={"port": 1, **limits})
    return Evaluator(settings, compiled(raw, [fields[1]], fields[2], whole=True))


def want(date: int, band: str) -> Any:
    pixels = truth(date)[band].astype(np.float32)
    return np.where(pixels == 0, np.nan, pixels)


def test_geotiff_of_a_job_is_a_cloud_optimised_file_a_date(fields: Any, tmp_path: Path) -> None:
    written = export(evaluator(fields, saved("GTiff")), tmp_path, split=True)
    assert [w.path.name for w in written] == [f"result_{d}.tif" for d in DATES]
    assert sorted(p.name for p in tmp_path.iterdir()) == [w.path.name for w in written]
    for number, one in enumerate(written):
        with rasterio.open(one.path) as file, rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B04.tif") as source:
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and file.descriptions == BANDS
            assert (file.crs, file.shape, file.dtypes) == (source.crs, source.shape, ("float32",) * 2)
            assert file.transform.almost_equals(source.transform, 1e-9) and np.isnan(file.nodata)
            for band, got in zip(BANDS, file.read(), strict=True):
                np.testing.assert_array_equal(got, want(number, band))


def test_geotiff_in_one_has_a_band_for_each_date_and_band(fields: Any, tmp_path: Path) -> None:
    options = {"dtype": "uint16", "nodata": 0}
    (written,) = export(evaluator(fields, saved("GTiff", options)), tmp_path)
    with rasterio.open(written.path) as file:
        assert file.descriptions == tuple(f"{d}T10:00:00Z {b}" for d in DATES for b in BANDS)
        assert file.nodata == 0 and file.dtypes == ("uint16",) * 6
        np.testing.assert_array_equal(file.read(), [truth(t)[b] for t in range(3) for b in BANDS])


@pytest.mark.parametrize(("form", "open_it"), [("netCDF", {"engine": "h5netcdf"}), ("Zarr", {"engine": "zarr"})])
@pytest.mark.parametrize("options", [{}, {"dtype": "uint16", "nodata": 0}])
def test_xarray_reads_time_bands_and_crs(fields: Any, tmp_path: Path, form: str, open_it: Any, options: Any) -> None:
    (written,) = export(evaluator(fields, saved(form, options)), tmp_path)
    with xarray.open_dataset(_opened(written.path), decode_coords="all", **open_it) as data:
        assert dict(data.sizes) == {"t": 3, "y": SIZE, "x": SIZE} and set(data.data_vars) == set(BANDS)
        assert [str(t)[:19] for t in data.t.values] == [f"{d}T10:00:00" for d in DATES]
        with rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B04.tif") as source:
            assert data.rio.crs == source.crs
            np.testing.assert_allclose(tuple(data.rio.transform())[:6], tuple(source.transform)[:6])
        for number in range(3):
            for band in BANDS:
                np.testing.assert_array_equal(data[band].values[number], want(number, band))


def _opened(path: Path) -> Any:
    import zarr

    return zarr.storage.ZipStore(path, mode="r") if path.suffix == ".zip" else path


def test_gdal_reads_the_netcdf_with_its_place(fields: Any, tmp_path: Path) -> None:
    (written,) = export(evaluator(fields, saved("netCDF")), tmp_path)
    with rasterio.open(f"netcdf:{written.path}:B08") as file:
        with rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B08.tif") as source:
            assert file.crs == source.crs and file.transform.almost_equals(source.transform, 1e-6)
        np.testing.assert_array_equal(file.read(2), want(1, "B08"))


@pytest.mark.parametrize("form", ["GTiff", "netCDF", "Zarr"])
def test_blocks_give_what_one_evaluation_gives(fields: Any, tmp_path: Path, form: str, monkeypatch: Any) -> None:
    """The masked median in 16 blocks."""
    monkeypatch.setattr(exports, "block_side", lambda extent, limit: 128)
    raw = ndvi_median()
    raw["save"] = node("save_result", True, data=of("median"), format=form)
    seen: list[tuple[int, int]] = []
    (written,) = export(evaluator(fields, raw), tmp_path, progress=lambda *done: seen.append(done))
    assert seen == [(n, 16) for n in range(17)]
    if form == "GTiff":
        with rasterio.open(written.path) as file:
            got = file.read(1)
    else:
        with xarray.open_dataset(_opened(written.path), engine="h5netcdf" if form == "netCDF" else "zarr") as data:
            got = data["value"].values
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected_median()))
    np.testing.assert_allclose(got, expected_median(), atol=2e-6)


def test_statistics_stand_beside_what_is_written(fields: Any, tmp_path: Path) -> None:
    (written, *_) = export(evaluator(fields, saved("GTiff")), tmp_path, split=True)
    name, found = written.bands[0]
    pixels = want(0, "B04")
    assert name == "B04"
    assert found["minimum"] == np.nanmin(pixels) and found["maximum"] == np.nanmax(pixels)
    np.testing.assert_allclose(found["mean"], np.nanmean(pixels, dtype=np.float64))
    np.testing.assert_allclose(found["stddev"], np.nanstd(pixels, dtype=np.float64))
    assert found["valid_percent"] == 100 * np.isfinite(pixels).mean()
    assert len(written.checksum()) == 68


SQUARES = ((10, 10, 60, 90), (200, 100, 300, 140))


def polygons(fields: Any) -> dict[str, Any]:
    """Squares of whole pixels, as degrees."""
    features = []
    with rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B04.tif") as file:
        for top, left, bottom, right in SQUARES:
            corners = [(top, left), (top, right), (bottom, right), (bottom, left), (top, left)]
            xy = [file.xy(row, column, offset="ul") for row, column in corners]
            lonlat = np.transpose(rasterio.warp.transform(file.crs, "EPSG:4326", *zip(*xy, strict=True)))
            geometry = {"type": "Polygon", "coordinates": [lonlat.tolist()]}
            features.append({"type": "Feature", "geometry": geometry, "properties": {}})
    return {"type": "FeatureCollection", "features": features}


def zonal(fields: Any, form: str) -> dict[str, Any]:
    mean = call("mean", data=arg("data"))
    return {
        "data": load(bands=list(BANDS)),
        "zones": node("aggregate_spatial", data=of("data"), geometries=polygons(fields), reducer=mean),
        "save": node("save_result", True, data=of("zones"), format=form),
    }


def means() -> Any:
    """(date, geometry, band)"""
    with warnings.catch_warnings(action="ignore"):
        return [
            [
                [float(np.nanmean(want(t, b)[r0:r1, c0:c1], dtype=np.float64)) for b in BANDS]
                for r0, c0, r1, c1 in SQUARES
            ]
            for t in range(3)
        ]


def test_polygon_means_as_json_csv_and_geojson(fields: Any, tmp_path: Path) -> None:
    (written,) = export(evaluator(fields, zonal(fields, "JSON")), tmp_path)
    found = json.loads(written.path.read_text())
    assert list(found) == [f"{d}T10:00:00Z" for d in DATES]
    np.testing.assert_allclose(list(found.values()), means(), rtol=1e-5)
    (written,) = export(evaluator(fields, zonal(fields, "CSV")), tmp_path)
    with written.path.open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["date", "feature_index", *BANDS] and len(rows) == 7
    np.testing.assert_allclose(np.array([row[2:] for row in rows[1:]], float), np.reshape(means(), (6, 2)), rtol=1e-5)
    (written,) = export(evaluator(fields, zonal(fields, "GeoJSON")), tmp_path)
    features = json.loads(written.path.read_text())["features"]
    assert features[1]["geometry"] == polygons(fields)["features"][1]["geometry"]
    np.testing.assert_allclose(features[1]["properties"][f"{DATES[2]}T10:00:00Z_B08"], means()[2][1][1], rtol=1e-5)


def test_one_number_for_all_pixels(fields: Any, tmp_path: Path) -> None:
    raw = {
        "data": load(bands=["B04"], temporal_extent=[DATES[0], DATES[1]]),
        "all": node("reduce_spatial", data=of("data"), reducer=call("max", data=arg("data"))),
        "save": node("save_result", True, data=of("all"), format="JSON"),
    }
    (written,) = export(evaluator(fields, raw), tmp_path)
    found = json.loads(written.path.read_text())
    assert found == {f"{DATES[0]}T10:00:00Z": {"B04": float(np.nanmax(want(0, "B04")))}}


def test_pixels_as_text_are_refused_where_they_are_many(fields: Any, tmp_path: Path) -> None:
    box = {"west": 0, "south": 0, "east": 1, "north": 1}
    with rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B04.tif") as file:
        box = dict(zip(("west", "south", "east", "north"), (*file.xy(60, 40, offset="ul"), 0, 0), strict=True))
        box["east"], box["north"] = file.xy(40, 70, offset="ul")
    (written,) = export(evaluator(fields, saved("JSON", spatial_extent={**box, "crs": 3857})), tmp_path)
    found = json.loads(written.path.read_text())
    assert np.shape(found["data"]) == (3, 2, 20, 30) and found["dims"] == ["t", "bands", "y", "x"]
    np.testing.assert_array_equal(np.array(found["data"], float)[1, 1], want(1, "B08")[40:60, 40:70])
    with pytest.raises(GraphError, match="2000000 values, not") as refused:
        export(evaluator(fields, {**saved("JSON"), "data": load()}), tmp_path)
    assert refused.value.code == "FormatUnsuitable"


def test_a_picture(fields: Any, tmp_path: Path) -> None:
    (written,) = export(evaluator(fields, ndvi_median()), tmp_path)
    with rasterio.open(written.path) as file:
        assert file.shape == (SIZE, SIZE)
        index = file.read(1)
    np.testing.assert_array_equal(index == 0, np.isnan(expected_median()))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (saved("GTiff", {"colormap": "rdylgn"}), "ProcessArgumentInvalid"),
        (saved("GTiff", {"dtype": "complex64"}), "ProcessArgumentInvalid"),
        (saved("GTiff", {"dtype": "uint8", "nodata": 300}), "ProcessArgumentInvalid"),
        (saved("GeoJSON"), "FormatUnsuitable"),
        (saved("PNG"), "ProcessGraphInvalid"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(fields: Any, tmp_path: Path, raw: Any, code: str) -> None:
    with pytest.raises(GraphError) as refused:
        export(evaluator(fields, raw), tmp_path)
    assert refused.value.code == code


def test_numbers_are_rounded_and_clipped_to_what_a_type_holds(fields: Any, tmp_path: Path) -> None:
    (written,) = export(evaluator(fields, saved("GTiff", {"dtype": "uint8"})), tmp_path)
    with rasterio.open(written.path) as file:
        pixels = want(0, "B04")
        expected = np.where(np.isnan(pixels), 255, np.clip(np.nan_to_num(pixels), 0, 255))
        np.testing.assert_array_equal(file.read(1), expected)


def test_too_large_a_result_is_refused_with_its_size_and_a_remedy(fields: Any) -> None:
    extent = extent_of(evaluator(fields, saved("GTiff")))
    assert extent == Extent(SIZE, SIZE, 6, 6, False) and extent.bytes_written == 4 * 6 * SIZE * SIZE
    check(extent, 6, "make it a job")
    with pytest.raises(GraphError, match="512 x 512 pixels and needs 6 MB of pixels; the limit is 5 MB") as refused:
        check(extent, 5, "make it a job")
    assert (refused.value.code, refused.value.remedy) == ("ProcessGraphComplexity", "make it a job")


@pytest.mark.parametrize(("layers", "limit_mb"), [(1, 512), (18, 512), (500, 512), (5000, 64)])
def test_blocks_fit_into_memory(layers: int, limit_mb: int) -> None:
    side = block_side(Extent(100_000, 100_000, layers, 1, False), limit_mb * 2**20)
    assert side >= 64 and (side % 512 == 0 or side % 64 == 0)
    assert side == 64 or side * side * layers * 4 <= limit_mb * 2**20 / 4


def test_who_has_gone_stops_it(fields: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(exports, "block_side", lambda extent, limit: 128)
    seen, stop = list[int](), Cancel()

    def progress(done: int, total: int) -> None:
        seen.append(done)
        if done == 3:
            stop.now(CallerGone())

    with under(stop), pytest.raises(CallerGone):
        export(evaluator(fields, saved("netCDF")), tmp_path, progress=progress)
    assert seen == [0, 1, 2, 3]
