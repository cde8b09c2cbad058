"""Sliders: of the dates of a layer, with steps to the next and the last, and of any values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets


class TimeBar:
    """The dates of a layer as a slider with a step back and a step forward."""

    def __init__(self, name: str, times: Sequence[str], go: Callable[[str], Any]) -> None:
        days = [time[:10] for time in times]
        labels = days if len(set(days)) == len(days) else list(times)
        self.slider = widgets.SelectionSlider(
            options=list(zip(labels, times, strict=True)),
            value=times[-1],
            description=name,
            continuous_update=True,
            style={"description_width": "initial"},
            layout=widgets.Layout(width="min(310px, 45vw)"),
        )
        self.slider.observe(lambda change: go(change["new"]), names="value")
        back, on = (self._step(*each) for each in (("‹", "Earlier date", -1), ("›", "Later date", 1)))
        self.widget = widgets.HBox([back, self.slider, on], layout={"align_items": "center", "grid_gap": "4px"})

    def _step(self, text: str, hint: str, by: int) -> widgets.Button:
        button = widgets.Button(description=text, tooltip=hint, layout={"width": "30px", "flex": "none"})
        button.on_click(lambda _: self._go(by))
        return button

    def _go(self, by: int) -> None:
        last = len(self.slider.options) - 1
        self.slider.index = max(0, min(last, self.slider.index + by))


def slider(options: Sequence[Any], label: str) -> widgets.SelectionSlider:
    """A slider of any values."""
    return widgets.SelectionSlider(
        options=list(options),
        description=label,
        continuous_update=False,
        style={"description_width": "initial"},
        layout=widgets.Layout(width="100%"),
    )


def around(place: int, count: int) -> list[int]:
    """The places before and behind one, as far as there are any."""
    return [near for near in (place + 1, place - 1) if 0 <= near < count]
