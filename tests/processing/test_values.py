"""Plain values and layers of pixels: own cases and the specifications' examples give the same in both."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bdap_hub.processing.cubes.values import Series
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.interpret import Context, run
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY

from .graphs import arg, call, node, of

N = None
CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("add", {"x": 5, "y": 2.5}, 7.5),
    ("add", {"x": N, "y": 2.5}, N),
    ("subtract", {"x": 5, "y": 2.5}, 2.5),
    ("multiply", {"x": -2, "y": -4}, 8),
    ("divide", {"x": 5, "y": 2.5}, 2),
    ("divide", {"x": 1, "y": 0}, math.inf),
    ("mod", {"x": 27, "y": 5}, 2),
    ("mod", {"x": -27, "y": 5}, 3),
    ("power", {"base": 5, "p": -1}, 0.2),
    ("power", {"base": 1, "p": N}, N),
    ("normalized_difference", {"x": 5, "y": 3}, 0.25),
    ("absolute", {"x": -3.5}, 3.5),
    ("sqrt", {"x": 81}, 9),
    ("exp", {"p": 0}, 1),
    ("ln", {"x": 1}, 0),
    ("log", {"x": 1024, "base": 2}, 10),
    ("floor", {"x": -3.5}, -4),
    ("ceil", {"x": -3.5}, -3),
    ("int", {"x": -3.5}, -3),
    ("round", {"x": 2.5}, 2),
    ("round", {"x": 1234.5, "p": -2}, 1200),
    ("clip", {"x": -5, "min": -1, "max": 1}, -1),
    ("clip", {"x": N, "min": 0, "max": 1}, N),
    ("linear_scale_range", {"x": 0.3, "inputMin": -1, "inputMax": 1, "outputMin": 0, "outputMax": 255}, 165.75),
    ("linear_scale_range", {"x": 25.5, "inputMin": 0, "inputMax": 255}, 0.1),
    ("linear_scale_range", {"x": 500, "inputMin": 0, "inputMax": 255}, 1),
    ("has_bits", {"x": 22280, "bits": [1, 3]}, True),
    ("has_bits", {"x": 22280, "bits": [1, 3], "all": True}, False),
    ("has_bits", {"x": N, "bits": [3]}, N),
    ("extract_bits", {"x": 22280, "start": 8, "length": 2}, 3),
    ("extract_bits", {"x": N, "start": 8}, N),
    ("eq", {"x": 1, "y": 1}, True),
    ("eq", {"x": 1, "y": N}, N),
    ("eq", {"x": 1.02, "y": 1, "delta": 0.05}, True),
    ("eq", {"x": "Test", "y": "test", "case_sensitive": False}, True),
    ("eq", {"x": "Test", "y": "test"}, False),
    ("eq", {"x": "1", "y": 1}, False),
    ("neq", {"x": 1, "y": 2}, True),
    ("neq", {"x": N, "y": 2}, N),
    ("lt", {"x": 1, "y": 2}, True),
    ("lte", {"x": 2, "y": 2}, True),
    ("gt", {"x": 1, "y": 2}, False),
    ("gte", {"x": N, "y": 2}, N),
    ("between", {"x": 1, "min": 0, "max": 1}, True),
    ("between", {"x": 1, "min": 0, "max": 1, "exclude_max": True}, False),
    ("and", {"x": True, "y": N}, N),
    ("and", {"x": False, "y": N}, False),
    ("or", {"x": True, "y": N}, True),
    ("or", {"x": False, "y": N}, N),
    ("or", {"x": False, "y": False}, False),
    ("xor", {"x": True, "y": False}, True),
    ("not", {"x": False}, True),
    ("not", {"x": N}, N),
    ("if", {"value": True, "accept": 5, "reject": 7}, 5),
    ("if", {"value": N, "accept": 5, "reject": 7}, 7),
    ("if", {"value": False, "accept": 5}, N),
    ("is_nodata", {"x": N}, True),
    ("is_valid", {"x": 3}, True),
    ("is_nan", {"x": 3}, False),
    ("min", {"data": [5, N, 2, 8]}, 2),
    ("max", {"data": [5, N, 2, 8]}, 8),
    ("max", {"data": [5, N], "ignore_nodata": False}, N),
    ("sum", {"data": [5, N, 1]}, 6),
    ("sum", {"data": [N, N]}, N),
    ("product", {"data": [5, N, 2]}, 10),
    ("mean", {"data": [1, 0, 3, 2]}, 1.5),
    ("mean", {"data": [9, 2.5, N, -2.5]}, 3),
    ("mean", {"data": []}, N),
    ("mean", {"data": [1, N], "ignore_nodata": False}, N),
    ("median", {"data": [1, 3, 3, 6, 7, 8, 9]}, 6),
    ("median", {"data": [1, 2, 3, 4, 5, 6, 8, 9]}, 4.5),
    ("median", {"data": [-1, -0.5, N, 1]}, -0.5),
    ("median", {"data": [-1, 0, N, 1], "ignore_nodata": False}, N),
    ("median", {"data": [N]}, N),
    ("sd", {"data": [-1, 1, 3, N]}, 2),
    ("variance", {"data": [-1, 1, 3, N]}, 4),
    ("variance", {"data": [1]}, N),
    ("first", {"data": [N, 2, 3]}, 2),
    ("first", {"data": [N, 2, 3], "ignore_nodata": False}, N),
    ("last", {"data": [0, 2, N]}, 2),
    ("count", {"data": [0, N, 3]}, 2),
    ("count", {"data": [0, N, 3], "condition": True}, 3),
    ("count", {"data": [5, 1, 3], "condition": call("gt", x=arg("x"), y=2)}, 2),
    ("array_element", {"data": [9, 8, 7], "index": 2}, 7),
    ("array_apply", {"data": [1, -2, N], "process": call("absolute", x=arg("x"))}, [1, 2, N]),
    ("array_apply", {"data": [5, 5], "process": call("add", x=arg("x"), y=arg("index"))}, [5, 6]),
    ("array_filter", {"data": [1, 5, N, 3], "condition": call("gt", x=arg("x"), y=2)}, [5, 3]),
    ("array_filter", {"data": [1, 5, 3], "condition": call("neq", x=arg("index"), y=1)}, [1, 3]),
    ("array_labels", {"data": ["a", "b"]}, [0, 1]),
    ("array_find_label", {"data": ["a", "b"], "label": 1}, N),
    ("array_create", {"data": [1, 2], "repeat": 2}, [1, 2, 1, 2]),
    ("array_interpolate_linear", {"data": [N, 1, N, 6, N, -8, N]}, [N, 1, 3.5, 6, -1, -8, N]),
    ("array_find", {"data": [1, 2, 3, 2], "value": 2}, 1),
    ("array_find", {"data": [1, 2, 3, 2], "value": 2, "reverse": True}, 3),
    ("array_find", {"data": [1, 2], "value": 9}, N),
    ("array_contains", {"data": [1, 2], "value": 2}, True),
    ("array_contains", {"data": [1, 2, N], "value": N}, False),
    ("rearrange", {"data": [5, 4, 3], "order": [2, 0, 1]}, [3, 5, 4]),
    ("sort", {"data": [2, N, 9, -1], "asc": False, "nodata": True}, [9, 2, -1, N]),
    ("order", {"data": [2, N, 9, -1], "nodata": False}, [1, 3, 0, 2]),
    ("quantiles", {"data": [2, 4, 4, 4, 5, 5, 7, 9], "probabilities": [0.005, 0.5]}, [2.07, 4.5]),
    ("quantiles", {"data": [-1, -0.5, N, 1], "q": 2}, [-0.5]),
    ("cumsum", {"data": [1, 3, N, 3], "ignore_nodata": False}, [1, 4, N, N]),
    ("cummax", {"data": [1, 3, N, 2, 5]}, [1, 3, N, 3, 5]),
    ("constant", {"x": "test"}, "test"),
    ("is_infinite", {"x": 4294967296}, False),
    ("pi", {}, math.pi),
    ("e", {}, math.e),
    ("nan", {}, math.nan),
    ("date_difference", {"date1": "2024-01-31", "date2": "2024-03-01", "unit": "month"}, 1 + 1 / 31),
    ("date_difference", {"date1": "2020-02-29", "date2": "2024-02-29", "unit": "year"}, 4),
    ("date_between", {"x": "2024-02-29", "min": "2024-02-29", "max": "2024-03-01", "exclude_max": True}, True),
    ("date_shift", {"date": "2024-01-31", "value": 1, "unit": "month"}, "2024-02-29"),
    ("text_concat", {"data": [N, True, 1, -1.5, "ß"], "separator": "-"}, "null-true-1--1.5-ß"),
    ("array_element", {"data": [9], "index": 5, "return_nodata": True}, N),
]


UNUSABLE = {  # examples that their own specification contradicts
    ("array_modify", 3): "removes an element without a `length`, whose default is 0",
    ("count", 4): "a bare graph instead of {process_graph: …}, with a parameter `element` that is called x",
}


def examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """The examples of the specifications that lie beside the code."""
    for name, process in sorted(REGISTRY.items()):
        for number, example in enumerate(process.specification.get("examples", ())):
            if "returns" in example and (name, number) not in UNUSABLE:
                yield name, example["arguments"], example["returns"]


def evaluate(process: str, arguments: dict[str, Any], **layers: Any) -> Any:
    """The process' result; `layers` are arguments that no JSON can say."""
    given = {**arguments, **{name: arg(name) for name in layers}}
    graph = parse({"a": node(process, True, **given)}, REGISTRY, layers)
    return run(graph, Context(Grid.point(0, 0), lambda n: None), layers)  # type: ignore[arg-type, return-value]


