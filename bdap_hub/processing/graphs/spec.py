"""What a process is: its openEO specification, the function that runs it, what it looks at. PURE but for reading
the specifications that lie beside the code.

A process is declared once, by `@process` on its function; parameters, their types and defaults, what it returns and
the text for `/processes` come from `specifications/<id>.json`, as the standard publishes it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib.resources import files
from typing import Any

from .schema import Schema, alternatives

Function = Callable[..., Any]
RANGE = ("minimum", "maximum", "minimumExclusive", "maximumExclusive")


class Sees(StrEnum):
    """What of the spatial extent a process has to see to give one pixel its value."""

    PIXEL = "pixel"
    NEIGHBOURS = "neighbours"
    EXTENT = "whole extent"


@dataclass(frozen=True)
class Parameter:
    """One argument of a process. `callback`: the parameters that it hands to a process graph given for it."""

    name: str
    schemas: tuple[Schema, ...]
    optional: bool = False
    default: Any = None
    callback: frozenset[str] = frozenset()

    def takes(self, cube: bool) -> bool:
        """Whether a data cube (or, with False, anything else) can be given."""
        return any("type" not in s or (s.get("subtype") == "datacube") == cube for s in self.schemas)


@dataclass(frozen=True)
class Process:
    """A process that graphs may use. `context` says that the function wants the evaluation's context first.

    `limits` says in a sentence where it does less than its specification; `reach`, how many pixels around a pixel
    its value depends on, given the arguments.
    """

    id: str
    specification: Mapping[str, Any]
    parameters: tuple[Parameter, ...]
    function: Function = field(repr=False)
    context: bool = False
    sees: Sees = Sees.PIXEL
    limits: str = ""
    reach: Callable[[Mapping[str, Any]], int] = field(default=lambda arguments: 0, repr=False)

    @property
    def summary(self) -> str:
        """One line for people."""
        return str(self.specification["summary"])

    @property
    def categories(self) -> tuple[str, ...]:
        """The specification's categories."""
        return tuple(self.specification["categories"])

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return next((p for p in self.parameters if p.name == name), None)

    def gives(self, cube: bool) -> bool:
        """Whether it may give a data cube (or, with False, anything else)."""
        returned = alternatives(self.specification["returns"]["schema"])
        is_cube = self.id == "save_result" or any(s.get("subtype") == "datacube" for s in returned)
        return any("type" not in s for s in returned) or is_cube == cube

    def document(self) -> dict[str, Any]:
        """The process as `/processes` lists it."""
        if not self.limits:
            return dict(self.specification)
        description = f"{self.specification['description']}\n\n**Here:** {self.limits}"
        return {**self.specification, "description": description}


Registry = Mapping[str, Process]
_registry: dict[str, Process] = {}


def process(
    function: Function | None = None,
    *,
    name: str = "",
    sees: Sees = Sees.PIXEL,
    limits: str = "",
    reach: Callable[[Mapping[str, Any]], int] | None = None,
) -> Callable[..., Any]:
    """Register `function` as the process of its name (without a trailing underscore), or of `name`.

    Its parameters are those of the specification; one called `ctx` gets the context of the evaluation. TypeError
    where they differ.
    """

    def register(function: Function) -> Function:
        identifier = name or function.__name__.rstrip("_")
        specification = json.loads((files(__package__) / "specifications" / f"{identifier}.json").read_text("utf-8"))
        declared = tuple(_parameter(p) for p in specification["parameters"])
        names = [p for p in inspect.signature(function).parameters if p != "ctx"]
        if names not in (["arguments"], [p.name for p in declared]):
            raise TypeError(f"{identifier} is declared with {names}, its specification says otherwise")
        context = "ctx" in inspect.signature(function).parameters
        made = Process(identifier, specification, declared, function, context, sees, limits)
        _registry[identifier] = replace(made, sees=Sees.NEIGHBOURS, reach=reach) if reach else made
        return function

    return register if function is None else register(function)


def registered() -> Registry:
    """All processes declared so far."""
    return _registry


def _parameter(raw: Mapping[str, Any]) -> Parameter:
    schemas = tuple(_operand(schema) for schema in alternatives(raw["schema"]))
    optional = bool(raw.get("optional"))
    return Parameter(raw["name"], schemas, optional, raw.get("default"), frozenset(_handed_in(schemas)))


def _operand(schema: Schema) -> Schema:
    """The schema without the range in which a function of numbers is defined: outside it gives NaN."""
    is_number = "number" in str(schema.get("type"))
    return {key: value for key, value in schema.items() if not (is_number and key in RANGE)}


def _handed_in(schemas: Iterable[Schema]) -> Iterable[str]:
    for schema in schemas:
        yield from (p["name"] for p in schema.get("parameters", ()))
        inner = schema.get("additionalProperties")
        yield from _handed_in(alternatives(inner)) if isinstance(inner, Mapping) else ()
