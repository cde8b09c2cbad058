"""What a result is, as STAC: a collection, and an item for each file, with the graph that made it.

Written beside the files, with relative links: it stays true wherever the folder goes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.warp import transform_bounds

from ..cubes.extent import DEGREES
from ..engine.grid import Grid, crs_of
from .formats import FORMATS
from .lattice import transform_of
from .pixels import Evaluator
from .storage import Written

VERSION = "1.0.0"
EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
]


@dataclass(frozen=True)
class About:
    """What people said of a result, and the graph that made it."""

    id: str
    title: str
    description: str
    graph: Mapping[str, Any]


def write(folder: Path, about: About, written: Sequence[Written], evaluator: Evaluator) -> None:
    """collection.json and an item for each file, into `folder`."""
    grid = evaluator.placed.lattice.grid(evaluator.placed.window)
    moments = [step.label for load in evaluator.compiled.plan.loads for step in load.steps]
    items = [item(about, one, grid, moments) for one in written]
    for made in items:
        (folder / file_of(made)).write_text(json.dumps(made, indent=1, allow_nan=False))
    described = collection(about, items)
    (folder / "collection.json").write_text(json.dumps(described, indent=1, allow_nan=False))


def file_of(item: Mapping[str, Any]) -> str:
    """The name of an item's file; result.json is what a graph that saves JSON gives."""
    return f"{item['id']}.json" if item["id"] != "result" else "item.json"


def collection(about: About, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A result as a whole; its assets are the files of all items."""
    boxes = np.array([made["bbox"] for made in items])
    times = sorted(t for made in items for t in _times(made["properties"]))
    return {
        "type": "Collection",
        "stac_version": VERSION,
        "stac_extensions": EXTENSIONS,
        "id": about.id,
        "title": about.title or about.id,
        "description": about.description or "The result of a process graph.",
        "license": "proprietary",
        "extent": {
            "spatial": {"bbox": [[*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]]},
            "temporal": {"interval": [[times[0], times[-1]] if times else [None, None]]},
        },
        "links": [{"rel": "item", "href": f"./{file_of(made)}", "type": "application/geo+json"} for made in items],
        "assets": {name: asset for made in items for name, asset in made["assets"].items()},
    }


def item(about: About, one: Written, grid: Grid, moments: Sequence[str]) -> dict[str, Any]:
    """A file: where it lies, on which dates, what its bands hold. `moments`: of the sources, where it has none."""
    west, south, east, north = _degrees(grid)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    name = one.path.name
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": EXTENSIONS,
        "id": name.split(".")[0],
        "bbox": [west, south, east, north],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            **_when(one.dates or moments),
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "processing:expression": {"format": "openeo", "expression": about.graph},
            **(_projection(one.grid) if one.grid else {}),
        },
        "links": [{"rel": "collection", "href": "./collection.json", "type": "application/json"}],
        "collection": about.id,
        "assets": {name: asset(one)},
    }


def asset(one: Written) -> dict[str, Any]:
    """A file with its size, checksum and bands."""
    media = next(form.media for form in FORMATS.values() if one.path.name.endswith(f".{form.suffix}"))
    made: dict[str, Any] = {
        "href": f"./{one.path.name}",
        "type": media,
        "title": one.path.name,
        "roles": ["data"],
        "file:size": one.path.stat().st_size,
        "file:checksum": one.checksum(),
    }
    if one.storage is not None:
        made["raster:bands"] = [_band(one, statistics) for _, statistics in one.bands]
        made["eo:bands"] = [{"name": name} for name, _ in one.bands]
    return made


def _band(one: Written, statistics: Mapping[str, float]) -> dict[str, Any]:
    assert one.storage is not None
    nodata: float | str = "nan" if math.isnan(one.storage.nodata) else one.storage.nodata
    size = {"spatial_resolution": one.grid.xres} if one.grid and not crs_of(one.grid.crs).is_geographic else {}
    return {"data_type": one.storage.dtype.name, "nodata": nodata, "statistics": dict(statistics), **size}


def _projection(grid: Grid) -> dict[str, Any]:
    known = grid.crs.startswith("EPSG:")
    right, bottom = grid.left + grid.width * grid.xres, grid.top - grid.height * grid.yres
    return {
        **({"proj:code": grid.crs} if known else {"proj:code": None, "proj:wkt2": crs_of(grid.crs).to_wkt()}),
        "proj:shape": [grid.height, grid.width],
        "proj:transform": list(transform_of(grid))[:6],
        "proj:bbox": [grid.left, bottom, right, grid.top],
    }


def _degrees(grid: Grid) -> tuple[float, float, float, float]:
    right, bottom = grid.left + grid.width * grid.xres, grid.top - grid.height * grid.yres
    west, south, east, north = transform_bounds(crs_of(grid.crs), crs_of(DEGREES), grid.left, bottom, right, grid.top)
    return west, south, east, north


def _when(moments: Sequence[str]) -> dict[str, Any]:
    """One moment as it is; of several the first and the last."""
    times = sorted({t for t in map(_rfc3339, moments) if t})
    if len(times) == 1:
        return {"datetime": times[0]}
    return {"datetime": None, "start_datetime": times[0], "end_datetime": times[-1]} if times else {"datetime": None}


def _rfc3339(label: str) -> str | None:
    """A label as STAC writes moments: the first of a day, month or year; None for what is none."""
    text = {4: f"{label}-01-01", 7: f"{label}-01"}.get(len(label), label)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _times(properties: Mapping[str, Any]) -> list[str]:
    return [properties[key] for key in ("datetime", "start_datetime", "end_datetime") if properties.get(key)]
