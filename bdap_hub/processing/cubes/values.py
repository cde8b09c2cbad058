"""Values inside callbacks. Two worlds, one meaning: plain values (what JSON knows: None is no data, NaN is a number
that is none) and layers of pixels (numpy arrays of floats: NaN is no data, truth is 1 and 0).

PURE: numpy only. An array of plain values is a list or `Labelled`, an array of layers is a `Series`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import TooMuch
from ..graphs.graph import GraphError

MOST_VALUES, MOST_LABELS = 2**28, 5000


@dataclass(frozen=True)
class Series:
    """A labelled array of layers: the first axis of `values` is the one that is worked along."""

    values: Any
    labels: tuple[Any, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Any:
        """The numbers, for counting their bytes."""
        return self.values

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)


@dataclass(frozen=True)
class Labelled(Sequence[Any]):
    """A labelled array of plain values."""

    values: tuple[Any, ...]
    labels: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]


def labels_of(data: Any) -> tuple[Any, ...] | None:
    """An array's labels; None where it has none."""
    labels = getattr(data, "labels", None)
    return labels if labels or isinstance(data, Labelled) else None


def labelled(values: Sequence[Any], labels: Sequence[Any] | None) -> Any:
    """An array of these values, with labels if there are any."""
    return list(values) if labels is None else Labelled(tuple(values), tuple(labels))


def position(data: Any, label: Any) -> int | None:
    """The index of a label or common name; None if there is none such."""
    labels = labels_of(data) or ()
    for candidate in (label, getattr(data, "aliases", {}).get(label)):
        if candidate is not None and candidate in labels:
            return labels.index(candidate)
    return None


def has_layers(*values: Any) -> bool:
    """Whether one of the values is pixels, or an array of them."""
    return any(
        isinstance(v, (np.ndarray, Series))
        or (isinstance(v, (list, tuple, Labelled)) and any(isinstance(item, (np.ndarray, Series)) for item in v))
        for v in values
    )


def fits(values: int, labels: int = 0) -> None:
    """TooMuch, before memory is taken, for an array that a graph of a few lines can ask for but no server has."""
    if values > MOST_VALUES or labels > MOST_LABELS:
        raise TooMuch(
            f"{values} values and {labels} labels are needed at once; the limits are {MOST_VALUES} and {MOST_LABELS}",
            "narrow the extents, or name each band and date once",
        )


def series(data: Any) -> Series:
    """`data` (a Series, or an array of numbers and layers) as a Series."""
    if isinstance(data, Series):
        return data
    if isinstance(data, (list, tuple, Labelled)) and len(data):
        parts = [number(item) for item in data]
        fits(len(parts) * max(np.size(part) for part in parts))
        kinds = [part.dtype for part in parts if isinstance(part, np.ndarray) and part.dtype.kind == "f"]
        kind = np.result_type(*kinds) if kinds else np.float64  # plain numbers take the precision of the pixels
        stack = np.stack(np.broadcast_arrays(*[np.asarray(part, kind) for part in parts]))
        return Series(stack, labels_of(data) or ())
    if isinstance(data, (list, tuple, Labelled)):
        return Series(np.empty((0,), np.float32))
    raise GraphError("ProcessArgumentInvalid", f"an array is needed, but {type(data).__name__.lower()} was given")


def items(data: Any) -> list[Any]:
    """The elements of an array, plain values or layers."""
    if isinstance(data, (list, tuple, Labelled, Series)):
        return list(data)
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


def floats(values: Sequence[Any]) -> Any:
    """Plain numbers as one exact array; None becomes NaN, text and objects are refused."""
    return np.array([float(number(value)) for value in values], np.float64)


def plain(value: Any) -> Any:
    """A number of numpy as Python's own."""
    return value.item() if isinstance(value, np.generic) or getattr(value, "shape", None) == () else value
