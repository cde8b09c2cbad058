"""Graphs of a few lines that would take gigabytes, or hours: each is refused before, and its smaller brother is not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bdap_hub.errors import TooMuch
from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.graphs import interpret
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.interpret import Context, run
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY, temporal

from .graphs import arg, call, load, node, of
from .test_cubes import SQUARE, evaluate


def ran(raw: dict[str, Any], **cubes: Cube) -> Any:
    graph = parse(raw, REGISTRY)
    given = {n.id: cubes[n.arguments["id"]] for n in graph.nodes if n.process == "load_collection"}
    return run(graph, Context(SQUARE, given.__getitem__, whole=True))


def labelled(labels: Any, second: int = 1) -> Cube:
    """A cube of zeros with those labels along `l`, and so many along `m`."""
    names = {"l": tuple(labels), "m": tuple(map(str, range(second)))}
    return Cube(np.zeros((len(labels), second, 2, 2), np.float32), ("l", "m", "y", "x"), names)


def doubled(times: int, inside: str) -> dict[str, Any]:
    """A list in which a list stands twice in which a list stands twice …, and a message that would print it."""
    raw = {"n0": node("array_create", data=[1, 1])}
    for i in range(1, times):
        before: Any = of(f"n{i - 1}") if inside == "lists" else {"a": of(f"n{i - 1}")}
        raw[f"n{i}"] = node("array_create", data=[before, before])
    return raw | {"r": node("array_append", True, data=[1], value=1, label=of(f"n{times - 1}"))}


@pytest.mark.parametrize("inside", ["lists", "objects"])
@pytest.mark.parametrize(("times", "refusal"), [(3, GraphError), (40, TooMuch)])
def test_lists_that_hold_one_another_twice(times: int, refusal: type[Exception], inside: str) -> None:
    with pytest.raises(refusal, match="has no labels" if refusal is GraphError else "more than 1048576 elements"):
        ran(doubled(times, inside))


def test_what_callbacks_give_counts_while_they_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of layers, of which the caller collects many."""
    cube = Cube(np.zeros((3, 100, 100)), ("t", "y", "x"), {"t": ("2024-01-01", "2024-01-02", "2024-01-03")})
    extremes = {"process_graph": {"only": node("extrema", True, data=arg("data"))}}

    def asked(elements: int) -> dict[str, Any]:
        counted = {
            "many": node("array_create", data=[0], repeat=elements),
            "each": node("array_apply", data=of("many"), process=extremes),
            "first": node("array_element", data=of("each"), index=0),
            "low": node("array_element", True, data=of("first"), index=0),
        }
        return {"a": load("a"), "r": node("reduce_dimension", True, data=of("a"), dimension="t",
                                          reducer={"process_graph": counted})}  # fmt: skip

    monkeypatch.setattr(interpret, "MOST_BYTES", 100 * cube.data[0].nbytes)
    assert ran(asked(10), a=cube).data.shape == (100, 100)
    with pytest.raises(TooMuch, match="at once"):
        ran(asked(100), a=cube)


@pytest.mark.parametrize(("labels", "works"), [(("a~1", "a~2", "b~1", "b~2"), True), (("a~1", "b~2"), False)])
def test_labels_taken_apart(labels: tuple[str, ...], works: bool) -> None:
    asked = {"dimension": "l", "target_dimensions": ["p", "q"], "a": labelled(labels)}
    if works:
        assert evaluate("unflatten_dimension", **asked).labels["q"] == ("1", "2")
        return
    with pytest.raises(GraphError, match="not all parts combined"):
        evaluate("unflatten_dimension", **asked)


def test_parts_of_labels_are_counted_before_they_are_combined() -> None:
    many = labelled(["~".join([str(i)] * 8) for i in range(30)])  # 30⁸ combinations
    with pytest.raises(GraphError, match="not all parts combined"):
        evaluate("unflatten_dimension", dimension="l", target_dimensions=list("pqrstuvw"), a=many)


def test_labels_put_together_are_counted_before() -> None:
    few = evaluate("flatten_dimensions", dimensions=["l", "m"], target_dimension="b", a=labelled("abc", 4))
    assert len(few.labels["b"]) == 12
    with pytest.raises(TooMuch, match="10000 labels"):
        evaluate("flatten_dimensions", dimensions=["l", "m"], target_dimension="b", a=labelled(range(100), 100))


@pytest.mark.parametrize("process", ["has_bits", "extract_bits"])
def test_bits_that_another_node_counts(process: str) -> None:
    def asked(bit: float) -> dict[str, Any]:
        given: dict[str, Any] = {"bits": [of("bit")]} if process == "has_bits" else {"start": of("bit")}
        return {"bit": node("multiply", x=bit, y=1), "r": node(process, True, x=2**20, **given)}

    assert ran(asked(20)) == 1
    for bit in (53, 8e10, -1, math.nan):
        with pytest.raises(GraphError, match="there is no bit"):
            ran(asked(bit))


def test_a_neighbourhood_whose_size_another_node_gives() -> None:
    def asked(size: int) -> dict[str, Any]:
        sized = node("focal_statistics", True, data=of("a"), statistic="mean", size=of("n"))
        return {"a": load("a"), "n": node("multiply", x=size, y=1), "r": sized}

    cube = Cube(np.ones((2, 2), np.float32), ("y", "x"), {})
    assert (ran(asked(3), a=cube).data == 1).all()
    with pytest.raises(TooMuch, match="200001 pixels a side"):
        ran(asked(200_001), a=cube)


def test_a_model_of_many_parameters() -> None:
    line = call("add", x=arg("x"), y=0)

    def asked(parameters: int) -> Any:
        return ran({"r": node("fit_curve", True, data=[1, 2, 3, 4], parameters=[1.0] * parameters, function=line)})

    assert asked(2) is not None
    with pytest.raises(TooMuch, match="101 parameters"):
        asked(101)


def test_quantiles_of_plain_numbers() -> None:
    def asked(shares: int) -> Any:
        return ran({"r": node("quantiles", True, data=[1, 2, 3], probabilities=[i / shares for i in range(shares)])})

    assert len(asked(100)) == 100
    with pytest.raises(TooMuch, match="5001 labels"):
        asked(5001)


def test_intervals_are_counted_before_dates_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    dates = Cube(np.ones((2, 2, 2)), ("t", "y", "x"), {"t": ("2024-01-01", "2024-01-02")})

    def asked(count: int) -> Any:
        spans = [["2024-01-01", "2024-01-02"]] * count
        means = call("mean", data=arg("data"))
        return evaluate("aggregate_temporal", intervals=spans, labels=list(map(str, range(count))), reducer=means,
                        a=dates)  # fmt: skip

    assert len(asked(3).labels["t"]) == 3
    monkeypatch.setattr(temporal, "_met", None)
    with pytest.raises(TooMuch, match="5001 labels"):
        asked(5001)
