"""Results as cloud-optimised GeoTIFFs: written tile by tile beside the result, then laid out by GDAL's COG driver."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from rasterio.windows import Window as Pixels

from ..cubes.cube import SPATIAL, Cube
from ..engine.grid import Grid, crs_of
from ..graphs.graph import GraphError
from .lattice import Window, transform_of
from .storage import SIDE, Storage, Tally, Written, stems

MOST_BANDS = 5000


class GeoTiffs:
    """One file; with `split` one for each date where there are several."""

    def __init__(self, folder: Path, like: Cube, grid: Grid, storage: Storage, split: bool) -> None:
        if like.dims[-2:] != SPATIAL:
            raise GraphError("FormatUnsuitable", "the result has no pixels, which GTiff is for", "use JSON or CSV")
        self.grid, self.storage = grid, storage
        self.split = _split(like) if split else None
        self.names, self.dates = _names(like, self.split), _dates(like)
        if len(self.names) > MOST_BANDS:
            raise GraphError("FormatUnsuitable", f"GTiff is for {MOST_BANDS} bands, not {len(self.names)}", "netCDF")
        self.paths = _paths(folder, like, self.split)
        self.parts = [_create(_part(path), grid, storage, self.names) for path in self.paths]
        self.tallies = [[Tally() for _ in self.names] for _ in self.paths]

    def write(self, cube: Cube, window: Window) -> None:
        """Take the values of a window."""
        part = Pixels(window.left, window.top, window.width, window.height)
        for file, tallies, values in zip(self.parts, self.tallies, self._files(cube), strict=True):
            flat = values.reshape(-1, window.height, window.width)
            for layer, tally in zip(flat, tallies, strict=True):
                tally.add(layer)
            file.write(self.storage.stored(flat), window=part)

    def close(self) -> list[Written]:
        """Lay the files out."""
        for path, file in zip(self.paths, self.parts, strict=True):
            file.close()
            _optimise(_part(path), path, self.storage)
        return [self._written(number) for number in range(len(self.paths))]

    def _files(self, cube: Cube) -> list[Any]:
        return [cube.data] if self.split is None else list(cube.series(self.split).values)

    def _written(self, number: int) -> Written:
        bands = tuple((name, tally.public()) for name, tally in zip(self.names, self.tallies[number], strict=True))
        dates = self.dates if self.split is None else (self.dates[number],)
        return Written(self.paths[number], dates, bands, self.storage, self.grid)


def _split(like: Cube) -> str | None:
    """The temporal dimension with several dates, if there is one."""
    return next((name for name in like.of_kind("temporal") if len(like.labels[name]) > 1), None)


def _dates(like: Cube) -> tuple[str, ...]:
    return tuple(str(label) for name in like.of_kind("temporal")[:1] for label in like.labels[name])


def _names(like: Cube, split: str | None) -> list[str]:
    """What the bands of a file are called: the labels of all its dimensions that have several."""
    dims = [name for name in like.dims[:-2] if name != split]
    several = [name for name in dims if len(like.labels[name]) > 1] or dims[-1:]
    found = [" ".join(map(str, labels)) for labels in itertools.product(*(like.labels[name] for name in several))]
    return found if several else ["value"]


def _paths(folder: Path, like: Cube, split: str | None) -> list[Path]:
    if split is None:
        return [folder / "result.tif"]
    return [folder / f"result_{stem}.tif" for stem in stems(like.labels[split])]


def _part(path: Path) -> Path:
    return path.with_suffix(".part.tif")


def _create(path: Path, grid: Grid, storage: Storage, names: list[str]) -> Any:
    file = rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=grid.width,
        height=grid.height,
        count=len(names),
        dtype=storage.dtype.name,
        nodata=storage.nodata,
        crs=crs_of(grid.crs),
        transform=transform_of(grid),
        tiled=True,
        blockxsize=SIDE,
        blockysize=SIDE,
        interleave="band",
        compress="zstd",
        zstd_level=1,
        bigtiff="yes",
        sparse_ok=True,
    )
    for number, name in enumerate(names, 1):
        file.set_band_description(number, name)
    return file


def _optimise(part: Path, path: Path, storage: Storage) -> None:
    rasterio.shutil.copy(
        part,
        path,
        driver="COG",
        compress="DEFLATE",
        predictor="YES",
        blocksize=SIDE,
        bigtiff="IF_SAFER",
        overview_resampling="AVERAGE" if storage.dtype.kind == "f" else "NEAREST",
        interleave="BAND",
    )
    part.unlink()
