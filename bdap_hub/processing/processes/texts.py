"""Processes on text. No data in gives no data out."""

from __future__ import annotations

import json
from typing import Any

from ..cubes.values import fits, items
from ..graphs.graph import GraphError
from ..graphs.spec import process


@process
def text_begins(data: Any, pattern: Any, case_sensitive: Any = True) -> Any:
    """Whether the text begins with a pattern."""
    text, part = _both(data, pattern, case_sensitive)
    return None if text is None else text.startswith(part)


@process
def text_ends(data: Any, pattern: Any, case_sensitive: Any = True) -> Any:
    """Whether the text ends with a pattern."""
    text, part = _both(data, pattern, case_sensitive)
    return None if text is None else text.endswith(part)


@process
def text_contains(data: Any, pattern: Any, case_sensitive: Any = True) -> Any:
    """Whether a pattern is in the text."""
    text, part = _both(data, pattern, case_sensitive)
    return None if text is None else part in text


@process
def text_find(data: Any, pattern: Any, case_sensitive: Any = True) -> Any:
    """Where a pattern begins in the text; no data where it does not occur."""
    text, part = _both(data, pattern, case_sensitive)
    return None if text is None or part not in text else text.index(part)


@process
def text_concat(data: Any, separator: Any = "") -> Any:
    """The elements as text, with a separator between them."""
    parts, between = [_written(item) for item in items(data)], _written(separator)
    fits(0, sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def _written(value: Any) -> str:
    if not (value is None or isinstance(value, (str, bool, int, float))):
        raise GraphError("ProcessArgumentInvalid", f"text is made of plain values, not of {type(value).__name__}s")
    return value if isinstance(value, str) else json.dumps(value)


def _both(data: str | None, pattern: str, case_sensitive: bool) -> tuple[str | None, str]:
    if not (data is None or isinstance(data, str)) or not isinstance(pattern, str):
        raise GraphError("ProcessArgumentInvalid", f"a text is needed, but {type(data).__name__.lower()} was given")
    if data is None or case_sensitive:
        return data, pattern
    return data.casefold(), pattern.casefold()
