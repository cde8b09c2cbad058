"""Charts beside the map, in bqplot: histogram, time series, scatter of two bands, values along a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bqplot
import numpy as np
from ipywidgets import Layout

from . import labels

INK = "#1d6996"
COLOURS = (INK, "#cc503e", "#0f8554", "#94346e", "#e17c05", "#38a6a5", "#5f4690", "#73af48")
"""Told apart by people who do not see all colours, and dark enough on white."""
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
    period: str = "",
) -> bqplot.Figure:
    """A line through the days that have a value; `series` is what `cube.timeseries()` gives.

    Periods stand where they begin: `period` tells dekads and weeks of a part of a year ("2025-16") from months.
    """
    return lines_figure({"value": series}, title, low, high, height, date_format, period)


def lines_figure(
    series: Mapping[str, Sequence[tuple[str, float | None]]],
    title: str = "",
    low: float | None = None,
    high: float | None = None,
    height: int = 260,
    date_format: str = "",
    period: str = "",
) -> bqplot.Figure:
    """A line for each band through the days that have a value."""
    scales = {"x": bqplot.DateScale(), "y": bqplot.LinearScale(min=low, max=high)}
    found = {band: points(each, period) for band, each in series.items()}
    marks = [
        _line(days, values, scales, COLOURS[i % len(COLOURS)], band, len(found) > 1)
        for i, (band, (days, values)) in enumerate(found.items())
    ]
    figure = _figure(marks, scales, title, "", "value" if len(found) == 1 else "", height)
    figure.axes[0].tick_format = date_format or _dates(list(found.values()))
    figure.axes[0].num_ticks = 6
    return figure


def scatter_figure(
    x: Sequence[float | None],
    y: Sequence[float | None],
    names: tuple[str, str] = ("x", "y"),
    title: str = "",
    height: int = 300,
) -> bqplot.Figure:
    """A point for each pair of values that are both there."""
    pairs = [(one, two) for one, two in zip(x, y, strict=True) if one is not None and two is not None]
    scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
    xs, ys = (np.array([pair[i] for pair in pairs], float) for i in (0, 1))
    dots = bqplot.Scatter(
        x=xs, y=ys, scales=scales, colors=[INK], default_size=12, default_opacities=[0.45], stroke_width=0
    )
    return _figure([dots], scales, title, *names, height)


def transect_figure(
    distance: Sequence[float],
    values: Mapping[str, Sequence[float | None]],
    unit: str = "metre",
    title: str = "",
    height: int = 260,
) -> bqplot.Figure:
    """Values along a line: a line for each band over the distance from its beginning; gaps where there is no data."""
    scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
    far = unit == "metre" and len(distance) > 0 and distance[-1] > 5000
    along = np.asarray(distance, float) / (1000 if far else 1)
    marks = [
        _line(
            along,
            np.array([np.nan if v is None else v for v in each], float),
            scales,
            COLOURS[i % len(COLOURS)],
            band,
            len(values) > 1,
            "",
        )
        for i, (band, each) in enumerate(values.items())
    ]
    words = "kilometres" if far else f"{unit}s"
    return _figure(marks, scales, title, f"{words} along the line", "value" if len(values) == 1 else "", height)


def middles(edges: Sequence[float]) -> np.ndarray:
    """The middle of each bin."""
    bounds: np.ndarray = np.asarray(edges, float)
    return np.asarray((bounds[:-1] + bounds[1:]) / 2)


def points(series: Sequence[tuple[str, float | None]], period: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Days (datetime64) and values of a series without the days that have none; periods where they begin."""
    begun = labels.moments([label for label, _ in series], period)
    known = [(moment, value) for moment, (_, value) in zip(begun, series, strict=True) if value is not None]
    days = np.array([day for day, _ in known], dtype="datetime64[ms]")
    return days, np.array([value for _, value in known], dtype=float)


def _line(
    x: np.ndarray,
    y: np.ndarray,
    scales: dict[str, bqplot.Scale],
    colour: str,
    label: str,
    several: bool,
    marker: str = "circle",
) -> bqplot.Lines:
    named: dict[str, Any] = {"labels": [label], "display_legend": True} if several else {}
    shape = {"marker": marker, "marker_size": 36} if marker else {}
    return bqplot.Lines(x=x, y=y, scales=scales, colors=[colour], stroke_width=2, **shape, **named)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _dates(found: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
    """Months within a year or so, else years."""
    days = np.concatenate([days for days, _ in found]) if found else np.array([], "datetime64[ms]")
    if len(days) < 2:
        return "%d %b %y"
    span = (days.max() - days.min()) / np.timedelta64(1, "D")
    return "%d %b" if span < 60 else "%b" if span < 400 else "%b %y" if span < 1500 else "%Y"


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
