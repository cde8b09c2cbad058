"""Reducers that take one layer after the other; they give what the processes of their names give of all. PURE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class Running:
    """The sum of what was added. `done`: no further layer changes the result; `may_end`: that can come before the last.

    `backwards`: the last layer comes first.
    """

    may_end = backwards = False

    def __init__(self) -> None:
        self.total: Any = None

    @property
    def done(self) -> bool:
        """Whether no further layer changes the result."""
        return False

    def add(self, layer: Any) -> None:
        """One layer more."""
        raise NotImplementedError

    def result(self) -> Any:
        """The result of all layers."""
        return self.total


class Largest(Running):
    """`max`."""

    choose: Any = np.fmax

    def add(self, layer: Any) -> None:
        self.total = layer if self.total is None else self.choose(self.total, layer)


class Smallest(Largest):
    """`min`."""

    choose = np.fmin


class First(Running):
    """`first`: over once each pixel has a value."""

    may_end = True

    @property
    def done(self) -> bool:
        return not np.isnan(self.total).any()

    def add(self, layer: Any) -> None:
        self.total = layer if self.total is None else np.where(np.isnan(self.total), layer, self.total)


class Last(First):
    """`last`."""

    backwards = True


class Sum(Running):
    """`sum`: no data where there is no value at all."""

    def add(self, layer: Any) -> None:
        missing = np.isnan(layer)
        values = np.where(missing, layer.dtype.type(0), layer) if missing.any() else layer
        if self.total is None:
            self.total, self.never = values.astype(layer.dtype, copy=True), missing
        else:
            self.total = self.total + values
            self.never &= missing

    def result(self) -> Any:
        self.total[self.never] = np.nan
        return self.total


class Mean(Running):
    """`mean`."""

    def add(self, layer: Any) -> None:
        valid = ~np.isnan(layer)
        values = np.where(valid, layer, 0).astype(np.float64)
        if self.total is None:
            self.total, self.count, self.kind = values, valid.astype(np.int64), layer.dtype
        else:
            self.total += values
            self.count += valid
            self.kind = np.result_type(self.kind, layer.dtype)

    def result(self) -> Any:
        with np.errstate(all="ignore"):
            return (self.total / self.count).astype(self.kind, copy=False)


class Count(Running):
    """`count` of valid values."""

    def add(self, layer: Any) -> None:
        valid = np.isfinite(layer)
        self.total = valid.astype(np.int64) if self.total is None else self.total + valid

    def result(self) -> Any:
        return self.total.astype(np.float32)


RUNNING: Mapping[str, Callable[[], Running]] = {
    "max": Largest,
    "min": Smallest,
    "first": First,
    "last": Last,
    "sum": Sum,
    "mean": Mean,
    "count": Count,
}
