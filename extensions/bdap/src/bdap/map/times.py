"""Sliders: of the dates of a layer, with steps to the next and the last, and of any values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from .. import labels


class TimeBar:
    """The dates of a layer as a slider with a step back and a step forward; `go` hears what people choose."""

    def __init__(self, name: str, times: Sequence[str], time: str, go: Callable[[str], Any]) -> None:
        self._go, self._telling = go, False
        self.slider = widgets.SelectionSlider(
            options=_options(times),
            value=time,
            description=name,
            continuous_update=True,
            style={"description_width": "initial"},
            layout=widgets.Layout(width="min(310px, 45vw)"),
        )
        self.slider.observe(self._moved, names="value")
        back, on = (self._step(*each) for each in (("‹", "Earlier date", -1), ("›", "Later date", 1)))
        self.widget = widgets.HBox([back, self.slider, on], layout={"align_items": "center", "grid_gap": "4px"})

    def tell(self, times: Sequence[str], time: str) -> None:
        """Take over the dates that the map has, and the one it shows."""
        self._telling = True
        if self.slider.options != (options := _options(times)):
            self.slider.options = options
        self.slider.value = time
        self._telling = False

    def _moved(self, change: Any) -> None:
        if not self._telling:
            self._go(change["new"])

    def _step(self, text: str, hint: str, by: int) -> widgets.Button:
        button = widgets.Button(description=text, tooltip=hint, layout={"width": "30px", "flex": "none"})
        button.on_click(lambda _: self._by(by))
        return button

    def _by(self, by: int) -> None:
        last = len(self.slider.options) - 1
        self.slider.index = max(0, min(last, self.slider.index + by))


def _options(times: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Days where each has one date, else all there is of a label."""
    days = [labels.day(time) for time in times]
    return tuple(zip(days if len(set(days)) == len(days) else times, times, strict=True))


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
