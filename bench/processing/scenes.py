"""Generated Sentinel-2 scenes as COGs, made once below var/bench, and which of their map tiles are asked for."""

from __future__ import annotations

import math
import os
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.shutil import copy
from rasterio.warp import transform, transform_bounds

from tests.processing.conftest import asset, item

SIDE, PIXEL, LEFT, TOP, CRS = 10980, 10.0, 500_000.0, 5_200_020.0, "EPSG:32633"
DATES = tuple(f"2024-0{month}-15" for month in range(4, 10))
BANDS = ("B02", "B03", "B04", "B08")
CLEAR, CLOUDY = (4, 5, 6), (3, 8, 9, 10)
Tile = tuple[int, int, int]


@dataclass(frozen=True)
class Scene:
    """A square of `side` pixels with its upper left corner at `left`, `top`."""

    name: str
    date: str
    side: int = SIDE
    left: float = LEFT
    top: float = TOP
    bands: tuple[str, ...] = ("B04", "B08")

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """In the scene's own CRS."""
        return self.left, self.top - self.side * PIXEL, self.left + self.side * PIXEL, self.top

    def write(self, folder: Path) -> Path:
        """Its COGs, unless they are there: DEFLATE with predictor 2, 512 px blocks, 10 m bands and a 20 m SCL."""
        place = folder / self.name
        place.mkdir(parents=True, exist_ok=True)
        for number, band in enumerate((*self.bands, "SCL")):
            if not (path := place / f"{band}.tif").exists():
                pixels = self._classes() if band == "SCL" else self._reflectance(number)
                _write_cog(path, pixels, self.left, self.top, PIXEL * self.side / pixels.shape[0])
        return place

    def item(self, collection: str, hrefs: Path | str) -> dict[str, Any]:
        """Its STAC item with assets in the folder `hrefs`."""
        assets = {band: asset(f"{hrefs}/{band}.tif", band) for band in (*self.bands, "SCL")}
        for band in self.bands:
            assets[band]["proj:shape"] = [self.side, self.side]
        return item(collection, self.name, self.date, transform_bounds(CRS, "EPSG:4326", *self.bounds), 10, assets)

    def _reflectance(self, number: int) -> Any:
        """Fields of 640 m, with noise: such files need four fifths of their size, as real ones do."""
        values = np.random.default_rng([hash_of(self.name), number])
        cells = -(-self.side // 64)
        fields = values.integers(300, 4000, (cells, cells), np.int16) + np.int16(100 * number)
        noise = (values.standard_normal((1024, 1024), np.float32) * 60).astype(np.int16)
        times = -(-self.side // 1024)
        wide = np.repeat(np.repeat(fields, 64, 0), 64, 1)[: self.side, : self.side]
        return (wide + np.tile(noise, (times, times))[: self.side, : self.side]).clip(1, 20_000).astype(np.uint16)

    def _classes(self) -> Any:
        """Clouds of about a kilometre over a fifth of the scene."""
        values, side = np.random.default_rng([hash_of(self.name), 99]), self.side // 2
        cells = -(-side // 48)
        classes = values.choice([*CLEAR, *CLOUDY], (cells, cells), p=[0.35, 0.3, 0.15, 0.05, 0.05, 0.05, 0.05])
        return np.repeat(np.repeat(classes.astype(np.uint8), 48, 0), 48, 1)[:side, :side]


def hash_of(text: str) -> int:
    """The same number for a text in every process."""
    return int.from_bytes(text.encode()[-8:], "big")


def dated() -> list[Scene]:
    """Six dates of one place; the first has the bands of a true colour picture as well."""
    return [Scene(date, date, bands=BANDS if number == 0 else ("B04", "B08")) for number, date in enumerate(DATES)]


def mosaic(count: int = 100, side: int = 1536) -> list[Scene]:
    """Small scenes beside one another, all of one day."""
    columns, step = math.isqrt(count), side * PIXEL
    return [
        Scene(f"m{i:03}", DATES[0], side, LEFT + i % columns * step, TOP - i // columns * step) for i in range(count)
    ]


def write_all(scenes: list[Scene], folder: Path) -> None:
    """All their files, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda scene: scene.write(folder), scenes))


def many_dates(scenes: list[Scene], folder: Path, count: int) -> list[Scene]:
    """`count` dates from a few: hard links are files of their own for every cache, and cost nothing."""
    made = []
    for number in range(count):
        source = scenes[number % len(scenes)]
        twin = Scene(f"d{number:02}", f"20{10 + number // 12}-{number % 12 + 1:02}-15", source.side)
        (folder / twin.name).mkdir(parents=True, exist_ok=True)
        for band in (*twin.bands, "SCL"):
            if not (path := folder / twin.name / f"{band}.tif").exists():
                os.link(folder / source.name / path.name, path)
        made.append(twin)
    return made


def adjacent(zoom: int, bounds: tuple[float, float, float, float], columns: int, rows: int) -> list[Tile]:
    """The tiles of a viewport in the middle of a box in degrees."""
    x, y = place((bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2, zoom)
    return [(zoom, int(x) - columns // 2 + i, int(y) - rows // 2 + j) for j in range(rows) for i in range(columns)]


def scattered(zoom: int, bounds: tuple[float, float, float, float], count: int, seed: int) -> list[Tile]:
    """Different tiles somewhere inside a box in degrees; fewer where it has no more."""
    (left, bottom), (right, top) = place(bounds[0], bounds[1], zoom), place(bounds[2], bounds[3], zoom)
    inside = [(zoom, x, y) for x in range(math.ceil(left), int(right)) for y in range(math.ceil(top), int(bottom))]
    return random.Random(seed).sample(inside, min(count, len(inside)))


def place(lon: float, lat: float, zoom: int) -> tuple[float, float]:
    """Column and row of a position among the tiles of a zoom level."""
    return (lon + 180) / 360 * 2**zoom, (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**zoom


def core() -> tuple[float, float, float, float]:
    """A box in degrees that lies in every scene of `dated`, with room for a kernel."""
    left, bottom, right, top = Scene("", "").bounds
    lons, lats = transform(
        CRS, "EPSG:4326", [left + 3e3, right - 3e3] * 2, [bottom + 3e3, top - 3e3, top - 3e3, bottom + 3e3]
    )
    return max(lons[0], lons[2]), max(lats[0], lats[3]), min(lons[1], lons[3]), min(lats[1], lats[2])


def _write_cog(path: Path, pixels: Any, left: float, top: float, size: float) -> None:
    raw, part, (height, width) = path.with_suffix(".raw"), path.with_suffix(".part"), pixels.shape
    profile = {"driver": "GTiff", "dtype": pixels.dtype, "count": 1, "width": width, "height": height, "nodata": 0}
    with rasterio.open(raw, "w", **profile, crs=CRS, transform=Affine(size, 0, left, 0, -size, top)) as file:
        file.write(pixels, 1)
    how = "nearest" if pixels.dtype == np.uint8 else "average"
    copy(raw, part, driver="COG", compress="DEFLATE", predictor=2, blocksize=512, overview_resampling=how)
    raw.unlink()
    part.rename(path)
