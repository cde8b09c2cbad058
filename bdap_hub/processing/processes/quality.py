"""Processes on quality bands: bits of whole numbers, Sentinel-2's scene classification as a wide mask of clouds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..cubes.values import has_layers, number
from ..graphs.graph import GraphError
from ..graphs.spec import process
from .filters import where
from .lifted import elementwise
from .windows import affordable, extreme, footprint, shifts, written

CLEAR, CLOUDS = (2, 4, 5, 6, 7), (3, 8, 9, 10, 11)
MOST_BIT = 52
NEAR, FAR = 0.057, 0.025
"""The shares of (weighed) neighbours from which on a pixel is masked, as the openEO platform has them."""
HERE = (
    "Kernels are in pixels of the view: the mask is that of the data at full resolution only where the view has it. "
    "Outside of the scenes counts as not clear; a kernel may have at most 255 pixels a side."
)


@process
def has_bits(x: Any, bits: Any, all: Any = False) -> Any:
    """Whether any (or all) of the bits are set; no data stay."""
    wanted = sum(1 << _bit(bit) for bit in set(bits))
    result = _has_bits(x, wanted, wanted if all else 0)
    return result if has_layers(x) or result is None else bool(result)


@process
def extract_bits(x: Any, start: Any, length: Any = 1) -> Any:
    """The number that some bits make; no data stay."""
    return _extracted(x, float(2 ** _bit(start)), float(2 ** _bit(length)))


def _bit(number: Any) -> int:
    """A number of bits as processes take it; another node may have computed it."""
    if not 0 <= number <= MOST_BIT:
        raise GraphError(
            "ProcessArgumentInvalid", f"there is no bit {number!r:.40}", f"give a number from 0 to {MOST_BIT}"
        )
    return int(number)


@elementwise
def _has_bits(x: Any, wanted: Any, all_of: Any) -> Any:
    found = _whole(x) & np.int64(wanted)
    met = found == np.int64(all_of) if all_of else found != 0
    return np.where(np.isnan(x), np.nan, met).astype(np.result_type(x, np.float32))


@elementwise
def _extracted(x: Any, below: Any, size: Any) -> Any:
    return np.where(np.isnan(x), np.nan, np.floor(x / below) % size).astype(np.result_type(x, np.float32))


def _whole(x: Any) -> Any:
    return np.where(np.isfinite(x), x, 0).astype(np.int64)


def _reach(arguments: Mapping[str, Any]) -> int:
    sizes = (written(arguments, name, default) for name, default in (("kernel1_size", 17), ("kernel2_size", 201)))
    return int(max(sizes)) // 2 + int(written(arguments, "erosion_kernel_size", 0)) // 2


@process(reach=_reach, limits=f"{HERE} An erosion shrinks both masks before they are widened.")
def to_scl_dilation_mask(
    data: Any,
    erosion_kernel_size: Any = 0,
    mask1_values: Any = None,
    mask2_values: Any = None,
    kernel1_size: Any = 17,
    kernel2_size: Any = 201,
) -> Any:
    """1 near what is not clear and farther around clouds and their shadows, 0 elsewhere; as a cube without bands."""
    dimension = data.only("bands", "DimensionAmbiguous")
    if len(data.names(dimension)) != 1:
        raise GraphError("ProcessArgumentInvalid", "the cube has other bands than SCL", "use filter_bands before")
    classes = data.without(dimension, data.series(dimension).values[0]).pixels
    unclear = ~np.isin(classes, CLEAR if mask1_values is None else mask1_values)
    clouds = np.isin(classes, CLOUDS if mask2_values is None else mask2_values)
    if erosion_kernel_size:
        shape = footprint(int(erosion_kernel_size), "square")
        unclear, clouds = (extreme(part.astype(np.float32), shape, largest=False) > 0 for part in (unclear, clouds))
    masked = _share(unclear, int(kernel1_size)) > NEAR
    masked |= _share(clouds, int(kernel2_size)) > FAR
    return data.without(dimension, masked.astype(data.data.dtype))


def _scl_reach(arguments: Mapping[str, Any]) -> int:
    return _reach({})


@process(reach=_scl_reach, limits=HERE)
def mask_scl_dilation(data: Any, scl_band_name: Any = None) -> Any:
    """The cube with all its bands hidden where `to_scl_dilation_mask` of the band SCL says so."""
    dimension = data.only("bands", "DimensionAmbiguous")
    place = data.names(dimension).index(data.band(scl_band_name or "SCL", dimension))
    mask = to_scl_dilation_mask(data.select(dimension, [place]))
    return replace(data, data=where(data, mask.aligned(data.dims) == 0).data)


def _share(part: Any, size: int) -> Any:
    """The share of set pixels around each one, weighed by a Gaussian of a sixth of the kernel's side."""
    footprint(size, "square")
    away = np.arange(size) - size // 2
    weights = np.exp(-(away**2) / (2 * (size / 6) ** 2))
    weights = (weights / weights.sum()).astype(np.float32)
    affordable(part, 2 * size)
    values = part.astype(np.float32)
    for window in (np.ones((size, 1), bool), np.ones((1, size), bool)):
        if values.any():
            values = sum(layer * weight for layer, weight in zip(shifts(values, window, 0), weights, strict=True))
    return number(values)
