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
    models,
    pieces,
    quality,
    spatial,
    statistics,
    temporal,
    terrain,
    texts,
    udf,
    vectors,
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
    "models",
    "pieces",
    "quality",
    "spatial",
    "statistics",
    "temporal",
    "terrain",
    "texts",
    "udf",
    "vectors",
]

REGISTRY: Registry = registered()
