"""What the panel shows, as plain values, and the chart of a place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import bqplot
from bdap.charts import points, timeseries_figure
from bdap.client import Client, TileService
from bdap.errors import BdapError
from bdap.map.legends import legend_html
from bdap.recipe import Recipe, Sheet

from .looks import OWN, Look
from .period import Timeline
from .scene import Scene
from .themes import time_of
from .view import Camera

MOST_CHANGES = 8
SHORT_DAYS = 90
NOTEBOOK = "/hub/user-redirect/bdap/explored"


def side(scene: Scene, legend: str) -> dict[str, Any]:
    """One side of the map."""
    return {
        "collection": scene.side.collection,
        "title": scene.title,
        "time": time_of(scene.stac),
        "look": scene.look.id,
        "about": scene.look.about,
        "looks": [{"id": _id(one, scene.look), "title": one.title, "group": one.group} for one in scene.options],
        "own": list(scene.look.bands) if scene.look.id.startswith(OWN) else [],
        "bands": [{"name": one.name, "title": one.title} for one in scene.bands if not one.is_classes],
        "period": scene.side.period.text,
        "label": scene.side.period.label,
        "legend": legend,
    }


def _id(option: Look, shown: Look) -> str:
    """Own colours are one entry of the list, whatever the bands."""
    return shown.id if option.id.startswith(OWN) and shown.id.startswith(OWN) else option.id


def legend(client: Client, tiles: TileService | None) -> str:
    """What the colours mean, as the platform says it; a map is of use without it, too."""
    if tiles is None:
        return ""
    try:
        return legend_html("", client.legend(tiles))
    except BdapError:
        return ""


def line(found: Timeline) -> dict[str, Any]:
    """The time line with the height of each bar in percent."""
    most = max((bar.count for bar in found.bars), default=0) or 1
    bars = [{**asdict(bar), "height": round(100 * bar.count / most)} for bar in found.bars]
    return {
        "unit": found.unit,
        "bars": bars,
        "path": [{"period": period, "label": label} for period, label in found.path],
    }


def place(
    lat: float, lon: float, rows: Sequence[tuple[Scene, dict[str, float | None]]], words: str = "", chart: bool = False
) -> dict[str, Any]:
    """The values at a place, side by side; `words` tell of its history, a chart shows it."""
    named = [
        {
            "title": scene.title,
            "label": scene.side.period.label,
            "values": [{"name": name, "value": said(scene.look, value)} for name, value in found.items()],
        }
        for scene, found in rows
    ]
    return {
        "where": f"{abs(lat):.4f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.4f}° {'E' if lon >= 0 else 'W'}",
        "rows": named,
        "words": words,
        "chart": chart,
    }


def share(query: str, recipes: Sequence[Recipe], camera: Camera, hub: str) -> dict[str, Any]:
    """The address's query, the cell for a notebook, and the address that opens one in the person's lab."""
    if not recipes:
        return {"query": query, "code": "", "lab": ""}
    sheet = Sheet(tuple(recipes), (round(camera.lat, 4), round(camera.lon, 4), camera.zoom))
    lab = f"{hub}{NOTEBOOK}?view={quote(sheet.text(), safe='')}" if hub else ""
    return {"query": query, "code": sheet.code(), "lab": lab}


def boxes(collections: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rectangle of each collection that is smaller than the world."""
    found = []
    for one in collections:
        west, south, east, north = one["extent"]["spatial"]["bbox"][0][:4]
        if east - west < 350:
            ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
            found.append({"type": "Polygon", "coordinates": [ring]})
    return found


def chart() -> bqplot.Figure:
    """An empty chart of a place's history."""
    figure = timeseries_figure([], height=210, date_format="%b %y")
    across, up = figure.axes
    across.num_ticks, up.num_ticks, up.label, figure.fig_margin = 5, 5, "", {**figure.fig_margin, "left": 46}
    return figure


def draw_history(figure: bqplot.Figure, look: Look, series: Sequence[tuple[str, float | None]]) -> bool:
    """Put a place's history into the chart; False where there is none to draw, as of classes."""
    days, values = points(series)
    if len(values) < 2 or look.kind == "classes":
        return False
    mark = figure.marks[0]
    low, high = float(values.min()), float(values.max())
    room = (high - low) / 10 or abs(high) / 10 or 1.0
    with mark.hold_sync():
        mark.x, mark.y = days, values
    with mark.scales["y"].hold_sync():
        mark.scales["y"].min, mark.scales["y"].max = low - room, high + room
    short = (days.max() - days.min()).astype("timedelta64[D]").astype(int) < SHORT_DAYS
    figure.axes[0].tick_format = "%d %b" if short else "%b %y"
    figure.title = look.title
    return True


def history_words(look: Look, series: Sequence[tuple[str, float | None]]) -> str:
    """The chart in a sentence, for those who do not see it."""
    known = [(day, value) for day, value in series if value is not None]
    if not known:
        return f"{look.title}: no data here on any of {len(series)} dates."
    if look.kind == "classes":
        changes = [one for before, one in zip([("", None), *known], known, strict=False) if one[1] != before[1]]
        return "; ".join(f"{said(look, value)} since {day}" for day, value in changes[:MOST_CHANGES]) + "."
    if len(known) == 1:
        return f"{look.title} is known on one of {len(series)} dates, {known[0][0]}."
    low, high = min(known, key=lambda one: one[1]), max(known, key=lambda one: one[1])
    return (
        f"{look.title} on {len(known)} of {len(series)} dates: lowest {number(low[1])} on {low[0]}, "
        f"highest {number(high[1])} on {high[0]}."
    )


def said(look: Look, value: float | None) -> str:
    """A value as people say it: the name of a class, a number."""
    name = next((one.name for one in look.classes if one.value == value), "")
    return f"{name} ({value:g})" if name and value is not None else number(value)


def number(value: float | None) -> str:
    """Four digits are enough to read."""
    return "no data" if value is None else f"{value:.4g}"
