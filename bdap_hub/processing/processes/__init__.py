"""The processes of openEO that run here: small functions on numpy, declared by `@process`. PURE."""

from __future__ import annotations

from ..graphs.spec import Registry, registered
from . import (
    arrays,
    climate,
    comparison,
    cubes,
    curves,
    dates,
    dimensions,
    filters,
    focal,
    indices,
    logic,
    maths,
    quality,
    spatial,
    statistics,
    temporal,
    terrain,
    texts,
)

__all__ = [
    "REGISTRY",
    "arrays",
    "climate",
    "comparison",
    "cubes",
    "curves",
    "dates",
    "dimensions",
    "filters",
    "focal",
    "indices",
    "logic",
    "maths",
    "quality",
    "spatial",
    "statistics",
    "temporal",
    "terrain",
    "texts",
]

REGISTRY: Registry = registered()
