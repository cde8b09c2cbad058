"""A checked filter (CQL2-JSON) as a condition of SQLite, with its parameters. PURE.

Columns are those of embedded.py; `related`, `folded`, `plain`, `moment` and `arrays` are functions it adds to SQLite.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .filters import ARITHMETIC, ARRAYS, COMPARISONS, TEMPORAL, Node
from .geometry import RELATIONS
from .moments import OPEN, moment

COLUMNS = {"id": "items.id", "collection": "items.collection"}
TIMES = {"datetime": "items.start", "start_datetime": "items.start", "end_datetime": 'items."end"'}
ARRAY_NAMES = {name: name.removeprefix("a_") for name in ARRAYS}
# Of two periods (a, b) and (c, d), as in OGC's CQL2, table of temporal operators.
PERIODS = {
    "t_after": "{a} > {d}",
    "t_before": "{b} < {c}",
    "t_contains": "{a} < {c} AND {b} > {d}",
    "t_disjoint": "NOT ({a} <= {d} AND {b} >= {c})",
    "t_during": "{a} > {c} AND {b} < {d}",
    "t_equals": "{a} = {c} AND {b} = {d}",
    "t_finishedBy": "{a} < {c} AND {b} = {d}",
    "t_finishes": "{a} > {c} AND {b} = {d}",
    "t_intersects": "{a} <= {d} AND {b} >= {c}",
    "t_meets": "{b} = {c}",
    "t_metBy": "{a} = {d}",
    "t_overlappedBy": "{a} > {c} AND {a} < {d} AND {b} > {d}",
    "t_overlaps": "{a} < {c} AND {b} > {c} AND {b} < {d}",
    "t_startedBy": "{a} = {c} AND {b} > {d}",
    "t_starts": "{a} = {c} AND {b} < {d}",
}


@dataclass
class Sql:
    """A condition in the making: `text` with ? for each of `values`, in order."""

    values: list[Any] = field(default_factory=list)

    def param(self, value: Any) -> str:
        """A value, never as text of the statement."""
        self.values.append(value)
        return "?"

    def condition(self, node: Node) -> str:
        """The condition that a filter is."""
        operator, args = node["op"], node["args"]
        if operator in ("and", "or"):
            return "(" + f" {operator.upper()} ".join(self.condition(each) for each in args) + ")"
        if operator == "not":
            return f"NOT {self.condition(args[0])}"
        if operator in COMPARISONS:
            return self._compare(operator, *args)
        if operator in RELATIONS:
            return self._related(operator, *args)
        if operator in TEMPORAL:
            return self._periods(operator, *args)
        if operator in ARRAYS:
            return f"arrays('{operator}', {self._array(args[0])}, {self._array(args[1])})"
        return self._other(operator, args)

    def _other(self, operator: str, args: Sequence[Any]) -> str:
        match operator:
            case "isNull":
                return f"({self.value(args[0])} IS NULL)"
            case "like":
                return f"({self.value(args[0])} LIKE {self.value(args[1])} ESCAPE '\\')"
            case "between":
                low = self._compare(">=", args[0], args[1])
                return f"({low} AND {self._compare('<=', args[0], args[2])})"
            case _:
                options = args[1] if isinstance(args[1], list) else [args[1]]
                return "(" + " OR ".join([self._compare("=", args[0], each) for each in options] or ["0"]) + ")"

    def value(self, node: Any) -> str:
        """A property, a literal or what is made of these."""
        if not isinstance(node, dict):
            return self.param(int(node) if isinstance(node, bool) else node)
        if "property" in node:
            return property_of(node["property"])
        if "timestamp" in node or "date" in node:
            return self.param(moment(node.get("timestamp") or node["date"])[0])
        operator, args = node["op"], node["args"]
        if operator in ARITHMETIC:
            return f"({self.value(args[0])} {operator} {self.value(args[1])})"
        return f"{'folded' if operator == 'casei' else 'plain'}({self.value(args[0])})"

    def _compare(self, operator: str, left: Any, right: Any) -> str:
        """Numbers and texts never stand before or after one another, as SQLite would have them."""
        if _is_time(left) or _is_time(right):
            return f"({self._time(left)} {operator} {self._time(right)})"
        kinds = {_kind(left), _kind(right)} - {""}
        text = f"{self.value(left)} {operator} {self.value(right)}"
        if len(kinds) == 1 and operator in ("<", "<=", ">", ">="):
            wanted = "= 'text'" if kinds == {"text"} else "<> 'text'"
            for side in (left, right):
                if isinstance(side, dict) and "property" in side:
                    text += f" AND typeof({property_of(side['property'])}) {wanted}"
        return f"({text})"

    def _time(self, node: Any) -> str:
        if isinstance(node, str):
            return self.param(moment(node)[0])
        if isinstance(node, dict) and "property" in node and node["property"] not in TIMES:
            return f"moment({property_of(node['property'])})"
        return self.value(node)

    def _related(self, relation: str, left: Node, right: Node) -> str:
        swapped = {"s_within": "s_contains", "s_contains": "s_within"}
        if "property" not in left:
            left, right, relation = right, left, swapped.get(relation, relation)
        if "property" in right or "property" not in left:  # the footprint with itself, or two literals
            return "(1)" if relation in ("s_intersects", "s_equals", "s_within", "s_contains") else "(0)"
        return f"related('{relation}', items.footprint, {self.param(json.dumps(right))})"

    def _periods(self, operator: str, left: Any, right: Any) -> str:
        """Names instead of ?, since a bound may stand twice in a template."""
        (a, b), (c, d) = self._period(left), self._period(right)
        return "(" + PERIODS[operator].format(a=a, b=b, c=c, d=d) + ")"

    def _period(self, node: Any) -> tuple[str, str]:
        """Moments are numbers of our own making, and safe in the text."""
        if isinstance(node, dict) and "interval" in node:
            first, last = node["interval"]
            start = "-9e999" if first in OPEN else repr(moment(first)[0])
            return start, "9e999" if last in OPEN else repr(moment(last)[1])
        if isinstance(node, dict) and node.get("property") == "datetime":
            return TIMES["datetime"], TIMES["end_datetime"]
        if isinstance(node, dict) and "property" in node:
            text = self._time(node)
            return text, text
        literal = node if isinstance(node, str) else node.get("timestamp") or node.get("date")
        start, end = moment(str(literal))
        return repr(start), repr(end)

    def _array(self, node: Any) -> str:
        return self.value(node) if isinstance(node, dict) else self.param(json.dumps(node))


def property_of(name: str) -> str:
    """The column or expression of a property; its name was checked when the filter was read."""
    if name in COLUMNS or name in TIMES:
        return COLUMNS.get(name) or TIMES[name]
    return f"""json_extract(items.properties, '$."{name}"')"""


def _is_time(node: Any) -> bool:
    return isinstance(node, dict) and ("timestamp" in node or "date" in node or (node.get("property") in TIMES))


def _kind(node: Any) -> str:
    if isinstance(node, dict):
        operator = node.get("op")
        return "text" if operator in ("casei", "accenti") else "number" if operator in ARITHMETIC else ""
    return "text" if isinstance(node, str) else "number"
