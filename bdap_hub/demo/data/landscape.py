"""The demo landscape: relief, a lake, a river, woods, towns, roads and rotated field parcels.

All distances are in pixels of 10 m; the landmarks keep their place in the scene whatever its size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .noise import Field, fractal, smooth

FIELD, FOREST, WATER, TOWN, ROAD = 0, 1, 2, 3, 4
LAND_COVER = {FIELD: "field", FOREST: "forest", WATER: "water", TOWN: "town", ROAD: "road"}


@dataclass(frozen=True)
class Landscape:
    """What does not change between dates. Weights are 0..1.

    `field` numbers the parcel under every pixel, `parcel` only where nothing else is mixed in (-1 elsewhere).
    """

    elevation: Field
    water: Field
    river: Field
    gravel: Field
    forest: Field
    conifer: Field
    town: Field
    road: Field
    hedge: Field
    field: NDArray[np.int32]
    parcel: NDArray[np.int32]
    rows: Field
    cover: NDArray[np.uint8]
    parcels: int


@dataclass(frozen=True)
class Grid:
    """Pixel coordinates, straight (x, y) and bent by smooth noise (u, v) so that nothing is quite straight."""

    x: Field
    y: Field
    u: Field
    v: Field
    size: int


def make(rng: np.random.Generator, size: int) -> Landscape:
    """The landscape of a square scene of `size` pixels."""
    grid = _grid(rng, size)
    elevation = _elevation(rng, grid)
    river_path = _river(grid)
    water, shore = _lakes(rng, grid)
    river = smooth(-np.abs(river_path), -2.7, -1.3) * (1 - water)
    banks = smooth(fractal(rng, size, 2.6, 5, largest=120), 0.2, 1.0)
    gravel = smooth(-np.abs(river_path + 3 * banks), -5.5, -3.0) * banks * (1 - water) * (1 - river)
    centres = _centres(rng, size, water)
    town = _towns(rng, grid, centres) * (1 - water) * (1 - river)
    road = _roads(grid, centres) * (1 - water)
    forest = _forest(rng, elevation, river_path, shore, size) * (1 - water) * (1 - town)
    conifer = smooth(fractal(rng, size, 2.2, 4) + elevation, 0.4, 1.4)
    field, hedge, rows = _parcels(rng, grid)
    pure = water + river + gravel + forest + town + road + hedge == 0
    return Landscape(
        elevation=elevation,
        water=water,
        river=river,
        gravel=gravel,
        forest=forest,
        conifer=conifer,
        town=town,
        road=road,
        hedge=hedge,
        field=field,
        parcel=np.where(pure, field, -1).astype(np.int32),
        rows=rows,
        cover=_cover(water + river, forest, town, road),
        parcels=int(field.max()) + 1,
    )


def _grid(rng: np.random.Generator, size: int) -> Grid:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    bend = 7.0 * min(1.0, size / 1024)
    return Grid(x, y, x + bend * fractal(rng, size, 4.0), y + bend * fractal(rng, size, 4.0), size)


def _elevation(rng: np.random.Generator, grid: Grid) -> Field:
    """About -1 in the plain, up to 3 on the hills; higher towards the north-east."""
    tilt = (grid.x - grid.y) / grid.size
    return fractal(rng, grid.size, 3.1, smallest=6) * np.float32(0.75) + tilt * np.float32(1.3)


def _lakes(rng: np.random.Generator, grid: Grid) -> tuple[Field, Field]:
    """Weight of open water, and the distance to the shore in pixels (negative in the lake)."""
    n = np.float32(grid.size)
    rough = fractal(rng, grid.size, 3.4, 5) * np.float32(0.024 * grid.size)
    along = grid.y / n
    line = 0.13 + 0.055 * np.sin(5.1 * along + 0.6) + 0.03 * np.sin(11.7 * along + 2.0)
    lake = grid.x - line.astype(np.float32) * n + rough
    dx, dy = (grid.x / n - 0.68) / 1.9, grid.y / n - 0.30
    pond = (np.hypot(dx, dy) - 0.047) * n + rough * np.float32(0.85)
    shore = np.minimum(lake, pond)
    return smooth(-shore, -0.7, 0.7), shore


def _river(grid: Grid) -> Field:
    """Signed distance to the river, in pixels; it runs from the north-east corner down to the lake."""
    n = grid.size
    t = grid.u / n
    path = 0.86 - 0.42 * t + 0.035 * np.sin(13 * t) + 0.017 * np.sin(31 * t + 1) + 0.007 * np.sin(67 * t)
    slope = -0.42 + 0.035 * 13 * np.cos(13 * t) + 0.017 * 31 * np.cos(31 * t + 1) + 0.007 * 67 * np.cos(67 * t)
    return ((grid.v - path * n) / np.sqrt(1 + slope**2)).astype(np.float32)


def _centres(rng: np.random.Generator, size: int, water: Field) -> NDArray[np.float32]:
    """Rows of (x, y, radius): the town on the shore first, then villages that keep their distance."""
    found = [(0.265, 0.47, 0.058), (0.80, 0.73, 0.040)]
    for _ in range(400):
        x, y = rng.uniform(0.2, 0.96), rng.uniform(0.05, 0.95)
        radius = rng.uniform(0.010, 0.024)
        near = min(np.hypot(x - a, y - b) for a, b, _ in found)
        if near > 0.145 and water[int(y * size), int(x * size)] < 0.5:
            found.append((x, y, radius))
    return np.array(found, dtype=np.float32) * np.float32(size)


def _towns(rng: np.random.Generator, grid: Grid, centres: NDArray[np.float32]) -> Field:
    """Weight of built-up land: compact in the middle, frayed along its edge."""
    nearness = np.full((grid.size, grid.size), -9, dtype=np.float32)
    for x, y, radius in centres:
        distance = np.hypot(grid.u - x, (grid.v - y) * np.float32(1.15)) / radius
        np.maximum(nearness, 1 - distance, out=nearness)
    ragged = fractal(rng, grid.size, 2.3, 2, largest=60)
    return smooth(nearness + ragged * np.float32(0.28), 0.0, 0.16)


def _roads(grid: Grid, centres: NDArray[np.float32]) -> Field:
    """Weight of road: each centre to its two nearest, and one motorway across the scene."""
    distance = np.full((grid.size, grid.size), 99, dtype=np.float32)
    points = centres[:, :2]
    for i, here in enumerate(points):
        gaps = np.hypot(*(points - here).T)
        for j in np.argsort(gaps)[1:4]:
            if i < j or i not in np.argsort(np.hypot(*(points - points[j]).T))[1:4]:
                _draw(distance, grid, here, points[j])
    motorway = np.abs(grid.u - grid.size * 0.50 - (grid.v - grid.size * 0.5) * np.float32(0.22)) * np.float32(0.977)
    local = smooth(-distance, -1.15, -0.25) * np.float32(0.85)
    return np.maximum(local, smooth(-motorway, -2.3, -1.1))


def _draw(distance: Field, grid: Grid, a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
    """Lower `distance` to that of the bent line a-b, inside the line's box only."""
    pad = 30
    x0, x1 = int(max(min(a[0], b[0]) - pad, 0)), int(max(a[0], b[0]) + pad)
    y0, y1 = int(max(min(a[1], b[1]) - pad, 0)), int(max(a[1], b[1]) + pad)
    window = (slice(y0, y1), slice(x0, x1))
    u, v = grid.u[window] - a[0], grid.v[window] - a[1]
    d = b - a
    t = np.clip((u * d[0] + v * d[1]) / max(float(d @ d), 1.0), 0, 1)
    np.minimum(distance[window], np.hypot(u - t * d[0], v - t * d[1]), out=distance[window])


