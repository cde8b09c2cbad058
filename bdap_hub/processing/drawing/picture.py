"""From layers and a style to a picture: indices of a palette, or red, green, blue and opacity. PURE: numpy only."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..kernels import graded
from .colours import Colour
from .expression import Expression
from .style import Bivariate, Classes, Composite, Intervals, Kind, Ramp, Shade, Style, Trivariate


@dataclass(frozen=True)
class Indexed:
    """A palette picture: `index` (y, x) into `palette`, whose first colour is transparent and means no data."""

    index: Any
    palette: tuple[Colour, ...]

    def rgba(self) -> Any:
        """The same as (y, x, 4)."""
        return _table(self.palette)[self.index]


@dataclass(frozen=True)
class Coloured:
    """A picture of (y, x, 3), or (y, x, 4) where some of it is transparent."""

    pixels: Any

    def rgba(self) -> Any:
        """The same as (y, x, 4)."""
        if self.pixels.shape[-1] == 4:
            return self.pixels
        return np.concatenate([self.pixels, np.full_like(self.pixels[..., :1], 255)], axis=-1)


Picture = Indexed | Coloured
CLEAR: Colour = (0, 0, 0, 0)


def draw(layers: Any, names: tuple[str, ...], style: Style, metres: tuple[float, float] = (1.0, 1.0)) -> Picture:
    """The picture of layers (band, y, x); a pixel is `metres` wide and high. The style's margin is cut off."""
    known = dict(zip(names, layers, strict=True))
    if not style.shade:
        return _flat(_chosen(style.kind.bands, layers, known), style.kind)
    inner = {name: layer[1:-1, 1:-1] for name, layer in known.items()}
    chosen = _chosen(style.kind.bands, layers[:, 1:-1, 1:-1], inner)
    surface = _chosen((style.shade.elevation,) if style.shade.elevation else style.kind.bands, layers, known)[0]
    return _lit(_flat(chosen, style.kind).rgba(), light(surface, style.shade, metres), style.shade.strength)


def _chosen(bands: tuple[Expression, ...], layers: Any, known: Mapping[str, Any]) -> Any:
    return [band.value(known) for band in bands] if bands else layers


def _flat(bands: Any, kind: Kind) -> Picture:
    match kind:
        case Ramp():
            return Indexed(
                _index(bands[0], _stretched(bands[0], kind.low, kind.high, kind.gamma, 254)), (CLEAR, *kind.table)
            )
        case Classes():
            colours = tuple(entry.colour for entry in kind.entries)
            return Indexed(_classes(bands[0], tuple(entry.value for entry in kind.entries)), (CLEAR, *colours))
        case Intervals():
            return Indexed(_intervals(bands[0], kind), (CLEAR, *(entry.colour for entry in kind.entries)))
        case Composite():
            return _composite(bands, kind)
        case Bivariate():
            return _bivariate(bands, kind)
        case Trivariate():
            return _trivariate(bands, kind)


def scaled(band: Any, low: float, high: float, top: int) -> Any:
    """`low` … `high` as 0 … `top`, clipped and rounded, a byte each. Nobody shows what comes of no number."""
    with np.errstate(invalid="ignore", over="ignore"):
        return graded(band, np.float32(low), np.float32(top / (high - low)), np.float32(top))


def _index(band: Any, step: Any) -> Any:
    """Steps counted from 1; 0 where there is no data."""
    index = step + np.uint8(1)
    valid = np.isfinite(band)
    if not valid.all():
        index[~valid] = 0
    return index


def _classes(band: Any, values: tuple[float, ...]) -> Any:
    """The place of each value among the sorted `values`, from 1; 0 for all others."""
    if not values:
        return np.zeros(band.shape, np.uint8)
    known = np.asarray(values)
    place = np.minimum(np.searchsorted(known, band), len(known) - 1)
    return np.where(known[place] == band, place + 1, 0).astype(np.uint8)


def _intervals(band: Any, kind: Intervals) -> Any:
    lows, highs = (np.asarray([getattr(e, end) for e in kind.entries]) for end in ("low", "high"))
    place = np.searchsorted(lows, band, side="right") - 1
    at = np.maximum(place, 0)
    inside = (place >= 0) & np.isfinite(band) & ((band < highs[at]) | ((at == len(highs) - 1) & (band == highs[at])))
    return np.where(inside, place + 1, 0).astype(np.uint8)


