"""What maps write on themselves: messages, and legends of a few stops of each colour map. PURE."""

from __future__ import annotations

from html import escape

from .errors import BdapError

STOPS = {
    "rdylgn": ("#a50026", "#f46d43", "#fee08b", "#ffffbf", "#d9ef8b", "#66bd63", "#006837"),
    "rdylbu": ("#a50026", "#f46d43", "#fee090", "#ffffbf", "#e0f3f8", "#74add1", "#313695"),
    "rdbu": ("#67001f", "#d6604d", "#fddbc7", "#f7f7f7", "#d1e5f0", "#4393c3", "#053061"),
    "spectral": ("#9e0142", "#f46d43", "#fee08b", "#ffffbf", "#e6f598", "#66c2a5", "#5e4fa2"),
    "viridis": ("#440154", "#443a83", "#31688e", "#21918c", "#35b779", "#90d743", "#fde725"),
    "magma": ("#000004", "#2c115f", "#721f81", "#b73779", "#f1605d", "#feb078", "#fcfdbf"),
    "inferno": ("#000004", "#320a5e", "#781c6d", "#bc3754", "#ed6925", "#fbb61a", "#fcffa4"),
    "plasma": ("#0d0887", "#5c01a6", "#9c179e", "#cc4778", "#ed7953", "#fdb42f", "#f0f921"),
    "cividis": ("#00224e", "#2a3f6d", "#575d6d", "#7d7c78", "#a59c74", "#d2c060", "#fee838"),
    "greens": ("#f7fcf5", "#d3eecd", "#98d594", "#4bb062", "#157f3b", "#00441b"),
    "blues": ("#f7fbff", "#d0e1f2", "#94c4df", "#4a98c9", "#1764ab", "#08306b"),
    "ylgn": ("#ffffe5", "#e4f4ac", "#a2d88a", "#4cb063", "#15793f", "#004529"),
    "gray": ("#000000", "#ffffff"),
    "greys": ("#ffffff", "#000000"),
}


def stops(colormap: str) -> tuple[str, ...]:
    """Colours from low to high; none where the map is unknown here. A name ending in _r is turned round."""
    if colormap.endswith("_r"):
        return STOPS.get(colormap[:-2], ())[::-1]
    return STOPS.get(colormap, ())


def legend_html(title: str, colormap: str, low: float, high: float) -> str:
    """A colour bar with its ends and its middle written below."""
    bar = ""
    if colours := stops(colormap):
        gradient = ", ".join(colours)
        bar = f'<div style="height:10px;border-radius:2px;background:linear-gradient(to right, {gradient})"></div>'
    middle = (low + high) / 2
    numbers = "".join(f"<span>{value:g}</span>" for value in (low, round(middle, 3), high))
    head = f'<div style="margin-bottom:3px">{escape(title)}</div>'
    return (
        f'<div style="min-width:150px;line-height:1.35;font-size:12px">{head}'
        f'{bar}<div style="display:flex;justify-content:space-between">{numbers}</div></div>'
    )


def message_html(error: BdapError, about: str = "") -> str:
    """An error's cause and remedy as HTML, for a widget."""
    head = f'<b style="color:#b3261e">{escape(about)}</b><br>' if about else ""
    remedy = f"<br><i>{escape(error.remedy)}</i>" if error.remedy else ""
    return f'<div role="alert" style="line-height:1.4;max-width:340px">{head}{escape(error.message)}{remedy}</div>'
