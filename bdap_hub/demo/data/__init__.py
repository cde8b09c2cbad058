"""The demo's imagery: a Sentinel-2-like L2A season near Ispra (Italy) with known truth, made from a seed.

Nothing here is a real observation; docs/reference/demo-data.md says how each value comes about.
"""

from .generate import COLLECTIONS, FOREST, SEASON, Plan, generate, make_collection
from .truth import Truth

__all__ = ["COLLECTIONS", "FOREST", "SEASON", "Plan", "Truth", "generate", "make_collection"]
