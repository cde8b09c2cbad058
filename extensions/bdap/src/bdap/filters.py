"""What people write to choose data (dates, boxes, properties) as the arguments of openEO and STAC. PURE."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from . import shapes
from .errors import BadCube
from .graph import Callback, Node, Parameter, plain

BBox = tuple[float, float, float, float]
SHORT = {"cloud_cover": "eo:cloud_cover", "snow_cover": "eo:snow_cover"}
OPERATORS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "=": "eq", "==": "eq", "!=": "neq"}
HOW = 'write it as "2025-04-01", or give a date'
_PERIOD = re.compile(r"(\d{4})(?:-(\d{2}))?")
_CONDITION = re.compile(r"\s*(<=|>=|==|!=|<|>|=)\s*(.+?)\s*")


def interval(first: Any, last: Any) -> list[str]:
    """[start, end) of the days `first` to `last`, both included. A moment with a time is taken as it is."""
    begin, close = edges(first)[0], edges(last)[1]
    start, end = moment(begin), moment(close)
    if end < start:
        raise BadCube(f"the dates are swapped: {first} is after {last}", f'write during("{last}", "{first}")')
    step = timedelta(days=1) if _is_day(close) else timedelta(seconds=int(end == start))
    try:
        end += step
    except OverflowError:
        raise BadCube(f"{last!r} is beyond the calendar", "give an earlier end, such as 2100") from None
    return [_text(start, _is_day(begin)), _text(end, _is_day(close))]


def spatial_extent(bbox: Any) -> dict[str, Any]:
    """The extent of a load: a box, or a polygon that goes on beyond 180 degrees where it crosses the antimeridian."""
    west, south, east, north = shapes.on_earth(bbox)
    if east > 180:
        return shapes.box_polygon(west, south, east, north)
    return {"west": west, "south": south, "east": east, "north": north}


def conditions(wanted: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Property → (operator, value). A bare number of cloud_cover means `below`; text may carry its operator."""
    return {SHORT.get(name, name): _condition(name, value) for name, value in wanted.items()}


def as_callback(operator: str, value: Any) -> Callback:
    """A condition as load_collection's `properties` want it."""
    return Callback(Node(operator, {"x": Parameter("value"), "y": value}))


def search_of(load: Mapping[str, Any]) -> dict[str, Any]:
    """The STAC search that finds the items a load_collection node reads."""
    search: dict[str, Any] = {"collections": [load["id"]]}
    if extent := load.get("temporal_extent"):
        start, end = (moment(edge) if edge else None for edge in extent)
        last = _text(end - timedelta(seconds=1), False) if end else ".."
        search["datetime"] = f"{_text(start, False) if start else '..'}/{last}"
    if box := load.get("spatial_extent"):
        search["bbox"] = _bbox(box)
    tests = {name: callback.result for name, callback in (load.get("properties") or {}).items()}
    if simple := {name: test for name, test in tests.items() if _is_simple(test)}:
        search["query"] = {name: {test.process: test.arguments["y"]} for name, test in simple.items()}
    if (ids := tests.get("id")) and ids.process == "array_contains":
        search["ids"] = list(tests.pop("id").arguments["data"])
    if rest := [_cql(name, test) for name, test in tests.items() if name not in simple]:
        search |= {"filter": rest[0] if len(rest) == 1 else {"op": "and", "args": rest}, "filter-lang": "cql2-json"}
    return search


def in_order(items: list[dict[str, Any]], order: Sequence[tuple[str, bool]]) -> list[dict[str, Any]]:
    """Items sorted by their properties, each with whether the largest comes first; what lacks one comes last."""
    found = list(items)
    for name, down in reversed(order):

        def key(item: dict[str, Any], name: str = name, down: bool = down) -> tuple[bool, Any]:
            value = item["properties"].get(name)
            return (value is None) != down, "" if value is None else value

        found.sort(key=key, reverse=down)
    return found


def identifiers(items: list[dict[str, Any]]) -> list[str]:
    """The ids of items."""
    return [str(item["id"]) for item in items]


CQL = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "eq": "=", "neq": "<>", "and": "and", "or": "or"}


def _cql(name: str, test: Any) -> Any:
    """A condition on a property as CQL2 says it."""
    match test:
        case Node(process="not"):
            return {"op": "not", "args": [_cql(name, test.arguments["x"])]}
        case Node(process="array_contains"):
            return {"op": "in", "args": [{"property": name}, list(test.arguments["data"])]}
        case Node():
            return {"op": CQL[test.process], "args": [_cql(name, test.arguments[side]) for side in ("x", "y")]}
        case Parameter():
            return {"property": name}
    return test


def _is_simple(test: Node) -> bool:
    return test.process in ("lt", "lte", "gt", "gte", "eq", "neq") and isinstance(test.arguments["x"], Parameter)


def _bbox(extent: Mapping[str, Any]) -> list[float]:
    if "type" not in extent:
        return [extent["west"], extent["south"], extent["east"], extent["north"]]
    west, south, east, north = shapes.box_around(extent)
    return [west, south, east - 360 if east > 180 else east, north]


def _condition(name: str, value: Any) -> tuple[str, Any]:
    value = plain(value)
    if isinstance(value, str) and (match := _CONDITION.fullmatch(value)):
        return OPERATORS[match[1]], _number(match[2])
    if name in SHORT or name in SHORT.values():
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise BadCube(f"{name}={value!r} is no number", f'write {name}=20 (below 20) or {name}="<= 20"')
        return "lt", value
    return "eq", value


def _number(text: str) -> Any:
    try:
        return float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        return text


def edges(value: Any) -> tuple[date, date]:
    """The first and the last day of a year or month; of a day or a moment itself. BadCube for what is none.

    Midnight without a time zone is the day: so pandas and numpy write days.
    """
    if hasattr(value, "dtype") or (isinstance(value, int) and not isinstance(value, bool)):
        value = str(value)  # numpy's dates and years
    if isinstance(value, str) and (match := _PERIOD.fullmatch(value.strip())):
        return _period(value, int(match[1]), match[2])
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise BadCube(f"{value!r} is no date", HOW) from None
    if not isinstance(value, date) or value != value:
        raise BadCube(f"{value!r} is no date", HOW)
    if isinstance(value, datetime) and value.tzinfo is None and value.time() == time():
        value = value.date()
    return value, value


def _period(text: str, year: int, month: str | None) -> tuple[date, date]:
    first, last = (int(month), int(month)) if month else (1, 12)
    if not (year and 1 <= first <= 12):
        raise BadCube(f"{text!r} is no month", 'write it as "2025-04"')
    return date(year, first, 1), date(year, last, calendar.monthrange(year, last)[1])


def moment(value: str | date) -> datetime:
    """A day or moment, in UTC."""
    found = edges(value)[0]
    if not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day)
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise BadCube(f"{value!r} is beyond the calendar", HOW) from None


def _is_day(value: date) -> bool:
    return not isinstance(value, datetime)


def _text(moment: datetime, day: bool) -> str:
    return moment.date().isoformat() if day else moment.strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20)


DATES = ("properties.datetime", "properties.start_datetime")
"""The fields of a search that say when an item is of."""


def day_of(item: Mapping[str, Any]) -> str:
    """The day of an item; of one of a period (a yearly map) the first."""
    properties = item.get("properties") or {}
    return str(properties.get("datetime") or properties.get("start_datetime") or "")[:10]
