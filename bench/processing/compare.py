"""Whether two services draw the same picture: else a comparison of their times is worth nothing."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import rasterio

from .driver import get
from .scenes import Tile

LEVELS, SHARE = 6, 0.94
"""So many pixels must be equal within so many of the 256 levels of each colour: both take the nearest pixel, and the
peers' warp errs by up to 1/8 pixel, which takes a neighbour for up to 6 % of them."""


def agreeing(ours: str, theirs: str, tiles: Sequence[Tile]) -> float:
    """The share of the pixels that are alike in two services' tiles."""
    return float(np.mean([_alike(get(ours, tile), get(theirs, tile)) for tile in tiles]))


def refuse_unless_alike(case: str, shares: Mapping[str, float]) -> None:
    """SystemExit where one of the peers draws another picture."""
    for peer, share in shares.items():
        print(f"{case}: {share:.2%} of the pixels agree with {peer}'s", flush=True)
        if share < SHARE:
            raise SystemExit(f"{case}: the pictures of {peer} and ours differ, nothing is reported")


def _alike(ours: bytes, theirs: bytes) -> float:
    one, two = _rgba(ours), _rgba(theirs)
    both = (one[3] == 255) & (two[3] == 255)  # titiler-openeo shows pixels that its own mask hides as the lowest value
    if both.mean() < 0.5:
        return 0.0
    return float((np.abs(one[:3].astype(int) - two[:3].astype(int)).max(axis=0) <= LEVELS)[both].mean())


def _rgba(png: bytes) -> Any:
    with warnings.catch_warnings(action="ignore"), rasterio.MemoryFile(png) as memory, memory.open() as file:
        if file.count == 1:
            palette = np.array([file.colormap(1).get(i, (0, 0, 0, 0)) for i in range(256)], np.uint8)
            return np.moveaxis(palette[file.read(1)], -1, 0)
        pixels = file.read()
        return pixels if len(pixels) == 4 else np.concatenate([pixels, np.full_like(pixels[:1], 255)])
