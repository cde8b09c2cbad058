"""What of a page another run's process can tell it, and what makes the page load itself anew."""

from __future__ import annotations

from typing import Any

import pytest

from bdap_hub.dashboards.stage.stage.stage import VIEW, digests


def _digests(
    name: str = "IntSliderModel", value: int = 3, choices: Any = None, html: str = "1", text: str = "a"
) -> tuple[str, str]:
    model = {"model_module": "controls", "model_name": name, "state": {"value": value, "_options_labels": choices}}
    view = {"data": {VIEW: {"model_id": "one"}, "text/plain": f"IntSlider({value})"}}
    shown = {"data": {"text/html": html, "text/plain": f"<Shown at {value}>"}, "transient": {"display_id": value}}
    return digests({"one": model}, {0: [view, shown], 1: [{"output_type": "stream", "text": text}]})


@pytest.mark.parametrize(
    ("other", "learned"),
    [
        ({"value": 4}, True),
        ({"name": "FloatSliderModel"}, False),
        ({"choices": ["maize", "wheat"]}, False),
        ({"html": "2"}, False),
        ({"text": "b"}, False),
    ],
)
def test_what_a_page_of_another_run_can_learn(other: dict[str, Any], learned: bool):
    (page, names), (found, found_names) = _digests(), _digests(**other)
    assert page != found and (names == found_names) is learned
