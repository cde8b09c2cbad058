"""The gallery's twelve notebooks against the real catalogue and processing services, on a small season of demo data."""

from __future__ import annotations

import ast
import asyncio
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import bdap
import httpx
import nbformat
import numpy as np
import pytest
import rasterio
import rasterio.warp
from bdap import inter
from bdap.inter import imap
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from bdap_hub.catalogue.app import create_app as create_catalogue
from bdap_hub.demo import prepare
from bdap_hub.demo.data import generate
from bdap_hub.processing.app import create_app as create_processing
from tests.emptied import emptied
from tests.extensions.conftest import EXTENSIONS, environment

GALLERY = EXTENSIONS / "bdap" / "gallery"
NAMES = sorted(path.name for path in GALLERY.glob("*.ipynb"))
SIZE = 768
AT_ONCE = 3
ADDRESSES = ("BDAP_PROCESSING_URL", "BDAP_CATALOGUE_URL")
NO_MESSAGE = """
shown = [each for each in list(globals().values()) if isinstance(each, bdap.Map)]
told = [f"{about}: {each._errors[about]}" for each in shown for about in each.messages]
assert not told, f"messages on a map: {told}"
print(len(shown), "maps")
"""


@pytest.fixture(scope="module")
def services(hub: Any) -> dict[str, str]:
    """The demo's collections, made small; the environment of ana's notebook server."""
    settings = hub.settings
    generate(emptied(settings), size=SIZE)
    prepare.ingest_demo(settings, lambda _: None)
    hub.serve(create_catalogue(settings), settings.catalogue.port)
    hub.serve(create_processing(settings), settings.processing.port)
    return environment(hub, "ana")


@pytest.fixture(scope="module")
def runs(
    services: dict[str, str], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, Any]:
    """Each notebook that a chosen test asks for, as it stands after its run, or the failure of one of its cells."""
    tests = [item for item in request.session.items if "runs" in getattr(item, "fixturenames", ())]
    names = sorted({item.callspec.params["name"] for item in tests})

    async def run(name: str, turn: asyncio.Semaphore) -> Any:
        notebook = nbformat.read(GALLERY / name, as_version=4)
        notebook.cells.append(nbformat.v4.new_code_cell(NO_MESSAGE))
        folder = {"metadata": {"path": str(tmp_path_factory.mktemp(name.removesuffix(".ipynb")))}}
        async with turn:
            try:
                return await NotebookClient(
                    notebook, timeout=180, kernel_name="python3", resources=folder
                ).async_execute(env=services)
            except CellExecutionError as error:
                return error

    async def all_of_them() -> list[Any]:
        turn = asyncio.Semaphore(AT_ONCE)
        return await asyncio.gather(*(run(name, turn) for name in names))

    return dict(zip(names, asyncio.run(all_of_them()), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_of_the_gallery_runs(name: str, runs: dict[str, Any]) -> None:
    done = runs[name]
    if isinstance(done, CellExecutionError):
        pytest.fail(str(done)[-3000:])
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [each for each in outputs if each.output_type == "error" or each.get("name") == "stderr"] == []
    assert re.fullmatch(r"\d+ maps\n", done.cells[-1].outputs[0].text)


def test_it_is_put_into_a_folder_and_ones_own_changes_stay(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / NAMES[0]).write_text("changed")
    folder = bdap.gallery(tmp_path / "mine")
    assert sorted(path.name for path in folder.iterdir()) == [*NAMES, "README.md"]
    assert (folder / NAMES[0]).read_text() == "changed"
    assert (folder / NAMES[1]).read_bytes() == (GALLERY / NAMES[1]).read_bytes()
    (tmp_path / "file").write_text("")
    with pytest.raises(bdap.BadCube, match="cannot be written"):
        bdap.gallery(tmp_path / "file")


def test_it_comes_with_the_wheel(tmp_path: Path) -> None:
    command = ["uv", "build", "-q", "--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "-o", str(tmp_path), str(EXTENSIONS / "bdap")], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert {f"bdap/data/gallery/{name}" for name in NAMES} <= set(zipfile.ZipFile(wheel).namelist())


def test_there_are_twelve_and_the_list_names_each() -> None:
    told = (GALLERY / "README.md").read_text()
    assert [name[:2] for name in NAMES] == [f"{number:02}" for number in range(1, 13)]
    assert [name for name in NAMES if f"]({name})" not in told] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_of_the_gallery_is_short_and_clean(name: str) -> None:
    notebook = nbformat.read(GALLERY / name, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) <= 10 and notebook.cells[0].source.startswith(f"# {int(name[:2])}. ")
    assert not [cell for cell in code if cell.outputs or cell.execution_count is not None]
    assert max(len(line) for cell in code for line in cell.source.splitlines()) <= 120
    for cell in code:
        ast.parse(cell.source)


def test_interapros_chain_gives_the_pixels_of_the_files(
    hub: Any, services: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = bdap.Client(*(services[name] for name in ("JUPYTERHUB_API_TOKEN", *ADDRESSES)))
    monkeypatch.setattr("bdap.client._default", client)
    day = hub.settings.store.data / "sentinel-2-demo" / "2025-07-10"
    with rasterio.open(day / "B04.tif") as red, rasterio.open(day / "B08.tif") as nir:
        lon, lat = rasterio.warp.transform(red.crs, "EPSG:4326", *[[v] for v in red.xy(100, 150)])
        red_here, nir_here = float(red.read(1)[100, 150]), float(nir.read(1)[100, 150])
    images = inter.ImageCollection("S2").filterOnGeoName("Ispra", 0.1, "IT").filterOnDate(2025, 7, 1, 2025, 7, 31)
    assert (images.name, images.count(), images.dates()) == ("sentinel-2-demo", 1, ["2025-07-10"])
    picture = images.process().math("(B8 - B4) / (B8 + B4)").scale(0, 1).colorCustom(["#ff0000", "#00ff00"])
    value = (nir_here - red_here) / (nir_here + red_here)
    assert float(imap.identifyPointEx(picture, lon[0], lat[0])) == pytest.approx(value, abs=1e-3)
    assert images.process().band(4).maskGT(red_here - 1).at(lon[0], lat[0]) == "", "it is hidden"
    assert images.process().band(4).maskLT(red_here - 1).at(lon[0], lat[0]) == f"{red_here:g}"
    shown = imap.Map()
    layer = shown.addLayer(picture.toLayer(), "NDVI")
    assert shown.messages == []
    z = 14
    x, y = int((lon[0] + 180) / 360 * 2**z), int((1 - np.arcsinh(np.tan(np.radians(lat[0]))) / np.pi) / 2 * 2**z)
    tile = httpx.get(layer.url.format(z=z, x=x, y=y), timeout=60, trust_env=False)
    colours = np.asarray(Image.open(io.BytesIO(tile.content)).convert("RGBA"))
    drawn = colours[colours[..., 3] > 0]
    assert len(drawn) and np.all(drawn[:, 2] < 5) and np.all(np.abs(drawn[:, 0].astype(int) + drawn[:, 1] - 255) < 5)
