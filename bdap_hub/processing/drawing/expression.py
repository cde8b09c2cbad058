"""Formulas over bands, such as (B08 - B04) / B08: parsed against an allow-list, never run as code. PURE."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .refusal import refuse

MOST_TEXT, MOST_PARTS = 500, 100
_PLAIN = re.compile(r"[A-Za-z_]\w*\Z")
_TWO: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "abs": (1, np.abs),
    "sqrt": (1, np.sqrt),
    "log": (1, np.log),
    "log10": (1, np.log10),
    "exp": (1, np.exp),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "clip": (3, np.clip),
}


@dataclass(frozen=True)
class Expression:
    """A formula: `parts` in the order in which a stack machine works, `names` of the bands in it."""

    text: str
    parts: tuple[tuple[str, Any], ...]
    names: tuple[str, ...]

    def value(self, bands: Mapping[str, Any]) -> Any:
        """Its value, from the pixels of each band."""
        stack: list[Any] = []
        with np.errstate(all="ignore"):
            for kind, what in self.parts:
                if kind == "band":
                    stack.append(bands[what])
                elif kind == "number":
                    stack.append(np.float32(what))
                else:
                    count, act = what
                    stack[-count:] = [act(*stack[-count:])]
        return stack[0]


def parse(text: Any, bands: tuple[str, ...]) -> Expression:
    """The expression of a text over these bands: a band's name, or a formula; refused in a sentence otherwise."""
    if not isinstance(text, str) or not 0 < len(text) <= MOST_TEXT:
        raise refuse(f"an expression is a text of 1 to {MOST_TEXT} characters, not {text!r:.40}")
    if text in bands:
        return Expression(text, (("band", text),), (text,))
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise refuse(f"{text!r:.60} is not an expression", "write for example (B08 - B04) / (B08 + B04)") from None
    parts: list[tuple[str, Any]] = []
    _walk(tree, bands, parts, text.strip())
    names = tuple(dict.fromkeys(what for kind, what in parts if kind == "band"))
    if not names:
        raise refuse(f"{text!r:.60} names no band", f"the result has {', '.join(bands)}")
    return Expression(text, tuple(parts), names)


def _walk(node: ast.expr, bands: tuple[str, ...], parts: list[tuple[str, Any]], text: str) -> None:
    """Append what a formula's tree does, leaves first."""
    match node:
        case ast.Name(id=name):
            parts.append(("band", _band(name, bands)))
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and abs(value) < 1e30:
            parts.append(("number", float(value)))
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            _walk(inner, bands, parts, text)
            parts.append(("act", (1, operator.neg)))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _TWO:
            _walk(left, bands, parts, text)
            _walk(right, bands, parts, text)
            parts.append(("act", (2, _TWO[type(op)])))
        case ast.Call(func=ast.Name(id=name), args=given, keywords=[]) if (
            name in _FUNCTIONS and len(given) == _FUNCTIONS[name][0]
        ):
            for inner in given:
                _walk(inner, bands, parts, text)
            parts.append(("act", _FUNCTIONS[name]))
        case _:
            raise refuse(
                f"an expression cannot hold {_source(node, text)!r:.40}",
                f"it may use + - * / **, numbers, bands and the functions {', '.join(_FUNCTIONS)}",
            )
    if len(parts) > MOST_PARTS:
        raise refuse(f"an expression has more than {MOST_PARTS} parts", "compute it in the process graph")


def _source(node: ast.expr, text: str) -> str:
    """What was written there; its offsets count bytes."""
    return text.encode()[node.col_offset : node.end_col_offset].decode(errors="replace")


def _band(name: str, bands: tuple[str, ...]) -> str:
    """The band of that name; b1, b2 … are the bands in their order, for names that a formula cannot hold."""
    if name in bands:
        return name
    number = name[1:]
    if name[0] == "b" and number.isdecimal() and 1 <= int(number) <= len(bands):
        return bands[int(number) - 1]
    odd = any(not _PLAIN.match(band) for band in bands)
    raise refuse(
        f"an expression names the band {name!r:.40}, which the result does not have",
        f"it has {', '.join(bands)}" + ("; b1 is the first" if odd else ""),
    )
