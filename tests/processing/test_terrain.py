"""Terrain on surfaces whose slope is known, in metres, degrees and web Mercator, and against formulas written anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pyproj import Geod, Transformer

from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.engine.grid import Grid

from .conftest import X, Y, Z
from .engines import compiled, engine_on
from .graphs import arg, call, load, node, of
from .test_cubes import evaluate

UTM = Grid("EPSG:32633", 500_000, 5_200_000, 10, 10, 30, 20)
GRIDS = [
    UTM,
    Grid("EPSG:4326", 15.0, 47.0, 1e-4, 1e-4, 30, 20),
    Grid("EPSG:3857", 1_669_792, 5_942_074, 15, 15, 30, 20),
    Grid("EPSG:3857", 1_669_792, 11_000_000, 15, 15, 30, 20),
    Grid("EPSG:3035", 4_600_000, 2_700_000, 10, 10, 30, 20),
]
INNER = np.s_[1:-1, 1:-1]


def plane(grid: Grid, east: float, north: float) -> Cube:
    """Heights that rise by so much for each metre on the ellipsoid along the grid's columns and rows."""
    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    xs, ys = grid.centres()
    geod = Geod(ellps="WGS84")
    middle = xs[len(xs) // 2]

    def apart(x1: float, y1: float, x2: float, y2: float) -> float:
        return float(geod.inv(*to_degrees.transform(x1, y1), *to_degrees.transform(x2, y2))[2])

    right = np.array([[np.sign(x - middle) * apart(middle, y, x, y) for x in xs] for y in ys])
    up = np.array([apart(middle, ys[-1], middle, y) for y in ys])
    return Cube(east * right + north * up[:, np.newaxis], ("y", "x"), {})


@pytest.mark.parametrize("grid", GRIDS, ids=lambda g: f"{g.crs} {g.top:.0f}")
def test_slope_of_a_plane_is_the_same_in_every_grid(grid: Grid) -> None:
    cube = plane(grid, 0.3, 0.4)
    np.testing.assert_allclose(evaluate("slope", grid, a=cube, unit="percent").data[INNER], 50, rtol=2e-3)
    np.testing.assert_allclose(evaluate("slope", grid, a=cube).data[INNER], np.degrees(np.arctan(0.5)), rtol=2e-3)
    np.testing.assert_allclose(evaluate("slope", grid, a=cube, unit="radian").data[INNER], np.arctan(0.5), rtol=2e-3)


@pytest.mark.parametrize(
    ("east", "north", "down"),
    [(0, -1, 0), (-1, 0, 90), (0, 1, 180), (1, 0, 270), (-1, -1, 45), (1, 1, 225), (-0.3, -0.4, 36.8699)],
)
def test_aspect_looks_down_the_slope(east: float, north: float, down: float) -> None:
    got = evaluate("aspect", UTM, a=plane(UTM, east, north)).data[INNER]
    np.testing.assert_allclose((got - down + 180) % 360 - 180, 0, atol=0.1)


def test_flat_ground_has_no_aspect_but_a_slope() -> None:
    flat = Cube(np.full((20, 30), 7.0), ("y", "x"), {})
    assert np.isnan(evaluate("aspect", UTM, a=flat).data).all()
    assert (evaluate("slope", UTM, a=flat).data[INNER] == 0).all()


def rugged() -> Cube:
    values = np.random.default_rng(5).normal(500, 8, (20, 30))
    values[7, 9] = np.nan
    return Cube(values, ("y", "x"), {})


def neighbours(values: Any) -> list[Any]:
    return [values[1 + dy : values.shape[0] - 1 + dy, 1 + dx : values.shape[1] - 1 + dx]
            for dy in (-1, 0, 1) for dx in (-1, 0, 1)]  # fmt: skip


def horn(values: Any, width: float = 10.0) -> tuple[Any, Any]:
    """Horn 1981, as gdaldem writes it (x to the east, y to the south)."""
    a, b, c, d, _, f, g, h, i = neighbours(values)
    return ((c + 2 * f + i) - (a + 2 * d + g)) / (8 * width), ((g + 2 * h + i) - (a + 2 * b + c)) / (8 * width)


def test_hillshade_is_that_of_gdaldem() -> None:
    values = rugged().data
    x, y = horn(values)
    zenith, azimuth = np.radians(90 - 30), np.radians(360 - 300 + 90)
    slope, aspect = np.arctan(2 * np.hypot(x, y)), np.arctan2(y, -x)
    want = np.cos(zenith) * np.cos(slope) + np.sin(zenith) * np.sin(slope) * np.cos(azimuth - aspect)
    got = evaluate("hillshade", UTM, a=rugged(), azimuth=300, altitude=30, z_factor=2).data[INNER]
    missing = np.isnan(got)
    assert missing.sum() == 9
    np.testing.assert_allclose(got[~missing], 255 * np.clip(want, 0, 1)[~missing], rtol=1e-3, atol=0.1)


def test_position_ruggedness_and_roughness() -> None:
    values = rugged().data
    around = np.stack(neighbours(values))
    others = np.delete(around, 4, axis=0)
    centre = around[4]
    for index, want in (
        ("tpi", centre - others.mean(axis=0)),
        ("tri", np.sqrt(((others - centre) ** 2).sum(axis=0))),
        ("roughness", around.max(axis=0) - around.min(axis=0)),
    ):
        got = evaluate("terrain_index", UTM, a=rugged(), index=index).data
        np.testing.assert_allclose(got[INNER], want, rtol=1e-9)
        assert np.isnan(got[0]).all()


@pytest.mark.parametrize("grid", GRIDS[:3], ids=lambda g: g.crs)
def test_curvature_of_a_dome_is_positive(grid: Grid) -> None:
    dome = Cube(-((plane(grid, 1, 0).data) ** 2) / 500 - (plane(grid, 0, 1).data ** 2) / 1000, ("y", "x"), {})
    got = evaluate("terrain_index", grid, a=dome, index="curvature").data
    np.testing.assert_allclose(got[INNER], 2 / 500 + 2 / 1000, rtol=0.01)


def test_composites_of_terrain_are_made_date_by_date(fields: Any) -> None:
    raw = {
        "a": load(bands=["B04"]),
        "s": node("slope", data=of("a")),
        "r": node("reduce_dimension", True, data=of("s"), reducer=call("max", data=arg("data")), dimension="t"),
    }
    made, engine = compiled(raw, [fields[1]], fields[2]), engine_on(fields[0])
    assert len(made.streams) == 1
    got = engine.cube(made, Grid.tile(Z, X, Y)).data[0]
    single = [engine.cube(compiled(raw, [fields[1]], [one]), Grid.tile(Z, X, Y)).data[0] for one in fields[2]]
    np.testing.assert_array_equal(got, np.fmax.reduce(single))
