"""Bits of quality bands, and wide masks of clouds, against numpy and scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY

from .graphs import arg, call, load, node, of
from .test_cubes import evaluate

QA = np.array([[21824, 22280, 55052, 54596], [24088, 1, 0, np.nan], [65535, 23888, 2**31, 2**40 + 2]])
CUBE = Cube(QA, ("y", "x"), {})


def bits(process: str, **arguments: Any) -> Any:
    return evaluate("apply", a=CUBE, process=call(process, x=arg("x"), **arguments)).data


@pytest.mark.parametrize("wanted", [[3], [1, 2, 3, 4], [31], [40, 1], [0]])
def test_bits_are_those_of_whole_numbers(wanted: list[int]) -> None:
    whole = np.nan_to_num(QA).astype(np.int64)
    each = np.stack([whole >> bit & 1 for bit in wanted])
    missing = np.isnan(QA)
    got = bits("has_bits", bits=wanted)
    assert np.isnan(got[missing]).all()
    np.testing.assert_array_equal(got[~missing], each.any(axis=0)[~missing])
    np.testing.assert_array_equal(bits("has_bits", bits=wanted, all=True)[~missing], each.all(axis=0)[~missing])


@pytest.mark.parametrize(("start", "length"), [(8, 2), (0, 1), (14, 2), (30, 4)])
def test_bits_make_a_number(start: int, length: int) -> None:
    whole = np.nan_to_num(QA).astype(np.int64)
    missing = np.isnan(QA)
    got = bits("extract_bits", start=start, length=length)
    assert np.isnan(got[missing]).all()
    np.testing.assert_array_equal(got[~missing], (whole >> start & (1 << length) - 1)[~missing])


def test_bits_of_plain_numbers() -> None:
    raw = {"process_graph": {"h": node("has_bits", x=22280, bits=[3]), "i": node("if", True, value=of("h"), accept=1)}}
    assert (evaluate("apply", a=CUBE, process=raw).data == 1).all()


def scene() -> Cube:
    """Vegetation with a cloud, its shadow, a lone pixel of cirrus and one without data."""
    classes = np.full((1, 1, 60, 70), 4.0, np.float32)
    classes[..., 20:30, 20:32], classes[..., 32:36, 24:30] = 9, 3
    classes[..., 50, 60], classes[..., 5, 5] = 10, np.nan
    return Cube(classes, ("t", "bands", "y", "x"), {"t": ("2024-01-01",), "bands": ("SCL",)})


def widened(classes: Any, small: int, large: int, erosion: int) -> Any:
    """The mask by whole two-dimensional kernels."""

    def share(part: Any, size: int) -> Any:
        away = np.arange(size) - size // 2
        kernel = np.exp(-np.add.outer(away**2, away**2) / (2 * (size / 6) ** 2))
        return ndimage.convolve(part.astype(float), kernel / kernel.sum(), mode="constant")

    unclear, clouds = ~np.isin(classes, (2, 4, 5, 6, 7)), np.isin(classes, (3, 8, 9, 10, 11))
    if erosion:
        shape = np.ones((erosion, erosion), bool)
        unclear, clouds = (ndimage.binary_erosion(part, shape, border_value=1) for part in (unclear, clouds))
    return (share(unclear, small) > 0.057) | (share(clouds, large) > 0.025)


@pytest.mark.parametrize(("small", "large", "erosion"), [(17, 41, 0), (5, 21, 3), (17, 201, 0)])
def test_clouds_are_widened_as_on_the_openeo_platform(small: int, large: int, erosion: int) -> None:
    more = {"kernel1_size": small, "kernel2_size": large, "erosion_kernel_size": erosion}
    got = evaluate("to_scl_dilation_mask", a=scene(), **more)
    want = widened(scene().data[0, 0], small, large, erosion)
    assert got.dims == ("t", "y", "x") and 0.02 < want.mean() < 0.9
    np.testing.assert_array_equal(got.data[0], want)


def test_all_bands_are_masked_around_clouds() -> None:
    both = Cube(
        np.repeat(scene().data, 2, axis=1), ("t", "bands", "y", "x"), {"t": ("2024-01-01",), "bands": ("B04", "SCL")}
    )
    got = evaluate("mask_scl_dilation", a=both, scl_band_name="SCL").data
    want = widened(scene().data[0, 0], 17, 201, 0)
    for layer in got[0]:
        np.testing.assert_array_equal(np.isnan(layer[6:]), want[6:])


def test_of_a_masked_cube_only_the_bands_that_are_used_are_read() -> None:
    raw = {
        "a": load(),
        "m": node("mask_scl_dilation", data=of("a")),
        "i": node("compute_indices", True, data=of("m"), indices=["NDVI"], platform="sentinel-2"),
    }
    assert queries(parse(raw, REGISTRY))[0].used == (("B4", "B04"), ("B8", "B08"), "SCL")


@pytest.mark.parametrize(
    ("bands", "more", "code"),
    [
        (("SCL", "B04"), {}, "ProcessArgumentInvalid"),
        (("SCL",), {"kernel1_size": 16}, "KernelDimensionsUneven"),
        (("SCL",), {"kernel2_size": 999}, "ProcessArgumentInvalid"),
    ],
)
def test_masks_of_other_things_are_refused(bands: Any, more: Any, code: str) -> None:
    cube = Cube(np.repeat(scene().data, len(bands), axis=1), ("t", "bands", "y", "x"), {"t": ("a",), "bands": bands})
    with pytest.raises(GraphError) as error:
        evaluate("to_scl_dilation_mask", a=cube, **more)
    assert error.value.code == code
