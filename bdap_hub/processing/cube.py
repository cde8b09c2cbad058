"""The data a graph works on: `Cube` between processes, `Series` inside callbacks. NaN means no data.

PURE: numpy only. A cube's dimensions are a sub-sequence of (t, bands, y, x); y and x are always there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TooMuch
from .graph import GraphError

Values = NDArray[np.floating[Any]]
LABELLED = ("t", "bands")
MOST_VALUES, MOST_LABELS = 2**28, 5000


@dataclass(frozen=True)
class Cube:
    """`data` has one axis for each of `dims`; `labels` names the entries of t (RFC 3339) and bands.

    `aliases` maps common names (red, nir) to band names, as the catalogue gives them.
    """

    data: Values
    dims: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def axis(self, dimension: str) -> int:
        """The axis of a labelled dimension; DimensionNotAvailable if the cube has no such dimension."""
        if dimension not in self.dims or dimension not in LABELLED:
            have = ", ".join(d for d in self.dims if d in LABELLED) or "none"
            raise GraphError(
                "DimensionNotAvailable", f"there is no dimension {dimension!r} to work along", f"it has: {have}"
            )
        return self.dims.index(dimension)

    def names(self, dimension: str) -> tuple[str, ...]:
        """The labels of a dimension; DimensionNotAvailable if there is none such."""
        return self.labels[self.dims[self.axis(dimension)]]

    def band(self, name: str) -> str:
        """The band of that name or common name; BandNotAvailable otherwise."""
        bands = self.labels.get("bands", ())
        for candidate in (name, self.aliases.get(name, "")):
            if candidate in bands:
                return candidate
        raise GraphError("BandNotAvailable", f"there is no band {name!r}", f"the cube has {', '.join(bands) or 'none'}")

    def select(self, dimension: str, indices: Sequence[int]) -> Cube:
        """The cube with only these entries of a dimension, in this order."""
        axis = self.axis(dimension)
        fits(self.data.size // max(1, self.data.shape[axis]) * len(indices), len(indices))
        labels = tuple(self.labels[dimension][i] for i in indices)
        data = np.take(self.data, list(indices), axis=axis)
        return replace(self, data=data, labels={**self.labels, dimension: labels})

    def without(self, dimension: str, data: Values) -> Cube:
        """`data` as this cube's successor, which has lost one dimension."""
        dims = tuple(d for d in self.dims if d != dimension)
        return replace(self, data=data, dims=dims, labels={k: v for k, v in self.labels.items() if k != dimension})

    def series(self, dimension: str) -> Series:
        """The values along a dimension, as callbacks get them."""
        axis = self.axis(dimension)
        aliases = self.aliases if dimension == "bands" else {}
        return Series(np.moveaxis(self.data, axis, 0), self.labels[dimension], aliases)

    def aligned(self, dims: tuple[str, ...]) -> Values:
        """The data with axes of length 1 put in for those of `dims` that this cube lacks."""
        index = tuple(slice(None) if d in self.dims else np.newaxis for d in dims)
        return self.data[index]


@dataclass(frozen=True)
class Series:
    """A labelled array inside a callback: the first axis of `values` is the one that is worked along."""

    values: Values
    labels: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    def at(self, label: str) -> int:
        """The index of a label or common name; ArrayElementNotAvailable otherwise."""
        for candidate in (label, self.aliases.get(label, "")):
            if candidate in self.labels:
                return self.labels.index(candidate)
        raise GraphError(
            "ArrayElementNotAvailable", f"there is no element {label!r}", f"there are {', '.join(self.labels)}"
        )


def fits(values: int, labels: int = 0) -> None:
    """TooMuch, before memory is taken, for an array that a graph of a few lines can ask for but no server has."""
    if values > MOST_VALUES or labels > MOST_LABELS:
        raise TooMuch(
            f"{values} values and {labels} labels are needed at once; the limits are {MOST_VALUES} and {MOST_LABELS}",
            "narrow the extents, or name each band and date once",
        )


def series(data: Any) -> Series:
    """`data` (a Series, or a list of numbers and arrays) as a Series."""
    if isinstance(data, Series):
        return data
    if isinstance(data, (list, tuple)) and data:
        parts = [number(item) for item in data]
        fits(len(parts) * max(np.size(part) for part in parts))
        kinds = [part.dtype for part in parts if isinstance(part, np.ndarray) and part.dtype.kind == "f"]
        kind = np.result_type(*kinds) if kinds else np.float64  # plain numbers take the precision of the pixels
        return Series(np.stack(np.broadcast_arrays(*[np.asarray(part, kind) for part in parts])))
    if isinstance(data, (list, tuple)):
        return Series(np.empty((0,), np.float32))
    raise GraphError("ProcessArgumentInvalid", f"an array is needed, but {type(data).__name__.lower()} was given")


def number(value: Any) -> Any:
    """`value` ready for maths: None is no data, booleans are 1 and 0; strings and cubes are refused."""
    if value is None:
        return np.float32(np.nan)
    if isinstance(value, bool):
        return np.float32(value)
    if isinstance(value, (int, float, np.ndarray, np.generic)):
        return value
    raise GraphError("ProcessArgumentInvalid", f"a number is needed, but {type(value).__name__.lower()} was given")
