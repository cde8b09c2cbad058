"""Filters of a search: CQL2 (text or JSON) and the older `query`, read into checked CQL2-JSON. PURE.

The grammar is cql2's; what may stand in it is checked here, so that each store translates known words only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import cql2

from ..errors import BadRequest
from .geometry import RELATIONS, geojson_of, points_in, read_bbox
from .moments import OPEN, seconds

Node = dict[str, Any]
OPERATORS = ("eq", "neq", "lt", "lte", "gt", "gte", "in", "startsWith", "endsWith", "contains")
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
TEMPORAL = (
    "t_after", "t_before", "t_contains", "t_disjoint", "t_during", "t_equals", "t_finishedBy", "t_finishes",
    "t_intersects", "t_meets", "t_metBy", "t_overlappedBy", "t_overlaps", "t_startedBy", "t_starts",
)  # fmt: skip
ARRAYS = ("a_equals", "a_contains", "a_containedBy", "a_overlaps")
ARITHMETIC = ("+", "-", "*", "/")
ARGUMENTS: dict[str, int] = {
    "not": 1, "isNull": 1, "like": 2, "between": 3, "in": 2, "casei": 1, "accenti": 1,
    **dict.fromkeys((*COMPARISONS, *RELATIONS, *TEMPORAL, *ARRAYS, *ARITHMETIC), 2),
}  # fmt: skip
NAME = re.compile(r"[A-Za-z_][\w:.-]{0,99}")
SIGNS = re.compile(r"(?:[-+]\s*){3}")
MAX_SIGNS, MAX_DEPTH = 8_000, 40
MAX_BRACKETS = 6  # within one another in a text: the grammar takes three times as long for each further one
MAX_NODES, MAX_WIDE = 10_000, 900  # databases bound how large a condition is, and each part of it costs
MAX_POINTS = 5000  # each is compared with each footprint
MAX_PLACES = 32  # and so is each geometry; of few of them what makes that fast is kept
EXAMPLE = "write it as in \"eo:cloud_cover\" < 20 AND platform = 'sentinel-2a'"


def read(value: Any, language: Any = None) -> Node | None:
    """A filter as CQL2-JSON; BadRequest says what in it is not understood."""
    if value is None or value in ("", {}):
        return None
    if language not in (None, "cql2-text", "cql2-json"):
        raise BadRequest(f"filter-lang {language!r:.40} is not known", "use cql2-text or cql2-json")
    parsed = value if isinstance(value, Mapping) else _parse(value, language)
    _bounded("filter", parsed)
    found = _predicate(parsed, 0)
    if (places := _places(found)) > MAX_PLACES:
        raise BadRequest(f"the filter compares with {places} places", f"at most {MAX_PLACES}; send a MultiPolygon")
    return found


def from_query(value: Any) -> Node | None:
    """The `query` of a search as CQL2-JSON."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(isinstance(tests, Mapping) for tests in value.values()):
        raise BadRequest("query is no object of properties", 'send for example {"eo:cloud_cover": {"lt": 20}}')
    _bounded("query", value)
    return all_of([_test(str(name), *test) for name, tests in value.items() for test in tests.items()])


def all_of(nodes: list[Node]) -> Node | None:
    """All of them at once; None if there is none."""
    return {"op": "and", "args": nodes} if len(nodes) > 1 else next(iter(nodes), None)


def _bounded(name: str, value: Any) -> None:
    """BadRequest where there is too much of it; the points of geometries are counted elsewhere."""
    todo, seen = [value], 0
    while todo:
        node = todo.pop()
        parts = [part for key, part in node.items() if key != "coordinates"] if isinstance(node, Mapping) else node
        if isinstance(node, str) and len(node) > MAX_SIGNS:
            raise BadRequest(f"the {name} holds a text of {len(node)} signs", f"at most {MAX_SIGNS} are compared with")
        if isinstance(parts, list):
            if len(parts) > MAX_WIDE:
                raise BadRequest(f"the {name} lists {len(parts)} things at once", f"ask for at most {MAX_WIDE}")
            todo += parts
        if (seen := seen + 1) > MAX_NODES:
            raise BadRequest(f"the {name} has more than {MAX_NODES} parts", "ask several times for less")


def _places(node: Node) -> int:
    """How many of the conditions are about places."""
    if node["op"] in ("and", "or", "not"):
        return sum(map(_places, node["args"]))
    return int(node["op"] in RELATIONS)


def _parse(text: Any, language: Any) -> Any:
    if not isinstance(text, str) or len(text) > MAX_SIGNS:
        raise BadRequest(f"the filter is no text of at most {MAX_SIGNS} signs", "POST long ones as CQL2-JSON")
    try:
        if language == "cql2-json" or (language is None and text.lstrip().startswith("{")):
            return json.loads(text)
        _shallow(text)
        return cql2.parse_text(text).to_json()
    except BadRequest:
        raise
    except Exception as error:  # cql2 raises several kinds without a common parent
        first = (str(error).strip().splitlines() or ["?"])[0]
        raise BadRequest(f"the filter {text!r:.80} is not understood: {first:.120}", EXAMPLE) from None


