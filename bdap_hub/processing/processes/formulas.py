"""Formulas of spectral indices as functions of numpy. Only numbers, names, + - * / ** and signs are known: anything
else in a formula is refused, so that nothing of the language around it can be reached. PURE.
"""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
Compiled = Callable[[Values], Any]
BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
LONGEST = 400


@dataclass(frozen=True)
class Formula:
    """A formula: the names that it needs values for, and the function that takes them."""

    names: frozenset[str]
    function: Compiled


@functools.lru_cache(maxsize=1024)
def formula(text: str) -> Formula:
    """The formula of a text; ValueError for anything but arithmetic on names and numbers."""
    if len(text) > LONGEST:
        raise ValueError(f"the formula has {len(text)} characters; the limit is {LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{text!r:.60} is not a formula") from None
    names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    return Formula(names, _compiled(tree))


def _compiled(node: ast.expr) -> Compiled:
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as value):
            return lambda values: float(value)
        case ast.Name(id=name):
            return lambda values: values[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            negated = _compiled(inner)
            return lambda values: -negated(values)
        case ast.BinOp(op=kind, left=left, right=right) if type(kind) in BINARY:
            join, first, second = BINARY[type(kind)], _compiled(left), _compiled(right)
            return lambda values: join(first(values), second(values))
    raise ValueError(f"a formula is arithmetic on names and numbers: {ast.unparse(node)!r:.60} is not")
