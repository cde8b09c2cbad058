"""A GeoTIFF as older programs write it: with its band's name in Latin-1."""

from __future__ import annotations

from pathlib import Path

import rasterio


def with_latin_name(path: Path) -> bytes:
    """Give the file such a name; what it is with one in ASCII."""
    with rasterio.open(path) as file:
        profile, pixels = file.profile, file.read()
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
        file.set_band_description(1, "temp?rature")
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b"temp?rature", "température".encode("latin-1")))
    assert path.read_bytes() != sound
    return sound
