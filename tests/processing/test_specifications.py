"""Processes and their specifications belong together; arguments are checked against the schemas."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.processing import graphs
from bdap_hub.processing.graphs import spec
from bdap_hub.processing.graphs.schema import alternatives, complaint
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.service import process_page

SPECIFICATIONS = Path(graphs.__file__).parent / "specifications"
PAGE = Path(__file__).parents[2] / "docs/reference/processes.md"


def test_each_specification_has_its_function() -> None:
    assert {path.stem for path in SPECIFICATIONS.glob("*.json")} == set(REGISTRY)
    assert "Apache License" in (SPECIFICATIONS / "LICENSE").read_text()


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_parameters_and_defaults_are_the_specifications(name: str) -> None:
    process = REGISTRY[name]
    given = inspect.signature(process.function).parameters
    for parameter in process.parameters:
        if parameter.name not in given:  # a function of numpy, which gets its arguments in order
            assert "arguments" in given and not parameter.optional
            continue
        default = given[parameter.name].default
        assert (default is not inspect.Parameter.empty) == parameter.optional
        if parameter.optional:
            assert (list(default) if isinstance(default, tuple) else default) in (parameter.default, None)


def test_a_function_that_differs_from_its_specification_is_refused() -> None:
    def add(x: Any, z: Any) -> Any:
        """Wrong."""

    with pytest.raises(TypeError, match="add is declared with"):
        spec.process(add)


def test_the_page_of_processes_is_up_to_date() -> None:
    assert PAGE.read_text() == process_page.render(), "run `make docs`"


def test_limits_stand_in_what_clients_read() -> None:
    shown = REGISTRY["save_result"].document()["description"]
    assert REGISTRY["save_result"].limits in shown and shown.startswith("Makes the processed data available")


CHECKED: list[tuple[Any, Any, str]] = [
    (5, {"type": "number"}, ""),
    (5, {"type": ["string", "null"]}, "string or null"),
    (None, {"type": ["string", "null"]}, ""),
    (True, {"type": "number"}, "number"),
    (True, {"type": "integer"}, "integer"),
    (5.0, {"type": "integer"}, ""),
    (5.5, {"type": "integer"}, "integer"),
    (float("inf"), {"type": "integer"}, "integer"),
    (0, {"type": "integer", "minimum": 1}, "at least 1"),
    (1, {"type": "number", "minimumExclusive": 1}, "more than 1"),
    (1, {"type": "number", "exclusiveMaximum": 1}, "less than 1"),
    ("x", {"type": "string", "enum": ["a", "b"]}, "one of a, b"),
    ("a b", {"type": "string", "pattern": r"^\w+$"}, r"text like ^\w+$"),
    ([1], {"type": "array", "minItems": 2, "maxItems": 2}, "an array of 2 elements"),
    ([1, "a"], {"type": "array", "items": {"type": "number"}}, "an array whose element 1 is number"),
    ({"a": 1}, {"type": "object", "required": ["west"]}, "an object with 'west'"),
    ({"a": 1}, {"type": "object", "properties": {"a": {"type": "string"}}}, "an object whose 'a' is string"),
    (False, {"type": "boolean", "const": True}, "true"),
    (5, [{"type": "string"}, {"type": "array"}], "string or array"),
    ([], [{"type": "string"}, {"type": "array", "minItems": 1}], "an array of at least 1 elements"),
    (5, {"anyOf": [{"type": "string"}, {"type": "number"}]}, ""),
    ({}, {"type": "object", "subtype": "datacube"}, "data cube"),
    ({}, {"description": "Any data type."}, ""),
]


@pytest.mark.parametrize(("value", "schema", "expected"), CHECKED)
def test_a_value_against_a_schema(value: Any, schema: Any, expected: str) -> None:
    assert complaint(value, alternatives(schema), lambda v, s: None) == expected
