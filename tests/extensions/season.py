"""The real catalogue and processing services with one season of known pixels, and the library as ana uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bdap
import numpy as np
from rasterio.warp import transform

from bdap_hub.catalogue.app import create_app as create_catalogue
from bdap_hub.processing.app import create_app as create_processing
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.settings import Settings
from tests.processing.conftest import DATES, SIZE, X, Y, Z, make_collection, truth, write_catalogue

GRID = Grid.tile(Z, X, Y)


@dataclass(frozen=True)
class Season:
    """The running services; `client` is ana's (projects agriculture), `root` the store's folder."""

    client: bdap.Client
    root: Path
    hub: Any

    def cube(self, name: str = "season") -> bdap.Cube:
        """A collection as ana's cube."""
        return bdap.collection(name, self.client)

    def client_of(self, person: str) -> bdap.Client:
        """The library as somebody else uses it."""
        settings = self.hub.settings
        return bdap.Client(
            self.hub.token(person),
            f"{settings.processing.url}/services/processing",
            f"{settings.catalogue.url}/services/catalogue",
        )


@contextmanager
def season(hub: Any) -> Iterator[Season]:
    """Collections `season` (public, reflectance as 1/10000) and `plots` (of project forest, which ana is not in)."""
    settings = hub.settings
    for name, visibility, project in (("season", "public", ""), ("plots", "project", "forest")):
        described, items = make_collection(settings.store.root, name, visibility, project)
        for item in items:
            for band, asset in item["assets"].items():
                asset["raster:bands"] = [{"nodata": 0, **({} if band == "SCL" else {"scale": 0.0001})}]
        described["item_assets"] = {
            key: {"roles": ["data"], "eo:bands": asset["eo:bands"], "raster:bands": asset["raster:bands"], "gsd": 10}
            for key, asset in items[0]["assets"].items()
        }
        described["title"] = "Sentinel-2 of one season"
        write_catalogue(settings.var, described, items)
    hub.serve(create_catalogue(settings), settings.catalogue.port)
    hub.serve(create_processing(_without_code(settings)), settings.processing.port)
    made = Season(bdap.Client("", "", ""), settings.store.root, hub)
    yield Season(made.client_of("ana"), settings.store.root, hub)


def place(row: int, column: int) -> tuple[float, float]:
    """Longitude and latitude of the middle of a pixel."""
    x, y = GRID.left + (column + 0.5) * GRID.xres, GRID.top - (row + 0.5) * GRID.yres
    lon, lat = transform("EPSG:3857", "EPSG:4326", [x], [y])
    return lon[0], lat[0]


def box(top: int, left: int, bottom: int, right: int) -> tuple[float, float, float, float]:
    """West, south, east, north around pixels: half a pixel within their edges, so that their centres lie inside."""
    (west, north), (east, south) = place(top, left), place(bottom - 1, right - 1)
    pad = 1e-7
    return west - pad, south - pad, east + pad, north + pad


def pixels(name: str) -> np.ndarray:
    """All dates of a band, NaN where there is no data."""
    stack = np.stack([truth(date)[name] for date in range(len(DATES))]).astype(np.float32)
    return np.where(stack == 0, np.nan, stack)


__all__ = ["DATES", "GRID", "SIZE", "Season", "box", "pixels", "place", "season"]


def _without_code(settings: Settings) -> Settings:
    """As on a platform whose operators have not built the image that code runs in."""
    udf = settings.processing.udf.model_copy(update={"image": "bdap/no-such-image"})
    return settings.model_copy(update={"processing": settings.processing.model_copy(update={"udf": udf})})
