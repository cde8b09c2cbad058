"""Everyday idioms, as the standard `openeo` Python client 0.53 writes them, against numpy on the files' own pixels."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyproj import Transformer

from bdap_hub.processing.engine.evaluate import Engine
from bdap_hub.processing.engine.grid import Grid

from .conftest import CLOUD, X, Y, Z, truth
from .test_engine import compiled, engine_on

GRAPHS = json.loads(Path(__file__).with_name("client_graphs.json").read_text())
TILE = Grid.tile(Z, X, Y)


def stack(name: str) -> Any:
    """The pixels of a band on three dates in one tile, NaN for no data."""
    pixels = np.stack([truth(date)[name][:256, :256] for date in range(3)]).astype(np.float64)
    return np.where(pixels == 0, np.nan, pixels)


B02, B04, B08, SCL = (stack(name) for name in ("B02", "B04", "B08", "SCL"))
NDVI = (B08 - B04) / (B08 + B04)
TOP = np.fmax.reduce(B04)


def blurred() -> Any:
    """The maximum, without data beyond the file, weighed by the kernel of the graph."""
    around = np.fmax.reduce([np.pad(truth(date)["B04"].astype(np.float64), 1)[:258, :258] for date in range(3)])
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16
    return sum(weight * around[i : i + 256, j : j + 256] for (i, j), weight in np.ndenumerate(weights))


def in_box() -> Any:
    x, y = Transformer.from_crs(3857, 32633, always_xy=True).transform(*np.meshgrid(*TILE.centres()))
    return (x >= 476_000) & (x <= 481_000) & (y >= 5_169_000) & (y <= 5_176_000)


def median(values: Any) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return np.nanmedian(values, axis=0)


EXPECTED: dict[str, Callable[[], Any]] = {
    "ndvi": lambda: np.fmax.reduce(NDVI),
    "masked_median": lambda: [median(np.where((SCL == 4) | (SCL == 5), b, np.nan)) for b in (B04, B08)],
    "filter_bands": lambda: [_first(B04), _first(B08)],
    "monthly": lambda: [TOP],  # one date in each month
    "kernel": lambda: [blurred()],
    "quantiles": lambda: [np.nanquantile(B04, q, axis=0) for q in (0.25, 0.5, 0.75)],
    "mask_polygon": lambda: [np.where(TILE.covered(_polygon()), TOP, np.nan)],
    "linear_stretch": lambda: [np.clip(TOP, 0, 4000) / 4000 * 255],
    "merge": lambda: [TOP, np.fmax.reduce(B08)],
    "merge_overlap": lambda: [(TOP + np.fmin.reduce(B04)) / 2],
    "evi": lambda: np.fmax.reduce(2.5 * (B08 - B04) / (B08 + 6 * B04 - 7.5 * B02 + 1)),
    "condition": lambda: [np.where(TOP > 2000, 1, 0)],
    "rename": lambda: [TOP, np.fmax.reduce(B08)],
    "bbox_utm": lambda: [np.where(in_box(), TOP, np.nan)],
    "properties": lambda: [np.fmax.reduce(B04[[date for date, cloud in enumerate(CLOUD) if cloud <= 50]])],
    "count": lambda: [(B04 > 1000).sum(axis=0)],
    "interpolated_sd": lambda: [np.nanstd(B04, axis=0, ddof=1)],
    "power": lambda: np.fmax.reduce(np.log10(B04**2)),
    "ndvi_band": lambda: np.fmax.reduce(NDVI),
}


def _first(values: Any) -> Any:
    return np.where(np.isnan(values[0]), values[1], values[0])


def _polygon() -> Any:
    nodes = GRAPHS["mask_polygon"].values()
    return next(node["arguments"]["mask"] for node in nodes if node["process_id"] == "mask_polygon")


@pytest.fixture(scope="module")
def engine(fields: Any) -> Engine:
    return engine_on(fields[0])


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_the_clients_graphs_equal_numpy(name: str, fields: Any, engine: Engine) -> None:
    with warnings.catch_warnings(action="ignore"):  # pixels without any value
        want = np.asarray(EXPECTED[name](), np.float64)
    got = engine.cube(compiled(GRAPHS[name], [fields[1]], fields[2]), TILE).data
    assert np.isfinite(want).any() or name == "mask_polygon"
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_three_quantiles_are_a_picture(fields: Any, engine: Engine) -> None:
    made = compiled(GRAPHS["quantiles"], [fields[1]], fields[2])
    assert made.drawable.undrawable == "" and engine.tile(made, Z, X, Y).startswith(b"\x89PNG")
    bounds = TILE.bounds()
    assert list(engine.histogram(made, bounds, 5)["bands"]) == ["0", "1", "2"]


def test_every_graph_has_its_answer() -> None:
    assert set(EXPECTED) == set(GRAPHS)
