"""Which worker draws a tile: the one whose cache has its blocks, unless it is behind and another is not. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

BEHIND = 2
"""A worker with so many orders has one waiting."""
DEPTH = 3
"""Orders for each worker that may be under way: the next is there before the one before is answered and taken away."""


def choose(region: str, loads: Mapping[int, int]) -> int:
    """The worker for a region; `loads` are the workers that there are, each with its number of orders.

    By rendezvous hashing: while one is missing only its own regions go elsewhere. Another helps out before it has
    nothing to do, or it would stand still until the next order comes.
    """
    place = crc32(region.encode())
    ranked = sorted(loads, key=lambda slot: hash((place, slot)), reverse=True)
    return next((slot for slot in ranked if loads[slot] < BEHIND), ranked[0])
