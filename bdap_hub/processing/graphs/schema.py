"""Checks arguments against the JSON schemas of the process specifications, as far as these use them. PURE."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
ONLY_BY_REFERENCE = {"datacube": "data cube", "process-graph": "process graph"}

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "integer": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) and v == int(v),
    "string": lambda v: isinstance(v, str),
    "array": lambda v: isinstance(v, (list, tuple)),
    "object": lambda v: isinstance(v, Mapping),
}
_NUMBERS: Sequence[tuple[tuple[str, ...], Callable[[Any, Any], bool], str]] = (
    (("minimum",), lambda v, bound: v >= bound, "at least"),
    (("maximum",), lambda v, bound: v <= bound, "at most"),
    (("exclusiveMinimum", "minimumExclusive"), lambda v, bound: v > bound, "more than"),
    (("exclusiveMaximum", "maximumExclusive"), lambda v, bound: v < bound, "less than"),
)


def alternatives(schema: Any) -> tuple[Schema, ...]:
    """The schemas of which a value must meet one: openEO writes a list of them, or anyOf."""
    if isinstance(schema, Mapping):
        return tuple(schema["anyOf"]) if "anyOf" in schema else (schema,)
    return tuple(schema)


def complaint(value: Any, schemas: Sequence[Schema], known: Callable[[Any, Schema], bool | None]) -> str:
    """What a value must be but is not ('' where it meets one of the schemas).

    `known` decides about values that are no JSON, such as references: True, False, or None where it cannot.
    """
    complaints = []
    for schema in schemas:
        wrong = _wrong(value, schema, known)
        if not wrong:
            return ""
        complaints.append(wrong)
    typed = [wrong for schema, wrong in zip(schemas, complaints, strict=True) if _of_type(value, schema)]
    if len(typed) == 1:
        return typed[0]
    return " or ".join(dict.fromkeys(name for schema in schemas for name in _names(schema)))


def _wrong(value: Any, schema: Schema, known: Callable[[Any, Schema], bool | None]) -> str:
    decided = known(value, schema)
    if decided is not None:
        return "" if decided else " or ".join(_names(schema))
    if not _of_type(value, schema):
        return " or ".join(_names(schema))
    if "enum" in schema and value not in schema["enum"]:
        return "one of " + ", ".join(str(option) for option in schema["enum"])
    if "const" in schema and value != schema["const"]:
        return str(schema["const"]).lower()
    if isinstance(value, str):
        return _wrong_text(value, schema)
    if isinstance(value, (list, tuple)):
        return _wrong_list(value, schema, known)
    if isinstance(value, Mapping):
        return _wrong_object(value, schema, known)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _wrong_number(value, schema)
    return ""


def _of_type(value: Any, schema: Schema) -> bool:
    kinds = schema.get("type")
    if kinds is None:
        return True
    if schema.get("subtype") in ONLY_BY_REFERENCE:
        return False
    return any(_TYPES[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _names(schema: Schema) -> list[str]:
    kinds = schema.get("type", "anything")
    named = schema.get("subtype") if kinds in ("object", "array") else None
    named = ONLY_BY_REFERENCE.get(str(named), named)
    return [str(named)] if named else [kinds] if isinstance(kinds, str) else list(kinds)


def _wrong_number(value: float, schema: Schema) -> str:
    for keys, meets, words in _NUMBERS:
        for key in keys:
            if key in schema and not meets(value, schema[key]):
                return f"{words} {schema[key]}"
    return ""


def _wrong_text(value: str, schema: Schema) -> str:
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return f"text like {schema['pattern']}"
    return ""


def _wrong_list(value: Sequence[Any], schema: Schema, known: Callable[[Any, Schema], bool | None]) -> str:
    least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    if not least <= len(value) <= most:
        return f"an array of {least} elements" if least == most else f"an array of at least {least} elements"
    for index, item in enumerate(value):
        if "items" in schema and (wrong := complaint(item, alternatives(schema["items"]), known)):
            return f"an array whose element {index} is {wrong}"
    return ""


def _wrong_object(value: Mapping[str, Any], schema: Schema, known: Callable[[Any, Schema], bool | None]) -> str:
    if missing := [key for key in schema.get("required", ()) if key not in value]:
        return f"an object with {missing[0]!r}"
    declared, others = schema.get("properties", {}), schema.get("additionalProperties")
    for key, item in value.items():
        expected = declared.get(key, others if isinstance(others, Mapping) else None)
        if expected is not None and (wrong := complaint(item, alternatives(expected), known)):
            return f"an object whose {key!r} is {wrong}"
    return ""
