"""Which worker draws a tile: the one whose cache has its blocks, unless it is behind and another idle. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

BEHIND = 2
"""A worker with so many orders has one waiting."""
DEPTH = 3
"""Orders for each worker that may be under way: the next is there before the one before is answered and taken away."""


def choose(region: str, loads: Mapping[int, int]) -> int:
    """The worker for a region; `loads` are the workers that there are, each with its number of orders.

    By rendezvous hashing: while one is missing only its own regions go elsewhere.
    """
    place = crc32(region.encode())
    ranked = sorted(loads, key=lambda slot: hash((place, slot)), reverse=True)
    if loads[ranked[0]] < BEHIND:
        return ranked[0]
    return next((slot for slot in ranked if not loads[slot]), ranked[0])
