"""Rules by which values become classes, as nested `if` of openEO. PURE."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import BadCube
from .graph import Node, Parameter, plain

MOST = 150
"""Rules in one expression: a graph has at most 500 nodes."""
HOW = "write classify([0.2, 0.5]), classify({1: (0, 0.2), 2: (0.2, None)}) or classify({10: 1, 20: 2})"
Expression = Node | Parameter
Rule = tuple[Node, float]


def expression(x: Expression, rules: Any, other: float | None) -> Node:
    """The class of `x`; no data stays no data."""
    found = _rules(x, rules)
    if not found:
        raise BadCube("classify() got no rules", HOW)
    if len(found) > MOST:
        raise BadCube(
            f"classify() got {len(found)} rules; the limit is {MOST}", "join classes, or use a style's breaks"
        )
    last: Any = None if other is None else _if(Node("is_valid", {"x": x}), other, None)
    for condition, value in reversed(found):
        last = _if(condition, value, last)
    return last  # type: ignore[no-any-return]


def _rules(x: Expression, rules: Any) -> list[Rule]:
    if isinstance(rules, Mapping):
        if all(isinstance(each, tuple | list) for each in rules.values()):
            return [(_within(x, each), _number(name)) for name, each in rules.items()]
        return [(Node("eq", {"x": x, "y": _number(old)}), _number(new)) for old, new in rules.items()]
    if isinstance(rules := plain(rules), Sequence) and not isinstance(rules, str):
        return _by_breaks(x, [_number(each) for each in rules])
    raise BadCube(f"{rules!r:.60} are no rules", HOW)


def _by_breaks(x: Expression, breaks: list[float]) -> list[Rule]:
    if any(low >= high for low, high in itertools.pairwise(breaks)):
        raise BadCube(f"the breaks {', '.join(f'{each:g}' for each in breaks)} do not rise", "sort them, each once")
    below = [(Node("lt", {"x": x, "y": edge}), number + 1) for number, edge in enumerate(breaks)]
    return [*below, (Node("gte", {"x": x, "y": breaks[-1]}), len(breaks) + 1)] if breaks else []


def _within(x: Expression, bounds: Any) -> Node:
    if len(bounds) != 2 or bounds[0] is None is bounds[1]:
        raise BadCube(f"{bounds!r} is no interval", "write (low, high); None leaves one side open")
    low, high = bounds
    tests = [Node("gte", {"x": x, "y": _number(low)})] if low is not None else []
    tests += [Node("lt", {"x": x, "y": _number(high)})] if high is not None else []
    if low is not None and high is not None and low >= high:
        raise BadCube(f"the interval ({low:g}, {high:g}) is empty", "the first number must be below the second")
    return tests[0] if len(tests) == 1 else Node("and", {"x": tests[0], "y": tests[1]})


def _if(condition: Node, accept: float, reject: Any) -> Node:
    return Node("if", {"value": condition, "accept": accept, "reject": reject})


def _number(value: Any) -> float:
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadCube(f"{value!r} is no number", HOW)
    return value
