"""What is known about the demo data, for tests and exercises: parcels, crops, expected NDVI."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .crops import Curves


@dataclass(frozen=True)
class Truth:
    """The truth of the collection whose days lie in `data`, read when first asked for."""

    collection: str
    data: Path

    @property
    def folder(self) -> Path:
        """In the collection's own folder, so that who may not see the collection does not see its truth."""
        return self.data / ".truth"

    @cached_property
    def about(self) -> dict[str, Any]:
        """Scene, dates, crops and their curves, clouds per date: truth.json."""
        loaded: dict[str, Any] = json.loads((self.folder / "truth.json").read_text())
        return loaded

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        with np.load(self.folder / "truth.npz") as file:
            return {name: file[name] for name in file.files}

    @property
    def dates(self) -> list[str]:
        """Days of acquisition, YYYY-MM-DD, in order."""
        return list(self.about["dates"])

    @property
    def parcel(self) -> NDArray[np.int32]:
        """Parcel number of each 10 m pixel where nothing else is mixed in; -1 elsewhere."""
        return self._arrays["parcel"]

    @property
    def cover(self) -> NDArray[np.uint8]:
        """Land cover of each 10 m pixel; `about["land_cover"]` names the values."""
        return self._arrays["cover"]

    @property
    def crop(self) -> NDArray[np.int16]:
        """Index into `about["crops"]` of each parcel."""
        return self._arrays["crop"]

    @property
    def curves(self) -> Curves:
        """The curve of each parcel."""
        return Curves(**{field.name: self._arrays[field.name] for field in fields(Curves)})

    @property
    def ndvi(self) -> NDArray[np.float32]:
        """Expected NDVI, one row a parcel, one column a date."""
        return self._arrays["ndvi"]

    def ndvi_of(self, parcel: int, day: str) -> float:
        """The NDVI expected of a parcel on a day of acquisition."""
        return float(self.ndvi[parcel, self.dates.index(day)])
