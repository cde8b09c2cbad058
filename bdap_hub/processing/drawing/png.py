"""A cube as a PNG: palette for one band, RGB for three; transparent where there is no data or infinity."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rio_tiler.colormap import cmap

from ..cubes.cube import SPATIAL, Cube
from ..graphs.graph import Graph, GraphError

LEVEL = 1
PICTURES = ("PNG", "XYZ")
"""The formats whose options say how values become colours."""


@dataclass(frozen=True)
class Style:
    """How values become colours: `low` … `high` are stretched over the colormap (or 0 … 255) of each band."""

    colormap: str = "gray"
    low: tuple[float, ...] = (0.0,)
    high: tuple[float, ...] = (255.0,)


def style_of(graph: Graph) -> Style:
    """The style in the options of the save_result that ends the graph; gray and 0 … 255 otherwise."""
    node = graph.node(graph.result)
    if node.process == "save_result" and str(node.arguments["format"]).upper() not in PICTURES:
        return Style()
    options = node.arguments.get("options") or {} if node.process == "save_result" else {}
    if unknown := set(options) - {"colormap", "min", "max"}:
        raise GraphError(
            "ProcessArgumentInvalid",
            f"node {node.name!r}: PNG has no option {sorted(unknown)[0]!r}",
            "colormap, min, max",
        )
    name = str(options.get("colormap", "gray")).lower()
    if name not in cmap.list():
        raise GraphError("ProcessArgumentInvalid", f"node {node.name!r}: there is no colormap {name!r}", "try rdylgn")
    low, high = _numbers(options, "min", 0.0), _numbers(options, "max", 255.0)
    if len({1, len(low), len(high)}) > 2 or any(a >= b for a, b in zip(_three(low), _three(high), strict=True)):
        raise GraphError("ProcessArgumentInvalid", f"node {node.name!r}: max must be above min, for each band")
    return Style(name, low, high)


def encode(cube: Cube, style: Style) -> bytes:
    """The PNG of a cube with one or three bands and at most one date; GraphError for any other."""
    bands = drawn(cube)
    if len(bands) == 1:
        return _palette(bands[0], style)
    valid = np.isfinite(bands).all(axis=0)
    channels = [
        _scaled(band, a, b, 255) for band, a, b in zip(bands, _three(style.low), _three(style.high), strict=True)
    ]
    if valid.all():
        return _png(np.stack(channels, axis=-1), 2)
    alpha = valid.astype(np.uint8) * np.uint8(255)
    return _png(np.stack([*[channel * valid for channel in channels], alpha], axis=-1), 6)


def layers(cube: Cube) -> Any:
    """The bands of a cube with at most one date, as (band, y, x); one dimension of another type counts as bands."""
    if cube.dims[-2:] != SPATIAL:
        raise GraphError("ProcessGraphInvalid", "the result has no pixels: y and x were reduced")
    several = [name for name in cube.dims[:-2] if len(cube.labels[name]) != 1]
    if excess := [name for name in several if cube.kind(name) == "temporal"] or several[1:]:
        what = f"{len(cube.labels[excess[0]])} {'dates' if cube.kind(excess[0]) == 'temporal' else 'labels'}"
        raise GraphError(
            "ProcessGraphInvalid",
            f"the result still has {what} along {excess[0]!r}; a map or histogram is of one",
            f"reduce_dimension over {excess[0]}",
        )
    return cube.data.reshape(-1, *cube.data.shape[-2:])


def layer_names(cube: Cube) -> tuple[str, ...]:
    """The names of these bands; 'value' of the only one of a cube without bands."""
    named = [name for name in cube.dims[:-2] if len(cube.labels[name]) != 1] or list(cube.of_kind("bands"))
    return tuple(map(str, cube.labels[named[0]])) if named else ("value",)


def drawn(cube: Cube) -> Any:
    """The one or three bands of a cube that a picture can show, as (band, y, x)."""
    data = layers(cube)
    if len(data) not in (1, 3):
        raise GraphError(
            "ProcessGraphInvalid", f"the result has {len(data)} bands; a map shows one or three", "use filter_bands"
        )
    return data


@functools.lru_cache(maxsize=64)
def empty() -> bytes:
    """A fully transparent tile."""
    return _palette(np.full((256, 256), np.nan, np.float32), Style())


def _palette(band: Any, style: Style) -> bytes:
    valid = np.isfinite(band)
    index = _scaled(band, style.low[0], style.high[0], 254) + np.uint8(1)
    if not valid.all():
        index[~valid] = 0
    return _png(index[..., np.newaxis], 3, _colours(style.colormap))


@functools.lru_cache(maxsize=64)
def _colours(name: str) -> bytes:
    table: Any = cmap.get(name)
    rows = [table[round(i * 255 / 254)] for i in range(255)]
    colours = b"\0\0\0" + b"".join(bytes(row[:3]) for row in rows)
    alphas = b"\0" + bytes(row[3] for row in rows)
    return _chunk(b"PLTE", colours) + _chunk(b"tRNS", alphas)


def _scaled(band: Any, low: float, high: float, top: int) -> Any:
    with np.errstate(invalid="ignore"):
        share = (band - np.float32(low)) * np.float32(top / (high - low)) + np.float32(0.5)
        return np.nan_to_num(np.clip(share, 0, top), nan=0).astype(np.uint8)


def _png(pixels: Any, colour_type: int, extra: bytes = b"") -> bytes:
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    flat = pixels.reshape(height, width * channels)
    rows[:, 1:] = flat
    if colour_type != 3:  # "up" filter: neighbouring rows of a photograph are alike; a palette's indices are not
        rows[1:, 1:] -= flat[:-1]
        rows[1:, 0] = 2
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))
    body = _chunk(b"IDAT", zlib.compress(rows.tobytes(), LEVEL))
    return b"\x89PNG\r\n\x1a\n" + head + extra + body + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _numbers(options: Mapping[str, Any], key: str, default: float) -> tuple[float, ...]:
    raw = options.get(key, default)
    values = raw if isinstance(raw, list) else [raw]
    if len(values) not in (1, 3) or any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in values):
        raise GraphError("ProcessArgumentInvalid", f"the option {key!r} must be a number or three")
    return tuple(float(v) for v in values)


def _three(values: tuple[float, ...]) -> tuple[float, ...]:
    return values * 3 if len(values) == 1 else values
