"""Neighbourhoods of pixels against scipy.ndimage and numpy, and tile by tile against the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from bdap_hub.errors import TooMuch
from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.processes import windows

from .conftest import X, Y, Z
from .engines import compiled, engine_on
from .graphs import band, node, of
from .test_cubes import evaluate


def holed(classes: bool = False, kind: Any = np.float64) -> Cube:
    """A layer with holes, at the edges too."""
    random = np.random.default_rng(11)
    values = random.integers(1, 6, (23, 31)) if classes else random.normal(1000, 100, (23, 31))
    values = values.astype(kind)
    values[random.random(values.shape) < 0.15] = np.nan
    values[:4, :5] = np.nan
    return Cube(values, ("y", "x"), {})


def disc(size: int) -> Any:
    y, x = np.mgrid[:size, :size] - size // 2
    return np.hypot(x, y) <= size / 2


def counted(pick: Callable[[Any, Any], float]) -> Callable[[Any], float]:
    def of_values(values: Any) -> float:
        found, counts = np.unique(values, return_counts=True)
        return float(found[pick(counts, None)])

    return of_values


REFERENCES: dict[str, Callable[[Any], float]] = {
    "mean": np.mean,
    "median": np.median,
    "min": np.min,
    "max": np.max,
    "range": np.ptp,
    "sum": np.sum,
    "count": len,
    "sd": lambda v: np.std(v, ddof=1) if len(v) > 1 else np.nan,
    "variance": lambda v: np.var(v, ddof=1) if len(v) > 1 else np.nan,
    "percentile": lambda v: np.percentile(v, 30),
    "majority": counted(lambda counts, _: np.argmax(counts)),
    "minority": counted(lambda counts, _: np.argmin(counts)),
    "variety": lambda v: len(np.unique(v)),
}


def around(values: Any, where: Any, function: Callable[[Any], float]) -> Any:
    """A function of the valid values of each neighbourhood, by scipy."""

    def of_valid(window: Any) -> float:
        valid = window[~np.isnan(window)]
        return float(function(valid)) if valid.size else np.nan

    return ndimage.generic_filter(values, of_valid, footprint=where, mode="constant", cval=np.nan)


@pytest.mark.parametrize("shape", ["square", "circle"])
@pytest.mark.parametrize("statistic", sorted(REFERENCES))
def test_focal_statistics_are_those_of_scipy(statistic: str, shape: str) -> None:
    cube = holed(classes=statistic in ("majority", "minority", "variety"))
    where = disc(5) if shape == "circle" else np.ones((5, 5), bool)
    more = {"percentile": 30} if statistic == "percentile" else {}
    got = evaluate("focal_statistics", a=cube, statistic=statistic, size=5, shape=shape, fill=True, **more)
    want = around(cube.data, where, REFERENCES[statistic])
    if statistic == "count":
        want = np.nan_to_num(want)
    np.testing.assert_allclose(got.data, want, rtol=1e-9, atol=1e-6)
    kept = evaluate("focal_statistics", a=cube, statistic=statistic, size=5, shape=shape, **more)
    np.testing.assert_allclose(kept.data, np.where(np.isnan(cube.data), np.nan, want), rtol=1e-9, atol=1e-6)


def test_a_sorted_stack_is_made_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate("focal_statistics", a=holed(), statistic="median", size=7).data
    monkeypatch.setattr(windows, "STACK", 49 * 31 * 4)
    np.testing.assert_array_equal(evaluate("focal_statistics", a=holed(), statistic="median", size=7).data, whole)


def grey(operation: str, values: Any, where: Any) -> Any:
    """The operation by scipy, with what has no data as the neutral value."""

    def passed(layer: Any, largest: bool) -> Any:
        neutral = -np.inf if largest else np.inf
        filled = np.where(np.isnan(values), neutral, layer)
        turn = ndimage.maximum_filter if largest else ndimage.minimum_filter
        return turn(filled, footprint=where, mode="constant", cval=neutral)

    opened, closed = passed(passed(values, False), True), passed(passed(values, True), False)
    done = {
        "erode": passed(values, False), "dilate": passed(values, True), "open": opened, "close": closed,
        "gradient": passed(values, True) - passed(values, False), "tophat": values - opened,
        "blackhat": closed - values,
    }  # fmt: skip
    return np.where(np.isnan(values), np.nan, done[operation])


@pytest.mark.parametrize("operation", ["erode", "dilate", "open", "close", "gradient", "tophat", "blackhat"])
@pytest.mark.parametrize("shape", ["square", "circle"])
def test_morphology_is_that_of_scipy_on_grey_values_and_masks(operation: str, shape: str) -> None:
    where = disc(5) if shape == "circle" else np.ones((5, 5), bool)
    mask = replace(holed(), data=np.where(np.isnan(holed().data), np.nan, holed().data > 1000))
    for cube in (holed(), mask):
        got = evaluate("morphology", a=cube, operation=operation, size=5, shape=shape)
        np.testing.assert_array_equal(got.data, grey(operation, cube.data, where))
    assert where.sum() == (21 if shape == "circle" else 25) and (shape == "square") == where.all()


def test_a_gaussian_leaves_out_what_has_no_data() -> None:
    cube = holed()
    valid = ~np.isnan(cube.data)
    options = {"sigma": 1.5, "mode": "constant", "radius": 5}
    want = ndimage.gaussian_filter(np.where(valid, cube.data, 0), **options)
    want = np.where(valid, want / ndimage.gaussian_filter(valid.astype(float), **options), np.nan)
    np.testing.assert_allclose(evaluate("gaussian_filter", a=cube, sigma=1.5).data, want, rtol=1e-9)


@pytest.mark.parametrize(
    ("operator", "filtered", "divisor"), [("sobel", ndimage.sobel, 8), ("prewitt", ndimage.prewitt, 6)]
)
def test_edges_are_those_of_scipy_per_pixel(operator: str, filtered: Any, divisor: int) -> None:
    cube = holed()
    want = np.hypot(filtered(cube.data, 0), filtered(cube.data, 1)) / divisor
    got = evaluate("edge_detection", a=cube, operator=operator).data
    inner = np.s_[1:-1, 1:-1]
    centre = np.where(np.isnan(cube.data), np.nan, want)
    np.testing.assert_allclose(got[inner], centre[inner])
    assert np.isnan(got[0]).all() and np.isfinite(got[inner]).any()


def test_scharr_and_laplacian_of_a_slope_and_a_bowl() -> None:
    y, x = np.mgrid[:9, :9].astype(float)
    slope = evaluate("edge_detection", a=Cube(3 * x + 4 * y, ("y", "x"), {}), operator="scharr").data
    np.testing.assert_allclose(slope[1:-1, 1:-1], 5)
    bowl = evaluate("edge_detection", a=Cube(x**2 + y**2, ("y", "x"), {}), operator="laplacian").data
    np.testing.assert_allclose(bowl[1:-1, 1:-1], 4)


@pytest.mark.parametrize(
    ("process", "arguments", "code"),
    [
        ("focal_statistics", {"statistic": "mean", "size": 4}, "KernelDimensionsUneven"),
        ("focal_statistics", {"statistic": "mean", "percentile": 5}, "ProcessArgumentInvalid"),
        ("focal_statistics", {"statistic": "percentile"}, "ProcessArgumentInvalid"),
        ("focal_statistics", {"statistic": "percentile", "percentile": 101}, "ProcessArgumentInvalid"),
        ("focal_statistics", {"statistic": "mode"}, "ProcessArgumentInvalid"),
        ("morphology", {"operation": "erode", "size": 1}, "ProcessArgumentInvalid"),
        ("gaussian_filter", {"sigma": 1000}, "ProcessArgumentInvalid"),
        ("gaussian_filter", {"sigma": 0}, "ProcessArgumentInvalid"),
    ],
)
def test_wrong_neighbourhoods_are_refused(process: str, arguments: Any, code: str) -> None:
    with pytest.raises(GraphError) as error:
        evaluate(process, a=holed(), **arguments)
    assert error.value.code == code


def test_a_neighbourhood_may_not_have_too_many_pixels() -> None:
    assert np.isfinite(evaluate("focal_statistics", a=holed(), statistic="min", size=63).data).any()
    with pytest.raises(TooMuch, match="neighbourhood"):
        evaluate("focal_statistics", a=holed(), statistic="min", size=65)


SEAMLESS = [
    ("focal_statistics", {"statistic": "median", "size": 5}, 2),
    ("focal_statistics", {"statistic": "sd", "size": 9, "shape": "circle"}, 4),
    ("focal_statistics", {"statistic": "majority", "size": 3}, 1),
    ("morphology", {"operation": "erode", "size": 5}, 2),
    ("morphology", {"operation": "open", "size": 5}, 4),
    ("gaussian_filter", {"sigma": 2}, 6),
    ("edge_detection", {}, 1),
    ("slope", {}, 1),
    ("aspect", {}, 1),
    ("hillshade", {}, 1),
    ("terrain_index", {"index": "tpi", "size": 7}, 3),
    ("terrain_index", {"index": "curvature"}, 1),
]


@pytest.fixture(scope="module")
def engine(fields: Any) -> Any:
    return engine_on(fields[0])


@pytest.mark.parametrize(("process", "arguments", "reach"), SEAMLESS)
def test_no_seam_shows_between_tiles(fields: Any, engine: Any, process: str, arguments: Any, reach: int) -> None:
    raw = band("B04")
    raw["flat"].pop("result")
    raw["p"] = node(process, True, data=of("flat"), **arguments)
    made = compiled(raw, [fields[1]], fields[2][:1])
    assert made.margin == reach
    whole = engine.cube(made, replace(Grid.tile(Z, X, Y), width=512, height=512)).data[0]
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        got = engine.cube(made, Grid.tile(Z, X + dx, Y + dy)).data[0]
        part = whole[dy * 256 :, dx * 256 :][:256, :256]
        np.testing.assert_array_equal(np.isnan(got), np.isnan(part))
        np.testing.assert_allclose(got, part, rtol=1e-4, atol=1e-3)
    assert np.isfinite(whole).mean() > 0.9
