"""The compiled loops say what numpy, scipy and three-valued logic do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from bdap_hub.processing import kernels
from bdap_hub.processing.cubes.values import Series
from bdap_hub.processing.engine.sampling import _missing
from bdap_hub.processing.processes.logic import and_, or_
from bdap_hub.processing.processes.statistics import median

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("width", [1, 7, 256])
def test_sums_of_a_row_wrap_around_in_their_own_width(kind: str, width: int) -> None:
    differences = RANDOM.integers(0, 2 ** (8 * np.dtype(kind).itemsize) - 1, (5, 300), kind)
    differences.flags.writeable = False
    out = np.zeros((9, width), kind)
    kernels.summed(differences[:, :width], out[2:7])
    assert np.array_equal(out[2:7], np.add.accumulate(differences[:, :width], axis=1, dtype=kind))
    assert not out[:2].any() and not out[7:].any()


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(2, 2), (3, 50), (64, 2), (40, 41)])
def test_smoothing_mixes_with_the_neighbours_along_both_axes(kind: str, shape: tuple[int, int]) -> None:
    window = RANDOM.random(shape).astype(kind)
    weights = [0.15, 0.7, 0.15]
    expected = ndimage.convolve1d(ndimage.convolve1d(window, weights, 0, mode="nearest"), weights, 1, mode="nearest")
    kernels.smoothed(window, 0.15)
    assert window == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_mixing_is_bilinear_interpolation(kind: str) -> None:
    window = RANDOM.random((30, 50)).astype(kind)
    rows, columns = RANDOM.random((20, 25)) * 28.99, RANDOM.random((20, 25)) * 48.99
    corner = rows.astype(np.intp) * 50 + columns.astype(np.intp)
    out = np.empty((20, 25), kind)
    kernels.mixed(window, corner, (columns % 1).astype("f4"), (rows % 1).astype("f4"), out)
    assert out == pytest.approx(ndimage.map_coordinates(window, [rows, columns], order=1), abs=1e-5)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 32, 33])
@pytest.mark.parametrize("shape", [(1,), (5, 205), (41, 61)])
def test_medians_are_numpys(kind: str, count: int, shape: tuple[int, ...]) -> None:
    values = RANDOM.integers(-40, 40, (count, *shape)).astype(kind)
    values[RANDOM.random(values.shape) < 0.3] = np.nan
    values[RANDOM.random(values.shape) < 0.1] = np.inf
    values[:, 0] = np.nan
    values[:, -1] = 7
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns of NaN, and of infinities
        expected = np.nanmedian(values, axis=0)
    found = median(Series(values, ("x",) * count))
    assert found.dtype == values.dtype and np.array_equal(found, expected, equal_nan=True)
    strict = median(Series(values[::-1], ("x",) * count), False)
    assert np.array_equal(strict, np.where(np.isnan(values).any(axis=0), np.nan, expected), equal_nan=True)


NONE = np.nan
TRUTHS = [(x, y) for x in (0, 1, 7, NONE) for y in (0, 1, -2, NONE)]


@pytest.mark.parametrize("kind", ["f4", "f8", "?"])
def test_logic_with_three_values(kind: str) -> None:
    def known(value: float) -> bool | None:
        return None if np.isnan(value) else value != 0

    def told(value: float) -> bool | None:
        return None if np.isnan(value) else {0.0: False, 1.0: True}[value]

    pairs = [pair for pair in TRUTHS if kind != "?" or not np.isnan(pair).any()]
    x, y = np.array(pairs).astype(kind).T
    both, either = kernels.both(x, y), kernels.either(x, y)
    assert both.dtype == either.dtype == np.float32
    for (a, b), all_, any_ in zip(pairs, both, either, strict=True):
        values = [known(a), known(b)]
        assert told(all_) is (False if False in values else None if None in values else True)
        assert told(any_) is (True if True in values else None if None in values else False)


def test_what_is_replaced_keeps_its_kind_and_shape() -> None:
    for kind, mask_kind in [("f4", "f4"), ("f4", "f8"), ("f8", "f4"), ("f8", "?")]:
        values, mask = RANDOM.random((3, 2, 4, 5)).astype(kind), np.zeros((1, 1, 4, 5), mask_kind)
        mask[..., 1, :] = 1
        if mask_kind != "?":
            mask[..., 2, :], mask[..., 3, :] = np.nan, -3
        found = kernels.replaced(values, mask, np.asarray(np.nan, kind))
        hit = [False, True, False, mask_kind != "?"]
        assert found.dtype == kind and found.shape == values.shape
        assert np.array_equal(found, np.where(np.array(hit)[:, np.newaxis], np.nan, values), equal_nan=True)


def test_they_are_compiled_where_nothing_can_be_kept() -> None:
    asked = []

    def make(signatures: Any, **options: Any) -> Any:
        asked.append(options)
        if options.pop("cache", False):
            raise RuntimeError("no locator available")
        return lambda function: function

    assert kernels._kept(make, ["f4(f4)"], abs, nogil=True) is abs and len(asked) == 2


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_grades_are_rounded_and_clipped(kind: str) -> None:
    values = np.array([-1e30, -np.inf, np.nan, -1, 0, 1, 2.4, 2.6, 5, 6, 1e30, np.inf], kind)
    found = kernels.graded(values, np.float32(0), np.float32(51), np.float32(255))
    assert found.dtype == np.uint8 and found.tolist() == [0, 0, 0, 0, 0, 51, 122, 133, 255, 255, 255, 255]


@pytest.mark.parametrize(
    ("kind", "values", "nodata", "missing"),
    [
        ("u1", [255, 3], 255.0, [True, False]),
        ("u1", [255, 3], -9999.0, None),
        ("i2", [-9999, 3], -9999.0, [True, False]),
        ("u2", [3, 4], 3.5, None),
        ("f4", [np.nan, 0.1], np.float64(0.1), [True, True]),
        ("f4", [1, 2], np.nan, None),
        ("i4", [-(2**31), 3], float(-(2**31)), [True, False]),
        ("u8", [2**64 - 1, 0], float(2**64 - 1), [True, False]),
        ("i8", [2**63 - 1, 0], float(2**63 - 1), [True, False]),
    ],
)
def test_no_data_are_found_in_the_numbers_own_width(kind: str, values: Any, nodata: float, missing: Any) -> None:
    found = _missing(np.array(values, kind), nodata, None)
    assert (None if found is None else found.tolist()) == missing


def test_a_small_constant_is_true_for_layers_too() -> None:
    layers = np.array([0, 1, np.nan], np.float32)
    both, either = and_(layers, 1e-50), or_(layers, 10**30)
    assert np.array_equal(both, [0, 1, np.nan], equal_nan=True) and either.tolist() == [1, 1, 1]
    assert and_(True, 10**400) is True and or_(False, None) is None
