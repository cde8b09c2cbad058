"""Classes and intervals of a style, as people and STAC's classification extension write them. PURE."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .colours import Colour, colour, named, sampled
from .refusal import known_keys, numbers, refuse, text
from .style import Entry, Interval

MOST_CLASSES = 254
_CLASS = frozenset({"value", "color", "label"})
_INTERVAL = frozenset({"min", "max", "color", "label"})


def read_classes(raw: Any) -> tuple[Entry, ...]:
    """Entries sorted by value; none for `true`, which stands for those of the collection."""
    if raw is True:
        return ()
    if not isinstance(raw, (list, tuple)) or not 1 <= len(raw) <= MOST_CLASSES:
        raise refuse(
            f"classes are a list of 1 to {MOST_CLASSES} classes, or true for the collection's, not {raw!r:.40}",
            '[{"value": 10, "color": "#006400", "label": "Trees"}]',
        )
    spare = _spare(len(raw))
    entries = [_entry(known_keys(part, "a class", _CLASS), spare[i]) for i, part in enumerate(raw)]
    entries.sort(key=lambda entry: entry.value)
    for a, b in pairwise(entries):
        if a.value == b.value:
            raise refuse(f"there are two classes of the value {a.value:g}")
    return tuple(entries)


def _entry(raw: Mapping[str, Any], spare: Colour) -> Entry:
    (value,) = numbers(raw.get("value"), "a class's value")
    shown = colour(raw["color"], f"the colour of class {value:g}") if "color" in raw else spare
    return Entry(value, shown, text(raw.get("label", f"{value:g}"), "a class's label"))


def from_stac(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`classification:classes` of a collection or item as the classes of a style."""
    spare = _spare(len(found))
    out = []
    for i, part in enumerate(found[:MOST_CLASSES]):
        if part.get("nodata") is True or type(part.get("value")) not in (int, float):
            continue
        label = part.get("title") or part.get("description") or part.get("name") or f"{part['value']:g}"
        hint = part.get("color_hint") or part.get("color-hint")
        shown = colour(str(hint)) if hint else spare[i]
        out.append({"value": part["value"], "color": list(shown), "label": str(label)[:80]})
    return out


def read_intervals(raw: Any) -> tuple[Interval, ...]:
    """Intervals in their order; min or max may be missing at the ends."""
    if not isinstance(raw, (list, tuple)) or not 1 <= len(raw) <= MOST_CLASSES:
        raise refuse(f"intervals are a list of 1 to {MOST_CLASSES}, not {raw!r:.40}", '[{"max": 10}, {"min": 10}]')
    spare = _spare(len(raw))
    entries = tuple(_interval(known_keys(part, "an interval", _INTERVAL), spare[i]) for i, part in enumerate(raw))
    for a, b in pairwise(entries):
        if a.high > b.low:
            raise refuse(f"intervals must rise and not overlap; here {a.high:g} comes before {b.low:g}")
    return entries


def read_breaks(raw: Any, table: tuple[Colour, ...]) -> tuple[Interval, ...]:
    """Intervals between rising numbers, in colours of a colormap."""
    ends = numbers(raw, "breaks", tuple(range(2, 100)))
    if any(a >= b for a, b in pairwise(ends)):
        raise refuse(f"breaks must rise; they are {', '.join(f'{v:g}' for v in ends)[:80]}")
    shown = sampled(table, count=len(ends) - 1)
    return tuple(Interval(a, b, shown[i], _between(a, b)) for i, (a, b) in enumerate(pairwise(ends)))


def _interval(raw: Mapping[str, Any], spare: Colour) -> Interval:
    low = -math.inf if raw.get("min") is None else numbers(raw["min"], "an interval's min")[0]
    high = math.inf if raw.get("max") is None else numbers(raw["max"], "an interval's max")[0]
    if low >= high:
        raise refuse(f"an interval's max must be above its min; here {low:g} and {high:g}")
    shown = colour(raw["color"], "an interval's colour") if "color" in raw else spare
    return Interval(low, high, shown, text(raw.get("label", _between(low, high)), "an interval's label"))


def _between(low: float, high: float) -> str:
    if math.isinf(low) or math.isinf(high):
        return "all" if low == -high else f"≥ {low:g}" if math.isinf(high) else f"< {high:g}"
    return f"{low:g} – {high:g}"


def _spare(count: int) -> tuple[Colour, ...]:
    """Colours for what has none of its own: told apart where they are few, a rainbow where they are many."""
    if count <= 20:
        table = named("tab20")  # ten hues, each dark and light; the library stretches them over 256 colours
        tones = tuple(dict.fromkeys(table))
        return (tones[::2] + tones[1::2])[:count]
    return sampled(named("turbo"), count=count)
