"""How a wrong style is refused: in one sentence with its remedy. PURE."""

from __future__ import annotations

from typing import Any

from ..graphs.graph import GraphError


def refuse(message: str, remedy: str = "") -> GraphError:
    """The error of a style that cannot be drawn."""
    return GraphError("ProcessArgumentInvalid", message, remedy)


def numbers(raw: Any, what: str, counts: tuple[int, ...] = (1,)) -> tuple[float, ...]:
    """One or several finite numbers; refused where there are not as many as `counts` allows."""
    values = raw if isinstance(raw, (list, tuple)) else [raw]
    plain = all(type(v) in (int, float) and abs(v) < 1e300 for v in values)
    if not plain or len(values) not in counts:
        many = " or ".join({1: "a number", 2: "two numbers", 3: "three numbers"}.get(n, f"{n} numbers") for n in counts)
        raise refuse(f"{what} must be {many}, not {raw!r:.40}")
    return tuple(float(v) for v in values)


def within(raw: Any, what: str, low: float, high: float) -> float:
    """One number from `low` to `high`."""
    (value,) = numbers(raw, what)
    if not low <= value <= high:
        raise refuse(f"{what} is {value:g}; it must lie between {low:g} and {high:g}")
    return value


def text(raw: Any, what: str, most: int = 80) -> str:
    """A short text."""
    if not isinstance(raw, str) or len(raw) > most:
        raise refuse(f"{what} must be a text of at most {most} characters, not {raw!r:.40}")
    return raw


def known_keys(raw: Any, what: str, keys: frozenset[str]) -> dict[str, Any]:
    """A mapping with no other keys than these."""
    if not isinstance(raw, dict):
        raise refuse(f"{what} must be an object, not {raw!r:.40}")
    if unknown := sorted(map(str, raw.keys() - keys)):
        raise refuse(f"{what} has no {unknown[0]!r:.40}", f"it has {', '.join(sorted(keys))}")
    return raw
