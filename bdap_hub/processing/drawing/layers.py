"""What of a cube a picture or a histogram shows: its layers, as (band, y, x), of one date. PURE."""

from __future__ import annotations

from typing import Any

from ..cubes.cube import SPATIAL, Cube
from ..graphs.graph import GraphError


def dates_of(cube: Cube) -> tuple[str, ...]:
    """The labels of a result's dates, where it has several."""
    found = [name for name in cube.of_kind("temporal") if len(cube.labels[name]) > 1]
    return tuple(map(str, cube.labels[found[0]])) if found else ()


def at_date(cube: Cube, label: str) -> Cube:
    """The cube at one of its dates; the cube itself where it has one date or none."""
    for name in cube.of_kind("temporal"):
        if len(cube.labels[name]) > 1:
            return cube.select(name, [list(map(str, cube.labels[name])).index(label)])
    return cube


def drawn_names(result: Cube) -> tuple[str, ...]:
    """The names of the layers that one picture of a result is made of."""
    dates = dates_of(result)
    return layer_names(at_date(result, dates[-1]) if dates else result)


def layers(cube: Cube) -> Any:
    """The bands of a cube with at most one date, as (band, y, x); one dimension of another type counts as bands."""
    if cube.dims[-2:] != SPATIAL:
        raise GraphError("ProcessGraphInvalid", "the result has no pixels: y and x were reduced")
    several = [name for name in cube.dims[:-2] if len(cube.labels[name]) != 1]
    if excess := [name for name in several if cube.kind(name) == "temporal"] or several[1:]:
        what = f"{len(cube.labels[excess[0]])} {'dates' if cube.kind(excess[0]) == 'temporal' else 'labels'}"
        raise GraphError(
            "ProcessGraphInvalid",
            f"the result still has {what} along {excess[0]!r}; a map or histogram is of one",
            f"reduce_dimension over {excess[0]}",
        )
    return cube.data.reshape(-1, *cube.data.shape[-2:])


def layer_names(cube: Cube) -> tuple[str, ...]:
    """The names of these bands; 'value' of the only one of a cube without bands."""
    named = [name for name in cube.dims[:-2] if len(cube.labels[name]) != 1] or list(cube.of_kind("bands"))
    return tuple(map(str, cube.labels[named[0]])) if named else ("value",)
