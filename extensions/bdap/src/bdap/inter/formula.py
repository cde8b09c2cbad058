"""Formulas of bands as text, such as `(B08 - B04) / (B08 + B04)`, as operations on a cube. PURE: parsed, never run."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from ..errors import BadCube

BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
FUNCTIONS = {
    "abs": "absolute",
    "sqrt": "sqrt",
    "exp": "exp",
    "log": "ln",
    "ln": "ln",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "floor": "floor",
    "ceil": "ceil",
    "round": "round",
}
"""Functions of one number, and their openEO processes."""


def evaluate(text: str, band: Callable[[str], Any]) -> Any:
    """The cube of a formula; `band` gives the cube of a name."""
    try:
        return _value(ast.parse(text.strip(), mode="eval").body, band)
    except (SyntaxError, ValueError, KeyError, TypeError):
        known = ", ".join(FUNCTIONS)
        raise BadCube(
            f"the formula {text!r:.80} cannot be read", f"use bands, numbers, + - * / **, parentheses and {known}"
        ) from None


def _value(node: ast.expr, band: Callable[[str], Any]) -> Any:
    match node:
        case ast.BinOp(left, op, right):
            return BINARY[type(op)](_value(left, band), _value(right, band))
        case ast.UnaryOp(ast.USub(), operand):
            return -_value(operand, band)
        case ast.Call(ast.Name(name), [argument], []):
            return _value(argument, band).apply(FUNCTIONS[name])
        case ast.Name(name):
            return band(name)
        case ast.Constant(int() | float() as number) if not isinstance(number, bool):
            return number
    raise ValueError("not a part of a formula")
