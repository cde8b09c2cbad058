"""Callbacks inside callbacks: the inner one sees its own parameters, and those around it that have other names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bdap_hub.processing.cancel import CallerGone, Cancel, check, under
from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.graphs import interpret
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.interpret import NOWHERE, Context, run
from bdap_hub.processing.graphs.parse import parse, problems
from bdap_hub.processing.processes import REGISTRY

from .graphs import arg, call, load, node, of

VALUES = np.array([1.0, 4.0, 9.0], np.float32).reshape(3, 1, 1)


def result(callback: Any, context: Any = None) -> float:
    """What a reducer over three dates makes of 1, 4 and 9."""
    raw = {
        "data": load(),
        "flat": node("reduce_dimension", True, data=of("data"), reducer=callback, dimension="t", context=context),
    }
    cube = Cube(VALUES, ("t", "y", "x"), {"t": ("2024-05-01", "2024-06-01", "2024-07-01")})
    return float(run(parse(raw, REGISTRY), Context(NOWHERE, lambda node: cube)).data.item())


def each(process: Any, **more: Any) -> dict[str, Any]:
    """A reducer: the sum of what `process` makes of each value."""
    made = node("array_apply", data=arg("data"), process=process, **more)
    return {"process_graph": {"each": made, "sum": node("sum", True, data=of("each"))}}


def less_the_first() -> dict[str, Any]:
    first = node("first", data=arg("data"))
    return {"process_graph": {"first": first, "less": node("subtract", True, x=arg("x"), y=of("first"))}}


def test_an_inner_callback_sees_the_parameters_of_the_outer_one() -> None:
    assert result(each(less_the_first())) == (1 - 1) + (4 - 1) + (9 - 1)


def test_also_two_levels_further_in() -> None:
    """For each value: how many of the dates' values, by the outermost parameter, exist; the filter is the innermost."""
    above = {"process_graph": {
        "most": node("max", data=arg("data")),
        "is": node("eq", True, x=arg("x"), y=of("most")),
    }}  # fmt: skip
    inner = {"process_graph": {"only": node("array_filter", data=arg("data"), condition=above),
                               "sum": node("sum", True, data=of("only"))}}  # fmt: skip
    assert result(each(inner)) == 9 * 3


def test_an_inner_parameter_hides_the_outer_one_of_its_name_and_only_inside() -> None:
    add = call("add", x=arg("x"), y=arg("context"))
    assert result(each(add, context=10), context=1000) == 1 + 4 + 9 + 3 * 10
    both = each(add, context=10)
    both["process_graph"]["sum"].pop("result")
    both["process_graph"]["after"] = node("add", True, x=of("sum"), y=arg("context"))
    assert result(both, context=1000) == 1 + 4 + 9 + 3 * 10 + 1000


def test_a_parameter_that_nobody_hands_in_is_refused() -> None:
    with pytest.raises(GraphError, match="asks for the parameter 'y', which nobody hands in"):
        result(each(call("add", x=arg("x"), y=arg("y"))))


def test_a_callback_for_each_of_many_elements_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a loop in a loop goes on for hours after its caller has been told that it takes too long."""
    count = {"process_graph": {"one": node("add", True, x=arg("index"), y=1)}}
    many = node("array_apply", data=list(range(1000)), process=count)
    reducer = {"process_graph": {"each": many, "sum": node("sum", True, data=of("each"))}}
    assert Cancel().run(lambda: result(reducer)) == 1000 * 1001 / 2
    cancel, calls = Cancel(), list[int]()

    def counted() -> None:
        calls.append(1)
        if len(calls) == 10:
            cancel.now(CallerGone())
        check()

    monkeypatch.setattr(interpret, "check", counted)
    with pytest.raises(CallerGone):
        cancel.run(lambda: result(reducer))
    assert len(calls) == 10


def test_reading_a_graph_can_be_ended() -> None:
    """One's own processes may hand a megabyte to each of 500 nodes."""
    raw = {"data": {**load(), "result": True}}
    assert parse(raw, REGISTRY) and not problems(raw, REGISTRY)
    cancel = Cancel()
    cancel.now(CallerGone())
    for read in (parse, problems):
        with under(cancel), pytest.raises(CallerGone):
            read(raw, REGISTRY)
