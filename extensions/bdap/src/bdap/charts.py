"""Charts beside the map, in bqplot: a histogram and a time series."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import bqplot
import numpy as np
from ipywidgets import Layout

INK = "#1d6996"
MARGIN = {"top": 34, "bottom": 44, "left": 62, "right": 28}


def histogram_figure(
    edges: Sequence[float], counts: Sequence[int], title: str = "", height: int = 260
) -> bqplot.Figure:
    """Bars of `counts` between consecutive `edges` (one more than counts)."""
    scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale(min=0)}
    bars = bqplot.Bars(x=middles(edges), y=np.asarray(counts), scales=scales, colors=[INK], padding=0.05)
    return _figure([bars], scales, title, "value", "pixels", height)


def timeseries_figure(
    series: Sequence[tuple[str, float | None]],
    title: str = "",
    low: float | None = None,
    high: float | None = None,
    height: int = 260,
    date_format: str = "%b",
) -> bqplot.Figure:
    """A line through the days that have a value; `series` is what `cube.timeseries()` gives."""
    days, values = points(series)
    scales = {"x": bqplot.DateScale(), "y": bqplot.LinearScale(min=low, max=high)}
    line = bqplot.Lines(x=days, y=values, scales=scales, colors=[INK], marker="circle", marker_size=36, stroke_width=2)
    figure = _figure([line], scales, title, "", "value", height)
    figure.axes[0].tick_format = date_format
    return figure


def middles(edges: Sequence[float]) -> np.ndarray:
    """The middle of each bin."""
    bounds: np.ndarray = np.asarray(edges, float)
    return np.asarray((bounds[:-1] + bounds[1:]) / 2)


def points(series: Sequence[tuple[str, float | None]]) -> tuple[np.ndarray, np.ndarray]:
    """Days (datetime64) and values of a series without the days that have none."""
    known = [(datetime.fromisoformat(day), value) for day, value in series if value is not None]
    days = np.array([day for day, _ in known], dtype="datetime64[ms]")
    return days, np.array([value for _, value in known], dtype=float)


def _figure(
    marks: list[bqplot.Mark], scales: dict[str, bqplot.Scale], title: str, x: str, y: str, height: int
) -> bqplot.Figure:
    axes = [
        bqplot.Axis(scale=scales["x"], label=x, grid_lines="none"),
        bqplot.Axis(scale=scales["y"], label=y, side="left", label_offset="46px"),
    ]
    return bqplot.Figure(
        marks=marks,
        axes=axes,
        title=title,
        padding_y=0,
        fig_margin=dict(MARGIN),
        layout=Layout(width="100%", height=f"{height}px", min_width="240px"),
        title_style={"font-size": "14px"},
    )
