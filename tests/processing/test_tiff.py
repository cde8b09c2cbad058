"""GeoTIFFs read without GDAL: the numbers are GDAL's, and what is not plain, or damaged, is left to it."""

from __future__ import annotations

import os
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from bdap_hub.processing.engine import memory
from bdap_hub.processing.engine.files import File
from bdap_hub.processing.engine.memory import _Spare, room
from bdap_hub.processing.engine.rows import Tile, Unfinished
from bdap_hub.processing.engine.tiff import Image, Tiff, images
from bdap_hub.rasters.crs_text import KEY, names_files
from bdap_hub.rasters.held import Unsuitable, Version

WIDTH, HEIGHT = 700, 430
TILED = {"tiled": True, "blockxsize": 256, "blockysize": 128, "compress": "deflate"}
PLAIN = [
    {"dtype": "uint16", "predictor": 2},
    {"dtype": "uint8", "predictor": 2},
    {"dtype": "int16", "predictor": 1},
    {"dtype": "int32", "predictor": 2},
    {"dtype": "uint16", "predictor": 2, "BIGTIFF": "YES"},
    {"dtype": "uint16", "compress": "none"},
    {"dtype": "float32", "predictor": 1},
    {"dtype": "float64", "predictor": 1},
    {"dtype": "uint16", "predictor": 2, "count": 3, "interleave": "band"},
    {"dtype": "uint16", "predictor": 2, "SPARSE_OK": True},
]
OTHERS = [
    {"dtype": "float32", "predictor": 3},
    {"dtype": "uint16", "compress": "lzw"},
    {"dtype": "uint16", "count": 3, "interleave": "pixel"},
    {"dtype": "uint16", "ENDIANNESS": "BIG"},
    {"dtype": "uint16", "tiled": False, "blockysize": 16},
    {"dtype": "uint16", "NBITS": 12},
]


def written(path: Path, **profile: Any) -> Path:
    """A file with overviews; the tile in its upper left is all 0."""
    made = {**TILED, "count": 1, **profile}
    if not made["tiled"]:
        del made["blockxsize"]
    random_values = np.random.default_rng(1).integers(0, 200, (made["count"], HEIGHT, WIDTH))
    values = (np.cumsum(random_values, axis=2) % 4000).astype(made["dtype"])
    values[:, :128, :256] = 0
    with rasterio.open(
        path, "w", driver="GTiff", width=WIDTH, height=HEIGHT, crs="EPSG:32633",
        transform=Affine(10, 0, 5e5, 0, -10, 5e6), **made,
    ) as file:  # fmt: skip
        file.write(values)
        file.build_overviews([2, 4])
    return path


def version(path: Path) -> Version:
    found = path.stat()
    return Version(str(path), found.st_mtime_ns, found.st_size)


def opened(path: Path) -> File:
    return File(version(path))


