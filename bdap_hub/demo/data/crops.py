"""The seasonal NDVI curve of each crop: the known truth of the demo data.

Double logistic of Beck et al. (2006), Remote Sensing of Environment 100(3): base + amplitude * (rise - fall).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Crop:
    """Typical curve of a crop. `start` and `end` are the days of year of half rise and half fall."""

    name: str
    base: float
    amplitude: float
    start: float
    end: float
    rise: float
    fall: float
    share: float


CROPS = (
    Crop("maize", 0.17, 0.68, 158, 262, 0.085, 0.075, 0.27),
    Crop("winter wheat", 0.24, 0.58, 84, 168, 0.075, 0.130, 0.16),
    Crop("soybean", 0.16, 0.70, 172, 258, 0.095, 0.110, 0.12),
    Crop("meadow", 0.46, 0.34, 92, 300, 0.060, 0.045, 0.17),
    Crop("alfalfa", 0.34, 0.46, 88, 292, 0.070, 0.060, 0.09),
    Crop("rapeseed", 0.34, 0.48, 76, 160, 0.080, 0.110, 0.06),
    Crop("vineyard", 0.27, 0.34, 128, 286, 0.060, 0.055, 0.07),
    Crop("fallow", 0.16, 0.10, 120, 240, 0.050, 0.050, 0.06),
)


@dataclass(frozen=True)
class Curves:
    """The curves of all parcels, one row each: parameters as in `Crop`, jittered from parcel to parcel."""

    crop: NDArray[np.int16]
    base: NDArray[np.float32]
    amplitude: NDArray[np.float32]
    start: NDArray[np.float32]
    end: NDArray[np.float32]
    rise: NDArray[np.float32]
    fall: NDArray[np.float32]

    def ndvi(self, day: date) -> NDArray[np.float32]:
        """The NDVI expected of each parcel on that day."""
        t = np.float32(day.timetuple().tm_yday)
        up = 1 / (1 + np.exp(-self.rise * (t - self.start)))
        down = 1 / (1 + np.exp(-self.fall * (t - self.end)))
        return (self.base + self.amplitude * (up - down)).astype(np.float32)


def grow(rng: np.random.Generator, parcels: int) -> Curves:
    """A crop and its curve for each parcel; neighbours differ in sowing, vigour and harvest."""
    shares = np.array([c.share for c in CROPS])
    crop = rng.choice(len(CROPS), size=parcels, p=shares / shares.sum()).astype(np.int16)

    def typical(name: str) -> NDArray[np.float32]:
        return np.array([getattr(c, name) for c in CROPS], dtype=np.float32)[crop]

    def jitter(scale: float) -> NDArray[np.float32]:
        return np.clip(rng.standard_normal(parcels, dtype=np.float32), -2, 2) * np.float32(scale)

    return Curves(
        crop=crop,
        base=typical("base") + jitter(0.025),
        amplitude=typical("amplitude") * (1 + jitter(0.06)),
        start=typical("start") + jitter(7),
        end=typical("end") + jitter(7),
        rise=typical("rise"),
        fall=typical("fall"),
    )
