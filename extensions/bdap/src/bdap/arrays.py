"""Cubes as arrays: lazy xarray on the data's own pixels, read in pieces through the platform."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import ask
from . import client as clients
from .client import Client
from .errors import BadCube

if TYPE_CHECKING:
    from .asking import Asking

PIECE = 4_000_000
"""Numbers in one piece of a good size."""
MOST, MOST_READ = 20_000_000, 100_000_000
"""Numbers that one request may give, and read."""
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
    read: float = 1.0
    """Numbers that the platform reads for one pixel."""

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
    dims, transform = tuple(raw["dims"]), tuple(raw["transform"])
    size = (raw["width"], raw["height"])
    return service, Grid(raw["crs"], transform, *size, dims, raw["labels"], raw["dtype"], raw["read"])


def to_xarray(cube: Asking, chunks: int | None) -> Any:
    """A DataArray; lazy unless `chunks` is None."""
    xarray = needed("xarray")
    if chunks is not None and (not isinstance(chunks, int) or chunks < 0):
        raise BadCube(
            f"chunks={chunks!r} is no number of pixels",
            "give the pixels of a piece's side, such as chunks=512; 0 chooses, None reads all now",
        )
    service, grid = grid_of(cube)
    piece = Piece(service, cube.client, grid)
    side = _side(grid, chunks)
    data = _eager(piece, side) if chunks is None else _lazy(piece, side)
    made = xarray.DataArray(data, coords=coords(grid), dims=(*grid.dims, "y", "x"), name="cube")
    return made.assign_coords(spatial_ref=reference(grid)).assign_attrs(grid_mapping="spatial_ref")


def _side(grid: Grid, chunks: int | None) -> int:
    most = int(min(MOST / max(1, grid.layers), MOST_READ / max(1.0, grid.read)) ** 0.5)
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
    dask_array, delayed = needed("dask.array"), needed("dask").delayed
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


def coords(grid: Grid) -> dict[str, Any]:
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


def reference(grid: Grid) -> Any:
    """The variable by which rioxarray and QGIS know where the pixels are."""
    xarray = needed("xarray")
    transform = " ".join(f"{part:.17g}" for part in grid.transform)
    attributes = {"crs_wkt": grid.crs, "spatial_ref": grid.crs, "GeoTransform": transform}
    return xarray.DataArray(0, attrs=attributes)


def needed(name: str) -> Any:
    """A library that not everybody has; BadCube with how to get it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        library = name.split(".")[0]
        raise BadCube(f"this needs {library}, which is not installed here", f"pip install {library}") from None
