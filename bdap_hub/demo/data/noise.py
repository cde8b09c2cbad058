"""Random fields for the demo landscape: power-law noise, and smooth steps between two levels.

Everything is float32 and deterministic for a given generator.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def fractal(rng: np.random.Generator, size: int, beta: float, smallest: float = 0.0, largest: float = 1e9) -> Field:
    """A periodic field of mean 0 and deviation 1 whose spectrum falls as frequency^-beta.

    `smallest` and `largest` are wavelengths in pixels outside of which there is nothing.
    """
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32))
    row = np.fft.fftfreq(size).astype(np.float32)[:, None]
    column = np.fft.rfftfreq(size).astype(np.float32)[None, :]
    frequency = np.hypot(row, column)
    frequency[0, 0] = 1.0
    gain = frequency ** np.float32(-beta / 2)
    gain[frequency < 1.0 / largest] = 0.0
    if smallest > 0:
        gain *= np.exp(-((frequency * np.float32(smallest)) ** 2))
    gain[0, 0] = 0.0
    field = np.fft.irfft2(spectrum * gain, s=(size, size)).astype(np.float32)
    return (field - field.mean()) / field.std()


def smooth(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, a smooth S between them (smoothstep)."""
    t = np.clip((field - np.float32(low)) / np.float32(high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def blend(below: Field, above: Field, weight: Field) -> Field:
    """`below` where weight is 0, `above` where it is 1."""
    return below + (above - below) * weight
