"""Damaged and hostile files: a sentence that names the file and the reason, and the next viewer is served."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioIOError

from bdap_hub.errors import Busy, Unavailable
from bdap_hub.processing.engine.evaluate import Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.engine.headers import item_of_raster
from bdap_hub.processing.engine.reader import FileUnavailable
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.service.lookup import Catalogue
from bdap_hub.settings import Settings
from tests.latin import with_latin_name

from .conftest import DATES, X, Y, Z, asset, collection, item
from .engines import compiled, decoded
from .graphs import band, load, node, of

GRID = Grid.tile(Z, X, Y)
BOX = tuple(GRID.bounds())
HREF = "/eos/data/a/x.tif"


def written(root: Path, pixels: Any, **profile: Any) -> Path:
    """A GeoTIFF on the tile's own grid, as x.tif of the collection a."""
    path = root / "data/a/x.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pixels.shape
    given: dict[str, Any] = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", **profile}
    place = Affine(GRID.xres, 0, GRID.left, 0, -GRID.yres, GRID.top)
    with rasterio.open(path, "w", "GTiff", width, height, 1, "EPSG:3857", place, pixels.dtype, **given) as file:
        file.write(pixels, 1)
    return path


def noise(kind: Any = np.uint16) -> Any:
    return np.random.default_rng(5).integers(1, 9000, (256, 256)).astype(kind)


def made(root: Path) -> tuple[Engine, Any]:
    """An engine, and a graph that takes x.tif as it is."""
    items = [item("a", "a", DATES[0], BOX, 0, {"B04": asset(HREF, "B04")})]
    graph = compiled(band("B04", "a", "mean"), [collection("a", "public", "", BOX)], items)
    return Engine(Settings(environment="demo", store={"root": root}, processing={"port": 1})), graph


def garbled(path: Path) -> None:
    """Pixels that no decoder takes; the header is sound."""
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 400] = b"\xff" * 400
    path.write_bytes(content)


def latin(path: Path) -> None:
    """A reference system of one's own, with a name as older programs write it."""
    with rasterio.open(path) as file:
        profile, pixels = file.profile, file.read()
    with rasterio.open(path, "w", **{**profile, "crs": "EPSG:32633"}) as file:
        file.write(pixels)
    code = struct.pack("<HHHH", 3072, 0, 1, 32633)  # of the GeoTIFF key that names it
    content = path.read_bytes().replace(code, struct.pack("<HHHH", 3072, 0, 1, 32767))
    path.write_bytes(content.replace(b"WGS 84 / UTM", b"WGS\x9484 / UTM"))


DAMAGE: list[tuple[str, Callable[[Path], Any], str]] = [
    ("garbled", garbled, "is damaged or not a raster"),
    ("cut short", lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "is damaged"),
    ("cut to its header", lambda path: path.write_bytes(path.read_bytes()[:8]), "is damaged"),
    ("empty", lambda path: path.write_bytes(b""), "is damaged"),
    ("text", lambda path: path.write_text("hello"), "is damaged"),
    ("random", lambda path: path.write_bytes(b"II*\0" + np.random.default_rng(0).bytes(5000)), "is damaged"),
    ("in another encoding", latin, "has a band's description, or another text, that is not UTF-8"),
    ("gone", lambda path: path.unlink(), "cannot be opened"),
    ("a folder", lambda path: (path.unlink(), path.mkdir()), "is not a file"),
]


@pytest.mark.parametrize(("name", "damage", "why"), DAMAGE, ids=[name for name, *_ in DAMAGE])
@pytest.mark.parametrize("when", ["before", "while open"])
def test_a_damaged_file_is_named_with_its_reason(
    tmp_path: Path, name: str, damage: Callable[[Path], Any], why: str, when: str
) -> None:
    path = written(tmp_path, noise())
    engine, graph = made(tmp_path)
    if when == "while open":
        assert np.isfinite(engine.cube(graph, GRID).data).all()
    damage(path)
    with pytest.raises(FileUnavailable, match=f"{HREF} {why}") as error:
        engine.cube(graph, GRID)
    assert error.value.status == 503 and str(tmp_path) not in error.value.message + error.value.remedy
    if path.is_dir():
        path.rmdir()
    written(tmp_path, noise())
    assert np.isfinite(engine.cube(graph, GRID).data).all()
    engine.close()


def test_what_a_damaged_file_leaves_behind_is_no_fault_of_the_next(tmp_path: Path) -> None:
    """GDAL keeps a thread's last error; rasterio would raise it at another file's header."""
    path = written(tmp_path, noise())
    sound = path.with_name("sound.tif")
    sound.write_bytes(path.read_bytes())
    engine, _ = made(tmp_path)
    data = engine.reader.file("/eos/data/a/sound.tif").level()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with rasterio.open(path) as damaged, pytest.raises(RasterioIOError):
        damaged.read(1)
    with pytest.raises(CPLE_BaseError):  # as it is without care
        _ = data.colorinterp
    with rasterio.open(path) as damaged, pytest.raises(RasterioIOError):
        damaged.read(1)
    assert item_of_raster(engine.reader, "/eos/data/a/sound.tif")["assets"]["sound"]["roles"] == ["data"]
    engine.close()


