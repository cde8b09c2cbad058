"""What a style means, as plain data: a bar with ticks, a list of classes, a square or a triangle of colours. PURE."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .colours import Colour, css
from .style import Bivariate, Classes, Composite, Intervals, Ramp, Style, Trivariate

CHANNELS = ("Red", "Green", "Blue")
PRIMARY: tuple[Colour, ...] = ((204, 0, 0, 255), (0, 136, 0, 255), (0, 68, 204, 255))


@dataclass(frozen=True)
class Tick:
    """A value written at a bar, `share` (0 … 1) of its length from its lower end."""

    value: float
    share: float
    label: str


@dataclass(frozen=True)
class Legend:
    """A legend of one `kind`: continuous, classes, rgb, bivariate or trivariate.

    `colours` are those of the bar, the rows or the square (its first row at the bottom) or the triangle's corners;
    `labels` names rows, bands, axes or corners; `ends` are the stretched values of each band.
    """

    kind: str
    colours: tuple[Colour, ...]
    labels: tuple[str, ...] = ()
    ticks: tuple[Tick, ...] = ()
    ends: tuple[tuple[float, float], ...] = ()
    values: tuple[float, ...] = ()
    title: str = ""
    unit: str = ""
    shaded: bool = False

    @property
    def alt(self) -> str:
        """The legend in words, for who does not see it."""
        return f"{_sentence(self)}{' Shaded by the light on a surface.' if self.shaded else ''}"

    def document(self) -> dict[str, Any]:
        """The legend as JSON."""
        rows = [
            {"color": css(colour), "label": label, **({"value": self.values[i]} if self.values else {})}
            for i, (colour, label) in enumerate(zip(self.colours, self.labels, strict=False))
        ]
        return {
            "type": self.kind,
            "title": self.title,
            "unit": self.unit,
            "alt": self.alt,
            **({"entries": rows} if self.kind in ("classes", "rgb", "trivariate") else {}),
            **({"colors": [css(c) for c in self.colours]} if self.kind in ("continuous", "bivariate") else {}),
            **({"labels": list(self.labels)} if self.kind == "bivariate" else {}),
            **({"ticks": [{"value": t.value, "label": t.label} for t in self.ticks]} if self.ticks else {}),
            **({"ranges": [list(pair) for pair in self.ends]} if self.ends else {}),
        }


def legend_of(style: Style, names: tuple[str, ...], title: str = "") -> Legend:
    """The legend of a style for a result with these bands; `title` where the style has none."""
    kind = style.kind
    drawn = tuple(band.text for band in kind.bands) or names
    named = tuple(style.labels[i] if i < len(style.labels) else name for i, name in enumerate(drawn))
    common: Any = {"title": style.title or title, "unit": style.unit, "shaded": style.shade is not None}
    match kind:
        case Ramp():
            marks = style.ticks or (kind.low, *nice(kind.low, kind.high), kind.high)
            ticks = tuple(_tick(v, kind) for v in sorted(set(marks)) if kind.low <= v <= kind.high)
            return Legend("continuous", bent(kind), named[:1], ticks, ((kind.low, kind.high),), **common)
        case Classes(entries=entries):
            values = tuple(entry.value for entry in entries)
            return Legend("classes", _colours(entries), _labels(entries), values=values, **common)
        case Intervals(entries=parts):
            return Legend("classes", _colours(parts), _labels(parts), **common)
    ends = tuple(zip(kind.low, kind.high, strict=True))
    match kind:
        case Composite():
            return Legend("rgb", PRIMARY, named, ends=ends, **common)
        case Bivariate():
            return Legend("bivariate", kind.table, named, ends=ends, **common)
        case Trivariate():
            return Legend("trivariate", kind.corners, named, ends=ends, **common)


def nice(low: float, high: float, about: int = 4) -> tuple[float, ...]:
    """Round values from `low` to `high`, about so many: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return tuple(round((first + i) * step, 12) for i in range(count))


def bent(kind: Ramp) -> tuple[Colour, ...]:
    """The colours along the values of a ramp, from low to high: its gamma bends them."""
    last = len(kind.table) - 1
    return tuple(kind.table[round(last * (i / last) ** (1 / kind.gamma))] for i in range(last + 1))


def plain(value: float) -> str:
    """A number as people write it."""
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")
    shown = f"{value:.6g}" if abs(value) < 1e5 else f"{value:.0f}"
    return shown.replace("-", "−")


def _tick(value: float, kind: Ramp) -> Tick:
    return Tick(value, (value - kind.low) / (kind.high - kind.low), plain(value))


def _colours(entries: Any) -> tuple[Colour, ...]:
    return tuple(entry.colour for entry in entries)


def _labels(entries: Any) -> tuple[str, ...]:
    return tuple(entry.label for entry in entries)


def _sentence(legend: Legend) -> str:
    unit = f" {legend.unit}" if legend.unit else ""
    head = f"{legend.title}: " if legend.title else ""
    spans = [f"{plain(low)} to {plain(high)}{unit}" for low, high in legend.ends]
    match legend.kind:
        case "continuous":
            return f"{head}colours from {css(legend.colours[0])} to {css(legend.colours[-1])} for values {spans[0]}."
        case "classes":
            return f"{head}{len(legend.labels)} classes: {', '.join(legend.labels)}."
        case "rgb":
            rows = zip(CHANNELS, legend.labels, spans, strict=True)
            parts = [f"{channel.lower()} {name} ({span})" for channel, name, span in rows]
            return f"{head}{', '.join(parts)}."
        case "bivariate":
            first, second = (f"{n} ({s})" for n, s in zip(legend.labels, spans, strict=True))
            return f"{head}a square of colours; {first} grows to the right, {second} upwards."
        case _:
            corners = [f"{css(colour)} {n}" for colour, n in zip(legend.colours, legend.labels, strict=True)]
            return f"{head}a triangle of colours by shares; its corners are {', '.join(corners)}."
