"""What other sensors see of the landscape of `sentinel-2-demo`: radar, heights, a land-cover map.

Models, not observations: levels are typical of Sentinel-1 over such surfaces, all else follows the landscape.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from .crops import Curves
from .landscape import FIELD, FOREST, ROAD, TOWN, WATER, Landscape
from .noise import Field, blend, smooth

MEADOW = 3  # index into CROPS
CLASSES = {10: "tree cover", 30: "grassland", 40: "cropland", 50: "built-up", 80: "water"}
"""Codes and names as in ESA WorldCover."""
COLOURS = {10: (0, 100, 0), 30: (255, 255, 76), 40: (240, 150, 255), 50: (250, 0, 0), 80: (0, 100, 200)}
_CODE_OF = {FIELD: 40, FOREST: 10, WATER: 80, TOWN: 50, ROAD: 50}
LAKE_METRES, METRES = 194.0, 90.0
# Backscatter in dB as (VV, VH).
SOIL, LEAVES = (-13.0, -22.0), (2.5, 7.5)  # bare, and what full leaves add
WOOD, BUILT, ASPHALT, GRAVEL = (-9.5, -15.0), (-3.5, -12.0), (-15.0, -23.0), (-11.0, -19.0)
OPEN_WATER, FLOODED = (-21.0, -28.0), (-18.5, -26.0)
LOOKS = 12
STEP_DB = 1 / 16


def heights(land: Landscape) -> Field:
    """Metres above sea; the lakes are level, and the land rises from their shores."""
    rough = _blurred(land.elevation, 10)
    hills = LAKE_METRES + 4 + METRES * np.maximum(rough + np.float32(1.2), 0) ** np.float32(1.3)
    shore = smooth(_blurred(land.water, 14), 0.0, 0.5)
    metres = blend(hills.astype(np.float32), np.full_like(hills, LAKE_METRES, dtype=np.float32), shore)
    return (np.rint(metres * 8) / 8).astype(np.float32)


def classes(land: Landscape, curves: Curves) -> NDArray[np.uint8]:
    """Land cover with the codes of CLASSES: meadows are grassland, other fields cropland, roads built-up."""
    codes = np.array([_CODE_OF[value] for value in sorted(_CODE_OF)], dtype=np.uint8)[land.cover]
    meadow = (curves.crop == MEADOW)[land.field] & (land.cover == FIELD)
    return np.where(meadow, np.uint8(30), codes)


def backscatter(
    land: Landscape, curves: Curves, day: date, flood: bool, rng: np.random.Generator
) -> tuple[Field, Field]:
    """VV and VH in dB on pixels of 20 m, with speckle. `flood`: the river stands in the fields beside it."""
    leaves = np.clip((curves.ndvi(day) - 0.15) / 0.7, 0, 1).astype(np.float32)
    wet = np.float32(rng.normal(0, 0.7))
    return _seen(land, leaves, wet, flood, 0, rng), _seen(land, leaves, wet, flood, 1, rng)


def flooded(land: Landscape) -> Field:
    """Weight of fields under water while the river is out of its bed."""
    beside = smooth(_blurred(land.river, 14), 0.03, 0.06)
    return beside * (1 - land.forest) * (1 - land.town) * (1 - land.road) * (1 - land.water)


def _seen(
    land: Landscape, leaves: NDArray[np.float32], wet: np.float32, flood: bool, i: int, rng: np.random.Generator
) -> Field:
    parcel = np.float32(SOIL[i]) + np.float32(LEAVES[i]) * leaves + wet * (1 - leaves)
    ground = _power(parcel)[land.field]
    parts = [(WOOD, land.forest), (BUILT, land.town), (ASPHALT, land.road), (GRAVEL, land.gravel)]
    parts += [(FLOODED, flooded(land))] if flood else []
    for level, weight in (*parts, (OPEN_WATER, land.water), (OPEN_WATER, land.river)):
        ground = blend(ground, np.full_like(ground, _power(np.float32(level[i]))), weight)
    rows, columns = ground.shape[0] // 2, ground.shape[1] // 2
    coarse = ground.reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    speckle = rng.standard_gamma(LOOKS, coarse.shape, dtype=np.float32) / np.float32(LOOKS)
    decibel = 10 * np.log10(coarse * speckle)
    return (np.rint(decibel / STEP_DB) * STEP_DB).astype(np.float32)


def _power(decibel: Field | np.float32) -> Field:
    return np.asarray(10 ** (decibel / np.float32(10)), dtype=np.float32)


def _blurred(weight: Field, pixels: float) -> Field:
    """Gaussian blur of that deviation; the ground goes on beyond the scene as it ends."""
    pad = int(4 * pixels)
    wide = np.pad(weight, pad, mode="edge")
    size = wide.shape[0]
    row = np.fft.fftfreq(size).astype(np.float32)[:, None]
    column = np.fft.rfftfreq(size).astype(np.float32)[None, :]
    gain = np.exp(-2 * (np.pi * pixels) ** 2 * (row**2 + column**2))
    blurred = np.fft.irfft2(np.fft.rfft2(wide) * gain, s=wide.shape)
    return blurred[pad:-pad, pad:-pad].astype(np.float32)
