"""The data a graph works on between processes: `Cube`. NaN means no data; truth values are 1 and 0.

PURE: numpy only. The dimensions y and x are the grid of the view, and always the last two where they are there; all
others have labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graphs.graph import GraphError
from .values import Series, fits

Values = NDArray[np.floating[Any]]
SPATIAL = ("y", "x")
_KINDS = {"t": "temporal", "bands": "bands", "y": "spatial", "x": "spatial"}


@dataclass(frozen=True)
class Cube:
    """`data` has one axis for each of `dims`; `labels` names the entries of all but y and x.

    `aliases` maps common names (red, nir) to band names, as the catalogue gives them; `kinds` says of which openEO
    type a dimension is (temporal, bands, geometry, other), where its name (t, bands) does not say it. Of a vector cube
    `features` has the GeoJSON feature, in degrees, of each label of the dimension of geometries, and `crs` is where
    distances between them are measured.
    """

    data: Values
    dims: tuple[str, ...]
    labels: Mapping[str, tuple[Any, ...]]
    aliases: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    crs: str = "EPSG:4326"

    def kind(self, dimension: str) -> str:
        """The openEO type of a dimension."""
        return self.kinds.get(dimension) or _KINDS.get(dimension, "other")

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """The dimensions of an openEO type."""
        return tuple(d for d in self.dims if self.kind(d) == kind)

    def only(self, kind: str, code: str) -> str:
        """The one dimension of an openEO type; a GraphError of that code if there is none or there are several."""
        found = self.of_kind(kind)
        if len(found) != 1:
            raise GraphError(code, f"the cube has {len(found)} dimensions of type {kind}, not one", self._have())
        return found[0]

    def axis(self, dimension: str) -> int:
        """The axis of a dimension; DimensionNotAvailable if the cube has no such dimension."""
        if dimension not in self.dims:
            raise GraphError("DimensionNotAvailable", f"there is no dimension {dimension!r}", self._have())
        return self.dims.index(dimension)

    def names(self, dimension: str) -> tuple[Any, ...]:
        """The labels of a dimension; DimensionNotAvailable if there is none such, or it is y or x."""
        self.axis(dimension)
        if dimension in SPATIAL:
            raise GraphError(
                "DimensionNotAvailable", f"{dimension!r} is the grid of the view: it has no labels to work on"
            )
        return self.labels[dimension]

    def band(self, name: str, dimension: str = "bands") -> str:
        """The band of that name or common name; BandNotAvailable otherwise."""
        bands = self.labels.get(dimension, ())
        for candidate in (name, self.aliases.get(name, "")):
            if candidate in bands:
                return candidate
        have = ", ".join(map(str, bands)) or "none"
        raise GraphError("BandNotAvailable", f"there is no band {name!r}", f"the cube has {have}")

    def select(self, dimension: str, indices: Sequence[int]) -> Cube:
        """The cube with only these entries of a dimension, in this order."""
        names, axis = self.names(dimension), self.axis(dimension)
        fits(self.data.size // max(1, self.data.shape[axis]) * len(indices), len(indices))
        data = np.take(self.data, list(indices), axis=axis)
        return self.along(dimension, data, tuple(names[i] for i in indices))

    def along(self, dimension: str, data: Values, labels: tuple[Any, ...]) -> Cube:
        """`data` as this cube's successor, with other labels along a dimension."""
        return replace(self, data=data, labels={**self.labels, dimension: labels})

    def without(self, dimension: str, data: Values) -> Cube:
        """`data` as this cube's successor, which has lost one dimension."""
        dims = tuple(d for d in self.dims if d != dimension)
        return replace(self, data=data, dims=dims, labels={k: v for k, v in self.labels.items() if k != dimension})

    def added(self, dimension: str, data: Values, labels: tuple[Any, ...], kind: str) -> Cube:
        """`data`, whose first axis is new, as this cube's successor with one dimension more."""
        kinds = self.kinds if kind == _KINDS.get(dimension, "other") else {**self.kinds, dimension: kind}
        made = replace(
            self, data=data, dims=(dimension, *self.dims), labels={**self.labels, dimension: labels}, kinds=kinds
        )
        return made.arranged(ordered(made))

    @property
    def pixels(self) -> Values:
        """The data, whose last two axes are y and x; DimensionNotAvailable where the cube has no pixels."""
        for dimension in SPATIAL:
            self.axis(dimension)
        return self.data

    def series(self, dimension: str) -> Series:
        """The values along a dimension, as callbacks get them."""
        axis = self.axis(dimension)
        aliases = self.aliases if self.kind(dimension) == "bands" else {}
        return Series(np.moveaxis(self.data, axis, 0), self.labels.get(dimension, ()), aliases)

    def aligned(self, dims: tuple[str, ...]) -> Values:
        """The data in the order of `dims`, with axes of length 1 put in for those that this cube lacks."""
        own = [self.dims.index(d) for d in dims if d in self.dims]
        index = tuple(slice(None) if d in self.dims else np.newaxis for d in dims)
        return (self.data if own == sorted(own) else self.data.transpose(own))[index]

    def arranged(self, dims: tuple[str, ...]) -> Cube:
        """The same cube with its dimensions in another order."""
        return self if dims == self.dims else replace(self, data=self.aligned(dims), dims=dims)

    def cropped(self, margin: int) -> Cube:
        """The cube without so many pixels at each side of y and x."""
        if not margin or self.dims[-2:] != SPATIAL:
            return self
        return replace(self, data=self.data[..., margin:-margin, margin:-margin])

    def _have(self) -> str:
        return f"it has: {', '.join(self.dims) or 'none'}"


def ordered(*cubes: Cube) -> tuple[str, ...]:
    """All dimensions of some cubes: time first, then others, then bands, then y and x."""
    rank = {"temporal": 0, "bands": 2, "spatial": 3}
    found = {d: rank.get(cube.kind(d), 1) for cube in cubes for d in cube.dims}
    return tuple(sorted(found, key=lambda d: (found[d], d == "x")))
