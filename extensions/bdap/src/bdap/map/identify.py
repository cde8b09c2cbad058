"""A click on the map: values of each layer there, the steps that led to them, and their course in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import bqplot
import ipyleaflet
import ipywidgets as widgets

from .. import ask, walk
from ..charts import lines_figure, timeseries_figure
from ..errors import BdapError
from . import chain, view
from .closing import shut
from .rasters import Rasters
from .shown import Raster

WIDTH = 240
CHART = "min(320px, 80vw)"
BAR, EDGE, FREE = 50, 45, 60
"""Pixels of a slider of dates, of what lies around a card on a phone, and of the map that it leaves free above it."""
Clicked = Callable[[float, float, dict[str, Any]], None]


class Identify(Rasters):
    """What stands at a place."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._popup: ipyleaflet.Popup | None = None
        self._marker: ipyleaflet.CircleMarker | None = None
        self._told = widgets.HTML()
        self._followers: list[Clicked] = []
        self.clicks = True
        self._feature = ""
        super().__init__(*args, **options)
        self.on_interaction(self._on_event)

    def on_click_value(self, call: Clicked) -> None:
        """Call `call(lat, lon, values)` at each click; `values` are those of each visible layer by its name."""
        self._followers.append(call)

    def series_figure(self, title: str = "", low: float | None = None, high: float | None = None) -> bqplot.Figure:
        """A chart to put beside the map: the course in time of the topmost layer at the place of the last click."""
        figure = timeseries_figure([], title or "Click on the map", low, high)

        def follow(lat: float, lon: float, _: Any) -> None:
            name, found = self._course()
            if found:
                fresh = lines_figure(found, "", low, high, period=self._period(name))
                before = [*figure.marks, *figure.axes]
                figure.marks, figure.axes = fresh.marks, fresh.axes
                fresh.marks, fresh.axes = [], []
                for each in (*before, fresh):
                    shut(each)
                figure.title = f"{title} at {lat:.4f}, {lon:.4f}".strip()

        self.on_click_value(follow)
        return figure

    def identify(self, lat: float, lon: float) -> None:
        """Open a small window at the place with the value of every visible layer, the topmost first."""
        rows, details, values = [], [], dict[str, Any]()
        self._series: dict[str, chain.Series] = {}
        for name, one in reversed(self._shown.items()):
            if not isinstance(one, Raster) or not one.visible:
                continue
            answer = self._asked(one, lat, lon)
            if answer is None:
                rows.append(_row(name, "could not be read"))
                continue
            found = chain.of_time(answer["values"], one.service.times, one.time)
            values[name], self._series[name] = _plain(found), chain.series(answer)
            rows.append(_row(name, chain.values_html(found)))
            details.append((name, chain.steps_html(answer, one.time)))
        nothing = [] if self._feature else ["<tr><td>no layer is shown</td></tr>"]
        self._open(lat, lon, rows or nothing, details)
        self._feature = ""
        for call in self._followers:
            call(lat, lon, values)

    # --- inside -------------------------------------------------------------------------------------------------

    def _on_event(self, **event: Any) -> None:
        told = self._feature or any(isinstance(one, Raster) for one in self._shown.values())
        if event.get("type") == "click" and self.clicks and told:
            self.identify(*event["coordinates"])

    def _asked(self, one: Raster, lat: float, lon: float) -> Mapping[str, Any] | None:
        try:
            return ask.client_of(one.cube).inspect(ask.service(one.cube, one.name), lon, lat)
        except BdapError as error:
            self._say(one.name, error)
            return None

    def _open(self, lat: float, lon: float, rows: list[str], details: list[tuple[str, str]]) -> None:
        steps = chain.opened([(name if len(details) > 1 else "", html) for name, html in details if html])
        table = f'{self._feature}<table style="line-height:1.5">{"".join(rows)}</table>'
        name, found = self._course()
        course = lines_figure(found, period=self._period(name)) if found else None
        title = f"{name} at {lat:.4f}, {lon:.4f}".removeprefix(" at ")
        if self._size()[0] < view.NARROW:
            self._card(lat, lon, title, table, steps, course)
            return
        place = f'<div style="color:#595959">{lat:.5f}, {lon:.5f}</div>'
        self._told.value, self._told.layout.width = table + place + steps, f"{WIDTH - 10}px" if steps else "auto"
        self._pop(lat, lon)
        if course:
            self._corner(title, [small(course)])

    def _card(self, lat: float, lon: float, title: str, table: str, steps: str, course: bqplot.Figure | None) -> None:
        """On a phone values and chart share one card below the place, which is marked, and seen."""
        height = self._size()[1] - EDGE - BAR * sum(key.startswith("time ") for key in self._notes)
        free = max(FREE, height // 4)
        parts = [widgets.HTML(table), *([small(course, max(75, min(150, height // 4)))] if course else [])]
        self._corner(title, [*parts, widgets.HTML(steps)], max_height=f"{height - free}px", overflow="auto")
        self._mark(lat, lon)
        down = view.pixels_down(self.zoom, view.LIMIT, lat) - self.pixel_bounds[0][1]
        if down > free - 20:
            self.center = (view.further_down(self.zoom, self.center[0], down - free / 2), self.center[1])

    def _mark(self, lat: float, lon: float, opacity: float = 1) -> None:
        if self._marker is None:
            self._marker = ipyleaflet.CircleMarker(radius=7, color="#fff", weight=2, fill_color="#c2410c")
            self._extra.append(self._marker)
            self._changed()
        self._marker.location = (lat, lon)
        self._marker.opacity = self._marker.fill_opacity = opacity

    def _course(self) -> tuple[str, chain.Series]:
        """The name of the topmost layer that has a course in time at the last click, and that course."""
        return next(((name, found) for name, found in self._series.items() if found), ("", {}))

    def _period(self, name: str) -> str:
        one = self._shown.get(name)
        return walk.period(one.cube._node) if isinstance(one, Raster) else ""

    def _corner(self, title: str, parts: list[widgets.DOMWidget], **layout: str) -> None:
        """What was found, in a corner of the map until it is closed."""
        close = widgets.Button(description="Close", tooltip="Close the chart", layout={"width": "auto"})
        close.on_click(lambda _: self._cleared())
        head = widgets.HBox([widgets.HTML(f"<b>{escape(title)}</b>"), close], layout={"flex": "none"})
        head.layout.justify_content = "space-between"
        self._note("series", widgets.VBox([head, *parts], layout={"width": CHART, **layout}), "bottomright")

    def _cleared(self) -> None:
        self._note("series", None)
        if self._marker is not None:
            self._mark(*self._marker.location, opacity=0)

    def _pop(self, lat: float, lon: float) -> None:
        if self._popup is not None:
            self._popup.open_popup([lat, lon])
            return
        size = {"min_width": WIDTH, "max_width": WIDTH}
        self._popup = ipyleaflet.Popup(location=[lat, lon], child=self._told, auto_close=False, **size)
        self._extra.append(self._popup)  # it gets its place among the layers at once: it must not move
        self._changed()


def small(figure: bqplot.Figure, height: int = 150) -> bqplot.Figure:
    """A chart for a corner of the map."""
    shut(figure.layout)
    figure.layout = widgets.Layout(width=CHART, height=f"{height}px", min_width="0")
    figure.fig_margin = {"top": 8 if not figure.title else 28, "bottom": 26, "left": 44, "right": 16}
    figure.title_style = {"font-size": "12px"}
    for axis in figure.axes:
        axis.label = ""
        axis.num_ticks = 5 if height >= 100 or axis.orientation == "horizontal" else 3
    return figure


def _row(name: str, value: str) -> str:
    return f'<tr><td style="padding-right:10px;vertical-align:top">{escape(name)}</td><td>{value}</td></tr>'


def _plain(values: Mapping[str, Any]) -> Any:
    return next(iter(values.values())) if len(values) == 1 else dict(values)
