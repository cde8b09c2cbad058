"""Colours of features: one for all, or by an attribute, with the rows of its legend. PURE."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BadCube

RAMP = ("#ffffcc", "#a1dab4", "#41b6c4", "#2c7fb8", "#253494")
WORDS = ("#1d6996", "#e17c05", "#0f8554", "#94346e", "#edad08", "#38a6a5", "#5f4690", "#cc503e", "#73af48", "#6f4070")
OTHER = "#8a8f94"


@dataclass(frozen=True)
class Symbols:
    """How features are drawn. `by`: the attribute that decides; `edges` of classes of numbers, or `words`."""

    color: str = "#0b5cad"
    fill: float = 0.2
    width: float = 2
    by: str = ""
    edges: tuple[float, ...] = ()
    words: tuple[Any, ...] = ()
    colors: tuple[str, ...] = ()

    def of(self, properties: Mapping[str, Any]) -> str:
        """The colour of a feature."""
        value = properties.get(self.by) if self.by else None
        if self.words:
            return self.colors[self.words.index(value)] if value in self.words else OTHER
        if self.edges:
            if not isinstance(value, int | float) or math.isnan(value):
                return OTHER
            place = sum(value >= edge for edge in self.edges[1:-1])
            return self.colors[place]
        return self.color

    def rows(self, name: str) -> list[tuple[str, str]]:
        """Colour and meaning of each row of the legend."""
        if self.words:
            return [*zip(self.colors, map(str, self.words), strict=True)]
        if self.edges:
            spans = itertools.pairwise(self.edges)
            return [(colour, f"{a:.4g} – {b:.4g}") for colour, (a, b) in zip(self.colors, spans, strict=True)]
        return [(self.color, name)]


def symbols(
    features: Sequence[Mapping[str, Any]],
    color: str,
    fill: float,
    width: float,
    by: str = "",
    colors: Mapping[Any, str] | Sequence[str] | None = None,
) -> Symbols:
    """The symbols of some features; BadCube where none of them has the attribute."""
    if not by:
        return Symbols(color, fill, width)
    values = [value for each in features if not _missing(value := (each.get("properties") or {}).get(by))]
    if not values:
        has = sorted({key for each in features[:50] for key in (each.get("properties") or {})})
        raise BadCube(f"no feature has the attribute {by!r}", f"they have {', '.join(has) or 'none'}")
    if isinstance(colors, Mapping):
        return Symbols(color, fill, width, by, words=tuple(colors), colors=tuple(colors.values()))
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return _classes(sorted(map(float, values)), tuple(colors or RAMP), Symbols(color, fill, width, by))
    words = sorted(set(values), key=lambda word: (-values.count(word), str(word)))
    chosen = tuple(colors or WORDS)
    kept = tuple(words[: len(chosen)])
    return Symbols(color, fill, width, by, words=kept, colors=chosen[: len(kept)])


def _missing(value: Any) -> bool:
    """Tables have NaN where there is nothing."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _classes(values: list[float], colors: tuple[str, ...], plain: Symbols) -> Symbols:
    """As many features in each class, as far as their values allow it."""
    count = len(colors)
    edges = [values[0], *(values[len(values) * i // count] for i in range(1, count)), values[-1]]
    rising = [edges[0], *(b for a, b in itertools.pairwise(edges) if b > a)]
    if len(rising) < 2:
        return Symbols(plain.color, plain.fill, plain.width, plain.by, words=(values[0],), colors=colors[-1:])
    kept = [colors[round(i * (count - 1) / max(1, len(rising) - 2))] for i in range(len(rising) - 1)]
    return Symbols(plain.color, plain.fill, plain.width, plain.by, edges=tuple(rising), colors=tuple(kept))
