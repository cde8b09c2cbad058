"""The 280 spectral indices of the list Awesome Spectral Indices, by name: what they are, not how they are computed.

The processing service computes them from the same list. Nothing of a formula is evaluated here.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from .errors import BadCube
from .table import grid


@dataclass(frozen=True)
class Index:
    """A spectral index: its formula in variables such as N (near infrared) and R (red)."""

    name: str
    long_name: str
    domain: str
    formula: str
    reference: str

    def __repr__(self) -> str:
        return f"{self.name}: {self.long_name} ({self.domain})\n{self.formula}\n{self.reference}"


class Indices:
    """`bdap.indices`: TAB lists them all; called with a word ("burn", "water") it lists those that it fits."""

    def __getattr__(self, name: str) -> Index:
        found = every().get(name)
        if found is None:
            raise AttributeError(f"there is no spectral index {name}")
        return found

    def __getitem__(self, name: str) -> Index:
        return every()[known(name)]

    def __dir__(self) -> list[str]:
        return list(every())

    def __len__(self) -> int:
        return len(every())

    def __call__(self, word: str = "") -> Found:
        """Those in whose name, meaning or domain the word stands."""
        text = word.casefold()
        return Found(i for i in every().values() if text in f"{i.name} {i.long_name} {i.domain}".casefold())

    def __repr__(self) -> str:
        domains: dict[str, int] = {}
        for index in every().values():
            domains[index.domain] = domains.get(index.domain, 0) + 1
        counts = ", ".join(f"{number} of {domain}" for domain, number in sorted(domains.items(), key=lambda d: -d[1]))
        return f'<{len(self)} spectral indices: {counts}; bdap.indices("burn") finds, bdap.indices.NDVI shows one>'


class Found(tuple[Index, ...]):
    """Indices as a table in a notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(f"{each.name:12} {each.long_name}: {each.formula}" for each in self) or "no index"

    def _repr_html_(self) -> str:
        rows = ((each.name, each.long_name, each.domain, each.formula) for each in self)
        return grid(("index", "meaning", "domain", "formula"), rows)


def known(name: str) -> str:
    """The name of an index as the list writes it; BadCube with names that are like it."""
    names = every()
    if name in names:
        return name
    same = [each for each in names if each.casefold() == str(name).casefold()]
    if len(same) == 1:
        return same[0]
    alike = same or difflib.get_close_matches(str(name), names, 4, 0.5)
    cure = f"did you mean {' or '.join(alike)}?" if alike else 'bdap.indices("water") finds indices by a word'
    raise BadCube(f"there is no spectral index {name!r}", cure)


@functools.cache
def every() -> Mapping[str, Index]:
    """All of them by name."""
    text = (files(__package__) / "data" / "spectral_indices.json").read_text("utf-8")
    return {
        name: Index(name, row["long_name"], row["domain"], row["formula"], row["reference"])
        for name, row in json.loads(text).items()
    }


indices = Indices()
