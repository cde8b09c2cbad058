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
    indices,
    logic,
    maths,
    spatial,
    statistics,
    temporal,
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
    "indices",
    "logic",
    "maths",
    "spatial",
    "statistics",
    "temporal",
    "texts",
]

REGISTRY: Registry = registered()
