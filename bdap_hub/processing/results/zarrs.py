"""Results as Zarr 2 in a ZIP file, which is written in one go: each chunk once, then what describes them.

Source: Zarr storage specification 2; `_ARRAY_DIMENSIONS` as xarray has it.
"""

from __future__ import annotations

import itertools
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..cubes.cube import SPATIAL, Cube
from ..engine.grid import Grid
from . import cf
from .lattice import Window
from .storage import SIDE, Storage, Tally, Written

LEVEL = 4


class Zarr:
    """One archive with an array for each band; its chunks have `side` pixels a side."""

    def __init__(self, folder: Path, like: Cube, grid: Grid, storage: Storage, side: int = SIDE) -> None:
        self.like, self.grid, self.storage = like, grid, storage
        self.side = min(side, SIDE)
        self.path = folder / "result.zarr.zip"
        self.names = cf.variables(like)
        self.tallies = {name: Tally() for name in self.names}
        self.archive = zipfile.ZipFile(self.path, "w", zipfile.ZIP_STORED)  # chunks are compressed already
        self.described: dict[str, Any] = {".zgroup": {"zarr_format": 2}, ".zattrs": cf.GLOBAL}

    def write(self, cube: Cube, window: Window) -> None:
        """Take the values of a window, which begins at a chunk."""
        for name, place in self.names.items():
            values = cf.values_of(cube, place)
            self.tallies[name].add(values)
            if cube.dims[-2:] == SPATIAL:
                self._layers(name, self.storage.stored(values), window)
            else:
                self._array(name, self.storage.stored(values), cf.dimensions(cube), {})

    def close(self) -> list[Written]:
        """Describe the arrays."""
        for coordinate in cf.coordinates(self.like, self.grid):
            self._array(coordinate.name, coordinate.values, (coordinate.name,), dict(coordinate.attributes))
        if self.like.dims[-2:] == SPATIAL:
            self._array("spatial_ref", np.int32(0), (), cf.spatial_ref(self.grid))
            for name in self.names:
                self._describe(name, *self._shape(), {"grid_mapping": "spatial_ref"})
        for key, content in self.described.items():
            self.archive.writestr(key, json.dumps(content))
        whole = {"zarr_consolidated_format": 1, "metadata": self.described}
        self.archive.writestr(".zmetadata", json.dumps(whole))
        self.archive.close()
        dates = tuple(str(label) for name in self.like.of_kind("temporal")[:1] for label in self.like.labels[name])
        bands = tuple((name, tally.public()) for name, tally in self.tallies.items())
        return [Written(self.path, dates, bands, self.storage, self.grid)]

    def _shape(self) -> tuple[tuple[int, ...], tuple[int, ...], Any, tuple[str, ...]]:
        dims = cf.dimensions(self.like)
        rest = tuple(len(self.like.labels[name]) for name in dims[:-2])
        shape = (*rest, self.grid.height, self.grid.width)
        return shape, (*[1] * len(rest), self.side, self.side), self.storage.dtype, dims

    def _layers(self, name: str, values: Any, window: Window) -> None:
        """The chunks of a window; those at the edge are filled up."""
        row, column = window.top // self.side, window.left // self.side
        for index in itertools.product(*map(range, values.shape[:-2])):
            layer = values[index]
            for i, top in enumerate(range(0, layer.shape[0], self.side)):
                for j, left in enumerate(range(0, layer.shape[1], self.side)):
                    part = layer[top : top + self.side, left : left + self.side]
                    chunk = np.full((self.side, self.side), self.storage.nodata, self.storage.dtype)
                    chunk[: part.shape[0], : part.shape[1]] = part
                    key = ".".join(map(str, (*index, row + i, column + j)))
                    self.archive.writestr(f"{name}/{key}", zlib.compress(chunk.tobytes(), LEVEL))

    def _array(self, name: str, values: Any, dims: tuple[str, ...], attributes: dict[str, Any]) -> None:
        """An array in one chunk."""
        self._describe(name, values.shape, values.shape, values.dtype, dims, attributes)
        key = ".".join("0" for _ in dims) or "0"
        self.archive.writestr(f"{name}/{key}", zlib.compress(np.ascontiguousarray(values).tobytes(), LEVEL))

    def _describe(
        self, name: str, shape: Any, chunks: Any, dtype: Any, dims: tuple[str, ...], attributes: dict[str, Any]
    ) -> None:
        own = name in self.names
        self.described[f"{name}/.zarray"] = {
            "zarr_format": 2,
            "shape": list(shape),
            "chunks": list(chunks),
            "dtype": np.dtype(dtype).newbyteorder("<").str,
            "compressor": {"id": "zlib", "level": LEVEL},
            "fill_value": _fill(self.storage) if own else None,
            "order": "C",
            "filters": None,
        }
        plain = {key: list(v) if isinstance(v, tuple) else v for key, v in attributes.items()}
        self.described[f"{name}/.zattrs"] = {**plain, "_ARRAY_DIMENSIONS": list(dims)}


def _fill(storage: Storage) -> Any:
    if storage.dtype.kind != "f":
        return int(storage.nodata)
    return "NaN" if np.isnan(storage.nodata) else storage.nodata
