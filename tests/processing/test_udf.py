"""Code in graphs, as far as it goes without a sandbox: what is sent, what is believed, and how results fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bdap_hub.errors import Unavailable
from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.graphs.graph import GraphError, holds_code
from bdap_hub.processing.graphs.interpret import Context, run
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.udf import messages
from bdap_hub.processing.udf.messages import Arrays, Broken
from bdap_hub.processing.udf.pool import Owner, Udfs

from ..conftest import make_settings
from .graphs import arg, call, load, node, of
from .test_cubes import SQUARE
from .udf_codes import DOUBLE

DAYS = ("2024-05-01", "2024-06-01")
DATA = np.arange(72, dtype=np.float32).reshape(2, 1, 6, 6)


def cube() -> Cube:
    return Cube(DATA, ("t", "bands", "y", "x"), {"t": DAYS, "bands": ("B04",)})


def udf(data: str = "data", **more: Any) -> dict[str, Any]:
    return node("run_udf", True, data=arg(data), udf=DOUBLE, **{"runtime": "Python", **more})


def under(process: str, callback: str, **more: Any) -> dict[str, Any]:
    return {"a": load("a"), "u": node(process, True, data=of("a"), **{callback: {"process_graph": {"c": more["c"]}}},
                                      **{k: v for k, v in more.items() if k != "c"})}  # fmt: skip


REDUCED = under("reduce_dimension", "reducer", dimension="t", c=udf())
APPLIED = under("apply", "process", c=udf("x"))
ALONG = under("apply_dimension", "process", dimension="t", c=udf())
WHOLE = {"a": load("a"), "u": node("run_udf", True, data=of("a"), udf=DOUBLE, runtime="python", version="3.13")}


def ran(raw: Any, answer: Any) -> tuple[Cube, list[Arrays]]:
    """The result where a stand-in for the sandbox gives `answer(given)`, and what it was given."""
    seen: list[Arrays] = []

    def stand_in(code: str, given: Arrays, context: Any) -> Arrays:
        seen.append(given)
        found: Arrays = answer(given)
        return found

    found = run(parse(raw, REGISTRY), Context(SQUARE, lambda n: cube(), udfs=stand_in))
    assert isinstance(found, Cube)
    return found, seen


def over_time(given: Arrays) -> Arrays:
    return Arrays(given.values.sum(0), given.dims[1:])  # type: ignore[index]


def turned(given: Arrays) -> Arrays:
    """The same numbers with dimensions in another order."""
    return Arrays(given.values.T, tuple(given.dims or ())[::-1])


@pytest.mark.parametrize(
    ("raw", "answer", "dims", "values"),
    [
        (REDUCED, over_time, ("bands", "y", "x"), DATA.sum(0)),
        (REDUCED, lambda g: Arrays(g.values.sum(0), None), ("bands", "y", "x"), DATA.sum(0)),
        (APPLIED, turned, ("t", "bands", "y", "x"), DATA),
        (ALONG, turned, ("t", "bands", "y", "x"), DATA),
        (ALONG, lambda g: Arrays(g.values[:1], g.dims), ("t", "bands", "y", "x"), DATA[:1]),
        (WHOLE, turned, ("bands", "t", "y", "x"), DATA.swapaxes(0, 1)),
    ],
)
def test_code_gets_the_cube_and_its_result_is_put_in_order(raw: Any, answer: Any, dims: Any, values: Any) -> None:
    found, (given,) = ran(raw, answer)
    assert given.dims == ("t", "bands", "y", "x") and given.time == "t"
    assert given.labels["t"] == list(DAYS) and given.labels["bands"] == ["B04"]
    np.testing.assert_array_equal(given.values, DATA)
    assert found.dims == dims
    np.testing.assert_array_equal(found.data, values)


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (REDUCED, lambda g: Arrays(g.values[:, 0, 0, 0], ("t",))),
        (REDUCED, lambda g: Arrays(g.values.sum(0)[..., :3], ("bands", "y", "x"))),
        (APPLIED, over_time),
        (APPLIED, lambda g: Arrays(g.values[:1], g.dims)),
        (ALONG, lambda g: Arrays(g.values, ("t", "bands", "y", "z"))),
        (WHOLE, lambda g: Arrays(g.values.sum((2, 3)), ("t", "bands"))),
        (WHOLE, lambda g: Arrays(g.values[..., :2], g.dims)),
    ],
)
def test_a_result_of_another_shape_is_refused(raw: Any, answer: Any) -> None:
    with pytest.raises(GraphError) as caught:
        ran(raw, answer)
    assert caught.value.code == "UdfResultInvalid" and "'" in caught.value.message


def test_a_whole_cube_may_get_other_bands() -> None:
    found, _ = ran(WHOLE, lambda g: Arrays(np.repeat(g.values, 2, 1), g.dims, {"bands": ("low", "high")}))
    assert found.labels == {"t": DAYS, "bands": ("low", "high")}


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"runtime": "R"}, "InvalidRuntime"),
        ({"version": "2"}, "InvalidVersion"),
        ({"udf": "https://example.org/udf.py"}, "ProcessArgumentUnsupported"),
        ({"udf": "folder/udf.py"}, "ProcessArgumentUnsupported"),
        ({"udf": "#\n" * 60_000}, "ProcessArgumentInvalid"),
    ],
)
def test_what_is_not_run_is_refused(more: Any, code: str) -> None:
    changed = json.loads(json.dumps(WHOLE))
    changed["u"]["arguments"].update(more)
    with pytest.raises(GraphError) as caught:
        ran(changed, turned)
    assert caught.value.code == code


def test_code_is_off_unless_somebody_turns_it_on(tmp_path: Any) -> None:
    off = Udfs(make_settings(tmp_path / "off"))
    with pytest.raises(GraphError, match="no code of people") as caught:
        off.run(Owner("ana", "1"), DOUBLE, Arrays(DATA, None), {})
    assert caught.value.code == "UdfNotAvailable" and off.runtime() is None
    elsewhere = make_settings(tmp_path / "on", processing={"udf": {"workers": 2}}, spawning={"engine": "process"})
    assert not Udfs(elsewhere).on
    assert Udfs(make_settings(tmp_path / "on", processing={"udf": {"workers": 2}})).on


def test_code_is_found_wherever_it_stands() -> None:
    assert all(holds_code(parse(raw, REGISTRY)) for raw in (REDUCED, APPLIED, ALONG, WHOLE))
    plain = {"a": load("a"), "u": node("apply", True, data=of("a"), process=call("absolute", x=arg("x")))}
    assert not holds_code(parse(plain, REGISTRY))


GOOD = {"shape": [2, 3], "dtype": "<f4", "dims": ["y", "x"], "labels": {}}
BAD: list[dict[str, Any]] = [
    {"dtype": "|O"}, {"dtype": "<f2"}, {"dtype": ["<f4"]}, {"dtype": None},
    {"shape": [2, -3]}, {"shape": [2**40, 0]}, {"shape": [2.0, 3]}, {"shape": [True, 6]}, {"shape": 6}, {"shape": [7]},
    {"shape": [1] * 9}, {"dims": ["x"]}, {"dims": ["x", "x"]}, {"dims": [1, 2]}, {"dims": "yx"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", BAD)
def test_an_answer_that_does_not_fit_is_not_believed(wrong: dict[str, Any]) -> None:
    assert messages.arrays_of(GOOD, bytes(24)).values.shape == (2, 3)
    with pytest.raises(Broken):
        messages.arrays_of({**GOOD, **wrong}, bytes(24))


def test_answers_are_bounded_before_they_are_read() -> None:
    assert messages.sizes(messages.HEAD.pack(10, 2**20), 2**20) == (10, 2**20)
    for text, content in ((10, 2**20 + 1), (2**21, 0)):
        with pytest.raises(Broken):
            messages.sizes(messages.HEAD.pack(text, content), 2**20)
    for junk in (b"[]", b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(Broken):
            messages.header_of(junk)


def test_labels_and_texts_of_an_answer_are_harmless() -> None:
    found = messages.arrays_of({**GOOD, "labels": {"y": ["a", {"b": 1}], "x": [1, 2], "z": []}}, bytes(24))
    assert found.labels == {}
    assert messages.arrays_of({**GOOD, "labels": {"y": ["a", 2]}}, bytes(24)).labels == {"y": ("a", 2)}
    assert messages.text_of("a\x1b[31mb\nc") == "a[31mb\nc" and messages.text_of({}) == "it failed"
    assert len(messages.text_of("x" * 10_000)) == messages.MOST_TEXT


def test_asking_for_runtimes_starts_few_sandboxes(tmp_path: Path) -> None:
    """Nobody need be logged in for it: where none can be started (a stand-in for the engine) it is not tried again."""

    class NoEngine:
        tried = 0

        def start(self) -> Any:
            self.tried += 1
            raise Unavailable("the image is not built", "build it")

    asked = Udfs(make_settings(tmp_path / "on", processing={"udf": {"workers": 1}}, spawning={"engine": "docker"}))
    asked._engine = engine = NoEngine()  # type: ignore[assignment]
    assert [asked.runtime() for _ in range(5)] == [None] * 5 and engine.tried == 1
    asked._ask_again = 0.0
    assert asked.runtime() is None and engine.tried == 2