def _forest(rng: np.random.Generator, elevation: Field, river: Field, shore: Field, size: int) -> Field:
    woods = fractal(rng, size, 2.5, 2) * np.float32(0.62) + elevation * np.float32(0.72)
    woods += smooth(-np.abs(river), -13, -4) * np.float32(0.75) + smooth(-np.abs(shore), -9, 0) * np.float32(0.45)
    return smooth(woods, 0.66, 0.72)


def _parcels(rng: np.random.Generator, grid: Grid) -> tuple[NDArray[np.int32], Field, Field]:
    """Parcel numbers, weight of hedges and tracks between them, and the phase-free pattern of the plough rows.

    Blocks are Voronoi cells of a jittered grid; each is cut into strips at its own angle and width.
    """
    block, edge = _voronoi(rng, grid, spacing=62.0)
    blocks = int(block.max()) + 1
    angle = rng.uniform(0, np.pi, blocks).astype(np.float32)
    width = rng.uniform(7, 17, blocks).astype(np.float32)
    length = rng.uniform(18, 44, blocks).astype(np.float32)
    cos, sin = np.cos(angle)[block], np.sin(angle)[block]
    across = grid.u * cos + grid.v * sin
    down = grid.v * cos - grid.u * sin
    strip, strip_edge = _cut(across, width[block])
    shift = (((strip * 7919 + block * 104729) % 97) / np.float32(97)).astype(np.float32) * length[block]
    piece, piece_edge = _cut(down + shift, length[block])
    key = (block.astype(np.int64) << 24) + ((strip + 2048).astype(np.int64) << 12) + (piece + 2048)
    border = np.minimum(strip_edge, piece_edge)
    grown = smooth(fractal(rng, grid.size, 2.2, 4, largest=90), -0.1, 1.1)
    hedge = np.maximum(smooth(-border, -0.75, -0.15) * np.float32(0.45), smooth(-edge, -1.4, -0.3) * grown)
    rows = np.sin(across * np.float32(2 * np.pi / 2.9)).astype(np.float32)
    _, numbers = np.unique(key, return_inverse=True)
    return numbers.reshape(key.shape).astype(np.int32), hedge, rows


