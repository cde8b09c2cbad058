"""What people write with the standard `openeo` client for Python, and the same in numpy on the files' own pixels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import openeo
from openeo.processes import array_interpolate_linear, count, if_, linear_scale_range, quantiles
from pyproj import Transformer

from bdap_hub.processing.engine.grid import Grid

from .conftest import CLOUD, X, Y, Z, truth

TILE = Grid.tile(Z, X, Y)
SPAN = ["2024-04-01", "2024-08-01"]
KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
WEST, SOUTH, EAST, NORTH = TILE.bounds()
POLYGON = {"type": "Polygon", "coordinates": [[[WEST, SOUTH], [EAST, SOUTH], [EAST, NORTH], [WEST, SOUTH]]]}
UTM_BOX = {"west": 476_000, "south": 5_169_000, "east": 481_000, "north": 5_176_000}


@dataclass(frozen=True)
class Idiom:
    """A cube as the client writes it, and its values in the tile TILE as numpy has them."""

    name: str
    cube: Callable[[openeo.Connection], Any]
    want: Callable[[], Any]


def stack(name: str) -> Any:
    """The pixels of a band on three dates in the tile, NaN for no data."""
    pixels = np.stack([truth(date)[name][:256, :256] for date in range(3)]).astype(np.float64)
    return np.where(pixels == 0, np.nan, pixels)


B02, B04, B08, SCL = (stack(name) for name in ("B02", "B04", "B08", "SCL"))
NDVI = (B08 - B04) / (B08 + B04)
TOP = np.fmax.reduce(B04)


def fields(con: openeo.Connection, *bands: str, **more: Any) -> Any:
    """The collection that the tests make."""
    return con.load_collection("fields", temporal_extent=SPAN, bands=list(bands) or None, **more)


def top(con: openeo.Connection, band: str = "B04") -> Any:
    """The maximum over time of one band."""
    return fields(con, band).reduce_dimension("t", "max")


def clear_median(con: openeo.Connection) -> Any:
    scl = fields(con, "SCL").band("SCL")
    return fields(con, "B04", "B08").mask(~((scl == 4) | (scl == 5))).reduce_dimension("t", "median")


def evi(con: openeo.Connection) -> Any:
    cube = fields(con, "B02", "B04", "B08")
    blue, red, nir = (cube.band(name) for name in ("B02", "B04", "B08"))
    return (2.5 * (nir - red) / (nir + 6.0 * red - 7.5 * blue + 1.0)).reduce_dimension("t", "max")


def ndvi_by_bands(con: openeo.Connection) -> Any:
    cube = fields(con, "B04", "B08")
    red, nir = cube.band("B04"), cube.band("B08")
    return ((nir - red) / (nir + red)).reduce_dimension("t", "max")


def three_quantiles(con: openeo.Connection) -> Any:
    flat = fields(con, "B04").reduce_dimension("bands", "max")
    return flat.apply_dimension(
        lambda data: quantiles(data, probabilities=[0.25, 0.5, 0.75]), dimension="t", target_dimension="bands"
    )


def interpolated_sd(con: openeo.Connection) -> Any:
    return fields(con, "B04").apply_dimension(array_interpolate_linear, dimension="t").reduce_dimension("t", "sd")


def renamed(con: openeo.Connection) -> Any:
    return fields(con, "B04", "B08").rename_labels("bands", target=["red", "nir"], source=["B04", "B08"])


def blurred() -> Any:
    """The maximum, without data beyond the file, weighed by the kernel."""
    around = np.fmax.reduce([np.pad(truth(date)["B04"].astype(np.float64), 1)[:258, :258] for date in range(3)])
    return sum(w / 16 * around[i : i + 256, j : j + 256] for (i, j), w in np.ndenumerate(KERNEL))


def in_box() -> Any:
    x, y = Transformer.from_crs(3857, 32633, always_xy=True).transform(*np.meshgrid(*TILE.centres()))
    west, south, east, north = UTM_BOX.values()
    return (x >= west) & (x <= east) & (y >= south) & (y <= north)


def median(values: Any) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return np.nanmedian(values, axis=0)


def first(values: Any) -> Any:
    return np.where(np.isnan(values[0]), values[1], values[0])


CLEAR = (SCL == 4) | (SCL == 5)
IDIOMS = (
    Idiom("default ndvi", lambda con: fields(con).ndvi().reduce_dimension("t", "max"), lambda: np.fmax.reduce(NDVI)),
    Idiom("masked median", clear_median, lambda: [median(np.where(CLEAR, b, np.nan)) for b in (B04, B08)]),
    Idiom(
        "filter_bands",
        lambda con: fields(con).filter_bands(["B04", "nir"]).reduce_dimension("t", "first"),
        lambda: [first(B04), first(B08)],
    ),
    Idiom(  # one date in each month
        "monthly aggregation",
        lambda con: fields(con, "B04").aggregate_temporal_period("month", "mean").reduce_dimension("t", "max"),
        lambda: TOP,
    ),
    Idiom("kernel", lambda con: top(con).apply_kernel(KERNEL, factor=1 / 16), blurred),
    Idiom("quantiles", three_quantiles, lambda: [np.nanquantile(B04, q, axis=0) for q in (0.25, 0.5, 0.75)]),
    Idiom(
        "mask by a polygon",
        lambda con: top(con).mask_polygon(POLYGON),
        lambda: np.where(TILE.covered(POLYGON), TOP, np.nan),
    ),
    Idiom(
        "linear stretch",
        lambda con: top(con).linear_scale_range(0, 4000, 0, 255),
        lambda: np.clip(TOP, 0, 4000) / 4000 * 255,
    ),
    Idiom(
        "stretch in a callback",
        lambda con: top(con).apply(lambda x: linear_scale_range(x, 0, 4000, 0, 255)),
        lambda: np.clip(TOP, 0, 4000) / 4000 * 255,
    ),
    Idiom("merge", lambda con: top(con).merge_cubes(top(con, "B08")), lambda: [TOP, np.fmax.reduce(B08)]),
    Idiom(
        "merge with overlap",
        lambda con: top(con).merge_cubes(fields(con, "B04").reduce_dimension("t", "min"), overlap_resolver="mean"),
        lambda: (TOP + np.fmin.reduce(B04)) / 2,
    ),
    Idiom("evi", evi, lambda: np.fmax.reduce(2.5 * (B08 - B04) / (B08 + 6 * B04 - 7.5 * B02 + 1))),
    Idiom("ndvi by bands", ndvi_by_bands, lambda: np.fmax.reduce(NDVI)),
    Idiom("condition", lambda con: top(con).apply(lambda x: if_(x > 2000, 1, 0)), lambda: np.where(TOP > 2000, 1, 0)),
    Idiom(
        "rename",
        lambda con: (
            fields(con, "B04", "B08")
            .rename_labels("bands", ["red", "nir"], ["B04", "B08"])
            .reduce_dimension("t", "max")
        ),
        lambda: [TOP, np.fmax.reduce(B08)],
    ),
    Idiom(
        "box in UTM",
        lambda con: fields(con, "B04").filter_bbox(**UTM_BOX, crs=32633).reduce_dimension("t", "max"),
        lambda: np.where(in_box(), TOP, np.nan),
    ),
    Idiom(
        "filter by cloud cover",
        lambda con: fields(con, "B04", max_cloud_cover=50).reduce_dimension("t", "max"),
        lambda: np.fmax.reduce(B04[[date for date, cloud in enumerate(CLOUD) if cloud <= 50]]),
    ),
    Idiom(
        "count",
        lambda con: fields(con, "B04").reduce_dimension("t", lambda data: count(data, condition=lambda x: x > 1000)),
        lambda: (B04 > 1000).sum(axis=0),
    ),
    Idiom("interpolated sd", interpolated_sd, lambda: np.nanstd(B04, axis=0, ddof=1)),
    Idiom(
        "power and log",
        lambda con: (fields(con, "B04").band("B04") ** 2).log10().reduce_dimension("t", "max"),
        lambda: np.fmax.reduce(np.log10(B04**2)),
    ),
)
