"""A small collection whose pixels are known: three dates on the very grid of web map tiles, and one in UTM."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform_bounds

from bdap_hub.catalogue.app import create_app as create_catalogue
from bdap_hub.processing.app import create_app
from bdap_hub.processing.engine.grid import Grid

Z, X, Y = 13, 4430, 2890
SIZE = 512
DATES = ("2024-05-01", "2024-06-01", "2024-07-01")
CLOUD = (35.0, 5.0, 80.0)


def truth(date: int) -> dict[str, Any]:
    """The pixels of one date: 2 x 2 tiles, with nodata, clouds, and values that tell every pixel apart."""
    random = np.random.default_rng(date)
    bands: dict[str, Any] = {
        name: random.integers(1, 10_000, (SIZE, SIZE)).astype(np.uint16) for name in ("B02", "B03", "B04", "B08")
    }
    bands["SCL"] = random.choice([4, 5, 8, 9, 3], (SIZE, SIZE), p=[0.4, 0.3, 0.1, 0.1, 0.1]).astype(np.uint8)
    for band in bands.values():
        band[:20, :30] = 0
    return bands


def write_tiff(path: Path, pixels: Any, crs: str, transform: Affine, overviews: tuple[int, ...] = (2, 4)) -> None:
    """A tiled GeoTIFF with overviews; nodata is 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pixels.shape
    profile = {"driver": "GTiff", "dtype": pixels.dtype, "count": 1, "width": width, "height": height, "nodata": 0}
    with rasterio.open(
        path,
        "w",
        **profile,
        crs=crs,
        transform=transform,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
    ) as file:
        file.write(pixels, 1)
        if overviews:
            file.build_overviews(overviews, rasterio.enums.Resampling.nearest)


def agreement(path: Path, grid: Grid, got: Any, classes: bool) -> tuple[float, float]:
    """How `got`, values on `grid`, compare with an exact warp of a file by GDAL, bilinear or of classes.

    The share of pixels in which both have data, and of these the share that is equal: within 1 unless classes.
    """
    want = np.zeros((grid.height, grid.width), np.float32)
    with rasterio.open(path) as file:
        rasterio.warp.reproject(
            rasterio.band(file, 1),
            want,
            dst_transform=Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top),
            dst_crs=grid.crs,
            resampling=rasterio.enums.Resampling.nearest if classes else rasterio.enums.Resampling.bilinear,
            tolerance=0.001,
            dst_nodata=0,
        )
    both = np.isfinite(got) & (want != 0)
    return float(both.mean()), float((np.abs(got - want)[both] <= (0 if classes else 1)).mean())


def asset(href: str, name: str) -> dict[str, Any]:
    """A STAC asset of one band."""
    common = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}
    band = {"name": name, **({"common_name": common[name]} if name in common else {})}
    return {
        "href": href,
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
        "eo:bands": [band],
        "raster:bands": [{"nodata": 0}],
    }


def item(collection: str, name: str, date: str, bbox: tuple[float, ...], cloud: float, assets: Any) -> dict[str, Any]:
    """A STAC item."""
    west, south, east, north = bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "bbox": list(bbox),
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": f"{date}T10:00:00Z", "eo:cloud_cover": cloud},
        "links": [],
        "assets": assets,
    }


def collection(name: str, visibility: str, project: str, bbox: tuple[float, ...]) -> dict[str, Any]:
    """A STAC collection."""
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": name,
        "title": name,
        "description": name,
        "license": "CC-BY-4.0",
        "extent": {
            "spatial": {"bbox": [list(bbox)]},
            "temporal": {"interval": [[f"{DATES[0]}T00:00:00Z", f"{DATES[-1]}T23:59:59Z"]]},
        },
        "bdap:visibility": visibility,
        "bdap:project": project,
        "links": [],
    }


def make_collection(
    store: Path, name: str, visibility: str, project: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write the files of a collection below `store`; its STAC collection and items."""
    grid = Grid.tile(Z, X, Y)
    transform = Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top)
    right, bottom = grid.left + SIZE * grid.xres, grid.top - SIZE * grid.yres
    bbox = transform_bounds("EPSG:3857", "EPSG:4326", grid.left, bottom, right, grid.top)
    items = []
    for number, date in enumerate(DATES):
        assets = {}
        for band, pixels in truth(number).items():
            path = f"data/{name}/{date}/{band}.tif"
            write_tiff(store / path, pixels, "EPSG:3857", transform)
            assets[band] = asset(f"/eos/{path}", band)
        items.append(item(name, f"{name}-{date}", date, bbox, CLOUD[number], assets))
    return collection(name, visibility, project, bbox), items


def write_catalogue(var: Path, described: Mapping[str, Any], items: list[dict[str, Any]]) -> None:
    """The static STAC files that the catalogue service serves."""
    folder = var / "catalogue" / described["id"]
    (folder / "items").mkdir(parents=True, exist_ok=True)
    (folder / "collection.json").write_text(json.dumps(described))
    for entry in items:
        (folder / "items" / f"{entry['id']}.json").write_text(json.dumps(entry))


@pytest.fixture(scope="session")
def fields(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[dict[str, Any]]]:
    """The root of a store with the collection `fields`, its description and its items."""
    store = tmp_path_factory.mktemp("store")
    return store, *make_collection(store, "fields", "public", "")


@pytest.fixture(scope="module")
def platform(hub: Any) -> Iterator[Any]:
    """The hub with catalogue and processing, a public collection and one of project forest. `processing`: the app."""
    settings = hub.settings
    for name, visibility, project in (("fields", "public", ""), ("plots", "project", "forest")):
        write_catalogue(settings.var, *make_collection(settings.store.root, name, visibility, project))
    hub.serve(create_catalogue(settings), settings.catalogue.port)
    hub.processing = create_app(settings)
    hub.serve(hub.processing, settings.processing.port)
    yield hub


@pytest.fixture(scope="module")
def ana(platform: Any) -> Any:
    """A client who is logged in as ana."""
    from .client import Client

    return Client(platform, "ana")
