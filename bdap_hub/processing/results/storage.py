"""What writers of files share: how values are stored, what a file is called, what is known of what was written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..cubes.cube import Cube
from ..engine.grid import Grid
from ..graphs.graph import GraphError
from .formats import Wanted
from .lattice import Window

SIDE = 512
"""Tiles and chunks of files have so many pixels a side."""


@dataclass(frozen=True)
class Storage:
    """The type of the stored numbers, and the one that stands for no data."""

    dtype: Any
    nodata: float

    @classmethod
    def of(cls, wanted: Wanted, values: Any) -> Storage:
        """As the options say, else in the precision of the values; GraphError where the type has no such number."""
        dtype = np.dtype(wanted.options.get("dtype") or values.dtype)
        given = wanted.options.get("nodata")
        if given is None:
            return cls(dtype, float("nan") if dtype.kind == "f" else float(np.iinfo(dtype).max))
        if dtype.kind != "f" and (given != int(given) or not np.iinfo(dtype).min <= given <= np.iinfo(dtype).max):
            raise GraphError("ProcessArgumentInvalid", f"{dtype.name} holds no {given}", "choose another nodata")
        return cls(dtype, float(given))

    def stored(self, values: Any) -> Any:
        """Values as the file holds them."""
        missing = np.isnan(values)
        if self.dtype.kind == "f":
            out = values.astype(self.dtype)
        else:
            limits = np.iinfo(self.dtype)
            with np.errstate(invalid="ignore"):
                out = np.clip(np.rint(np.where(missing, 0, values)), limits.min, limits.max).astype(self.dtype)
        if not np.isnan(self.nodata):
            out[missing] = self.nodata
        return out


@dataclass
class Tally:
    """Statistics of one layer, gathered as its pixels come by."""

    valid: int = 0
    total: int = 0
    low: float = np.inf
    high: float = -np.inf
    sum: float = 0.0
    squares: float = 0.0

    def add(self, values: Any) -> None:
        """Count these pixels."""
        self.total += values.size
        valid = values[np.isfinite(values)].astype(np.float64)
        if valid.size:
            self.valid += valid.size
            self.low, self.high = min(self.low, float(valid.min())), max(self.high, float(valid.max()))
            self.sum += float(valid.sum())
            self.squares += float((valid * valid).sum())

    def public(self) -> dict[str, Any]:
        """As STAC's `statistics` has it."""
        percent = {"valid_percent": 100 * self.valid / self.total if self.total else 0.0}
        if not self.valid:
            return percent
        mean = self.sum / self.valid
        variance = max(0.0, self.squares / self.valid - mean * mean)
        return {"minimum": self.low, "maximum": self.high, "mean": mean, "stddev": variance**0.5, **percent}


@dataclass(frozen=True)
class Written:
    """A file of a result. `bands` holds the name and statistics of each; `dates`, the temporal labels in it."""

    path: Path
    dates: tuple[str, ...] = ()
    bands: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    storage: Storage | None = None
    grid: Grid | None = field(default=None, repr=False)

    def checksum(self) -> str:
        """SHA-256 as a multihash, which STAC's file extension asks for."""
        with self.path.open("rb") as file:
            return "1220" + hashlib.file_digest(file, "sha256").hexdigest()


class Writer(Protocol):
    """Gets a result window by window (columns and rows counted from its upper left corner), each once."""

    def write(self, cube: Cube, window: Window) -> None:
        """Take the values of a window."""

    def close(self) -> list[Written]:
        """Finish the files."""


def stems(labels: Sequence[Any]) -> list[str]:
    """Parts of file names for labels: days where they are enough to tell them apart, nothing that a path could mean."""
    days = [str(label)[:10] if "T" in str(label) else str(label) for label in labels]
    chosen = days if len(set(days)) == len(days) else [str(label) for label in labels]
    return [re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-")[:60] or "x" for text in chosen]
