"""Tiles as PNG by the standard's own rules: palettes, colours, transparency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bdap_hub.processing.engine.evaluate import Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import GraphError

from .conftest import SIZE, X, Y, Z, truth
from .engines import compiled, decoded, engine_on
from .graphs import arg, call, load, ndvi_median, node, of


@pytest.fixture(scope="module")
def fields_engine(fields: Any) -> Engine:
    return engine_on(fields[0])


def test_png_of_one_band_is_a_palette_with_transparent_nodata(fields: Any, fields_engine: Engine) -> None:
    made = compiled(ndvi_median(), [fields[1]], fields[2])
    index, palette, alpha = decoded(fields_engine.tile(made, Z, X, Y))
    values = fields_engine.cube(made, Grid.tile(Z, X, Y)).data
    assert ((index[..., 0] == 0) == np.isnan(values)).all() and alpha[0] == 0 and set(alpha[1:]) == {255}
    valid = np.isfinite(values)
    np.testing.assert_allclose(index[..., 0][valid], 1 + (values[valid] + 1) / 2 * 254, atol=0.51)
    assert len(palette) == 256 * 3


def test_png_of_three_bands_is_rgb_with_transparency_only_where_needed(fields: Any, fields_engine: Engine) -> None:
    raw = {
        "data": load(bands=["B04", "B03", "B02"]),
        "flat": node("reduce_dimension", data=of("data"), reducer=call("first", data=arg("data")), dimension="t"),
        "save": node(
            "save_result", True, data=of("flat"), format="PNG", options={"min": 0, "max": [10000, 5000, 2500]}
        ),
    }
    made = compiled(raw, [fields[1]], fields[2])
    pixels, _, _ = decoded(fields_engine.tile(made, Z, X, Y))
    assert pixels.shape == (256, 256, 4)
    first = truth(0)
    hole = first["B04"][:256, :256] == 0
    assert (pixels[..., 3][~hole] == 255).all()
    for channel, (name, top) in enumerate((("B04", 10000), ("B03", 5000), ("B02", 2500))):
        want = np.clip(first[name][:256, :256] / top * 255, 0, 255)
        np.testing.assert_allclose(pixels[..., channel][~hole], want[~hole], atol=0.51)
    assert decoded(fields_engine.tile(made, Z, X + 1, Y + 1))[0].shape == (256, 256, 3)
    assert SIZE == 512


@pytest.mark.parametrize(
    "options",
    [{"colormap": "nope"}, {"min": 5, "max": 5}, {"min": "a"}, {"stretch": 1}, {"max": [1, 2]}, {"min": True}],
)
def test_a_wrong_style_is_refused(fields: Any, options: Any) -> None:
    raw = ndvi_median()
    raw["save"]["arguments"]["options"] = options
    with pytest.raises(GraphError) as error:
        compiled(raw, [fields[1]], fields[2])
    assert error.value.code == "ProcessArgumentInvalid"
