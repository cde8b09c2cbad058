"""NetCDF and Zarr: what their headers say is what xarray reads; what is odd or hostile is told and left out."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from bdap_hub.settings import Settings
from tests.catalogue.test_ingest import items_of, run


def cube(crs: str = "", lat: tuple[float, float] = (60, 40), lon: tuple[float, float] = (0, 30)) -> xr.Dataset:
    """Two variables in three days over 8 x 12 pixels; in degrees unless `crs` (WKT) says otherwise."""
    names = ("y", "x") if crs else ("lat", "lon")
    values = np.arange(3 * 8 * 12, dtype="float32").reshape(3, 8, 12)
    days = np.array(["2024-06-01", "2024-06-02", "2024-06-03"], "datetime64[ns]")
    coords = {"time": days, names[0]: np.linspace(*lat, 8), names[1]: np.linspace(*lon, 12)}
    dims = ("time", *names)
    found = xr.Dataset(
        {"t2m": (dims, values, {"units": "K", "long_name": "temperature"}), "rain": (dims, values.astype("f8"))},
        coords,
    )
    found.rain.encoding = {"scale_factor": 0.1, "add_offset": 5.0, "_FillValue": -999, "dtype": "int16"}
    found.t2m.encoding = {"_FillValue": np.float32(-1)}
    if crs:
        found["crs"] = xr.DataArray(0, attrs={"crs_wkt": crs, "grid_mapping_name": "transverse_mercator"})
        for name in ("t2m", "rain"):
            found[name].attrs["grid_mapping"] = "crs"
        for axis in "yx":
            found[axis].attrs["standard_name"] = f"projection_{axis}_coordinate"
    else:
        found.lat.attrs, found.lon.attrs = {"units": "degrees_north"}, {"units": "degrees_east"}
    return found


def write(dataset: xr.Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".nc":
        dataset.to_netcdf(path, engine="h5netcdf")
    else:
        dataset.to_zarr(path, zarr_format=3 if "three" in path.name else 2)
    return path


@pytest.mark.parametrize("name", ["era5.nc", "era5.zarr", "three.zarr"])
def test_variables_dates_and_place_are_those_of_the_file(stocked: Settings, name: str) -> None:
    path = write(cube(), stocked.store.data / "weather" / name)
    report = run(stocked, "weather", "weather")
    assert (report.added, report.errors) == (1, [])
    [item] = items_of(stocked, "weather").values()
    properties, asset = item["properties"], item["assets"]["data"]
    assert properties["datetime"] is None
    ends = ["2024-06-01T00:00:00Z", "2024-06-03T00:00:00Z"]
    assert [properties["start_datetime"], properties["end_datetime"]] == ends
    assert properties["proj:code"] == "EPSG:4326" and asset["href"] == f"/eos/data/weather/{name}"
    assert asset["type"] == ("application/netcdf" if name.endswith(".nc") else "application/vnd.zarr")
    bands = {band["name"]: band for band in asset["bands"]}
    opened = xr.open_dataset(path, engine="h5netcdf") if name.endswith(".nc") else xr.open_zarr(path)
    with opened as file:
        assert set(bands) == set(file.data_vars) == {"t2m", "rain"}
        assert asset["proj:shape"] == [file.sizes["lat"], file.sizes["lon"]]
        step = float(file.lon[1] - file.lon[0])
        assert asset["proj:transform"][:3] == pytest.approx([step, 0, -step / 2])
        assert bands["rain"]["raster:scale"] == file.rain.encoding["scale_factor"]
        assert bands["rain"]["nodata"] == file.rain.encoding["_FillValue"]
        assert bands["t2m"]["unit"] == file.t2m.attrs["units"]
    assert bands["rain"]["data_type"] == "int16" and bands["t2m"]["data_type"] == "float32"
    assert properties["cube:variables"]["t2m"]["dimensions"] == ["time", "lat", "lon"]
    assert properties["cube:dimensions"]["time"]["extent"] == ends
    assert item["bbox"] == pytest.approx([-1.3636364, 38.5714286, 31.3636364, 61.4285714])
    assert ("file:size" in asset) == name.endswith(".nc")
    assert run(stocked, "weather", "weather").skipped == 1


def test_a_grid_in_metres_lies_where_it_is(stocked: Settings) -> None:
    from rasterio.crs import CRS

    dataset = cube(CRS.from_epsg(32632).to_wkt(), (5_100_000, 5_099_300), (500_000, 501_100)).isel(time=[1])
    write(dataset, stocked.store.data / "plots" / "2024-06-02.nc")
    assert run(stocked, "plots", "plots").errors == []
    [item] = items_of(stocked, "plots").values()
    assert item["properties"]["datetime"].startswith("2024-06-02T00:00:00")
    assert item["properties"]["proj:code"] == "EPSG:32632" and item["properties"]["gsd"] == 100
    assert item["assets"]["data"]["proj:transform"] == [100, 0, 499_950, 0, -100, 5_100_050]
    assert item["bbox"][0] == pytest.approx(8.99935, abs=1e-4)


def test_longitudes_up_to_360_are_those_of_the_world(stocked: Settings) -> None:
    write(cube(lat=(88.75, -88.75), lon=(15, 345)), stocked.store.data / "world" / "2024-06-02.nc")
    assert run(stocked, "world", "world").errors == []
    [item] = items_of(stocked, "world").values()
    assert item["bbox"] == [-180, -90, 180, 90]


def hostile(kind: str, path: Path, secret: Path) -> None:
    """Files that lead to others', that are cut short, or that are none."""
    if kind == "classic":
        path.write_bytes(b"CDF\x01" + bytes(100))
    elif kind == "cut short":
        path.write_bytes(write(cube(), path).read_bytes()[:3000])
    elif kind == "no grid":
        xr.Dataset({"a": ("n", [1, 2])}).to_netcdf(path, engine="h5netcdf")
    elif kind == "no reference system":
        dataset = cube("LOCAL")
        del dataset["crs"]
        write(dataset, path)
    else:
        with h5py.File(write(cube(), path), "r+") as file:
            del file["t2m"]
            if kind == "link":
                file["t2m"] = h5py.ExternalLink(str(secret), "t2m")
            elif kind == "virtual":
                layout = h5py.VirtualLayout(shape=(3, 8, 12), dtype="f4")
                layout[:] = h5py.VirtualSource(str(secret), "t2m", shape=(3, 8, 12))
                file.create_virtual_dataset("t2m", layout)
            else:
                file.create_dataset("t2m", (3, 8, 12), "f4", external=[(str(secret), 0, 3 * 8 * 12 * 4)])


