"""How surely a login proves a person: the claims acr and amr to one of the platform's levels. PURE: no I/O.

Decided on what came back from the provider, never on what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..access import kinds


@dataclass(frozen=True)
class Level:
    """A level is proven by any of the acr values, by all methods of a combination, or by two kinds of factor."""

    name: str
    acr: frozenset[str] = frozenset()
    amr: tuple[frozenset[str], ...] = ()
    two_kinds: bool = False

    def proven_by(self, acr: str, methods: frozenset[str]) -> bool:
        """Whether these claims prove the level. An empty combination proves nothing."""
        combined = any(wanted and wanted <= methods for wanted in self.amr)
        return acr in self.acr or combined or (self.two_kinds and len(kinds(methods)) > 1)


@dataclass(frozen=True)
class Levels:
    """All levels, lowest first; the first is what every login must prove."""

    levels: tuple[Level, ...]

    @property
    def lowest(self) -> str:
        """The level of the login itself; '' where there is none, which lets nobody in."""
        return self.levels[0].name if self.levels else ""

    def proven(self, acr: str, amr: Iterable[str]) -> str:
        """The highest level that the claims prove; '' for none."""
        methods = frozenset(amr)
        return next((level.name for level in reversed(self.levels) if level.proven_by(acr, methods)), "")

    def reaches(self, level: str, wanted: str) -> bool:
        """Whether `level` is `wanted` or higher. A name that does not exist reaches nothing and is never reached."""
        names = [known.name for known in self.levels]
        return level in names and wanted in names and names.index(level) >= names.index(wanted)

    def acr_for(self, wanted: str) -> tuple[str, ...]:
        """The acr values to ask the provider for, so that `wanted` or more is proven; empty where none is known."""
        names = [known.name for known in self.levels]
        chosen = self.levels[names.index(wanted) :] if wanted in names else ()
        return tuple(dict.fromkeys(acr for level in chosen for acr in sorted(level.acr)))
