"""run_udf: hands labelled arrays to code that runs elsewhere, and takes nothing for granted of what comes back."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from ..cubes.cube import SPATIAL, Cube
from ..cubes.values import Series, floats, items
from ..graphs.graph import GraphError
from ..graphs.spec import process
from ..udf.messages import Arrays

RUNTIME, VERSION = "Python", "3"
MOST_CODE = 100_000
HERE = (
    "Python code as text, run in a sandbox without network and files, where the platform's operator allows it. It "
    "gets the pixels of a tile at a time: it must treat each pixel by itself, or stand in apply_neighborhood. When a "
    "graph is posted it is run once on one pixel without data, which shows the labels that it gives."
)


@process(limits=HERE)
def run_udf(ctx: Any, data: Any, udf: Any, runtime: Any, version: Any = None, context: Any = None) -> Any:
    """What `apply_datacube` of some code gives for the data."""
    _check(udf, runtime, version)

    def run(values: Any, dims: tuple[str, ...], cube: Cube | None = None) -> Arrays:
        labels = {} if cube is None else _labels(ctx, cube)
        time = (cube.of_kind("temporal") or ("",))[0] if cube else ""
        found: Arrays = ctx.udfs(udf, Arrays(values, dims, labels, time), context or {})
        return found

    if isinstance(data, Cube):
        return _of_cube(data, run(data.data, data.dims, data))
    cube, along = ctx.around or (None, "")
    if cube is not None and isinstance(data, Series) and along and data.values.size == cube.data.size:
        found = run(np.moveaxis(data.values, 0, cube.axis(along)), cube.dims, cube)
        return _along(found, cube, along)
    if cube is not None and isinstance(data, np.ndarray) and not along and data.shape == cube.data.shape:
        return _arranged(run(data, cube.dims, cube), cube.dims, cube)
    return _of_values(data, run)


def _check(udf: Any, runtime: Any, version: Any) -> None:
    if str(runtime).lower() != RUNTIME.lower():
        raise GraphError("InvalidRuntime", f"there is no runtime {runtime!r:.40}", f"use {RUNTIME}")
    if version is not None and not (version == VERSION or str(version).startswith(f"{VERSION}.")):
        raise GraphError("InvalidVersion", f"there is no version {version!r:.40} of {RUNTIME}", f"use {VERSION}")
    if not isinstance(udf, str) or not re.search(r"[\r\n]", udf):
        raise GraphError(
            "ProcessArgumentUnsupported",
            f"code is not fetched from {udf!r:.60}",
            "put its text into the graph: openeo.UDF.from_file does, and openeo.UDF.from_url",
        )
    if len(udf) > MOST_CODE:
        raise GraphError("ProcessArgumentInvalid", f"the code has {len(udf)} characters; the limit is {MOST_CODE}")


def _labels(ctx: Any, cube: Cube) -> dict[str, Any]:
    """The labels of a cube's dimensions, the coordinates of its pixels included."""
    labels: dict[str, Any] = {d: list(labels) for d, labels in cube.labels.items() if d in cube.dims}
    for dimension, centres in zip(("x", "y"), ctx.grid.centres(), strict=True):
        if dimension in cube.dims and np.size(centres) == cube.data.shape[cube.axis(dimension)]:
            labels[dimension] = np.ravel(centres).tolist()
    return labels


def _of_cube(data: Cube, found: Arrays) -> Cube:
    """A whole cube: dimensions other than y and x may come and go."""
    dims = tuple(found.dims if found.dims is not None else data.dims)
    lost = [d for d in SPATIAL if d in data.dims and d not in dims]
    if lost or len(dims) != found.values.ndim or (set(SPATIAL) & set(dims)) - set(data.dims):
        raise _refused(f"it gives the dimensions {', '.join(dims)}", f"keep {', '.join(data.dims)}")
    sizes = dict(zip(data.dims, data.data.shape, strict=True))
    made = dict(zip(dims, found.values.shape, strict=True))
    labels = {d: _kept(d, made[d], found, data) for d in dims if d not in SPATIAL}
    for dimension in SPATIAL:
        if made.get(dimension) != sizes.get(dimension):
            raise _refused(f"it gives {made[dimension]} pixels along {dimension}", f"keep {sizes[dimension]}")
    ordered = tuple(d for d in dims if d not in SPATIAL) + tuple(d for d in SPATIAL if d in dims)
    values = np.transpose(found.values, [dims.index(d) for d in ordered])
    kinds = {d: kind for d, kind in data.kinds.items() if d in ordered}
    return replace(data, data=values, dims=ordered, labels=labels, kinds=kinds)


def _kept(dimension: str, size: int, found: Arrays, data: Cube) -> tuple[Any, ...]:
    """A time keeps its own spelling; other labels are those of the code, else as they were, else numbers."""
    own = data.labels.get(dimension, ())
    given = tuple(found.labels.get(dimension, ()))
    if len(own) == size and (not given or data.kind(dimension) == "temporal"):
        return own
    return given or tuple(range(size))


def _along(found: Arrays, cube: Cube, along: str) -> Any:
    """Of a callback along a dimension: that dimension may be gone, or have another length."""
    rest = tuple(d for d in cube.dims if d != along)
    gone = along not in found.dims if found.dims is not None else found.values.ndim == len(rest)
    if gone:
        return _arranged(found, rest, cube)
    values = _arranged(found, cube.dims, cube, free=along)
    return Series(np.moveaxis(values, cube.axis(along), 0), tuple(found.labels.get(along, ())))


def _arranged(found: Arrays, dims: tuple[str, ...], cube: Cube, free: str = "") -> Any:
    """The numbers in the order of `dims`, of the cube's sizes but for the dimension that is free."""
    have = tuple(found.dims if found.dims is not None else dims)
    if set(have) != set(dims) or found.values.ndim != len(dims):
        shown = ", ".join(have) if found.dims is not None else f"{found.values.ndim} axes without names"
        raise _refused(f"it gives {shown or 'no dimension'}", f"give {', '.join(dims)}")
    values = np.transpose(found.values, [have.index(d) for d in dims])
    for dimension, size in zip(dims, values.shape, strict=True):
        wanted = cube.data.shape[cube.axis(dimension)]
        if dimension != free and size != wanted:
            raise _refused(f"it gives {size} labels along {dimension!r}", f"keep {wanted}")
    return values


def _of_values(data: Any, run: Any) -> Any:
    """Arrays of which no dimension is known by name."""
    layers = isinstance(data, (Series, np.ndarray))
    single = not layers and not hasattr(data, "__len__")
    values = np.asarray(getattr(data, "values", data)) if layers else floats([data] if single else items(data))
    found = run(values[0] if single else values, tuple(f"dim_{n}" for n in range(0 if single else values.ndim)))
    if not layers:
        return found.values.tolist()
    return Series(found.values) if isinstance(data, Series) and found.values.ndim == values.ndim else found.values


def _refused(what: str, cure: str) -> GraphError:
    return GraphError("UdfResultInvalid", f"the code's result does not fit: {what}", cure)