def test_a_bands_name_in_another_encoding(tmp_path: Path) -> None:
    path = written(tmp_path, noise())
    whole = with_latin_name(path)
    engine, graph = made(tmp_path)
    with pytest.raises(FileUnavailable, match=f"{HREF} has a band's description, or another text, that is not UTF-8"):
        item_of_raster(engine.reader, HREF)
    assert np.isfinite(engine.cube(graph, GRID).data).all()  # its pixels are read all the same
    path.write_bytes(whole)
    assert item_of_raster(engine.reader, HREF)["assets"]["x"]["raster:bands"][0]["name"] == "temp?rature"
    engine.close()


def test_a_scale_that_is_no_number(tmp_path: Path) -> None:
    path = written(tmp_path, noise())
    with rasterio.open(path, "r+") as file:
        file.scales = (float("nan"),)
    engine, _ = made(tmp_path)
    with pytest.raises(FileUnavailable, match=f"{HREF} declares a scale"):
        item_of_raster(engine.reader, HREF)
    engine.close()


def test_a_tile_of_giant_blocks_is_not_decoded(tmp_path: Path) -> None:
    """A few bytes on disk that would be gigabytes in memory."""
    path = written(tmp_path, noise())
    engine, graph = made(tmp_path)
    assert np.isfinite(engine.cube(graph, GRID).data).all()
    path.unlink()
    size = 32768
    place = Affine(GRID.xres, 0, GRID.left, 0, -GRID.yres, GRID.top)
    profile = {"tiled": True, "blockxsize": size, "blockysize": size, "compress": "deflate", "sparse_ok": True}
    with rasterio.open(path, "w", "GTiff", size, size, 1, "EPSG:3857", place, "uint16", **profile):
        pass
    assert path.stat().st_size < 100_000
    with pytest.raises(FileUnavailable, match=f"{HREF} is stored in blocks of 2048 MB"):
        engine.cube(graph, GRID)
    engine.close()


@pytest.mark.parametrize(("kind", "value", "nodata"), [("float32", np.nan, None), ("uint16", 0, 0), ("int16", -1, -1)])
def test_a_date_without_any_data(tmp_path: Path, kind: str, value: Any, nodata: Any) -> None:
    written(tmp_path, np.full((256, 256), value, kind), nodata=nodata)
    engine, _ = made(tmp_path)
    raw = {"data": load("a", bands=["B04"]), "all": node("save_result", True, data=of("data"), format="PNG")}
    items = [item("a", "a", DATES[0], BOX, 0, {"B04": {**asset(HREF, "B04"), "raster:bands": [{}]}})]
    plain = compiled(raw, [collection("a", "public", "", BOX)], items)
    assert np.isnan(engine.cube(plain, GRID).data).all()
    assert (decoded(engine.tile(plain, Z, X, Y))[0] == 0).all()
    found = engine.histogram(plain, GRID.bounds(), 10)
    assert found["statistics"]["valid"] == 0 and found["statistics"]["nodata"] == 256 * 256
    engine.close()


async def test_a_million_dates_are_refused_with_their_number() -> None:
    """The catalogue's answer is made up: that is the outer edge here, and a million files would take an hour."""
    counted: list[int] = []

    def catalogue(request: httpx.Request) -> httpx.Response:
        counted.append(1)
        return httpx.Response(200, json={"type": "FeatureCollection", "features": [], "numberMatched": 10**6})

    settings = Settings(environment="demo", processing={"port": 1})
    client = Catalogue(settings, httpx.MockTransport(catalogue))
    (query,) = queries(parse(band("B04"), REGISTRY))
    with pytest.raises(GraphError, match="needs 1000000 items of fields; the limit is 500") as error:
        await client.items(query, "token")
    assert error.value.code == "ProcessGraphComplexity" and len(counted) == 1


async def test_what_the_catalogue_says_of_a_search_is_handed_on() -> None:
    """Made up, too: a search that takes twenty seconds, and one that finds no place."""
    said = {"code": "RequestTimeout", "message": "the search took longer than 20 s", "remedy": "narrow the bbox"}
    answers = iter([
        httpx.Response(503, json=said),
        httpx.Response(429, json={"message": "too many searches", "remedy": "come back"}, headers={"Retry-After": "7"}),
        httpx.Response(502, text="<html>"),
        httpx.Response(200, json={"type": "FeatureCollection", "features": [], "numberMatched": 0}),
    ])  # fmt: skip
    client = Catalogue(
        Settings(environment="demo", processing={"port": 1}), httpx.MockTransport(lambda _: next(answers))
    )
    (query,) = queries(parse(band("B04"), REGISTRY))
    with pytest.raises(Unavailable, match="longer than 20 s") as slow:
        await client.items(query, "token")
    assert slow.value.remedy == "narrow the bbox"
    with pytest.raises(Busy, match="too many searches") as many:
        await client.items(query, "token")
    assert many.value.retry_after == 7
    with pytest.raises(Unavailable, match="answers 502"):
        await client.items(query, "token")
    assert await client.items(query, "token") == []
