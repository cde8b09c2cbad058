"""Colours as people write them, and tables of colours: named maps, own ramps, stops at values. PURE."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .refusal import refuse

Colour = tuple[int, int, int, int]
"""Red, green, blue and opacity, 0 to 255."""
STEPS = 255
MOST = 256


def colour(raw: Any, what: str = "a colour") -> Colour:
    """A colour from '#rgb', '#rrggbb', '#rrggbbaa' (the # may be missing) or a list of 3 or 4 numbers to 255."""
    if isinstance(raw, str):
        text = raw.strip().removeprefix("#")
        text = "".join(2 * c for c in text) if len(text) in (3, 4) else text
        if len(text) in (6, 8) and all(c in "0123456789abcdefABCDEF" for c in text):
            parts = list(bytes.fromhex(text))
            return (parts[0], parts[1], parts[2], parts[3] if len(parts) == 4 else 255)
    elif isinstance(raw, (list, tuple)) and len(raw) in (3, 4) and all(type(v) is int and 0 <= v <= 255 for v in raw):
        return (raw[0], raw[1], raw[2], raw[3] if len(raw) == 4 else 255)
    raise refuse(f"{what} is written '#rrggbb' or [r, g, b], not {raw!r:.40}", "for example '#1a9850'")


def css(shown: Colour) -> str:
    """A colour as '#rrggbb', with its opacity as two more digits where it has one."""
    return "#" + bytes(shown if shown[3] < 255 else shown[:3]).hex()


@functools.cache
def _maps() -> dict[str, Path]:
    """Files of rio-tiler's colour maps (256 × RGBA); its modules would take 60 MB and a second to import."""
    found = find_spec("rio_tiler")
    folders = [Path(place) / "cmap_data" for place in (found.submodule_search_locations or ())] if found else []
    return {path.stem.lower(): path for folder in folders for path in sorted(folder.glob("*.npy"))}


@functools.lru_cache(maxsize=256)
def named(name: str) -> tuple[Colour, ...]:
    """The 256 colours of a map of the library; a name that ends in _r is turned round."""
    known, plain = _maps(), name.lower()
    if plain.endswith("_r") and plain.removesuffix("_r") in known:
        return named(plain.removesuffix("_r"))[::-1]
    if plain in known:
        return tuple((int(r), int(g), int(b), int(a)) for r, g, b, a in np.load(known[plain]).tolist())
    raise refuse(f"there is no colormap {name!r:.40}", "try viridis, rdylgn or a list of colours")


def ramp(colours: Sequence[Colour], at: Sequence[float] | None = None, count: int = STEPS) -> tuple[Colour, ...]:
    """`count` colours between those given, evenly spaced or at the shares `at` (0 … 1, rising) of the ramp."""
    places = np.linspace(0, 1, len(colours)) if at is None else np.asarray(at)
    wanted = np.linspace(0, 1, count)
    channels = [np.interp(wanted, places, [c[k] for c in colours]) for k in range(4)]
    return tuple((int(r), int(g), int(b), int(a)) for r, g, b, a in np.rint(np.stack(channels, axis=1)).tolist())


@functools.lru_cache(maxsize=256)
def sampled(colours: tuple[Colour, ...], count: int = STEPS) -> tuple[Colour, ...]:
    """`count` of the colours of a table, its nearest at each place."""
    last = len(colours) - 1
    return tuple(colours[round(last * i / (count - 1))] for i in range(count)) if count > 1 else (colours[last // 2],)
