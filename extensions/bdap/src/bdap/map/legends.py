"""What maps write on themselves: legends as the processing service describes them, and messages. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..errors import BdapError

BOX = "display:inline-block;width:14px;height:14px;border:1px solid #0003;border-radius:2px;flex:none"
TEXT = "line-height:1.35;font-size:12px"
MOST_ROWS = 24


def legend_html(title: str, document: Mapping[str, Any]) -> str:
    """A legend (`/legend.json` of a service) with the layer's name above it."""
    match document.get("type"):
        case "continuous":
            body = _bar(document)
        case "bivariate":
            body = _square(document)
        case _:
            body = rows_html([(each["color"], each["label"]) for each in document.get("entries", ())])
    unit = f" ({escape(str(document['unit']))})" if document.get("unit") else ""
    head = f'<div style="font-weight:600;margin-bottom:3px">{escape(title)}{unit}</div>'
    words = escape(str(document.get("alt", title)))
    return f'<div role="group" aria-label="{words}" style="{TEXT}">{head}{body}</div>'


def rows_legend(name: str, by: str, rows: Sequence[tuple[str, str]], note: str = "") -> str:
    """The legend of features."""
    head = f'<div style="font-weight:600">{escape(name)}, {escape(by)}</div>' if by else ""
    foot = f'<div style="color:#595959">{escape(note)}</div>' if note else ""
    return f'<div role="group" aria-label="{escape(name)}" style="{TEXT}">{head}{rows_html(rows)}{foot}</div>'


def rows_html(rows: Sequence[tuple[str, str]]) -> str:
    """A colour and its meaning on each line."""
    lines = [
        f'<div style="display:flex;gap:6px;align-items:center"><span style="{BOX};background:{escape(colour)}"></span>'
        f"<span>{escape(label)}</span></div>"
        for colour, label in rows[:MOST_ROWS]
    ]
    more = len(rows) - MOST_ROWS
    return "".join(lines) + (f"<div>and {more} more</div>" if more > 0 else "")


def _bar(document: Mapping[str, Any]) -> str:
    colours = document.get("colors") or ["#000000", "#ffffff"]
    kept = colours[:: max(1, len(colours) // 16)]
    gradient = ", ".join(escape(colour) for colour in [*kept, colours[-1]])
    bar = f'<div style="height:10px;border-radius:2px;background:linear-gradient(to right, {gradient})"></div>'
    ticks = document.get("ticks") or ()
    shown = [ticks[0], ticks[len(ticks) // 2], ticks[-1]] if len(ticks) > 3 else ticks
    numbers = "".join(f"<span>{escape(str(tick['label']))}</span>" for tick in shown)
    return f'{bar}<div style="display:flex;justify-content:space-between">{numbers}</div>'


def _square(document: Mapping[str, Any]) -> str:
    colours = document["colors"]
    side = round(len(colours) ** 0.5)
    rows = [colours[i * side : (i + 1) * side] for i in reversed(range(side))]
    cells = "".join(f'<i style="background:{escape(c)};height:16px"></i>' for row in rows for c in row)
    across, up = (*map(str, document.get("labels", ())), "", "")[:2]
    grid = f"display:grid;grid-template-columns:repeat({side},16px)"
    return f'<div>↑ {escape(up)}</div><div style="{grid}">{cells}</div><div>→ {escape(across)}</div>'


def message_html(error: BdapError, about: str = "") -> str:
    """An error's cause and remedy as HTML, for a widget."""
    head = f'<b style="color:#b3261e">{escape(about)}</b><br>' if about else ""
    remedy = f"<br><i>{escape(error.remedy)}</i>" if error.remedy else ""
    return f'<div role="alert" style="line-height:1.4;max-width:340px">{head}{escape(error.message)}{remedy}</div>'
