"""One's own netCDF files: unpacked by a process of its own, read as they say, and nothing beside them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr

from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.netcdf.apart import unpacked
from bdap_hub.processing.results.export import export
from bdap_hub.processing.service.unpacked import FOLDER, layers
from bdap_hub.processing.service.workspace import StorageQuotaExceeded, workspace_of
from bdap_hub.settings import Settings

from .client import Client
from .conftest import DATES, X, Y, Z
from .graphs import node
from .test_exports import BANDS, evaluator, saved, want
from .test_load_stac import value
from .test_uploads import clear, put

VALUES = np.arange(2 * 30 * 40, dtype=np.float32).reshape(2, 30, 40)


def cube(**more: Any) -> xr.Dataset:
    """Two dates in degrees, the first row in the north."""
    coordinates = {
        "t": np.array(DATES[:2], "datetime64[ns]"),
        "y": ("y", np.linspace(51.95, 51.95 - 2.9, 30), {"units": "degrees_north", "standard_name": "latitude"}),
        "x": ("x", np.linspace(10.05, 10.05 + 3.9, 40), {"units": "degrees_east", "standard_name": "longitude"}),
    }
    return xr.Dataset({"ndvi": (("t", "y", "x"), VALUES)}, coords=coordinates, **more)


def layers_of(path: Path, folder: Path, most: int = 2**30) -> dict[str, Path]:
    """The layers of a file by name."""
    folder.mkdir()
    handle = os.open(path, os.O_RDONLY)
    try:
        unpacked(handle, folder, most)
    finally:
        os.close(handle)
    return {one.name: one for one in sorted(folder.iterdir())}


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_each_variable_and_date_is_a_layer(tmp_path: Path, engine: str) -> None:
    cube().to_netcdf(tmp_path / "a.nc", engine=engine)
    found = layers_of(tmp_path / "a.nc", tmp_path / "out")
    assert list(found) == [f"ndvi_{date.replace('-', '')}T000000.tif" for date in DATES[:2]]
    for number, path in enumerate(found.values()):
        with rasterio.open(path) as file:
            np.testing.assert_array_equal(file.read(1), VALUES[number])
            assert file.crs.to_epsg() == 4326 and file.descriptions == ("ndvi",)
            np.testing.assert_allclose(list(file.bounds), [10, 49, 14, 52], atol=1e-9)
            assert file.tags()["TIFFTAG_DATETIME"] == DATES[number].replace("-", ":") + " 00:00:00"


def test_our_own_results_come_back(fields: Any, tmp_path: Path) -> None:
    (written,) = export(evaluator(fields, saved("netCDF")), tmp_path)
    found = layers_of(written.path, tmp_path / "out")
    assert len(found) == len(DATES) * len(BANDS)
    for name, path in found.items():
        band, _, moment = path.stem.partition("_")
        date = next(number for number, one in enumerate(DATES) if moment.startswith(one.replace("-", "")))
        with rasterio.open(path) as file:
            data = file.read(1, masked=True).filled(np.nan)
            np.testing.assert_array_equal(data, want(date, band), err_msg=name)
            assert file.crs.to_epsg() == 3857


def edited(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        cube().to_netcdf(path, engine="h5netcdf")
        with h5py.File(path, "a") as file:
            change(file)

    return write


def other_dimension(path: Path) -> None:
    cube().expand_dims(level=[1.0, 2.0], axis=1).to_netcdf(path, engine="h5netcdf")


def short_years(path: Path) -> None:
    made = cube()
    made["t"] = ("t", [0.0, 30.0], {"units": "days since 2024-05-01", "calendar": "360_day"})
    made.to_netcdf(path, engine="h5netcdf")


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((2,), "f4")
    layout[0:2] = h5py.VirtualSource("/etc/hostname", "x", (2,))
    file.create_virtual_dataset("v", layout)


def without_crs(path: Path) -> None:
    made = cube()
    for name in "xy":
        made[name].attrs = {"standard_name": f"projection_{name}_coordinate", "units": "m"}
    made.to_netcdf(path, engine="h5netcdf")


def lone_number(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"] = [1.0]


def without_axes(path: Path) -> None:
    made = cube()
    for name in "xy":
        made[name].attrs.clear()
    made.to_netcdf(path, engine="h5netcdf")


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "junk": (lambda path: path.write_bytes(b"nothing of the kind"), "is damaged or no netCDF"),
    "HDF5 without a grid": (
        lambda path: h5py.File(path, "w").create_dataset("a", data=[1.0]).file.close(),
        "is damaged or no netCDF",
    ),
    "an external link": (
        edited(lambda f: f.__setitem__("l", h5py.ExternalLink("/etc/hostname", "/"))),
        "links to other",
    ),
    "a soft link": (edited(lambda f: f.__setitem__("l", h5py.SoftLink("/ndvi"))), "links to"),
    "numbers elsewhere": (
        edited(lambda f: f.create_dataset("e", (4,), "u1", external=[("/etc/hostname", 0, 4)])),
        "keeps its numbers in other files",
    ),
    "a virtual variable": (edited(virtual), "keeps its numbers in other files"),
    "another dimension": (other_dimension, "has the dimension"),
    "another calendar": (short_years, "of the calendar '360_day'"),
    "no axes": (without_axes, "holds no variable on a grid of x and y"),
    "no reference system": (without_crs, "says no coordinate reference system"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_read_is_refused(tmp_path: Path, name: str) -> None:
    write, said = WRONG[name]
    write(tmp_path / "a.nc")
    with pytest.raises(GraphError) as refused:
        layers_of(tmp_path / "a.nc", tmp_path / "out")
    assert refused.value.code == "FormatUnsuitable" and said in refused.value.message, refused.value.message


def test_what_is_too_much_is_refused_and_leaves_nothing(tmp_path: Path, settings: Settings) -> None:
    cube().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(GraphError, match="holds more than"):
        layers_of(tmp_path / "a.nc", tmp_path / "out", most=VALUES.nbytes - 1)
    settings = settings.model_copy(update={"store": settings.store.model_copy(update={"root": tmp_path})})
    workspace = workspace_of(settings, "ana")
    workspace.root.mkdir(parents=True)
    (workspace.root / "a.nc").write_bytes((tmp_path / "a.nc").read_bytes())
    workspace.most_bytes = VALUES.nbytes - 1
    with pytest.raises(GraphError, match=r"a\.nc holds more than"):
        layers(workspace, "a.nc")
    assert list((workspace.root / FOLDER).iterdir()) == []
    workspace.most_bytes = VALUES.nbytes
    assert len(layers(workspace, "a.nc")) == 2 == len(layers(workspace, "a.nc"))
    (workspace.root / "b.nc").write_bytes((tmp_path / "a.nc").read_bytes())
    workspace.most_bytes = 1
    with pytest.raises(StorageQuotaExceeded):
        layers(workspace, "b.nc")
    assert [one.path for one in workspace.entries()] == ["a.nc", "b.nc"]
    workspace.remove("a.nc")
    workspace.most_bytes = VALUES.nbytes
    assert len(layers(workspace, "b.nc")) == 2 and len(list((workspace.root / FOLDER).iterdir())) == 1  # a's are gone


def test_over_http(ana: Client, platform: Any, tmp_path: Path) -> None:
    bounds, grid = Grid.tile(Z, X, Y).bounds(), np.arange(64, dtype=np.float32)
    width, height = bounds.east - bounds.west, bounds.north - bounds.south
    xs, ys = bounds.west - width + grid * width / 16, bounds.north + height - grid * height / 16
    made = xr.Dataset(
        {"red": (("t", "y", "x"), np.full((2, 64, 64), 7, np.float32)), "nir": (("y", "x"), np.ones((64, 64), "f4"))},
        coords={
            "t": np.array(DATES[:2], "datetime64[ns]"),
            "y": ("y", ys, {"units": "degrees_north", "standard_name": "latitude"}),
            "x": ("x", xs, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )
    made[["red"]].to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    put(ana, "cube.nc", (tmp_path / "a.nc").read_bytes())
    graph = {"data": node("load_uploaded_files", True, paths=["cube.nc"], format="netCDF")}
    found = value(ana, graph)
    assert {date[:10]: bands for date, bands in found.items()} == {date: {"red": 7.0} for date in DATES[:2]}
    assert [one["path"] for one in ana.http.get("/files").json()["files"] if "netcdf" in one["path"]] == []
    assert Client(platform, "ben").post(graph).json()["code"] == "FileNotFound"
    service = ana.service(graph)
    put(ana, "cube.nc", (tmp_path / "a.nc").read_bytes())
    at = {"lon": bounds.west + width / 3, "lat": bounds.south + height / 3}
    refused = ana.http.get(f"/services/{service['id']}/point", params=at)
    assert refused.status_code == 503 and "was replaced since" in refused.text
    assert value(ana, graph) == found
    clear(ana)
