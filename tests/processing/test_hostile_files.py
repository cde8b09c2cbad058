"""Files made to have others' pixels shown, or other files opened: refused in a sentence, before GDAL sees them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling

from bdap_hub.processing.engine.files import GDAL
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.engine.reader import FileUnavailable, Reader
from bdap_hub.processing.graphs.bands import Source
from bdap_hub.rasters.held import Held, Unsuitable, Version
from bdap_hub.settings import StoreSettings

from .conftest import X, Y, Z

NATIVE, AFAR = Grid.tile(Z, X, Y), Grid.tile(Z - 1, X // 2, Y // 2)
PLACE = Affine(NATIVE.xres, 0, NATIVE.left, 0, -NATIVE.yres, NATIVE.top)
OWN, SECRET = 5, 7777
HREF = "/eos/projects/forest/x.tif"


def written(path: Path, value: int, mask: bool = False, overviews: str = "", **profile: Any) -> Path:
    """512 x 512 pixels of one value, which may have a mask inside, and name its overviews in its own metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"width": 512, "height": 512, "count": 1, "dtype": "uint16", "crs": "EPSG:3857", "transform": PLACE}
    options = {"tiled": True, "blockxsize": 256, "blockysize": 256, **given, **profile}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", "GTiff", **options) as file:
        file.write(np.full((512, 512), value, np.uint16), 1)
        if mask:
            file.write_mask(np.full((512, 512), 255, np.uint8))
        if overviews:
            file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=overviews)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Where somebody's own file lies; beside their project lies another's."""
    written(tmp_path / "projects/farms/secret.tif", SECRET)
    return tmp_path / "projects/forest/x.tif"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    made = Reader(StoreSettings(root=tmp_path), 2**24)
    yield made
    made.close()


def seen(reader: Reader, grid: Grid) -> set[float]:
    values = reader.read(Source(HREF), grid)
    return set(np.unique(values[np.isfinite(values)]).tolist())


@pytest.mark.parametrize("named", [":::BASE:::../farms/secret.tif", "{secret}"])
def test_a_file_that_names_its_overviews_in_its_own_metadata(own: Path, reader: Reader, named: str) -> None:
    secret = own.parents[1] / "farms/secret.tif"
    written(own, OWN, mask=True)
    assert seen(reader, AFAR) == {OWN}
    own.unlink()
    written(own, OWN, mask=True, overviews=named.format(secret=secret))
    with rasterio.Env(**GDAL), rasterio.open(own, driver="GTiff", overview_level=0) as file:
        assert file.read(1).max() == SECRET  # what GDAL alone would show
    with pytest.raises(FileUnavailable, match="names another file as its overviews"):
        seen(reader, AFAR)


def test_overviews_that_become_a_link_later(own: Path, reader: Reader) -> None:
    written(own, OWN)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(own, "r+") as file:
        file.build_overviews([2], Resampling.nearest)
    beside = Path(f"{own}.ovr")
    assert seen(reader, NATIVE) == {OWN}
    beside.rename(beside.with_name("kept"))
    beside.symlink_to("../farms/secret.tif")
    with pytest.raises(FileUnavailable, match="a link or of another format"):
        seen(reader, AFAR)
    beside.with_name("kept").rename(beside)
    assert seen(reader, AFAR) == {OWN}


def test_a_folder_that_becomes_a_link_between_look_and_use(own: Path) -> None:
    """As if the link had been there for the look at time and size, too: these are then the other file's."""
    written(own, OWN)
    others = written(own.parents[1] / "farms/x.tif", SECRET)
    told, theirs = own.stat(), others.stat()
    Held(Version(str(own), told.st_mtime_ns, told.st_size)).close()
    own.parent.rename(own.parent.with_name("kept"))
    own.parent.symlink_to("farms")
    with pytest.raises(Unsuitable, match="was moved just now"):
        Held(Version(str(own), theirs.st_mtime_ns, theirs.st_size))


def handles(path: Path) -> int:
    """How often this process holds a file open; others of its files come and go with its other threads."""
    return [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()].count(str(path))


def test_files_are_let_go_of_with_their_datasets(own: Path, reader: Reader) -> None:
    written(own, OWN)
    assert handles(own) == 0
    assert seen(reader, NATIVE) == {OWN}
    assert handles(own) > 0
    reader.close()
    assert handles(own) == 0


