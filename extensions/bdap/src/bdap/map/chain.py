"""What a point's answer says: values now, the values of each step that led to them, and their course in time. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .. import labels

Values = Mapping[str, Any]
Series = dict[str, list[tuple[str, float | None]]]
WORDS = {
    "load_collection": "read",
    "reduce_dimension": "reduced",
    "mask": "masked",
    "apply": "calculated",
    "filter_bands": "bands",
    "save_result": "drawn",
    "merge_cubes": "merged",
    "compute_indices": "index",
    "ndvi": "index",
}
MOST = 12


def of_time(values: Values, times: Sequence[str], time: str = "") -> Values:
    """The values of a service's answer on one of its `times` (the last where none is named); all, where it has none."""
    return at(values, time) if times else values


def at(values: Values, time: str) -> Values:
    """Of values by date, those of a date; the last ones where none is named, or the date is not among them."""
    key = next((each for each in values if time and each.startswith(time)), list(values)[-1])
    found = values[key]
    return found if isinstance(found, Mapping) else {"value": found}


def series(answer: Mapping[str, Any]) -> Series:
    """The course in time of the last step that still has dates, by band; empty where none has."""
    for values in reversed([step["values"] for step in answer.get("chain", ())]):
        if labels.dated(list(values)) and len(values) > 1:
            return _turned(values)
    return {}


def steps_html(answer: Mapping[str, Any], time: str = "") -> str:
    """Each step with its values: what was read, masked, calculated."""
    cell = "<td style='padding-right:8px;vertical-align:top'>"
    rows = "".join(
        f"<tr>{cell}{escape(_name(step))}</td><td>{_shown(step['values'], time)}</td></tr>"
        for step in answer.get("chain", ())
    )
    return f"<table style='line-height:1.4;font-size:11px;white-space:normal'>{rows}</table>" if rows else ""


def opened(parts: Sequence[tuple[str, str]]) -> str:
    """The steps of some layers, behind one line that opens."""
    if not parts:
        return ""
    text = "".join((f"<b>{escape(name)}</b>" if name else "") + html for name, html in parts)
    head = "<summary style='cursor:pointer'>How it came about</summary>"
    return f"<details>{head}<div style='max-height:96px;overflow:auto'>{text}</div></details>"


def values_html(values: Values) -> str:
    """Values by band, or the only one."""
    return "<br>".join(
        f"{escape(band) + ' ' if band != 'value' else ''}<b>{number(value)}</b>" for band, value in values.items()
    )


def number(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "no data"
    if not isinstance(value, int | float):
        return escape(str(value))
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def _turned(values: Values) -> Series:
    found: Series = {}
    for date, each in values.items():
        bands = each if isinstance(each, Mapping) else {"value": each}
        for band, value in bands.items():
            if not isinstance(value, Mapping):
                found.setdefault(band, []).append((labels.day(date), value))
    return found


def _name(step: Mapping[str, Any]) -> str:
    process = str(step["process"])
    return f"{WORDS[process]} ({process})" if process in WORDS else process


def _shown(values: Values, time: str) -> str:
    if not labels.dated(list(values)):
        return _bands(values)
    if time:
        return _bands(at(values, time))
    lines = [f"{escape(labels.day(date))} {_bands(at(values, date), ', ')}" for date in values]
    more = [f"and {len(lines) - MOST} more dates"] if len(lines) > MOST else []
    return "<br>".join([*lines[:MOST], *more])


def _bands(values: Values, between: str = "<br>") -> str:
    known: Sequence[str] = [
        f"{escape(str(band)) + ' ' if band != 'value' else ''}{number(value)}"
        for band, value in values.items()
        if not isinstance(value, Mapping)
    ]
    return between.join(known[:MOST]) or "…"
