"""Surface reflectance of the landscape on one day, before clouds and sensor noise.

Fields mix soil and leaves so that their NDVI is exactly that of the parcel's curve; every texture
is a gain common to red and near infrared, which leaves NDVI alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from .crops import Curves
from .landscape import Landscape
from .noise import Field, blend, fractal, smooth

BANDS = ("B02", "B03", "B04", "B08")
# Reflectance by band; medians of Sentinel-2 L2A over the same classes in summer, rounded.
SOIL = (0.060, 0.084, 0.112, 0.172)
LEAF = (0.027, 0.058, 0.026, 0.440)
SUMMER_WOOD = (0.022, 0.040, 0.022, 0.350)
WINTER_WOOD = (0.036, 0.052, 0.062, 0.190)
CONIFER = (0.018, 0.029, 0.019, 0.230)
DEEP = (0.034, 0.036, 0.016, 0.009)
TURBID = (0.052, 0.074, 0.050, 0.022)
GRAVEL = (0.170, 0.190, 0.205, 0.240)
ASPHALT = (0.115, 0.125, 0.135, 0.160)
ROOF_TILE = (0.080, 0.105, 0.165, 0.225)
ROOF_GREY = (0.155, 0.165, 0.175, 0.205)
GARDEN = (0.036, 0.066, 0.045, 0.310)
HEDGE = (0.030, 0.052, 0.036, 0.270)


@dataclass(frozen=True)
class Textures:
    """Noise that stays with the ground, made once: gains around 1, weights 0..1."""

    field: Field
    canopy: Field
    hills: Field
    tile: Field
    garden: Field
    street: Field
    turbid: Field
    tint: NDArray[np.float32]


def textures(rng: np.random.Generator, land: Landscape) -> Textures:
    """The textures of a landscape."""
    size = land.elevation.shape[0]
    fine, broad = fractal(rng, size, 1.2, 2.2), fractal(rng, size, 2.4, 3, largest=40)
    gain = rng.uniform(0.82, 1.18, land.parcels).astype(np.float32)[land.field]
    field = gain * (1 + np.float32(0.012) * land.rows + np.float32(0.007) * fine + np.float32(0.028) * broad)
    canopy = 1 + np.float32(0.11) * fractal(rng, size, 1.0, 3.0) + np.float32(0.08) * broad
    south, east = np.gradient(land.elevation)
    steep = np.float32(0.12) + np.float32(0.88) * smooth(land.elevation, 0.3, 1.6)
    relief = steep * np.clip((south * np.float32(0.8) + east * np.float32(0.45)) * np.float32(9.0), -0.45, 0.40)
    cells, blocks = _cells(rng, size, 2), _cells(rng, size, 7)
    return Textures(
        field=field,
        canopy=canopy,
        hills=(1 + relief).astype(np.float32),
        tile=smooth(cells + blocks * np.float32(0.8), 0.55, 0.85),
        garden=smooth(_cells(rng, size, 2) + blocks * np.float32(0.5), 0.75, 1.0),
        street=(0.72 + 0.5 * _cells(rng, size, 1) + 0.35 * smooth(_cells(rng, size, 6), 0.9, 0.95)).astype(np.float32),
        turbid=smooth(fractal(rng, size, 3.6, 8), -1.0, 2.2),
        tint=_tint(rng, land.parcels),
    )


def _tint(rng: np.random.Generator, parcels: int) -> NDArray[np.float32]:
    """Hue of each parcel: gains of blue and green, which NDVI does not see. The two go together."""
    green = rng.uniform(0.87, 1.14, parcels)
    return np.stack([green * rng.uniform(0.94, 1.06, parcels), green]).astype(np.float32)


def _cells(rng: np.random.Generator, size: int, edge: int) -> Field:
    """Uniform random squares of `edge` pixels."""
    count = -(-size // edge)
    cells = rng.random((count, count), dtype=np.float32)
    return cells.repeat(edge, 0).repeat(edge, 1)[:size, :size]


def reflectance(land: Landscape, skin: Textures, curves: Curves, day: date) -> list[Field]:
    """Reflectance in the order of BANDS, float32."""
    leaves = leaf_fraction(curves.ndvi(day))
    green = _green(day)
    return [_band(i, land, skin, leaves, green) for i in range(len(BANDS))]


def leaf_fraction(ndvi: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of leaves in a soil-leaf mixture of that NDVI (inverse of the linear mixture)."""
    red, nir = SOIL[2], SOIL[3]
    d_red, d_nir = LEAF[2] - red, LEAF[3] - nir
    return ((red * (1 + ndvi) - nir * (1 - ndvi)) / (d_nir * (1 - ndvi) - d_red * (1 + ndvi))).astype(np.float32)


def _green(day: date) -> float:
    """How far broad-leaved trees are in leaf: 0 in winter, 1 in summer."""
    t = day.timetuple().tm_yday
    return float(1 / (1 + np.exp(-(t - 108) / 7)) - 1 / (1 + np.exp(-(t - 296) / 9)))


def _band(i: int, land: Landscape, skin: Textures, leaves: NDArray[np.float32], green: float) -> Field:
    parcel = np.float32(SOIL[i]) + np.float32(LEAF[i] - SOIL[i]) * leaves
    if i < 2:
        parcel = parcel * skin.tint[i]
    ground = parcel[land.field] * skin.field
    ground = blend(ground, np.float32(HEDGE[i]) * skin.canopy, land.hedge)
    broadleaf = WINTER_WOOD[i] + (SUMMER_WOOD[i] - WINTER_WOOD[i]) * green
    wood = (np.float32(broadleaf) + np.float32(CONIFER[i] - broadleaf) * land.conifer) * skin.canopy
    ground = blend(ground, wood, land.forest) * skin.hills
    ground = blend(ground, _built(i, skin), land.town)
    ground = blend(ground, np.float32(ASPHALT[i]) * (1 + (skin.canopy - 1) * np.float32(0.3)), land.road)
    ground = blend(ground, np.float32(GRAVEL[i]) * skin.canopy, land.gravel)
    water = np.float32(DEEP[i]) + np.float32(TURBID[i] - DEEP[i]) * skin.turbid * np.float32(0.6)
    ground = blend(ground, water, land.water)
    return blend(ground, np.full_like(ground, TURBID[i]), land.river)


def _built(i: int, skin: Textures) -> Field:
    roofs = np.float32(ROOF_GREY[i]) * skin.street
    roofs = blend(roofs, np.float32(ROOF_TILE[i]) * skin.street, skin.tile)
    return blend(roofs, np.float32(GARDEN[i]) * skin.canopy, skin.garden)
