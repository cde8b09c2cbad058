"""Cubes as arrays and arrays as cubes: lazy xarray read in pieces through the platform; uploads the other way."""

from __future__ import annotations

import io
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from . import ask
from . import client as clients
from .choosing import loaded
from .client import Client
from .cube import Cube
from .errors import BadCube

if TYPE_CHECKING:
    from .asking import Asking

PIECE = 4_000_000
"""Numbers in one piece of a good size."""
MOST = 20_000_000
"""Numbers that one request may give."""
SIDES = (256, 2048)


@dataclass(frozen=True)
class Grid:
    """The pixels of a result: CRS, geotransform (x, xres, 0, y, 0, -yres), size, and its other dimensions."""

    crs: str
    transform: tuple[float, ...]
    width: int
    height: int
    dims: tuple[str, ...]
    labels: Mapping[str, list[Any]]
    dtype: str

    @property
    def layers(self) -> int:
        """How many there are of the other dimensions together."""
        count = 1
        for name in self.dims:
            count *= len(self.labels[name])
        return count


@dataclass(frozen=True)
class Piece:
    """Reads rectangles of one service. Goes to dask's workers: without a client of its own it takes theirs."""

    service: str
    client: Client | None
    grid: Grid

    def read(self, top: int, left: int, height: int, width: int) -> Any:
        """All layers of a rectangle of pixels."""
        import numpy as np

        path = f"/services/{self.service}/window"
        params = {"left": left, "top": top, "width": width, "height": height}
        answer = (self.client or clients.default()).send("processing", "GET", path, params=params)
        return np.load(io.BytesIO(answer.content), allow_pickle=False).astype(self.grid.dtype, copy=False)

    def block(self, tops: Any, lefts: Any) -> Any:
        """The block of which these are the rows and columns."""
        return self.read(int(tops[0]), int(lefts[0]), len(tops), len(lefts))


def grid_of(cube: Asking) -> tuple[str, Grid]:
    """The service of a cube, and its pixels."""
    service = ask.service(cube).id
    raw = ask.client_of(cube).call("processing", "GET", f"/services/{service}/grid")
    return service, Grid(
        raw["crs"],
        tuple(raw["transform"]),
        raw["width"],
        raw["height"],
        tuple(raw["dims"]),
        raw["labels"],
        raw["dtype"],
    )


def to_xarray(cube: Asking, chunks: int | None) -> Any:
    """A DataArray; lazy unless `chunks` is None."""
    xarray = _needed("xarray")
    service, grid = grid_of(cube)
    piece = Piece(service, cube.client, grid)
    side = _side(grid, chunks)
    data = _eager(piece, side) if chunks is None else _lazy(piece, side)
    made = xarray.DataArray(data, coords=_coords(grid), dims=(*grid.dims, "y", "x"), name="cube")
    return made.assign_coords(spatial_ref=_reference(grid)).assign_attrs(grid_mapping="spatial_ref")


def _side(grid: Grid, chunks: int | None) -> int:
    most = int((MOST / max(1, grid.layers)) ** 0.5)
    good = int((PIECE / max(1, grid.layers)) ** 0.5) // SIDES[0] * SIDES[0]
    side = chunks or min(max(good, SIDES[0]), SIDES[1])
    return max(1, min(side, most))


def _eager(piece: Piece, side: int) -> Any:
    import numpy as np

    grid = piece.grid
    out = np.empty((*(len(grid.labels[name]) for name in grid.dims), grid.height, grid.width), grid.dtype)
    for top in range(0, grid.height, side):
        for left in range(0, grid.width, side):
            height, width = min(side, grid.height - top), min(side, grid.width - left)
            out[..., top : top + height, left : left + width] = piece.read(top, left, height, width)
    return out


def _lazy(piece: Piece, side: int) -> Any:
    """One dask task for each square of pixels, with all dates and bands."""
    dask_array, delayed = _needed("dask.array"), _needed("dask").delayed
    grid = piece.grid
    layers = tuple(len(grid.labels[name]) for name in grid.dims)
    rows = []
    for top in range(0, grid.height, side):
        row = []
        for left in range(0, grid.width, side):
            height, width = min(side, grid.height - top), min(side, grid.width - left)
            read = delayed(piece.read, pure=True)(top, left, height, width)
            row.append(dask_array.from_delayed(read, (*layers, height, width), dtype=grid.dtype))
        rows.append(dask_array.concatenate(row, axis=-1))
    return dask_array.concatenate(rows, axis=-2)


def _coords(grid: Grid) -> dict[str, Any]:
    import numpy as np

    x, xres, _, y, _, yres = grid.transform
    made = {name: _labels(grid.labels[name]) for name in grid.dims}
    return {
        **made,
        "y": y + yres * (np.arange(grid.height) + 0.5),
        "x": x + xres * (np.arange(grid.width) + 0.5),
    }


def _labels(labels: list[Any]) -> Any:
    """Dates as moments, others as they are."""
    import numpy as np

    if labels and all(isinstance(each, str) and len(each) >= 20 and each[10:11] == "T" for each in labels):
        return np.array([each.rstrip("Z")[:19] for each in labels], "datetime64[ns]")
    return labels


def _reference(grid: Grid) -> Any:
    """The variable by which rioxarray and QGIS know where the pixels are."""
    xarray = _needed("xarray")
    transform = " ".join(f"{part:.17g}" for part in grid.transform)
    attributes = {"crs_wkt": grid.crs, "spatial_ref": grid.crs, "GeoTransform": transform}
    return xarray.DataArray(0, attrs=attributes)


# --- the other way --------------------------------------------------------------------------------------------------


