"""What people write to choose data (dates, boxes, properties) as the arguments of openEO and STAC. PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from .errors import BadCube
from .graph import Callback, Node, Parameter

BBox = tuple[float, float, float, float]
SHORT = {"cloud_cover": "eo:cloud_cover", "snow_cover": "eo:snow_cover"}
OPERATORS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "=": "eq", "==": "eq", "!=": "neq"}
_CONDITION = re.compile(r"\s*(<=|>=|==|!=|<|>|=)\s*(.+?)\s*")


def interval(first: str | date, last: str | date) -> list[str]:
    """[start, end) of the days `first` to `last`, both included. A moment with a time is taken as it is."""
    start, end = _moment(first), _moment(last)
    if end < start:
        raise BadCube(f"the dates are swapped: {first} is after {last}", f'write between("{last}", "{first}")')
    if _is_day(last):
        end += timedelta(days=1)
    return [_text(start, _is_day(first)), _text(end, _is_day(last))]


def bounding_box(bbox: Any) -> dict[str, float]:
    """west, south, east, north in degrees (EPSG:4326) as openEO writes them."""
    try:
        west, south, east, north = (float(value) for value in bbox)
    except (TypeError, ValueError):
        raise BadCube(f"{bbox!r} is no box", "write (west, south, east, north) in degrees") from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise BadCube(
            f"the box ({west:g}, {south:g}, {east:g}, {north:g}) is empty or not on Earth",
            "write (west, south, east, north) in degrees, west < east and south < north",
        )
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
        start, end = (_moment(edge) if edge else None for edge in extent)
        last = _text(end - timedelta(seconds=1), False) if end else ".."
        search["datetime"] = f"{_text(start, False) if start else '..'}/{last}"
    if box := load.get("spatial_extent"):
        search["bbox"] = [box["west"], box["south"], box["east"], box["north"]]
    if properties := load.get("properties"):
        search["query"] = {
            name: {callback.result.process: callback.result.arguments["y"]} for name, callback in properties.items()
        }
    return search


def _condition(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, str) and (match := _CONDITION.fullmatch(value)):
        return OPERATORS[match[1]], _number(match[2])
    if name in SHORT or name in SHORT.values():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadCube(f"{name}={value!r} is no number", f'write {name}=20 (below 20) or {name}="<= 20"')
        return "lt", value
    return "eq", value


def _number(text: str) -> Any:
    try:
        return float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        return text


def _moment(value: str | date) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise BadCube(f"{value!r} is no date", 'write it as "2025-04-01"') from None
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _is_day(value: str | date) -> bool:
    return len(value) == 10 if isinstance(value, str) else not isinstance(value, datetime)


def _text(moment: datetime, day: bool) -> str:
    return moment.strftime("%Y-%m-%d" if day else "%Y-%m-%dT%H:%M:%SZ")
