"""Conditions on the items' properties as Python expressions: `bdap.prop.cloud_cover < 20`. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .errors import BadCube
from .filters import SHORT
from .graph import Callback, Node, Parameter, plain

VALUE = Parameter("value")


@dataclass(frozen=True, eq=False)
class Condition:
    """Conditions that an item has to fulfil, each on one property. `&` joins them."""

    parts: tuple[tuple[str, Node], ...]

    def __and__(self, other: Any) -> Condition:
        if not isinstance(other, Condition):
            raise BadCube(f"a condition and {other!r} cannot be joined", "write both as bdap.prop.name < value")
        return Condition((*self.parts, *other.parts))

    def __or__(self, other: Any) -> Condition:
        """Either of two conditions, where both are on the same property."""
        names = {name for name, _ in (*self.parts, *other.parts)} if isinstance(other, Condition) else set()
        if len(names) != 1 or len(self.parts) != 1 or len(other.parts) != 1:
            raise BadCube(
                "only conditions on the same property can be joined by |",
                "make two cubes, or use .isin([...]) for several values of one property",
            )
        return Condition(((self.parts[0][0], Node("or", {"x": self.parts[0][1], "y": other.parts[0][1]})),))

    def __invert__(self) -> Condition:
        if len(self.parts) != 1:
            raise BadCube("~ wants a single condition", "negate each of them")
        ((name, node),) = self.parts
        return Condition(((name, Node("not", {"x": node})),))

    def __bool__(self) -> bool:
        raise BadCube(
            "a condition is neither true nor false before items are looked at",
            "join conditions with & and put each in parentheses",
        )

    def callbacks(self) -> dict[str, Callback]:
        """As load_collection's `properties` want them: several on one property become one."""
        made: dict[str, Node] = {}
        for name, node in self.parts:
            made[name] = Node("and", {"x": made[name], "y": node}) if name in made else node
        return {name: Callback(node) for name, node in made.items()}


class Property:
    """One property of items; comparing it gives a condition."""

    def __init__(self, name: str) -> None:
        self.name = SHORT.get(name, name)

    def _test(self, process: str, value: Any) -> Condition:
        value = plain(value)
        if isinstance(value, bool) or not isinstance(value, int | float | str) or value != value:
            raise BadCube(f"{self.name} cannot be compared with {value!r}", "compare it with a number or a text")
        return Condition(((self.name, Node(process, {"x": VALUE, "y": value})),))

    def __lt__(self, value: Any) -> Condition:
        return self._test("lt", value)

    def __le__(self, value: Any) -> Condition:
        return self._test("lte", value)

    def __gt__(self, value: Any) -> Condition:
        return self._test("gt", value)

    def __ge__(self, value: Any) -> Condition:
        return self._test("gte", value)

    def __eq__(self, value: Any) -> Condition:  # type: ignore[override]
        return self._test("eq", value)

    def __ne__(self, value: Any) -> Condition:  # type: ignore[override]
        return self._test("neq", value)

    __hash__ = object.__hash__

    def between(self, low: float, high: float) -> Condition:
        """From `low` to `high`, both included."""
        return (self >= low) & (self <= high)

    def isin(self, values: Iterable[Any]) -> Condition:
        """One of some values."""
        wanted = [plain(value) for value in values]
        if not wanted:
            raise BadCube(f"{self.name}.isin([]) fits nothing", "name at least one value")
        return Condition(((self.name, Node("array_contains", {"data": wanted, "value": VALUE})),))

    def __repr__(self) -> str:
        return f"<property {self.name} of items; compare it: {self.name} < 20>"


class Properties:
    """`bdap.prop`: properties of items by name; `bdap.prop["view:off_nadir"]` for names with other signs."""

    def __getattr__(self, name: str) -> Property:
        if name.startswith("_"):
            raise AttributeError(name)
        return Property(name)

    def __getitem__(self, name: str) -> Property:
        return Property(name)

    def __dir__(self) -> list[str]:
        return ["cloud_cover", "snow_cover", "platform", "constellation", "datetime", "gsd"]

    def __repr__(self) -> str:
        return "<properties of items: bdap.prop.cloud_cover < 20, bdap.prop['view:off_nadir'] < 5>"


prop = Properties()
