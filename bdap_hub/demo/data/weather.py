"""Clouds, their shadows and thin haze over a scene, and the scene classification that tells of them.

Class numbers are those of the Sentinel-2 Level-2A scene classification (SCL).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .landscape import Landscape
from .noise import Field, fractal, smooth

NO_DATA, SHADOW, VEGETATION, BARE, WATER, UNCLASSIFIED, CLOUD_MEDIUM, CLOUD_HIGH, CIRRUS = 0, 3, 4, 5, 6, 7, 8, 9, 10
CLOUDY = (CLOUD_MEDIUM, CLOUD_HIGH, CIRRUS)
CLOUD_TINT = (1.03, 1.0, 0.98, 1.02)
HAZE_TINT = (0.050, 0.038, 0.030, 0.018)


@dataclass(frozen=True)
class Weather:
    """One date's sky. Cloud, shadow and haze are 0..1; `covered` is False where the swath has no data."""

    cloud: Field
    brightness: Field
    shadow: Field
    haze: Field
    covered: NDArray[np.bool_]


def make(
    rng: np.random.Generator, size: int, cloud: float, haze: float, sun_azimuth: float, sun_elevation: float, edge: bool
) -> Weather:
    """A sky with a share `cloud` of clouds and `haze` of thin haze; with `edge`, the swath ends in the scene."""
    scale = min(1.0, size / 1024)
    broad = fractal(rng, size, 3.4, 12)
    lumps = broad + fractal(rng, size, 2.7, 4, largest=110 * scale) * np.float32(0.42)
    level = _level(lumps, cloud)
    density = smooth(lumps, level, level + 0.62)
    density[density < 0.02] = 0
    lit = np.clip(np.diff(lumps, axis=0, append=lumps[:1]) * np.float32(-0.55), -0.10, 0.08)
    brightness = (0.24 + 0.26 * smooth(lumps, level, level + 1.9) + lit).astype(np.float32)
    reach = 140 * scale / np.tan(np.radians(sun_elevation))
    north, east = np.cos(np.radians(sun_azimuth)), np.sin(np.radians(sun_azimuth))
    shadow = np.roll(density, (round(reach * north), round(-reach * east)), axis=(0, 1))
    veil = fractal(rng, size, 3.2, 10)
    start = _level(veil, haze)
    return Weather(density, brightness, shadow * (1 - density), smooth(veil, start, start + 1.2), _swath(size, edge))


def _level(field: Field, share: float) -> float:
    """The value above which a share of the field lies."""
    return float(np.quantile(field[::4, ::4], 1 - share)) if share > 0 else 1e6


def _swath(size: int, edge: bool) -> NDArray[np.bool_]:
    if not edge:
        return np.ones((size, size), dtype=bool)
    y, x = np.ogrid[0:size, 0:size]
    return np.asarray(x < size * 0.93 - y * 0.24)


def seen_through(ground: Field, sky: Weather, band: int) -> Field:
    """What the sensor sees of the ground in the band of that index."""
    light = 1 - np.float32(0.68 if band < 3 else 0.60) * sky.shadow
    seen = ground * light + np.float32(HAZE_TINT[band]) * sky.haze
    return seen + (sky.brightness * np.float32(CLOUD_TINT[band]) - seen) * sky.cloud


def classify(land: Landscape, sky: Weather, red: Field, nir: Field) -> NDArray[np.uint8]:
    """The SCL at half the resolution: a class as soon as any of the four pixels has it."""
    ndvi = (_mean(nir) - _mean(red)) / (_mean(nir) + _mean(red))
    scl = np.where(ndvi > 0.38, VEGETATION, BARE).astype(np.uint8)
    scl[_mean(land.water + land.river) > 0.5] = WATER
    scl[_max(sky.haze) > 0] = CIRRUS
    shadow, cloud = _max(sky.shadow), _max(sky.cloud)
    scl[shadow > 0] = UNCLASSIFIED
    scl[shadow > 0.12] = SHADOW
    scl[cloud > 0] = UNCLASSIFIED
    scl[cloud > 0.10] = CLOUD_MEDIUM
    scl[cloud > 0.55] = CLOUD_HIGH
    scl[_max((~sky.covered).astype(np.float32)) > 0] = NO_DATA
    return scl


def _quarters(field: Field) -> tuple[Field, Field, Field, Field]:
    """The four pixels of every 2 x 2 block, as four fields."""
    return field[::2, ::2], field[::2, 1::2], field[1::2, ::2], field[1::2, 1::2]


def _mean(field: Field) -> Field:
    a, b, c, d = _quarters(field)
    return (a + b + c + d) * np.float32(0.25)


def _max(field: Field) -> Field:
    a, b, c, d = _quarters(field)
    return np.maximum(np.maximum(a, b), np.maximum(c, d))