def same(got: Any, want: Any) -> bool:
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(same, got, want))
    if isinstance(want, (bool, str, dict)) or want is None:
        return type(got) is type(want) and got == want
    if not isinstance(got, (int, float)) or isinstance(got, bool):
        return False
    return math.isclose(got, want, rel_tol=1e-9) or (math.isnan(got) and math.isnan(want))


@pytest.mark.parametrize(("process", "arguments", "expected"), [*CASES, *examples()])
def test_plain_values(process: str, arguments: dict[str, Any], expected: Any) -> None:
    got = evaluate(process, arguments)
    assert same(got, expected), got


def on_layers(value: Any) -> Any:
    """A number, truth value or None as pixels; an array of them as a stack."""
    if isinstance(value, list):
        return Series(np.stack([on_layers(item) for item in value])) if value else Series(np.empty((0, 2, 3)))
    return np.full((2, 3), np.nan if value is None else float(value))


def numeric(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float)) or (
        isinstance(value, list) and bool(value) and all(v is None or isinstance(v, (int, float)) for v in value)
    )  # fmt: skip


NOT_ALIKE = {"sort", "order", "constant", "if"}  # see their limits; `if` on pixels gives numbers only
TRUTHS = {"all", "any", "and", "or", "xor", "not", "count"}  # elsewhere 1 is not true, which pixels cannot tell
OPERANDS = ("x", "y", "data", "base", "array1", "array2", "value")


