"""Results as netCDF-4 with CF conventions, written chunk by chunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5netcdf  # type: ignore[import-untyped]
import numpy as np

from ..cubes.cube import SPATIAL, Cube
from ..engine.grid import Grid
from . import cf
from .lattice import Window
from .storage import SIDE, Storage, Tally, Written

LEVEL = 4


class NetCdf:
    """One file with a variable for each band."""

    def __init__(self, folder: Path, like: Cube, grid: Grid, storage: Storage) -> None:
        self.grid, self.storage, self.like = grid, storage, like
        self.path = folder / "result.nc"
        self.names = cf.variables(like)
        self.tallies = {name: Tally() for name in self.names}
        self.file = h5netcdf.File(self.path, "w")
        self.file.attrs.update(cf.GLOBAL)
        self._coordinates()
        for name in self.names:
            self._variable(name)

    def write(self, cube: Cube, window: Window) -> None:
        """Take the values of a window."""
        spatial = cube.dims[-2:] == SPATIAL
        rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
        for name, place in self.names.items():
            values = cf.values_of(cube, place)
            self.tallies[name].add(values)
            self.file.variables[name][(..., rows, columns) if spatial else ...] = self.storage.stored(values)

    def close(self) -> list[Written]:
        """Finish the file."""
        self.file.close()
        dates = tuple(str(label) for name in self.like.of_kind("temporal")[:1] for label in self.like.labels[name])
        bands = tuple((name, tally.public()) for name, tally in self.tallies.items())
        return [Written(self.path, dates, bands, self.storage, self.grid)]

    def _coordinates(self) -> None:
        for coordinate in cf.coordinates(self.like, self.grid):
            self.file.dimensions[coordinate.name] = len(coordinate.values)
            text = coordinate.values.dtype.kind == "U"
            kind: Any = str if text else coordinate.values.dtype
            values = coordinate.values.astype(object) if text else coordinate.values
            variable = self.file.create_variable(coordinate.name, (coordinate.name,), dtype=kind, data=values)
            variable.attrs.update(coordinate.attributes)
        if self.like.dims[-2:] == SPATIAL:
            reference = self.file.create_variable("spatial_ref", (), dtype=np.int32)
            reference.attrs.update(cf.spatial_ref(self.grid))

    def _variable(self, name: str) -> None:
        dims = cf.dimensions(self.like)
        sizes = [len(self.file.variables[dimension]) for dimension in dims]
        spatial = dims[-2:] == SPATIAL
        chunks = (*[1] * (len(dims) - 2), *[min(SIDE, size) for size in sizes[-2:]]) if spatial else None
        packed = (
            {"compression": "gzip", "compression_opts": LEVEL, "shuffle": True, "chunks": chunks} if spatial else {}
        )
        variable = self.file.create_variable(
            name, dims, dtype=self.storage.dtype, fillvalue=self.storage.dtype.type(self.storage.nodata), **packed
        )
        if spatial:
            variable.attrs["grid_mapping"] = "spatial_ref"
