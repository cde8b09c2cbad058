"""Small results whole: pictures, and values as JSON, GeoJSON and CSV."""

from __future__ import annotations

import csv
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..cubes.cube import SPATIAL, Cube
from ..cubes.vectors import features_of, geometries_of
from ..drawing.drawable import picture
from ..drawing.formats import FORMATS, picture_as
from ..drawing.layers import layers
from ..drawing.style import Style
from ..engine.grid import Grid
from ..graphs.graph import GraphError
from ..vectorfiles import parquet
from .lattice import Window
from .storage import Tally, Written

PICTURES = {form.name: form for form in FORMATS if not form.values}
MOST_VALUES = 2_000_000
"""So many values JSON and CSV are for; beyond that nobody reads text."""
ORDER = {"temporal": 0, "geometry": 1, "bands": 3}


class Collected:
    """Keeps all values in memory and writes them at the end."""

    def __init__(self, name: str, folder: Path, like: Cube, grid: Grid, style: Style) -> None:
        self.spatial = like.dims[-2:] == SPATIAL
        self.name, self.like, self.grid, self.style = name, like, grid, style
        self.path = folder / f"result.{name.lower()}"
        shape = (*like.data.shape[:-2], grid.height, grid.width) if self.spatial else like.data.shape
        if name != "PNG" and int(np.prod(shape)) > MOST_VALUES:
            raise GraphError(
                "FormatUnsuitable",
                f"{name} is for {MOST_VALUES} values, not {int(np.prod(shape))}",
                "use netCDF or GTiff",
            )
        self.data = np.full(shape, np.nan, like.data.dtype)

    def _picture(self, cube: Cube) -> bytes:
        around = [(0, 0)] * (cube.data.ndim - 2) + [(self.style.margin, self.style.margin)] * 2
        grown = replace(cube, data=np.pad(cube.data, around, "edge"))  # shades look at the neighbours
        layers(cube)  # of one date
        return picture_as(picture(grown, "", self.style, self.grid.metres), PICTURES[self.name], self.style.background)

    def write(self, cube: Cube, window: Window) -> None:
        """Take the values of a window."""
        if self.spatial:
            self.data[..., window.top : window.bottom, window.left : window.right] = cube.data
        else:
            self.data[...] = cube.data

    def close(self) -> list[Written]:
        """Write the file."""
        cube = replace(self.like, data=self.data)
        if self.name in PICTURES:
            self.path.write_bytes(self._picture(cube))
        elif self.name == "CSV":
            _write_csv(self.path, cube, self.grid)
        elif self.name == "Parquet":
            parquet.write(self.path, as_features(cube, self.name)["features"])
        else:
            made = as_json(cube, self.grid) if self.name == "JSON" else as_features(cube)
            self.path.write_text(json.dumps(made, allow_nan=False))
        tally = Tally()
        tally.add(self.data)
        dates = tuple(str(label) for name in cube.of_kind("temporal")[:1] for label in cube.labels[name])
        return [Written(self.path, dates, (("value", tally.public()),), None, self.grid if self.spatial else None)]


def as_json(cube: Cube, grid: Grid) -> Any:
    """Statistics as {date: [[value of each band] of each geometry]}, which clients of openEO read; pixels with axes."""
    if cube.dims[-2:] == SPATIAL:
        xs, ys = grid.centres()
        labels = {name: list(cube.labels[name]) for name in cube.dims[:-2]} | {"y": ys.tolist(), "x": xs.tolist()}
        return {"dims": list(cube.dims), "labels": labels, "crs": grid.crs, "data": _nulls(cube.data)}
    cube = _sorted(cube)
    times, geometry = cube.of_kind("temporal"), cube.of_kind("geometry")
    if times and geometry:
        return {str(label): _nulls(part) for label, part in zip(cube.labels[times[0]], cube.data, strict=True)}
    return _nulls(cube.data) if geometry else _nested(cube.data, cube)


def as_features(cube: Cube, name: str = "GeoJSON") -> dict[str, Any]:
    """The geometries that the values are of, with these beside their properties: band, or date and band."""
    if not cube.of_kind("geometry") or cube.dims[-2:] == SPATIAL:
        raise GraphError("FormatUnsuitable", f"{name} is for statistics of geometries", "end with aggregate_spatial")
    along, features = geometries_of(cube), []
    for feature, values in zip(features_of(cube), cube.series(along).values, strict=True):
        own = {"_".join(map(str, key)) or "value": value for key, value in _items(cube.without(along, values))}
        features.append({**feature, "properties": {**feature["properties"], **own}})
    return {"type": "FeatureCollection", "features": features}


def _write_csv(path: Path, cube: Cube, grid: Grid) -> None:
    """A row for each combination of labels but the bands'."""
    cube = _sorted(cube) if cube.dims[-2:] != SPATIAL else cube
    bands = next(iter(cube.of_kind("bands")), None)
    rest = [name for name in cube.dims if name != bands]
    columns = [str(label) for label in cube.labels[bands]] if bands else ["value"]
    xs, ys = (axis.tolist() for axis in grid.centres()) if cube.dims[-2:] == SPATIAL else ([], [])
    axes = [{"y": ys, "x": xs}.get(name) or list(cube.labels[name]) for name in rest]
    data = np.moveaxis(cube.data, cube.axis(bands), -1) if bands else cube.data[..., np.newaxis]
    heads = {"geometry": "feature_index", "t": "date"}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(heads.get(name, name) for name in rest), *columns])
        for key, values in zip(itertools.product(*axes), data.reshape(-1, len(columns)), strict=True):
            writer.writerow([*key, *("" if not np.isfinite(v) else repr(float(v)) for v in values)])


def _sorted(cube: Cube) -> Cube:
    """Time, geometries, others, bands."""
    return cube.arranged(tuple(sorted(cube.dims, key=lambda name: ORDER.get(cube.kind(name), 2))))


def _nested(data: Any, cube: Cube) -> Any:
    """{label: {label: … value}}; {"value": v} without a dimension."""

    def inner(values: Any, dims: tuple[str, ...]) -> Any:
        if not dims:
            return float(values) if np.isfinite(values) else None
        return {str(label): inner(part, dims[1:]) for label, part in zip(cube.labels[dims[0]], values, strict=True)}

    return inner(data, cube.dims) if cube.dims else {"value": inner(data, ())}


def _items(cube: Cube) -> list[tuple[tuple[Any, ...], float | None]]:
    keys = itertools.product(*(cube.labels[name] for name in cube.dims))
    return [(key, float(v) if np.isfinite(v) else None) for key, v in zip(keys, cube.data.ravel(), strict=True)]


def _nulls(values: Any) -> Any:
    """Lists of numbers, null where there is none."""
    out = values.astype(object)
    out[~np.isfinite(values)] = None
    return out.tolist()