def _cut(coordinate: Field, step: Field) -> tuple[NDArray[np.int32], Field]:
    """Index of the strip and distance to its nearer edge, in pixels."""
    scaled = coordinate / step
    index = np.floor(scaled)
    part = scaled - index
    return index.astype(np.int32), np.minimum(part, 1 - part) * step


def _voronoi(rng: np.random.Generator, grid: Grid, spacing: float) -> tuple[NDArray[np.int32], Field]:
    """Nearest seed of a jittered grid and the distance to the border with the second nearest."""
    count = int(grid.size / spacing) + 4
    jitter = rng.uniform(0.08, 0.92, (2, count, count)).astype(np.float32)
    u, v = grid.u / np.float32(spacing) + 1, grid.v / np.float32(spacing) + 1
    cx, cy = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
    first = np.full(u.shape, 99, dtype=np.float32)
    second = first.copy()
    nearest = np.zeros(u.shape, dtype=np.int32)
    for oy in (-1, 0, 1):
        for ox in (-1, 0, 1):
            j, i = np.clip(cy + oy, 0, count - 1), np.clip(cx + ox, 0, count - 1)
            distance = np.hypot(u - i - jitter[0][j, i], v - j - jitter[1][j, i])
            closer = distance < first
            second = np.where(closer, first, np.minimum(second, distance))
            nearest[closer] = (j * count + i)[closer]
            np.minimum(first, distance, out=first)
    return nearest, (second - first) * np.float32(spacing / 2)


def _cover(water: Field, forest: Field, town: Field, road: Field) -> NDArray[np.uint8]:
    cover = np.zeros(water.shape, dtype=np.uint8)
    for weight, value in ((forest, FOREST), (town, TOWN), (road, ROAD), (water, WATER)):
        cover[weight > 0.5] = value
    return cover
