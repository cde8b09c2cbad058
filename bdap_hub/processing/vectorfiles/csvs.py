"""Rows of a CSV with geometries: WKT in one column, or coordinates in two. No I/O."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import shapely

from ..graphs.graph import GraphError

WKT = ("wkt", "geometry", "geom", "the_geom")
X = ("lon", "longitude", "long", "x")
Y = ("lat", "latitude", "y")
Row = dict[str, Any]
MOST_NAMES = 64 << 20
"""Characters of the columns' names, as JSON has them with each row. Of short rows the file itself has none of that."""


def rows(content: bytes) -> list[Row]:
    """The rows by the names of their columns; what looks like a number is one, an empty field is none."""
    text = content.decode("utf-8-sig")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restkey="", strict=True)
    try:
        found, each = list[Row](), sum(len(name) + 6 for name in reader.fieldnames or ())
        for number, row in enumerate(reader, 1):
            if number * each > MOST_NAMES:
                raise GraphError("FormatUnsuitable", f"has too many columns for {number} rows", "leave columns out")
            found.append({name: _value(value) for name, value in row.items() if name})
    except csv.Error as error:
        raise GraphError("FormatUnsuitable", f"is no CSV: {error}") from None
    if not found:
        raise GraphError("FormatUnsuitable", "has no row below the names of its columns")
    return found


def shapes(found: Sequence[Row], options: Mapping[str, Any]) -> list[Any]:
    """The geometry of each row, which is taken out of it."""
    names = list(found[0])
    if options.get("geometry") or (not options.get("x") and _called(names, WKT)):
        column = _column(names, options.get("geometry"), WKT, "geometry")
        return [shapely.from_wkt(str(row.pop(column) or "POINT EMPTY")) for row in found]
    x, y = _column(names, options.get("x"), X, "x"), _column(names, options.get("y"), Y, "y")
    return [_point(row.pop(x), row.pop(y)) for row in found]


def _point(x: Any, y: Any) -> Any:
    if x is None or y is None:
        return None
    if not (isinstance(x, (int, float)) and isinstance(y, (int, float)) and math.isfinite(x) and math.isfinite(y)):
        raise GraphError("FormatUnsuitable", f"{x!r:.30}, {y!r:.30} are no coordinates", "name their columns: x, y")
    return shapely.Point(x, y)


def _column(names: Sequence[str], asked: Any, usual: Sequence[str], option: str) -> str:
    """The column that is asked for, else the first with a usual name."""
    found = asked if asked in names else None if asked else _called(names, usual)
    if found is None:
        have = ", ".join(map(repr, names))[:200]
        raise GraphError("FormatUnsuitable", f"has no column for {option}: it has {have}", f"name it: {option}")
    return str(found)


def _called(names: Sequence[str], usual: Sequence[str]) -> str | None:
    return next((name for one in usual for name in names if name.strip().lower() == one), None)


def _value(text: Any) -> Any:
    if text is None or text == "":
        return None
    if "_" in text or (text[0] == "0" and text[1:].isdecimal()):  # codes such as 00123 stay what they are
        return text if len(text) > 1 else 0
    for kind in (int, float):
        try:
            number = kind(text)
        except (ValueError, TypeError):
            continue
        return number if math.isfinite(number) else None
    return text
