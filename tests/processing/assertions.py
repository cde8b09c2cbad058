"""Runs the assertions that openEO publishes with its process specifications: in-process, through parse and run.

A case gives a process' arguments and what it returns or throws. Spelling of an older openEO is read as today's:
`from_argument` as `from_parameter`. Nothing else is bent: a case that contradicts its specification fails.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import json5
import numpy as np

from bdap_hub.errors import BdapError
from bdap_hub.processing.cubes.cube import Cube, ordered
from bdap_hub.processing.cubes.extent import instant
from bdap_hub.processing.cubes.values import Labelled, Series
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.interpret import Context, run
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY

DELTA = 1e-10
NOWHERE = Grid.point(0, 0)
EMPTY = Grid("", 0, 0, 1, 1, 0, 0)


@dataclass(frozen=True)
class Case:
    """One assertion; `name` is the process and the case's number, from 0."""

    name: str
    process: str
    level: str
    raw: Mapping[str, Any]
    folder: Path


class Moment(str):
    """A date-time of a case, compared as a moment."""


def cases(folder: Path) -> Iterator[Case]:
    """All cases of a folder of openEO's tests."""
    for path in sorted(folder.glob("*.json5")):
        found = _read(path)
        for number, raw in enumerate(found["tests"]):
            yield Case(f"{found['id']}/{number}", found["id"], raw.get("level") or found["level"], raw, folder)


def outcome(case: Case) -> str:
    """'' where the process does as the case says; otherwise what it does instead."""
    if case.process not in REGISTRY:
        return "the process is not here"
    grids: list[Grid] = []
    try:
        given = {name: _value(raw, case.folder, grids) for name, raw in case.raw["arguments"].items()}
    except FileNotFoundError as error:
        return f"there is no {error.filename}"
    by_parameter = {k: v for k, v in given.items() if isinstance(v, (Cube, Labelled))}
    arguments = {k: {"from_parameter": k} if k in by_parameter else v for k, v in given.items()}
    raw = {"only": {"process_id": case.process, "arguments": arguments, "result": True}}
    throws = case.raw.get("throws")
    try:
        grid = grids[0] if grids else NOWHERE
        got = run(parse(raw, REGISTRY, by_parameter), Context(grid, _none, whole=True), by_parameter)
    except GraphError as error:
        met = throws is True or throws == error.code
        return "" if met else f"throws {error.code}: {error.message}"
    except BdapError as error:
        return f"throws {error.message}"
    if "returns" not in case.raw:
        return f"returns {str(got)[:80]} where it should throw {throws}"
    return _difference(got, _value(case.raw["returns"], case.folder, []), case.raw, grid, case.folder)


@functools.cache
def _read(path: Path) -> Any:
    text = path.read_text("utf-8")
    return json5.loads(text) if path.suffix == ".json5" else text


def _none(node: str) -> Cube:
    raise AssertionError("no case loads anything")


def _value(raw: Any, folder: Path, grids: list[Grid]) -> Any:
    if isinstance(raw, list):
        return [_value(item, folder, grids) for item in raw]
    if not isinstance(raw, dict):
        return raw
    if "$ref" in raw:
        return _value(_read(folder / raw["$ref"]), folder, grids)
    match raw.get("type"):
        case "nodata":
            return None
        case "datetime":
            return Moment(raw["value"])
        case "labeled-array":
            rows = raw["data"]
            values = tuple(_value(row["value"], folder, grids) for row in rows)
            return Labelled(values, tuple(row["key"] for row in rows))
        case "datacube":
            return _cube(raw, grids)
    renamed = {"from_argument": "from_parameter"}
    return {renamed.get(key, key): _value(value, folder, grids) for key, value in raw.items()}


def _cube(raw: Mapping[str, Any], grids: list[Grid]) -> Cube:
    described = raw["dimensions"]
    if isinstance(described, list):
        described = {d["name"]: d for d in described}
    dims = tuple(raw.get("order") or described)
    sizes = tuple(len(described[d]["values"]) for d in dims)
    data = np.full(sizes, np.nan) if raw["data"] is None else np.array(raw["data"], np.float64)
    if 0 in sizes or not sizes:
        data = np.full(sizes, np.nan)  # JSON has one empty array for all of these
    nodata = raw.get("nodata", [])
    for value in nodata if isinstance(nodata, list) else [nodata]:
        data[data == value] = np.nan
    if {"x", "y"} <= set(described):
        grids.append(_grid(described["x"], described["y"]))
    labels = {d: tuple(described[d]["values"]) for d in dims if d not in ("x", "y")}
    kinds = {d: described[d]["type"] for d in labels}
    cube = Cube(data, dims, labels, {}, kinds)
    return cube.arranged(ordered(cube))


