"""Styles: what people write becomes colours as numpy says, and what makes no sense is refused in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rio_tiler.colormap import cmap

from bdap_hub.processing.drawing.classes import from_stac
from bdap_hub.processing.drawing.colours import named
from bdap_hub.processing.drawing.expression import parse
from bdap_hub.processing.drawing.options import KEYS, read, unstretched
from bdap_hub.processing.drawing.picture import Indexed, draw, scaled
from bdap_hub.processing.graphs.graph import GraphError

RANDOM = np.random.default_rng(3)
BANDS = RANDOM.uniform(0, 100, (3, 40, 50)).astype(np.float32)
BANDS[:, :3, :4] = np.nan
NAMES = ("B02", "B03", "B04")
HOLE = np.isnan(BANDS[0])


def shown(options: dict[str, Any], bands: Any = BANDS[:1], names: tuple[str, ...] = ()) -> Any:
    """Red, green, blue and opacity of each pixel."""
    names = names or NAMES[: len(bands)]
    return draw(bands, names, read(options, names), (10.0, 10.0)).rgba()


def test_every_colormap_and_its_reverse_can_be_drawn() -> None:
    for name in (n for n in cmap.list() if not n.endswith("_r")):
        there, back = (shown({"colormap": n, "max": 100}) for n in (name, f"{name}_r"))
        assert named(name) == named(f"{name}_r")[::-1] and there.shape == back.shape == (40, 50, 4)
    assert (there[..., 3] == np.where(HOLE, 0, 255)).all()


def test_own_colours_lie_evenly_or_at_their_values() -> None:
    values = np.asarray([[[0, 50, 100, 120, -5, 25]]], np.float32)
    even = shown({"colormap": ["#000000", "#ffffff"], "min": 0, "max": 100}, values)[0, :, 0]
    np.testing.assert_allclose(even, [0, 128, 255, 255, 0, 64], atol=1)
    stops = shown({"colormap": [[0, "#000"], [50, [200, 0, 0]], [100, "#ff0000"]]}, values)[0, :, 0]
    np.testing.assert_allclose(stops, [0, 200, 255, 255, 0, 100], atol=2)


def test_gamma_bends_one_band_and_three() -> None:
    want = 255 * (np.clip(BANDS / 100, 0, 1)) ** (1 / 2)
    np.testing.assert_allclose(shown({"max": 100, "gamma": 2})[~HOLE][:, 0], want[0][~HOLE], atol=3)
    rgb = shown({"max": 100, "gamma": [1, 2, 2]}, BANDS)
    np.testing.assert_allclose(rgb[~HOLE][:, 1:3].T, want[1:, ~HOLE], atol=3)
    np.testing.assert_allclose(rgb[~HOLE][:, 0], BANDS[0][~HOLE] * 2.55, atol=0.51)


def test_classes_colour_their_values_alone() -> None:
    values = np.asarray([[[10, 20, 15, np.nan, np.inf, 20.5]]], np.float32)
    classes = [{"value": 20, "color": "#00ff00", "label": "Shrub"}, {"value": 10, "color": "#006400"}]
    want = [[0, 100, 0, 255], [0, 255, 0, 255], *[[0, 0, 0, 0]] * 4]
    assert shown({"classes": classes}, values)[0].tolist() == want
    assert shown({"colormap": {"10": "#006400", "20": [0, 255, 0]}}, values)[0].tolist() == want


def test_classes_of_stac_keep_their_colours_and_names() -> None:
    found = from_stac(
        [
            {"value": 0, "name": "nodata", "nodata": True},
            {"value": 10, "name": "tree_cover", "title": "Tree cover", "color_hint": "006400"},
            {"value": 20, "name": "shrub", "description": "Shrubland"},
        ]
    )
    assert [(c["value"], c["label"]) for c in found] == [(10, "Tree cover"), (20, "Shrubland")]
    entries = read({"classes": found}, ("a",)).kind.entries  # type: ignore[union-attr]
    assert entries[0].colour == (0, 100, 0, 255) and len({e.colour for e in entries}) == 2


def test_intervals_hold_their_lower_end() -> None:
    values = np.asarray([[[-1, 0, 9.9, 10, 20, 21, np.nan]]], np.float32)
    index = lambda options: draw(values, ("a",), read(options, ("a",))).index[0].tolist()  # type: ignore[union-attr]  # noqa: E731
    assert index({"breaks": [0, 10, 20]}) == [0, 1, 1, 2, 2, 0, 0]
    assert index({"intervals": [{"max": 0}, {"min": 0, "max": 10}, {"min": 10}]}) == [1, 2, 2, 3, 3, 3, 0]
    assert index({"intervals": [{"min": 0, "max": 5}, {"min": 10}]}) == [0, 1, 0, 2, 2, 2, 0]


def test_rgb_may_be_formulas() -> None:
    options = {
        "rgb": ["B04", "(B03 - B02) / (B03 + B02)", "clip(B02 ** 2, 0, 50)"],
        "min": [0, -1, 0],
        "max": [100, 1, 50],
    }
    got = shown(options, BANDS)[~HOLE].astype(float)
    b02, b03, b04 = (band[~HOLE].astype(float) for band in BANDS)
    want = [b04 / 100, ((b03 - b02) / (b03 + b02) + 1) / 2, np.clip(b02**2, 0, 50) / 50]
    np.testing.assert_allclose(got[:, :3].T, np.asarray(want) * 255, atol=1)
    assert shown({"expression": "b1 * 2", "max": 100}, BANDS, ("a-b", "c.d", "e"))[20, 20, 0] > 0


def test_two_bands_make_a_square_of_colours() -> None:
    values = np.asarray([[[0, 99, 0, 99, np.nan]], [[0, 0, 99, 99, 5]]], np.float32)
    picture = draw(values, ("a", "b"), read({"bivariate": {"steps": 4}, "max": 100}, ("a", "b")))
    assert isinstance(picture, Indexed) and len(picture.palette) == 17
    assert [bytes(c[:3]).hex() for c in picture.rgba()[0]] == ["e8e8e8", "be64ac", "5ac8c8", "3b4994", "000000"]


def test_three_bands_make_a_triangle_of_colours() -> None:
    values = np.asarray([[[50, 0, 0, 10, np.nan]], [[0, 50, 0, 10, 1]], [[0, 0, 2, 10, 1]]], np.float32)
    corners = ["#ff0000", "#00ff00", "#0000ff"]
    got = shown({"trivariate": {"colors": corners}, "max": 100}, values)[0]
    assert got.tolist() == [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [85, 85, 85, 255], [0, 0, 0, 0]]


def test_hillshade_lights_the_slopes_that_face_the_sun() -> None:
    x, y = np.meshgrid(np.arange(42), np.arange(52))
    for surface, brighter in ((x * 5.0, False), (-x * 5.0, False), (y * 5.0, True), (x * 0.0, None)):
        options = {"hillshade": {"azimuth": 0, "strength": 1}, "colormap": ["#808080", "#808080"], "max": 1000}
        light = shown(options, surface[np.newaxis].astype(np.float32))[..., 0]
        assert light.shape == (50, 40)  # the margin is cut off
        assert (light > 129).all() if brighter else (light == 128).all() if brighter is None else (light < 128).all()
    two = np.stack([x * 0.0 + 7, -y * 5.0]).astype(np.float32)  # the sun is behind the slope
    options = {"expression": "v", "hillshade": {"elevation": "dem", "azimuth": 0}, "colormap": {"7": "#c80000"}}
    assert 0 < shown(options, two, ("v", "dem"))[0, 0, 0] < 200


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"stretch": 1}, "the style has no 'stretch'"),
        ({"colormap": "nope"}, "no colormap 'nope'"),
        ({"colormap": ["#fff"]}, "2 to 256 colours"),
        ({"colormap": ["#ff", "#000"]}, "'#rrggbb'"),
        ({"colormap": [[1, "#fff"], [1, "#000"]]}, "must rise"),
        ({"colormap": [[1, "#fff"], [2, "#000"]], "min": 3}, "leave out min"),
        ({"colormap": {"a": "#fff"}}, "are numbers"),
        ({"min": 5, "max": 5}, "max must be above min"),
        ({"min": True}, "min must be a number"),
        ({"max": float("nan")}, "max must be a number"),
        ({"gamma": 0}, "between 0.1 and 10"),
        ({"percentiles": [98, 2]}, "two rising numbers"),
        ({"classes": []}, "1 to 254 classes"),
        ({"classes": [{"value": 1}, {"value": 1}]}, "two classes of the value 1"),
        ({"classes": [{"value": 1, "colour": "#fff"}]}, "no 'colour'"),
        ({"intervals": [{"max": 5}, {"min": 4}]}, "not overlap"),
        ({"breaks": [2, 1]}, "must rise"),
        ({"classes": [{"value": 1}], "breaks": [1, 2]}, "either classes or breaks"),
        ({"rgb": ["B02", "B03"]}, "list of 3 bands"),
        ({"rgb": ["B02", "B03", "B99"]}, "'B99'"),
        ({"bivariate": {"steps": 99}}, "between 2 and 15"),
        ({"bivariate": True}, "draws 2 bands"),
        ({"hillshade": {"azimuth": 400}}, "between 0 and 360"),
        ({"hillshade": True, "rgb": ["B02", "B03", "B04"]}, "needs the elevation"),
        ({"labels": ["x" * 99]}, "at most 80"),
        ({"ticks": "low"}, "ticks"),
    ],
)
def test_a_wrong_style_is_refused_in_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(GraphError) as error:
        read(options, NAMES if "rgb" in options or "bivariate" in options else NAMES[:1])
    assert sentence in error.value.message + error.value.remedy and error.value.code == "ProcessArgumentInvalid"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "B02.real",
        "B02[0]",
        "(lambda: B02)()",
        "B02 if B03 else B04",
        "f'{B02}'",
        "abs(B02, B03)",
        "abs(x=B02)",
        "eval('B02')",
        "B02 and B03",
        "[B02 for B02 in B03]",
        "B02 @ B03",
        "(B02 := 1)",
        "True + B02",
        "'a' * 9 + B02",
        "B02 ; B03",
        "1 + 1",
        "",
        "B02" + "+B02" * 200,
        "-" * 400 + "B02",
        "(" * 240 + "B02" + ")" * 240 + "(",
        "not " * 120 + "B02",
    ],
)
def test_an_expression_is_never_more_than_a_formula(text: str) -> None:
    with pytest.raises(GraphError) as error:
        parse(text, NAMES)
    assert error.value.code == "ProcessArgumentInvalid"


def test_huge_powers_cost_nothing_and_give_infinity() -> None:
    assert np.isinf(parse("B02 ** 9 ** 9 ** 9", NAMES).value({"B02": np.float32(2)}))


LEAF = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8)
JUNK = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(JUNK, st.sampled_from(sorted(KEYS)))
def test_any_option_is_drawn_or_refused(value: Any, key: str) -> None:
    try:
        style = read({key: value}, NAMES)
    except GraphError:
        return
    assert draw(BANDS, NAMES, style).rgba().dtype == np.uint8


def test_percentiles_wait_for_the_data_unless_they_are_known() -> None:
    assert unstretched({"percentiles": [2, 98]}) == (2, 98)
    assert unstretched({"percentiles": [2, 98], "min": 0, "max": 1}) is None
    assert unstretched({}) is None


def test_stretching_takes_what_is_no_number_or_has_no_end() -> None:
    band = np.array([np.nan, -np.inf, np.inf, -5, 0, 0.5, 1, 7], np.float32)
    assert scaled(band, 0, 1, 255).tolist() == [0, 0, 255, 0, 0, 128, 255, 255]
