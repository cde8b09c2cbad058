"""Python's operators on cubes. `and`, `or` and `not` cannot be overloaded: use `&`, `|` and `~`."""

from __future__ import annotations

import math
from typing import Any, Self

from .base import Base
from .errors import BadCube
from .graph import plain
from .maths import function, operation


class Operators(Base):
    """Arithmetic, comparison and logic; each builds a graph and reads nothing."""

    def _with(self, process: str, other: Any, swapped: bool = False) -> Self:
        if isinstance(other, Base):
            other = other._maths
        elif not isinstance(other := plain(other), int | float):
            raise BadCube(f"a cube and {other!r} cannot be combined by {process}", "use a number or another cube")
        elif not math.isfinite(other):
            raise BadCube(
                f"a cube and {other!r} cannot be combined by {process}",
                'cube.apply("is_valid") asks where there is data',
            )
        left, right = (other, self._maths) if swapped else (self._maths, other)
        return self._as(operation(process, left, right))

    def __add__(self, other: Any) -> Self:
        return self._with("add", other)

    def __radd__(self, other: Any) -> Self:
        return self._with("add", other, swapped=True)

    def __sub__(self, other: Any) -> Self:
        return self._with("subtract", other)

    def __rsub__(self, other: Any) -> Self:
        return self._with("subtract", other, swapped=True)

    def __mul__(self, other: Any) -> Self:
        return self._with("multiply", other)

    def __rmul__(self, other: Any) -> Self:
        return self._with("multiply", other, swapped=True)

    def __truediv__(self, other: Any) -> Self:
        return self._with("divide", other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._with("divide", other, swapped=True)

    def __pow__(self, other: Any) -> Self:
        if not isinstance(other := plain(other), int | float):
            raise BadCube(f"a cube to the power of {other!r} is not possible", "use a number as exponent")
        return self._as(function(self._maths, "power", "base", p=other))

    def __neg__(self) -> Self:
        return self._with("multiply", -1)

    def __abs__(self) -> Self:
        return self._as(function(self._maths, "absolute"))

    def __lt__(self, other: Any) -> Self:
        return self._with("lt", other)

    def __le__(self, other: Any) -> Self:
        return self._with("lte", other)

    def __gt__(self, other: Any) -> Self:
        return self._with("gt", other)

    def __ge__(self, other: Any) -> Self:
        return self._with("gte", other)

    def __eq__(self, other: Any) -> Self:  # type: ignore[override]
        return self._with("eq", other)

    def __ne__(self, other: Any) -> Self:  # type: ignore[override]
        return self._with("neq", other)

    __hash__ = object.__hash__

    def __and__(self, other: Any) -> Self:
        return self._with("and", other)

    def __or__(self, other: Any) -> Self:
        return self._with("or", other)

    def __xor__(self, other: Any) -> Self:
        return self._with("xor", other)

    def __invert__(self) -> Self:
        return self._as(function(self._maths, "not"))

    def __bool__(self) -> bool:
        raise BadCube(
            "a cube is neither true nor false: it has not been read",
            "combine conditions with & | ~ instead of and, or, not, and put each in parentheses",
        )