HOSTILE = [
    ("classic", "is no NetCDF-4"), ("cut short", "cannot be read"), ("no grid", "no variable along y and x"),
    ("no reference system", "no coordinate reference system"), ("link", "links to 't2m' elsewhere"),
    ("virtual", "keeps 't2m' in another file"), ("external", "keeps 't2m' in another file"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "sentence"), HOSTILE)
def test_what_leads_elsewhere_or_is_damaged_is_told(stocked: Settings, kind: str, sentence: str) -> None:
    folder = stocked.store.data / "odd"
    folder.mkdir()
    secret = write(cube(), stocked.store.projects / "forest" / "secret.nc")
    write(cube(), folder / "sound.nc")
    hostile(kind, folder / "odd.nc", secret)
    report = run(stocked, "odd", "odd", datetime="2024-06-01")
    assert report.added == 1 and len(report.errors) == 1 and sentence in report.errors[0], report
    assert str(stocked.store.projects) not in report.errors[0]


def test_a_link_in_a_zarr_is_told(stocked: Settings) -> None:
    path = write(cube(), stocked.store.data / "linked" / "2024-06-01.zarr")
    chunk = next(p for p in (path / "lat").iterdir() if not p.name.startswith("."))
    chunk.rename(path.parent / "chunk")
    chunk.symlink_to(path.parent / "chunk")
    assert "holds a link, 'lat/" in run(stocked, "linked", "linked").errors[0]


@pytest.mark.parametrize("name", ["2024-06-01.zarr", "three-2024-06-01.zarr"])
@pytest.mark.parametrize("part", ["lon", "t2m", "t2m/described", "described"])
def test_no_array_and_no_description_of_a_zarr_is_a_link(stocked: Settings, name: str, part: str) -> None:
    """Neither the place of a project's file nor its names and units become public."""
    secret = cube(lon=(100, 110)).assign_attrs(title="secret")
    secret.t2m.attrs["units"] = "secret"
    path = write(cube(), stocked.store.data / "linked" / name)
    (path / ".zmetadata").unlink(missing_ok=True)
    part = part.replace("described", "zarr.json" if "three" in name else ".zattrs")
    (path / part).rename(path.parent / "away")
    (path / part).symlink_to(write(secret, stocked.store.projects / "forest" / name) / part)
    report = run(stocked, "linked", "linked")
    assert report.added == 0 and f"holds a link, '{part}'" in report.errors[0], report
    assert str(stocked.store.projects) not in report.errors[0]


def test_other_calendars_have_no_date(stocked: Settings) -> None:
    dataset = cube().drop_vars("time")
    dataset["time"] = ("time", [0, 1, 2], {"units": "days since 2024-06-01", "calendar": "360_day"})
    write(dataset, stocked.store.data / "model" / "run.nc")
    assert "no date is found" in run(stocked, "model", "model").errors[0]
    assert run(stocked, "model", "model", datetime="2024-06-01").added == 1
