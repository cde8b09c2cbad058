"""Conditions on attributes as interapro writes them: `[AREA] >= 5 and [NAME] != 'x'`. PURE: parsed, never run.

Grammar: `or` binds weakest, then `and`, then `not`; comparisons are between an attribute in brackets and a value.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import BadCube

Properties = Mapping[str, Any]
Rule = Callable[[Properties], bool]
EVERYTHING = ("all", "default", "")
_TOKEN = re.compile(
    r"\s*(?:(\[[^\]]+\])|('(?:[^']*)'|\"[^\"]*\")|(-?\d+\.?\d*(?:[eE][-+]?\d+)?)|(<=|>=|<>|!=|==|=|<|>|\(|\))|(\w+))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def parse(text: str) -> Rule:
    """Whether a feature's properties meet the condition; `all` and `default` are met by every feature.

    >>> parse("[n] > 2 and not ([name] = 'b')")({"n": 3, "name": "a"})
    True
    """
    if text.strip().lower() in EVERYTHING:
        return lambda properties: True
    parser = _Parser(text)
    rule = parser.either()
    parser.end()
    return rule


class _Parser:
    """Recursive descent over the tokens of one condition."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, place = text, list[str](), 0
        while place < len(text.rstrip()):
            match = _TOKEN.match(text, place)
            if match is None:
                raise self.wrong(text[place:].strip())
            self.tokens.append(match[0].strip())
            place = match.end()

    def wrong(self, found: str) -> BadCube:
        return BadCube(
            f"the condition {self.text!r} cannot be read at {found[:20]!r}",
            "write it as [ATTRIBUTE] >= 5 and [NAME] = 'x'",
        )

    def take(self, *wanted: str) -> bool:
        if self.tokens and self.tokens[0].lower() in wanted:
            self.tokens.pop(0)
            return True
        return False

    def end(self) -> None:
        if self.tokens:
            raise self.wrong(self.tokens[0])

    def either(self) -> Rule:
        rules = [self.both()]
        while self.take("or"):
            rules.append(self.both())
        return rules[0] if len(rules) == 1 else lambda properties: any(rule(properties) for rule in rules)

    def both(self) -> Rule:
        rules = [self.one()]
        while self.take("and"):
            rules.append(self.one())
        return rules[0] if len(rules) == 1 else lambda properties: all(rule(properties) for rule in rules)

    def one(self) -> Rule:
        if self.take("not"):
            rule = self.one()
            return lambda properties: not rule(properties)
        if self.take("("):
            rule = self.either()
            if not self.take(")"):
                raise self.wrong(self.tokens[0] if self.tokens else "the end")
            return rule
        return self.comparison()

    def comparison(self) -> Rule:
        left = self.operand()
        if not self.tokens or self.tokens[0] not in _COMPARE:
            raise self.wrong(self.tokens[0] if self.tokens else "the end")
        compare, right = _COMPARE[self.tokens.pop(0)], self.operand()
        return lambda properties: _compared(compare, left(properties), right(properties))

    def operand(self) -> Callable[[Properties], Any]:
        token = self.tokens.pop(0) if self.tokens else ""
        if token.startswith("["):
            return lambda properties: properties.get(token[1:-1])
        if token[:1] in ("'", '"'):
            return lambda properties: token[1:-1]
        try:
            number = float(token)
        except ValueError:
            raise self.wrong(token or "the end") from None
        return lambda properties: number


def _compared(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    """False where the attribute is missing, or a text is compared with a number."""
    if left is None or right is None:
        return False
    try:
        return bool(compare(left, right))
    except TypeError:
        return False