def alike(process: str, arguments: dict[str, Any], expected: Any) -> bool:
    """Whether pixels can say the same."""
    operands = [value for name, value in arguments.items() if name in OPERANDS]
    flat = [v for value in operands for v in (value if isinstance(value, list) else [value])]
    if process in NOT_ALIKE or process.startswith("text") or not flat:
        return False
    if not all(numeric(v) for v in [*operands, expected]):
        return False
    return process in TRUTHS or not any(isinstance(v, bool) for v in flat)


ALIKE = [case for case in [*CASES, *examples()] if alike(*case)]


@pytest.mark.parametrize(("process", "arguments", "expected"), ALIKE)
def test_pixels_mean_what_plain_values_mean(process: str, arguments: dict[str, Any], expected: Any) -> None:
    layers = {k: on_layers(v) for k, v in arguments.items() if k in OPERANDS}
    got = evaluate(process, {k: v for k, v in arguments.items() if k not in layers}, **layers)
    parts = list(got) if isinstance(got, (list, Series)) else [got]
    wanted = expected if isinstance(expected, list) else [expected]
    assert len(parts) == len(wanted)
    for part, want in zip(parts, wanted, strict=True):
        np.testing.assert_allclose(np.broadcast_to(np.asarray(part), (2, 3)), on_layers(want), rtol=1e-6)


