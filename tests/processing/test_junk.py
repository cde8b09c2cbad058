"""Whatever a callback hands to a process: it gives a result or an openEO error with the node's name, nothing else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bdap_hub.errors import BdapError
from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.cubes.values import Labelled, Series
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.interpret import Context, run
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY

from .graphs import arg, call, node

GRID = Grid("EPSG:3857", 0, 60, 10, 10, 6, 6)
PIXELS = np.random.default_rng(1).normal(size=(3, 2, 6, 6)).astype(np.float32)
PIXELS[0, 0, :3] = np.nan
DATES = ("2024-01-01", "2024-02-01T00:00:00Z", "2024-03-05")
CUBES = [
    Cube(PIXELS, ("t", "bands", "y", "x"), {"t": DATES, "bands": ("B04", "B08")}, {"nir": "B08", "red": "B04"}),
    Cube(PIXELS[:, 0], ("t", "y", "x"), {"t": DATES}),
    Cube(PIXELS[0, 0].astype(np.float64), ("y", "x"), {}),
    Cube(np.full((), np.nan), (), {}),
]
TRIANGLE = {"type": "Polygon", "coordinates": [[[0, 0], [0, 3e-4], [3e-4, 3e-4], [0, 0]]]}
PLAIN: list[Any] = [
    None, True, False, 0, 1, -1, 2.5, 1e308, 10**30, math.nan, -math.inf, "", "a", "t", "bands", "B04", "x", "month",
    "day", "2024-01-01", "2024-02-30", "06:00:00", [], [1, None], ["a", 1], [[1, 2], [3, 4]], [[1], [1], [1]],
    [["2024-01-01", "2024-03-01"]], ["2024-01-01", None], [0.5], {"a": 1}, TRIANGLE, {"type": "Polygon"},
    {"west": 0, "south": 0, "east": 3e-4, "north": 3e-4}, {"west": 1, "south": 1, "east": 0, "north": 2, "crs": 32631},
    {"type": "Point", "coordinates": [1e300, 80]}, Labelled((1, None, 3.5), ("a", 2, "c")), Labelled((), ()),
]  # fmt: skip
LAYERS: list[Any] = [PIXELS[0, 0], Series(PIXELS[:, 0], DATES), Series(PIXELS[:0, 0]), [PIXELS[0, 0], 1], *CUBES]
CALLBACKS = [
    "mean",
    "max",
    "count",
    "quantiles",
    "sort",
    "first",
    "extrema",
    "array_labels",
    "array_interpolate_linear",
]
SAID = ("x", "data", "value")


def callbacks(parameter: Any) -> list[dict[str, Any]]:
    """Process graphs for a parameter that takes one: on what it hands in, and of nothing."""
    first = next((name for name in SAID if name in parameter.callback), None)
    if first is None:
        return [call("constant", x=1)]
    if first == "data":
        return [call(name, data=arg("data"), **({"probabilities": [0.1]} if name == "quantiles" else {}))
                for name in CALLBACKS]  # fmt: skip
    names = [("add", {"x": arg(first), "y": 1}), ("eq", {"x": arg(first), "y": "B04"}), ("constant", {"x": None})]
    return [call(name, **arguments) for name, arguments in names]


@pytest.mark.filterwarnings("error::RuntimeWarning", "error::DeprecationWarning", "error::FutureWarning")
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_result_or_an_error_of_openeo(data: st.DataObject) -> None:
    process = REGISTRY[data.draw(st.sampled_from(sorted(REGISTRY)))]
    arguments: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for parameter in process.parameters:
        if parameter.optional and data.draw(st.booleans()):
            continue
        if parameter.callback and data.draw(st.integers(0, 9)):
            arguments[parameter.name] = data.draw(st.sampled_from(callbacks(parameter)))
        else:
            likely = CUBES if not parameter.takes(False) else PLAIN
            pool = st.sampled_from(likely) if data.draw(st.integers(0, 3)) else st.sampled_from([*PLAIN, *LAYERS])
            values[parameter.name] = data.draw(pool)
            arguments[parameter.name] = arg(parameter.name)
    try:
        graph = parse({"only": node(process.id, True, **arguments)}, REGISTRY, values)
        run(graph, Context(GRID, lambda n: CUBES[0], whole=True), values)
    except GraphError as error:
        assert error.message.startswith("node 'only'"), error.message
    except BdapError as error:
        assert error.message