def from_file(path: str | Path, name: str = "", client: Client | None = None) -> Cube:
    """A cube of a file of your own: GeoTIFF, JPEG 2000 or netCDF, which is uploaded to the platform.

    A file that lies on the store (/eos/…) is read there, if it is a GeoTIFF or JPEG 2000 and you may read it.
    """
    source = Path(path)
    if str(source).startswith("/eos/") and not name:
        return Cube(loaded("load_result", id=str(source)), None, client)
    if not source.is_file():
        raise BadCube(f"there is no file {source}", "look at its name")
    form = {".tif": "GTiff", ".tiff": "GTiff", ".jp2": "JP2", ".nc": "netCDF"}.get(source.suffix.lower())
    if form is None:
        raise BadCube(f"{source.name} is no file of pixels that is read here", "use .tif, .jp2 or .nc")
    return Cube(
        loaded("load_uploaded_files", paths=[_upload(source, name or source.name, client)], format=form), None, client
    )


def from_xarray(array: Any, name: str = "", client: Client | None = None) -> Cube:
    """A cube of an xarray.DataArray with y, x (and bands, t) and a CRS (as rioxarray keeps it, or `.to_xarray()` gave).

    It is uploaded as GeoTIFFs, a file for each date, which count as your files on the platform.
    """
    rows = array.transpose(*(dim for dim in array.dims if dim not in ("y", "x")), "y", "x")
    crs, transform = _placed(rows)
    extra = [dim for dim in rows.dims[:-2] if dim not in ("t", "time", "bands", "band")]
    if extra:
        raise BadCube(
            f"the array has the dimension {extra[0]!r}", "keep t, bands, y and x: select or reduce the others"
        )
    time = next((dim for dim in ("t", "time") if dim in rows.dims), None)
    stem = name or f"array-{uuid.uuid4().hex[:8]}"
    parts = [(str(moment)[:10], rows.sel({time: moment})) for moment in rows[time].values] if time else [("", rows)]
    paths = []
    with tempfile.TemporaryDirectory(prefix="bdap-") as folder:
        for day, part in parts:
            file = Path(folder) / f"{stem}{'_' if day else ''}{day}.tif"
            _write(file, part, crs, transform)
            paths.append(_upload(file, f"bdap/{file.name}", client))
    return Cube(loaded("load_uploaded_files", paths=paths, format="GTiff"), None, client)


def from_numpy(
    array: Any,
    bbox: tuple[float, float, float, float],
    crs: int | str = 4326,
    name: str = "",
    client: Client | None = None,
) -> Cube:
    """A cube of a numpy array (rows from north to south, or bands of these) that fills a box in its CRS."""
    xarray = _needed("xarray")
    import numpy as np

    values = np.asarray(array)
    if values.ndim not in (2, 3):
        raise BadCube(f"the array has {values.ndim} dimensions", "give (rows, columns) or (bands, rows, columns)")
    height, width = values.shape[-2:]
    west, south, east, north = map(float, bbox)
    transform = (west, (east - west) / width, 0.0, north, 0.0, (south - north) / height)
    grid = Grid(f"EPSG:{str(crs).upper().removeprefix('EPSG:')}", transform, width, height, (), {}, str(values.dtype))
    made = xarray.DataArray(values, coords=_coords(grid), dims=("bands", "y", "x")[-values.ndim :])
    return from_xarray(made.assign_coords(spatial_ref=_reference(grid)), name, client)


def _placed(array: Any) -> tuple[str, Any]:
    """The CRS and the geotransform of an array."""
    from rasterio.transform import Affine

    reference = array.coords["spatial_ref"].attrs if "spatial_ref" in array.coords else {}
    crs = reference.get("crs_wkt") or reference.get("spatial_ref")
    if not crs:
        raise BadCube("the array does not say its reference system", 'write it: array.rio.write_crs("EPSG:32632")')
    x, y = array["x"].values, array["y"].values
    if len(x) < 2 or len(y) < 2:
        raise BadCube("the array has less than two pixels a side", "give a larger one")
    xres, yres = float(x[-1] - x[0]) / (len(x) - 1), float(y[-1] - y[0]) / (len(y) - 1)
    return crs, Affine(xres, 0, float(x[0]) - xres / 2, 0, yres, float(y[0]) - yres / 2)


def _write(path: Path, array: Any, crs: str, transform: Any) -> None:
    import numpy as np
    import rasterio

    values = array.values.astype(
        np.float32 if array.dtype == bool or array.dtype == np.int64 else array.dtype, copy=False
    )
    layers = values.reshape(-1, *values.shape[-2:])
    names = [str(each) for dim in ("bands", "band") if dim in array.dims for each in np.atleast_1d(array[dim].values)]
    nodata = {"nodata": float("nan")} if np.issubdtype(values.dtype, np.floating) else {}
    profile = {"driver": "GTiff", "count": len(layers), "height": values.shape[-2], "width": values.shape[-1]}
    size = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    with rasterio.open(
        path, "w", **profile, **size, **nodata, dtype=values.dtype, crs=crs, transform=transform
    ) as file:
        file.write(layers)
        for number, each in enumerate(names if len(names) == len(layers) else (), 1):
            file.set_band_description(number, each)


def _upload(path: Path, name: str, client: Client | None) -> str:
    """The file among one's own on the platform, under that name."""
    with path.open("rb") as content:
        (client or clients.default()).send("processing", "PUT", f"/files/{quote(name)}", content=content, seconds=900)
    return name


def _needed(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        library = name.split(".")[0]
        raise BadCube(f"this needs {library}, which is not installed here", f"pip install {library}") from None
