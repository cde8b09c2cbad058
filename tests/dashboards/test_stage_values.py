"""What the stage sends of values that JSON does not know, and of what is cleared in Output widgets."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bdap_hub.dashboards.stage.stage import snapshot, wire

from .staged import Staged, Visitor, staged

VALUES = """
import ipywidgets as widgets, numpy as np
from IPython.display import clear_output, display
class Picture:
    def _repr_png_(self):
        return b"\\x89PNG of Pillow"
number = widgets.FloatText(value=float("nan"), description="number")
choice = widgets.Text(description="choice")
first, second = widgets.Output(), widgets.Output()
def chosen(change):
    number.value = float("inf")
    with second:
        print("second")
    with first:
        print("first")
        clear_output(wait=True)
    with second:
        display(Picture())
choice.observe(chosen, "value")
display(widgets.VBox([number, choice, first, second]))
display({"application/json": {"most": np.float64("nan")}, "text/html": "<p>most</p>"}, raw=True)
Picture()
"""
PNG = "iVBORyBvZiBQaWxsb3c="


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    """Of one notebook that shows such values."""
    with staged(tmp_path_factory.mktemp("values"), VALUES) as running:
        assert running.state()["mode"] == "fork", running.state()
        yield running


def _strict(text: str) -> Any:
    """As browsers read it."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_page_with_nan_can_be_read_and_pictures_of_bytes_are_shown(stage: Staged):
    page = stage.get().text
    text = page.partition('type="application/vnd.jupyter.widget-state+json">')[2].partition("</script>")[0]
    numbers = [model["state"].get("value") for model in _strict(text)["state"].values()]
    assert "nan" in numbers
    assert f"data:image/png;base64,{PNG}" in page


def test_messages_with_infinity_can_be_read_and_each_output_is_cleared_by_itself(stage: Staged):
    with Visitor(stage) as ana:
        states = ana.set(stage.widget(description="choice"), value="x")
    assert states[stage.widget(description="number")]["value"] == "inf"
    second, first = [state["outputs"] for state in states.values() if state.get("outputs")]
    assert [output.get("text") for output in first] == ["first\n"]  # nothing came there after its clear_output
    assert [output.get("text") for output in second] == ["second\n", None]
    assert second[1]["data"]["image/png"] == PNG


def test_buffers_of_the_snapshot_are_of_their_widgets_states():
    """As ipywidgets says it: a page puts them there."""
    kept = {"path": ["value"], "encoding": "base64", "data": PNG}
    widgets = {"state": {"picture": {"model_name": "ImageModel", "state": {"format": "png"}, "buffers": [kept]}}}
    asked = wire.message("comm_msg", {"comm_id": "control", "data": {"method": "request_states"}})
    states, _idle = snapshot.answer(asked, widgets, {"control"}) or []
    assert states["content"]["data"]["buffer_paths"] == [["picture", "state", "value"]]
    assert states["buffers"] == [base64.b64decode(PNG)]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"png", "cG5n"),
        ({"a": 1}.keys(), ["a"]),
        (iter((1, 2)), [1, 2]),
        ([1.5, float("nan"), {"most": float("-inf")}], [1.5, "nan", {"most": "-inf"}]),
        ({"deep": [{"a": 1.0}.values(), float("inf")]}, {"deep": [[1.0], "inf"]}),
        ({1: True, None: 2}, {"1": True, "null": 2}),
    ],
)
def test_what_json_does_not_know(value: Any, found: Any):
    assert _strict(wire.as_json(value)) == found
