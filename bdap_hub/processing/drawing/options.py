"""Styles as people write them (options of save_result, configuration of a service), checked in sentences. PURE."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ..graphs.graph import GraphError
from .classes import read_breaks, read_classes, read_intervals
from .colours import MOST, STEPS, Colour, colour, named, ramp, sampled
from .expression import Expression, parse
from .refusal import known_keys, numbers, refuse, text, within
from .style import Bivariate, Classes, Composite, Intervals, Kind, Ramp, Shade, Style, Trivariate

KINDS = ("classes", "intervals", "breaks", "rgb", "bivariate", "trivariate")
STRETCH = ("min", "max", "percentiles", "gamma")
LOOKS = ("title", "unit", "labels", "ticks", "background", "hillshade", "expression", "colormap")
KEYS = frozenset((*KINDS, *STRETCH, *LOOKS))
CORNERS = ("#e8e8e8", "#be64ac", "#5ac8c8", "#3b4994")
"""Of a bivariate square: both low, the first high, the second high, both high."""
TRIANGLE = ("#e6194b", "#3cb44b", "#4363d8")
_SHADE = {"azimuth": (0, 360), "altitude": (1, 90), "exaggeration": (0.01, 1000), "strength": (0, 1)}


class Undrawable(GraphError):
    """A result that no picture shows as it is; its values can be asked for all the same."""


def read(raw: Any, names: Sequence[str]) -> Style:
    """The style of options for a result with these bands; GraphError in a sentence where they make none."""
    options = known_keys(raw, "the style", KEYS)
    bands = tuple(names)
    background = colour(options.get("background", "#ffffff"), "background")
    shade = _shade(options["hillshade"], bands) if options.get("hillshade") else None
    kind = _kind(options, bands)
    if shade and shade.elevation is None and not isinstance(kind, (Ramp, Classes, Intervals)):
        raise refuse("the hillshade of several bands needs the elevation", 'hillshade: {"elevation": "dem"}')
    return Style(
        kind,
        shade,
        text(options.get("title", ""), "title"),
        text(options.get("unit", ""), "unit", 30),
        _labels(options.get("labels", [])),
        numbers(options.get("ticks", []), "ticks", tuple(range(13))),
        background,
    )


def unstretched(options: Mapping[str, Any]) -> tuple[float, float] | None:
    """The percentiles that must be computed before the style is complete; None where it is."""
    if options.get("percentiles") is None or {"min", "max"} <= options.keys():
        return None
    low, high = numbers(options["percentiles"], "percentiles", (2,))
    return low, high


def drawn_bands(options: Mapping[str, Any], names: Sequence[str]) -> tuple[Expression, ...]:
    """The expressions that options draw; each band of the result where they name none."""
    return read(options, names).kind.bands or tuple(parse(name, tuple(names)) for name in names)


def _kind(options: Mapping[str, Any], names: tuple[str, ...]) -> Kind:
    chosen = [name for name in KINDS if options.get(name) not in (None, False)]
    if len(chosen) > 1:
        raise refuse(f"a style is either {chosen[0]} or {chosen[1]}", "leave one out")
    one = (parse(options["expression"], names),) if "expression" in options else ()
    match chosen[0] if chosen else "":
        case "classes":
            return Classes(read_classes(options["classes"]), _single(one, names))
        case "intervals":
            return Intervals(read_intervals(options["intervals"]), _single(one, names))
        case "breaks":
            return Intervals(read_breaks(options["breaks"], _table(options)), _single(one, names))
        case "rgb":
            return _composite(options, _several(options["rgb"], names, 3, "rgb"))
        case "bivariate":
            return _bivariate(options, names)
        case "trivariate":
            return _trivariate(options, names)
    if len(one) == 1 or len(names) == 1:
        return _ramp(options, one)
    if len(names) == 3:
        return _composite(options, ())
    raise Undrawable(
        "ProcessGraphInvalid", f"the result has {len(names)} bands; a map shows one or three", "use filter_bands"
    )


def _single(one: tuple[Expression, ...], names: tuple[str, ...]) -> tuple[Expression, ...]:
    if not one and len(names) != 1:
        raise Undrawable(
            "ProcessGraphInvalid", f"the result has {len(names)} bands; this style draws one", "give an expression"
        )
    return one


def _several(raw: Any, names: tuple[str, ...], count: int, what: str) -> tuple[Expression, ...]:
    """So many expressions; the bands of the result themselves where nothing is said."""
    if raw is None or raw is True:
        if len(names) != count:
            raise refuse(f"{what} draws {count} bands; the result has {', '.join(names)}", "name the bands")
        return ()
    if not isinstance(raw, (list, tuple)) or len(raw) != count:
        raise refuse(f"{what} is a list of {count} bands or expressions, not {raw!r:.60}")
    return tuple(parse(part, names) for part in raw)


def _ramp(options: Mapping[str, Any], bands: tuple[Expression, ...]) -> Kind:
    given = options.get("colormap", "gray")
    (gamma,) = _gamma(options, 1)
    if isinstance(given, dict):
        entries = [{"value": _number_of(key), "color": value} for key, value in given.items()]
        return Classes(read_classes(entries), bands)
    if isinstance(given, (list, tuple)) and given and isinstance(given[0], (list, tuple)) and len(given[0]) == 2:
        values, colours = _stops(given)
        if {"min", "max", "percentiles"} & options.keys():
            raise refuse("the stops of a colormap carry their values", "leave out min, max and percentiles")
        shares = [(v - values[0]) / (values[-1] - values[0]) for v in values]
        return Ramp(sampled(ramp(colours, shares, MOST)), values[0], values[-1], gamma, bands)
    (low,), (high,) = stretch(options, 1)
    return Ramp(sampled(_table(options)), low, high, gamma, bands)


def _table(options: Mapping[str, Any]) -> tuple[Colour, ...]:
    """The colours of a named colormap, or a ramp over a list of colours."""
    given = options.get("colormap", "gray" if "breaks" not in options else "viridis")
    if isinstance(given, str):
        return named(given)
    if not isinstance(given, (list, tuple)) or not 2 <= len(given) <= MOST:
        raise refuse(f"colormap is a name, a list of 2 to {MOST} colours, or of [value, colour]; not {given!r:.40}")
    return ramp([colour(part) for part in given], count=MOST)


def _stops(given: Sequence[Any]) -> tuple[list[float], list[Colour]]:
    pairs = [part for part in given if isinstance(part, (list, tuple)) and len(part) == 2]
    if len(pairs) != len(given) or not 2 <= len(pairs) <= MOST:
        raise refuse(f"the stops of a colormap are 2 to {MOST} pairs [value, colour], not {given!r:.60}")
    values = [numbers(value, "a stop's value")[0] for value, _ in pairs]
    if any(a >= b for a, b in pairwise(values)):
        raise refuse(f"the stops of a colormap must rise; they are {', '.join(f'{v:g}' for v in values)[:80]}")
    return values, [colour(shown) for _, shown in pairs]


def _composite(options: Mapping[str, Any], bands: tuple[Expression, ...]) -> Composite:
    low, high = stretch(options, 3)
    return Composite(low, high, _gamma(options, 3), bands)


def _bivariate(options: Mapping[str, Any], names: tuple[str, ...]) -> Bivariate:
    raw = _part(options["bivariate"], "bivariate", {"bands", "steps", "colors"})
    steps = within(raw.get("steps", 3), "the steps of a bivariate style", 2, 15)
    if steps != int(steps):
        raise refuse(f"the steps of a bivariate style are a whole number, not {steps:g}")
    shown = _colours(
        raw.get("colors", CORNERS), 4, "a bivariate style's corners (both low, first high, second high, both)"
    )
    rows = zip(ramp(shown[:2], count=int(steps)), ramp(shown[2:], count=int(steps)), strict=True)
    columns = [ramp(pair, count=int(steps)) for pair in rows]
    table = tuple(columns[i][j] for j in range(int(steps)) for i in range(int(steps)))
    low, high = stretch(options, 2)
    return Bivariate(table, int(steps), low, high, _several(raw.get("bands"), names, 2, "bivariate"))


def _trivariate(options: Mapping[str, Any], names: tuple[str, ...]) -> Trivariate:
    raw = _part(options["trivariate"], "trivariate", {"bands", "colors"})
    corners = _colours(raw.get("colors", TRIANGLE), 3, "a trivariate style's corners")
    low, high = stretch(options, 3)
    return Trivariate(tuple(corners), low, high, _several(raw.get("bands"), names, 3, "trivariate"))


def _part(raw: Any, what: str, keys: set[str]) -> dict[str, Any]:
    return {} if raw is True else known_keys(raw, what, frozenset(keys))


def _colours(raw: Any, count: int, what: str) -> list[Colour]:
    if not isinstance(raw, (list, tuple)) or len(raw) != count:
        raise refuse(f"{what} are {count} colours, not {raw!r:.60}")
    return [colour(part) for part in raw]


def stretch(options: Mapping[str, Any], count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """min and max for each of so many bands; 0 and 255 where nothing is said."""
    if options.get("percentiles") is not None:
        low, high = numbers(options["percentiles"], "percentiles", (2,))
        if not 0 <= low < high <= 100:
            raise refuse(f"percentiles are two rising numbers from 0 to 100, not {low:g} and {high:g}", "try [2, 98]")
    ends = [numbers(options.get(key, default), key, (1, count)) for key, default in (("min", 0), ("max", 255))]
    low_ends, high_ends = (end * count if len(end) == 1 else end for end in ends)
    for a, b in zip(low_ends, high_ends, strict=True):
        if a >= b:
            raise refuse(f"max must be above min, for each band; here {a:g} and {b:g}")
    return low_ends, high_ends


def _gamma(options: Mapping[str, Any], count: int) -> tuple[float, ...]:
    given = numbers(options.get("gamma", 1), "gamma", (1, count))
    for value in given:
        within(value, "gamma", 0.1, 10)
    return given * count if len(given) == 1 else given


def _shade(raw: Any, names: tuple[str, ...]) -> Shade:
    options = _part(raw, "hillshade", {"elevation", *_SHADE})
    elevation = parse(options["elevation"], names) if "elevation" in options else None
    given = [key for key in _SHADE if key in options]
    light = {key: within(options[key], f"the hillshade's {key}", *_SHADE[key]) for key in given}
    return Shade(elevation, **light)


def _labels(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, (list, tuple)) or len(raw) > 3:
        raise refuse(f"labels are a list of at most three texts, not {raw!r:.40}", 'labels: ["NDVI", "NDWI"]')
    return tuple(text(part, "a label") for part in raw)


def _number_of(key: str) -> float:
    try:
        value = float(key)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise refuse(f"the keys of a colormap of classes are numbers, not {key!r:.40}")
    return value


__all__ = ["KEYS", "STEPS", "Undrawable", "drawn_bands", "read", "stretch", "unstretched"]
