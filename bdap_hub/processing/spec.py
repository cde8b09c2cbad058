"""What a process is: its name, the kinds of its parameters, the function. PURE: no I/O, no framework.

A process is declared once, by `@process` on its function; the annotations give validation and `/processes`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_type_hints


@dataclass(frozen=True)
class Kind:
    """The kind of value a parameter takes, as the process specifications name it."""

    name: str
    null: bool = False
    callback: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """The JSON schema that `/processes` shows."""
        types = {
            "datacube": "object",
            "bounding-box": "object",
            "process-graph": "object",
            "temporal-interval": "array",
        }
        if self.name == "any":
            return {"description": "Any data type."}
        kind = types.get(self.name, self.name)
        schema: dict[str, Any] = {"type": [kind, "null"] if self.null else kind}
        if self.name in types:
            schema["subtype"] = self.name
        if self.callback:
            schema["parameters"] = [{"name": name, "schema": {}} for name in self.callback]
        return schema


Datacube = Annotated[Any, Kind("datacube")]
Number = Annotated[Any, Kind("number", null=True)]
Limit = Annotated[Any, Kind("number")]
Boolean = Annotated[Any, Kind("boolean", null=True)]
Flag = Annotated[Any, Kind("boolean")]
Text = Annotated[Any, Kind("string")]
OptionalText = Annotated[Any, Kind("string", null=True)]
Array = Annotated[Any, Kind("array")]
OptionalArray = Annotated[Any, Kind("array", null=True)]
Interval = Annotated[Any, Kind("temporal-interval")]
OptionalInterval = Annotated[Any, Kind("temporal-interval", null=True)]
Box = Annotated[Any, Kind("bounding-box")]
OptionalBox = Annotated[Any, Kind("bounding-box", null=True)]
Options = Annotated[Any, Kind("object", null=True)]
Anything = Annotated[Any, Kind("any", null=True)]
Reducer = Annotated[Any, Kind("process-graph", callback=("data", "context"))]
Mapper = Annotated[Any, Kind("process-graph", callback=("x", "context"))]
Merger = Annotated[Any, Kind("process-graph", null=True, callback=("x", "y", "context"))]
PropertyFilters = Annotated[Any, Kind("object", null=True, callback=("value",))]
Condition = Annotated[Any, Kind("any", null=True, callback=("x", "context"))]


@dataclass(frozen=True)
class Parameter:
    """One argument of a process."""

    name: str
    kind: Kind
    optional: bool = False
    default: Any = None


@dataclass(frozen=True)
class Process:
    """A process that graphs may use. `context` says that the function wants the evaluation's context first."""

    id: str
    summary: str
    parameters: tuple[Parameter, ...]
    returns: Kind
    function: Callable[..., Any] = field(repr=False)
    context: bool = False

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return next((p for p in self.parameters if p.name == name), None)

    def document(self) -> dict[str, Any]:
        """The process as `/processes` lists it."""
        shown = []
        for p in self.parameters:
            row: dict[str, Any] = {"name": p.name, "description": p.name, "schema": p.kind.schema()}
            shown.append({**row, "optional": True, "default": p.default} if p.optional else row)
        returns = {"description": self.returns.name, "schema": self.returns.schema()}
        return {
            "id": self.id,
            "summary": self.summary,
            "description": self.summary,
            "parameters": shown,
            "returns": returns,
        }


Registry = Mapping[str, Process]
_registry: dict[str, Process] = {}


def process(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register `function` as the process of its name; its docstring's first line is the summary."""
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    declared = tuple(
        Parameter(
            name,
            _kind(hints[name]),
            optional=p.default is not inspect.Parameter.empty,
            default=None if p.default is inspect.Parameter.empty else p.default,
        )
        for name, p in parameters.items()
        if name != "ctx"
    )
    identifier = function.__name__.rstrip("_")
    summary = (function.__doc__ or "").strip().splitlines()[0]
    _registry[identifier] = Process(
        identifier, summary, declared, _kind(hints["return"]), function, context="ctx" in parameters
    )
    return function


def registered() -> Registry:
    """All processes declared so far."""
    return _registry


def _kind(hint: Any) -> Kind:
    found = next((a for a in get_args(hint) if isinstance(a, Kind)), None)
    if found is None:
        raise TypeError(f"{hint!r} is not one of the kinds of spec.py")
    return found