LABELLED = {"data": [4, 5, 6], "labels": ["B01", "B02", 7]}
WITH_LABELS = [
    ("array_element", {"label": "B02"}, 5),
    ("array_element", {"label": 7}, 6),
    ("array_labels", {}, ["B01", "B02", 7]),
    ("array_find_label", {"label": "B02"}, 1),
]


@pytest.mark.parametrize(("process", "arguments", "expected"), WITH_LABELS)
def test_labelled_arrays(process: str, arguments: dict[str, Any], expected: Any) -> None:
    raw = {"l": node("array_create_labeled", **LABELLED), "p": node(process, True, data=of("l"), **arguments)}
    assert run(parse(raw, REGISTRY), Context(Grid.point(0, 0), lambda n: None)) == expected  # type: ignore[arg-type, return-value]


REFUSED = [
    ("array_element", {"data": [1]}, "ArrayElementParameterMissing"),
    ("array_element", {"data": [1], "index": 0, "label": "a"}, "ArrayElementParameterConflict"),
    ("array_element", {"data": [1], "index": 1}, "ArrayElementNotAvailable"),
    ("array_element", {"data": [1], "index": -1}, "ProcessArgumentInvalid"),
    ("array_append", {"data": [1], "value": 2, "label": "a"}, "ArrayNotLabeled"),
    ("array_create_labeled", {"data": [1], "labels": [1, 2]}, "ArrayLengthMismatch"),
    ("array_modify", {"data": [1], "values": [], "index": 2}, "ArrayElementNotAvailable"),
    ("rearrange", {"data": [1], "order": [3]}, "ArrayElementNotAvailable"),
    ("quantiles", {"data": [1]}, "QuantilesParameterMissing"),
    ("quantiles", {"data": [1], "probabilities": [0.5], "q": 2}, "QuantilesParameterConflict"),
    ("quantiles", {"data": [1], "probabilities": [0.5, 0.1]}, "AscendingProbabilitiesRequired"),
    ("clip", {"x": 1, "min": 2, "max": 1}, "MinMaxSwapped"),
    ("date_shift", {"date": "2024-13-01", "value": 1, "unit": "day"}, "ProcessArgumentInvalid"),
    ("date_shift", {"date": "9999-12-31", "value": 9999, "unit": "year"}, "ProcessArgumentInvalid"),
    ("date_shift", {"date": "2024-01-01", "value": 1, "unit": "fortnight"}, "ProcessArgumentInvalid"),
    ("mean", {"data": ["a"]}, "ProcessArgumentInvalid"),
]


@pytest.mark.parametrize(("process", "arguments", "code"), REFUSED)
def test_refused_with_the_standards_code(process: str, arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(GraphError) as error:
        evaluate(process, arguments)
    assert error.value.code == code


def test_every_process_on_values_has_a_case() -> None:
    elsewhere = {"dimension_labels", "fit_curve", "inspect", "array_create_labeled", "load_ml_model", "run_udf"}
    on_values = {name for name, process in REGISTRY.items() if process.gives(False)} - elsewhere
    assert on_values <= {case[0] for case in [*CASES, *examples()]}


@pytest.mark.parametrize("name", ["min", "max", "sum", "mean", "median", "sd", "variance", "product"])
def test_reducers_on_arrays_equal_numpy(name: str) -> None:
    random = np.random.default_rng(3)
    data = random.normal(size=(7, 2, 30, 20)).astype(np.float32)
    data[random.random(data.shape) < 0.4] = np.nan
    data[:, 0, 0, 0] = np.nan
    reference = {
        "sd": lambda d, axis: np.nanstd(d, axis, ddof=1),
        "variance": lambda d, axis: np.nanvar(d, axis, ddof=1),
        "product": np.nanprod,
    }
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        want = reference.get(name, getattr(np, f"nan{name}", None))(data.astype(np.float64), axis=0)
    if name in ("sum", "product"):
        want[np.isnan(data).all(axis=0)] = np.nan
    with np.errstate(all="ignore"):  # as a run does
        got = REGISTRY[name].function(Series(data))
    np.testing.assert_allclose(got, want, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("process", "x", "expected"), [("and", 0, False), ("and", 1, None), ("or", 1, True), ("or", 0, None)]
)
def test_logic_of_plain_numbers_with_one_unknown(process: str, x: int, expected: bool | None) -> None:
    assert REGISTRY[process].function(x, math.nan) is expected