def _grid(x: Mapping[str, Any], y: Mapping[str, Any]) -> Grid:
    xs, ys = x["values"], y["values"]
    if not xs or not ys:
        return EMPTY
    width, height = (abs(v[1] - v[0]) if len(v) > 1 else 10.0 for v in (xs, ys))
    crs = str(x.get("reference_system", "EPSG:25832"))
    return Grid(crs, xs[0] - width / 2, ys[0] + height / 2, width, height, len(xs), len(ys))


def _difference(got: Any, want: Any, raw: Mapping[str, Any], grid: Grid, folder: Path) -> str:
    if isinstance(want, Cube):
        expected: list[Grid] = []
        _value(raw["returns"], folder, expected)
        return _cube_difference(got, want, raw["returns"], grid, expected[0] if expected else grid)
    return "" if _equal(got, want, raw.get("delta", DELTA)) else f"returns {got!r:.120}, not {want!r:.120}"


def _equal(got: Any, want: Any, delta: float) -> bool:
    if isinstance(want, Moment):
        return isinstance(got, str) and instant(got) == instant(want)
    if isinstance(want, Labelled):
        same = isinstance(got, Labelled) and got.labels == want.labels
        return same and _equal(list(got.values), list(want.values), delta)
    if isinstance(want, list):
        if not isinstance(got, list) or len(got) != len(want):
            return False
        return all(_equal(a, b, delta) for a, b in zip(got, want, strict=True))
    if isinstance(want, (bool, str)) or want is None or isinstance(want, dict):
        return type(got) is type(want) and got == want
    if isinstance(got, bool) or not isinstance(got, (int, float)):
        return False
    return got == want or (math.isnan(got) and math.isnan(want)) or abs(got - want) <= delta


def _cube_difference(got: Any, want: Cube, raw: Mapping[str, Any], grid: Grid, part: Grid) -> str:
    """Our cubes keep the grid of the view: what the case crops must be no data."""
    if not isinstance(got, Cube) or isinstance(got, Series):
        return f"returns {type(got).__name__}, not a data cube"
    if set(got.dims) != set(want.dims) or any(got.kind(d) != want.kind(d) for d in want.dims):
        return f"dimensions {[(d, got.kind(d)) for d in got.dims]}, not {[(d, want.kind(d)) for d in want.dims]}"
    for d in want.labels:
        pairs = list(zip(got.labels[d], want.labels[d], strict=False))
        if len(got.labels[d]) != len(want.labels[d]) or not all(_same_label(a, b) for a, b in pairs):
            return f"labels of {d}: {got.labels[d]}, not {want.labels[d]}"
    data = got.aligned(want.dims)
    if want.dims[-2:] == ("y", "x") and part != grid:
        top, left = (0, 0) if part is EMPTY else _corner(grid, part)
        inside = np.zeros(data.shape, bool)
        inside[..., top : top + part.height, left : left + part.width] = True
        if not np.isnan(data[~inside]).all():
            return "there are data beyond the part that is kept"
        data = data[..., top : top + part.height, left : left + part.width]
    if raw_data_missing(raw):
        return ""
    close = np.isclose(data, want.data, rtol=0, atol=1e-9, equal_nan=True) if data.shape == want.data.shape else None
    if close is None:
        return f"shape {data.shape}, not {want.data.shape}"
    return "" if close.all() else f"{(~close).sum()} of {close.size} values differ"


def _corner(grid: Grid, part: Grid) -> tuple[int, int]:
    return round((grid.top - part.top) / grid.yres), round((part.left - grid.left) / grid.xres)


def raw_data_missing(raw: Mapping[str, Any]) -> bool:
    """Whether the case says nothing of the cube's values."""
    return "$ref" not in raw and raw["data"] is None


def _same_label(got: Any, want: Any) -> bool:
    if got == want:
        return True
    try:
        return isinstance(got, str) and isinstance(want, str) and instant(got) == instant(want)
    except GraphError:
        return False
