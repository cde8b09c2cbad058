"""Geometries of GEOS as GeoJSON in degrees. PURE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import shapely
from shapely.geometry import mapping

from ..cubes.extent import DEGREES
from ..cubes.geometry import parts
from ..cubes.vectors import projected


def in_degrees(shape: Any, crs: str) -> Mapping[str, Any] | None:
    """A geometry in some reference system; None where it is missing or empty. GraphError for what GeoJSON has not."""
    if shape is None or shape.is_empty:
        return None
    made = json.loads(json.dumps(mapping(shapely.force_2d(shape)), allow_nan=False))
    return parts(made if crs == DEGREES else projected(made, crs, back=True))[0]
