"""Closing what the map shows no more: widgets live in the kernel and in the browser until they are closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipywidgets import Widget


def shut(widget: Widget) -> None:
    """Close a widget and all that is in it: children, layout, marks, scales."""
    found, rest = list[Widget](), [widget]
    while rest:
        one = rest.pop()
        if one not in found:
            found.append(one)
            rest += [inner for name in one.keys for inner in _widgets(getattr(one, name, None))]
    for one in found:
        one.close()


def _widgets(value: Any) -> list[Widget]:
    """Those that stand in a trait, alone or several."""
    several = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
    return [each for each in several if isinstance(each, Widget)]
