"""The processes of openEO that run here: small functions on numpy, declared by `@process`. PURE."""

from __future__ import annotations

from ..spec import Registry, registered
from . import arrays, cubes, elements

__all__ = ["REGISTRY", "arrays", "cubes", "elements"]

REGISTRY: Registry = registered()