GRIDS = (
    'PROJCS["x",GEOGCS["x",DATUM["x",SPHEROID["b",6377397,299.15]{datum}],PRIMEM["Greenwich",0],UNIT["degree",'
    '0.0174532925199433]],PROJECTION["Mercator_1SP"],PARAMETER["central_meridian",0],PARAMETER["scale_factor",1],'
    'PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]{end}]'
)
DATUM = GRIDS.format(datum=',EXTENSION["PROJ4_GRIDS","{pipe}"]', end="")
PROJ = GRIDS.format(datum="", end=',EXTENSION["PROJ4","+proj=merc +a=6378137 +b=6378137 +nadgrids={pipe} +wktext"]')


def with_key(path: Path, text: str) -> None:
    """The text in the file's GeoTIFF key, in the place of a long name."""
    written(path, OWN, crs=GRIDS.format(datum="", end="").replace('"x"', f'"{"N" * 400}"', 1),
            GEOTIFF_KEYS_FLAVOR="ESRI_PE")  # fmt: skip
    content = path.read_bytes()
    start = content.find(b"ESRI PE String = ") + len("ESRI PE String = ")
    end = content.find(b"|", start)
    path.write_bytes(content[:start] + text.encode().ljust(end - start) + content[end:])


def beside(path: Path, text: str) -> None:
    written(path, OWN)
    Path(f"{path}.aux.xml").write_text(f"<PAMDataset><SRS>{text}</SRS></PAMDataset>")


def in_box(path: Path, text: str) -> None:
    """A JPEG 2000 file with the text in a box of its own before the pixels."""
    written(path.with_suffix(".tif"), OWN)
    with rasterio.open(path.with_suffix(".tif")) as file:
        rasterio.shutil.copy(file, path.with_suffix(".jp2"), driver="JP2OpenJPEG", quality="100", reversible="yes")
    content = path.with_suffix(".jp2").read_bytes()
    at = content.find(b"jp2c") - 4
    box = b"uuid" + bytes(16) + text.encode()
    path.write_bytes(content[:at] + (len(box) + 4).to_bytes(4) + box + content[at:])


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (with_key, DATUM),
        (with_key, PROJ),
        (beside, escape(DATUM)),
        (beside, escape(PROJ)),
        (beside, escape(PROJ).replace("nad", "n&#97;d")),
        (beside, '{{"type": "ProjectedCRS"}}'),
        (in_box, PROJ),
    ],
)
def test_a_reference_system_that_names_a_pipe(
    own: Path, reader: Reader, write: Callable[[Path, str], None], text: str
) -> None:
    """PROJ waits for the pipe with Python's lock held: the service would stand still for everybody."""
    pipe = own.parents[2] / "pipe"
    os.mkfifo(pipe)
    write(own, text.format(pipe=pipe))
    with pytest.raises(FileUnavailable, match="a coordinate reference system that names files"):
        seen(reader, NATIVE)


def test_proj_would_open_the_pipe(own: Path) -> None:
    pipe = own.parents[2] / "pipe"
    os.mkfifo(pipe)
    with_key(own, PROJ.format(pipe=pipe))
    code = "import sys, rasterio; from pyproj import Transformer; found = rasterio.open(sys.argv[1]).crs.to_wkt()\n"
    code += "Transformer.from_crs(found, 'EPSG:4326')"
    with subprocess.Popen([sys.executable, "-c", code, own]) as opening:
        try:
            until = time.monotonic() + 60
            while not (found := has_reader(pipe)) and time.monotonic() < until:
                time.sleep(0.1)
            assert found
        finally:
            opening.kill()


def has_reader(pipe: Path) -> bool:
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("write", [with_key, beside, in_box])
def test_reference_systems_that_name_no_file(own: Path, reader: Reader, write: Callable[[Path, str], None]) -> None:
    """What GDAL writes for web Mercator has PROJ's words for no grid."""
    text = rasterio.crs.CRS.from_epsg(3857).to_wkt()
    assert "+nadgrids=@null" in text
    write(own, escape(text) if write is beside else text)
    assert seen(reader, NATIVE) == {OWN}