def units(file: File, level: int) -> list[tuple[int, int, Window]]:
    (wide, high), (width, height) = file.raster.sizes[level], file.units[level]
    return [
        (row, column, Window(column * width, row * height, min(width, wide - column * width),
                             min(height, high - row * height)))
        for row in range(-(-high // height))
        for column in range(-(-wide // width))
    ]  # fmt: skip


@pytest.mark.parametrize("profile", PLAIN, ids=str)
def test_every_tile_of_a_plain_file_is_what_gdal_reads(tmp_path: Path, profile: dict[str, Any]) -> None:
    file, read = opened(written(tmp_path / "a.tif", **profile)), 0
    for level in range(len(file.raster.sizes)):
        for row, column, window in units(file, level):
            for band in range(1, file.count + 1):
                tile, want = file.tile(level, band, row, column), file.level(level).read(band, window=window)
                if tile is None:
                    assert "SPARSE_OK" in profile and not want.any(), (level, row, column)
                    continue
                read += 1
                found = tile.upto(len(tile))
                assert found.dtype == want.dtype and np.array_equal(found, want), (level, row, column, band)
    assert read > 10


@pytest.mark.parametrize("profile", OTHERS, ids=str)
def test_what_is_not_plain_is_left_to_gdal(tmp_path: Path, profile: dict[str, Any]) -> None:
    assert opened(written(tmp_path / "a.tif", **profile)).tile(0, 1, 0, 0) is None


def test_a_file_with_a_file_beside_it_is_left_to_gdal(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", dtype="uint16")
    assert opened(path).tile(0, 1, 0, 0) is not None
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset/>")
    assert opened(path).tile(0, 1, 0, 0) is None


def first_tile(path: Path) -> tuple[int, int]:
    with rasterio.open(path) as file:
        return tuple(int(file.get_tag_item(f"BLOCK_{what}_1_1", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))  # type: ignore[return-value]


@pytest.mark.parametrize("damage", ["noise", "cut", "longer"])
def test_a_damaged_tile_is_none(tmp_path: Path, damage: str) -> None:
    path = written(tmp_path / "a.tif", dtype="uint16")
    assert opened(path).tile(0, 1, 1, 1) is not None
    start, size = first_tile(path)
    with path.open("r+b") as file:
        file.seek(start)
        if damage == "noise":
            file.write(os.urandom(size))
        elif damage == "longer":  # far more than a tile, in a few bytes
            file.write(zlib.compress(bytes(50_000_000), 9)[:size].ljust(size, b"\0"))
        else:
            file.truncate(start + size // 2)
    tiff = Tiff(version(path))
    image = next(images(tiff.read))
    assert image is not None and tile_of(image, tiff).upto(128) is None


def tile_of(image: Image, tiff: Tiff, row: int = 1, column: int = 1, unfinished: Unfinished | None = None) -> Tile:
    place = image.place(1, row, column)
    assert place is not None
    return Tile(image, place, image.shape(row, column), tiff.read, unfinished or Unfinished())


@pytest.mark.parametrize("limit", [0, 150_000, 12 << 20], ids="{} bytes to go on with".format)
@pytest.mark.parametrize("profile", [PLAIN[0], PLAIN[5]], ids=["deflated", "as they are"])
def test_rows_are_decoded_as_far_as_they_are_needed_in_whatever_order(
    tmp_path: Path, profile: dict[str, Any], limit: int
) -> None:
    file = opened(written(tmp_path / "a.tif", **{**profile, "blockysize": 256}))
    file._handles.unfinished = Unfinished(limit)
    want, choose = file.level(0).read(1), random.Random(limit)
    tiles = [(row, column, file.tile(0, 1, row, column)) for row in range(2) for column in range(3)]
    for _ in range(60):
        row, column, tile = choose.choice(tiles)
        assert tile is not None
        rows = choose.randint(1, len(tile))
        found = tile.upto(rows)
        assert np.array_equal(found[:rows], want[row * 256 :, column * 256 :][:rows, : found.shape[1]])
        unfinished = file._handles.unfinished
        assert sum(stream.nbytes for stream, _ in unfinished._streams.values()) == unfinished.held <= limit


def test_damage_below_the_rows_that_are_needed_hides_none_of_them(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", dtype="uint16")
    want = opened(path).level(0).read(1)[128:, 256:512]
    start, size = first_tile(path)
    with path.open("r+b") as file:
        file.seek(start + size - 100)
        file.write(bytes(100))
    tiff = Tiff(version(path))
    tile = tile_of(next(image for image in images(tiff.read) if image is not None), tiff)
    found = tile.upto(20)
    assert np.array_equal(found[:20], want[:20])
    assert tile.upto(128) is None and np.array_equal(tile.upto(20)[:20], want[:20])


def test_threads_that_need_different_rows_of_a_tile_all_get_theirs(tmp_path: Path) -> None:
    file = opened(written(tmp_path / "a.tif", dtype="uint16", blockysize=256, predictor=2))
    want = file.level(0).read(1)
    for turn in range(20):
        tile = file.tile(0, 1, 0, 1)
        assert tile is not None
        with ThreadPoolExecutor(4) as pool:
            for rows, found in [(n, pool.submit(tile.upto, n)) for n in random.Random(turn).sample(range(1, 257), 4)]:
                assert np.array_equal(found.result()[:rows], want[:rows, 256:512])


def test_directories_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", dtype="uint16", compress="none")
    raw = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", raw, 4)
    (count,) = struct.unpack_from("<H", raw, at)
    struct.pack_into("<I", raw, at + 2 + 12 * count, at)
    assert len(list(images(lambda at, size: bytes(raw[at : at + size])))) < 100


@pytest.mark.parametrize("at", [8, -8], ids=["its directory", "its words"])
def test_a_header_that_points_beyond_all_files_names_none(tmp_path: Path, at: int) -> None:
    """BigTIFF's offsets may be larger than the system takes."""
    words = struct.pack("<HHQQ", KEY, 2, 100, 1 << 63)
    raw = bytearray(b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + struct.pack("<Q", 1) + words)
    struct.pack_into("<Q", raw, at % len(raw), 2**64 - 1)
    path = tmp_path / "a.tif"
    path.write_bytes(raw)
    with path.open("rb") as file:
        if at > 0:
            with pytest.raises(ValueError, match="cut short"):
                names_files(file.fileno())
        else:
            assert not names_files(file.fileno())


def test_flipped_bytes_give_other_numbers_or_none_but_no_other_failure(tmp_path: Path) -> None:
    path, choose = written(tmp_path / "a.tif", dtype="uint16"), random.Random(3)
    raw, file = path.read_bytes(), opened(path)
    wanted = [(size, unit, "uint16") for size, unit in zip(file.raster.sizes, file.units, strict=True)]
    (at,), read = struct.unpack_from("<I", raw, 4), 0
    for _ in range(300):
        damaged = bytearray(raw)
        for _ in range(3):
            damaged[choose.choice((choose.randrange(16), at + choose.randrange(250)))] = choose.randrange(256)
        path.write_bytes(damaged)
        try:
            tiff = Tiff(version(path))
        except Unsuitable:  # its header says too little of its CRS
            continue
        read += 1
        for image in tiff.levels(wanted, 1):
            if image is not None and image.place(1, 0, 0):
                tile_of(image, tiff, 0, 0).upto(128)
    assert read > 50


def test_a_tile_is_never_that_of_another_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", dtype="uint16")
    file = opened(path)
    file._handles.plain.clear()  # as if many others had been opened since
    os.utime(path, ns=(1, 1))
    tile, other = file.tile(0, 1, 0, 0), opened(path).tile(0, 1, 0, 0)
    assert tile is not None and other is not None
    with pytest.raises(rasterio.errors.RasterioError, match="replaced just now"):
        tile.upto(1)
    assert other.upto(1) is not None


def test_a_blocks_memory_serves_again_once_nobody_has_it_and_never_before(tmp_path: Path) -> None:
    spare = _Spare(100_000)
    with patch.object(memory, "_spare", spare):
        first = room((100, 200), np.uint16)
        first[:] = 7
        view, place = first[2:4, 5:7], first.ctypes.data
        del first
        second = room((100, 200), np.uint16)
        second[:] = 8
        assert second.ctypes.data != place and (view == 7).all(), "somebody still has a part of the first"
        del view
        assert room((100, 200), np.uint16).ctypes.data == place
        many = [room((100, 200), np.uint16) for _ in range(9)]
        del many, second
        assert 0 < spare.held <= 100_000