def _shallow(text: str) -> None:
    """cql2's parser calls itself for each bracket, NOT and sign; deep ones would take forever, or end the process."""
    depth = deepest = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_BRACKETS:
        sentence = f"the filter is nested too deeply: it has {deepest} brackets within one another"
        raise BadRequest(sentence, f"at most {MAX_BRACKETS} are read; POST deeper ones as CQL2-JSON")
    if len(re.findall(r"\bnot\b", text, re.IGNORECASE)) > MAX_DEPTH or SIGNS.search(text):
        raise _too_deep()


def _too_deep() -> BadRequest:
    return BadRequest("the filter is nested too deeply", f"at most {MAX_DEPTH} conditions within one another")


def _test(name: str, operator: Any, operand: Any) -> Node:
    if operator not in OPERATORS:
        raise BadRequest(f"query has the unknown operator {operator!r}", f"known are: {', '.join(OPERATORS)}")
    if operator == "in" and not isinstance(operand, list):
        raise BadRequest("the operator 'in' wants a list", 'send for example {"platform": {"in": ["sentinel-2a"]}}')
    field = _property(name)
    plain = {"eq": "=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "in": "in"}
    if operator in plain:
        return {"op": plain[operator], "args": [field, _literal(operand)]}
    if operator == "neq":
        differs = {"op": "<>", "args": [field, _literal(operand)]}
        return {"op": "or", "args": [{"op": "isNull", "args": [field]}, differs]}
    escaped = re.sub(r"([\\%_])", r"\\\1", str(operand))
    pattern = {"startsWith": f"{escaped}%", "endsWith": f"%{escaped}"}.get(operator, f"%{escaped}%")
    return {"op": "like", "args": [field, pattern]}


def _property(name: Any) -> Node:
    short = str(name).removeprefix("properties.")
    if not NAME.fullmatch(short):
        raise BadRequest(f"{name!r:.60} is no name of a property", "look at the queryables")
    return {"property": short}


def _literal(value: Any) -> Any:
    if isinstance(value, list):
        return [_literal(each) for each in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise BadRequest(f"{value!r:.60} is no value to compare with", "send a number, a text, true or false")


def _predicate(node: Any, depth: int) -> Node:
    """A condition, with only what is known in it."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(node, bool):
        return {"op": "=", "args": [1, int(node)]}
    operator, args = _call(node)
    if operator in ("and", "or"):
        if not args:
            raise BadRequest(f"{operator!r} has nothing to join", EXAMPLE)
        return {"op": operator, "args": [_predicate(each, depth + 1) for each in args]}
    if operator == "not":
        return {"op": "not", "args": [_predicate(args[0], depth + 1)]}
    if operator in (*ARITHMETIC, "casei", "accenti"):
        raise BadRequest(f"{operator!r} is a value, and a condition is wanted", EXAMPLE)
    return {"op": operator, "args": [_reader(operator)(each, depth + 1) for each in args]}


def _call(node: Any) -> tuple[str, list[Any]]:
    if not isinstance(node, Mapping) or not isinstance(node.get("args"), list):
        raise BadRequest(f"{node!r:.60} in the filter is no condition", EXAMPLE)
    operator, args = str(node.get("op")), node["args"]
    if operator == "between" and len(args) == 2 and isinstance(args[1], list):
        args = [args[0], *args[1]]  # as CQL2 had it in drafts
    if operator not in ("and", "or") and ARGUMENTS.get(operator) is None:
        raise BadRequest(f"the filter has the unknown operator {operator!r:.40}", "look at the conformance classes")
    if operator not in ("and", "or") and len(args) != ARGUMENTS[operator]:
        raise BadRequest(f"{operator!r} wants {ARGUMENTS[operator]} arguments, and has {len(args)}", EXAMPLE)
    return operator, args


def _reader(operator: str) -> Callable[[Any, int], Any]:
    return _place if operator in RELATIONS else _value


def _place(node: Any, depth: int) -> Node:
    """The footprint, or a geometry."""
    if isinstance(node, Mapping) and "property" in node:
        if _property(node["property"])["property"] != "geometry":
            raise BadRequest(f"{node['property']!r:.60} is no place", "use geometry")
        return {"property": "geometry"}
    if isinstance(node, Mapping) and isinstance(node.get("bbox"), list):
        return geojson_of(read_bbox(node["bbox"]))
    if points_in(node) > MAX_POINTS:
        raise BadRequest(f"the geometry has more than {MAX_POINTS} points", "simplify it, or send its bbox")
    return dict(node)


def _value(node: Any, depth: int) -> Any:
    """A property, a literal, or what is made of these."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    if not isinstance(node, Mapping):
        return [_value(each, depth + 1) for each in node] if isinstance(node, list) else _literal(node)
    if "property" in node:
        return _property(node["property"])
    for kind in ("timestamp", "date"):
        if kind in node:
            return {kind: _moment(node[kind])}
    if "interval" in node:
        ends = node["interval"] if isinstance(node["interval"], list) else []
        if len(ends) != 2:
            raise BadRequest("an interval of the filter has not two ends", "write it as INTERVAL('2024-01-01', '..')")
        return {"interval": [".." if end in OPEN else _moment(end) for end in ends]}
    operator, args = _call(node)
    if operator not in (*ARITHMETIC, "casei", "accenti"):
        raise BadRequest(f"{operator!r} is a condition, and a value is wanted", EXAMPLE)
    return {"op": operator, "args": [_value(each, depth + 1) for each in args]}


def _moment(text: Any) -> str:
    seconds(str(text))
    return str(text)