def _composite(bands: Any, kind: Composite) -> Coloured:
    valid = np.isfinite(bands[0]) & np.isfinite(bands[1]) & np.isfinite(bands[2])
    channels = [
        _stretched(band, low, high, gamma, 255)
        for band, low, high, gamma in zip(bands, kind.low, kind.high, kind.gamma, strict=True)
    ]
    return _coloured(channels, valid)


def _coloured(channels: list[Any], valid: Any) -> Coloured:
    if valid.all():
        return Coloured(np.stack(channels, axis=-1))
    alpha = valid.astype(np.uint8) * np.uint8(255)
    return Coloured(np.stack([*[channel * valid for channel in channels], alpha], axis=-1))


def _stretched(band: Any, low: float, high: float, gamma: float, top: int) -> Any:
    """As `scaled`, bent by a power: through a table of 4096 steps, so that shadows keep theirs."""
    if gamma == 1:
        return scaled(band, low, high, top)
    with np.errstate(invalid="ignore", over="ignore"):
        share = (band - np.float32(low)) * np.float32(4095 / (high - low)) + np.float32(0.5)
        step = np.nan_to_num(np.clip(share, 0, 4095), nan=0).astype(np.uint16)
    return _curve(gamma, top)[step]


@functools.lru_cache(maxsize=64)
def _curve(gamma: float, top: int) -> Any:
    return np.rint(top * (np.arange(4096) / 4095) ** (1 / gamma)).astype(np.uint8)


def _bivariate(bands: Any, kind: Bivariate) -> Indexed:
    valid = np.isfinite(bands[0]) & np.isfinite(bands[1])
    steps = [_step(band, low, high, kind.steps) for band, low, high in zip(bands, kind.low, kind.high, strict=True)]
    return Indexed(np.where(valid, steps[1] * kind.steps + steps[0] + 1, 0).astype(np.uint8), (CLEAR, *kind.table))


def _step(band: Any, low: float, high: float, steps: int) -> Any:
    with np.errstate(invalid="ignore", over="ignore"):
        share = (band - np.float32(low)) * np.float32(steps / (high - low))
        return np.nan_to_num(np.clip(np.floor(share), 0, steps - 1), nan=0).astype(np.uint8)


def _trivariate(bands: Any, kind: Trivariate) -> Coloured:
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        parts = [
            np.clip((band - np.float32(low)) / np.float32(high - low), 0, 1)
            for band, low, high in zip(bands, kind.low, kind.high, strict=True)
        ]
        total = parts[0] + parts[1] + parts[2]
        shares = np.stack([np.where(total > 0, part / total, np.float32(1 / 3)) for part in parts])
    valid = np.isfinite(total)
    corners = np.asarray(kind.corners, np.float32)[:, :3]
    mixed = np.nan_to_num(np.rint(np.tensordot(corners.T, shares, axes=1)), nan=0).astype(np.uint8)
    return _coloured(list(mixed), valid)


def light(surface: Any, shade: Shade, metres: tuple[float, float]) -> Any:
    """How much light each inner pixel gets (Horn 1981), where 1 is what flat land gets; 1 where there is no data."""
    z = surface.astype(np.float32) * np.float32(shade.exaggeration)
    a, b, c, d, f, g, h, i = (
        z[:-2, :-2], z[:-2, 1:-1], z[:-2, 2:], z[1:-1, :-2], z[1:-1, 2:], z[2:, :-2], z[2:, 1:-1], z[2:, 2:],
    )  # fmt: skip
    east = ((c + 2 * f + i) - (a + 2 * d + g)) / np.float32(8 * metres[0])
    north = ((a + 2 * b + c) - (g + 2 * h + i)) / np.float32(8 * metres[1])
    azimuth, altitude = math.radians(shade.azimuth), math.radians(shade.altitude)
    toward = -(east * np.float32(math.sin(azimuth)) + north * np.float32(math.cos(azimuth)))
    got = (math.sin(altitude) + math.cos(altitude) * toward) / np.sqrt(1 + east * east + north * north)
    return np.nan_to_num(np.clip(got, 0, None) / math.sin(altitude), nan=1.0)


def _lit(rgba: Any, light: Any, strength: float) -> Coloured:
    factor = (1 + strength * (light - 1))[..., np.newaxis]
    lit = np.clip(np.rint(rgba[..., :3] * factor), 0, 255).astype(np.uint8)
    return Coloured(np.concatenate([lit, rgba[..., 3:]], axis=-1))


@functools.lru_cache(maxsize=64)
def _table(palette: tuple[Colour, ...]) -> Any:
    return np.asarray(palette, np.uint8)
