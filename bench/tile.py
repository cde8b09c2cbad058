"""A map tile over HTTP: ours against plain TiTiler, same files, tiles and size. `python -m bench.tile`.

Our cache of rendered tiles is off, so that each tile is evaluated. One process each; both are asked in turn.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import rasterio
from affine import Affine
from fastapi import FastAPI
from rasterio.shutil import copy
from rasterio.warp import transform, transform_bounds

from bdap_hub.access import Person
from bdap_hub.database import connect
from bdap_hub.processing.app import create_app
from bdap_hub.processing.graphs import plan
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.service.rights import Rights
from bdap_hub.processing.service.tables import Services
from bdap_hub.settings import Settings, load
from bdap_hub.web import HubLogin, Principal
from tests.conftest import free_port, make_settings
from tests.processing.conftest import asset, collection, item
from tests.processing.graphs import arg, call, node, of
from tests.processing.graphs import load as load_node

from .common import Row, write

PEER = "titiler.core==2.4.0"
PYTHON = Path("var/bench-venv/bin/python")
SIDE = int(os.environ.get("SIDE", "4096"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
BANDS = ("B02", "B03", "B04", "B08")
LEFT, TOP, PIXEL = 500_000.0, 5_200_020.0, 10.0
ZOOM, COLUMNS, LINES = 14, 6, 4  # native resolution: both interpolate alike, so the pictures can be compared
TITILER = """
from fastapi import FastAPI
from titiler.core.factory import MultiBaseTilerFactory
from rio_tiler.io import STACReader
app = FastAPI()
app.include_router(MultiBaseTilerFactory(reader=STACReader).router)
"""


def application() -> FastAPI:
    """Our service, as uvicorn's factory; settings come from the environment."""
    return create_app(load())


def main() -> None:
    """Generate, check that both draw the same, measure, write."""
    _install_peer()
    folder = Path(tempfile.mkdtemp(prefix="bdapbench-tile-"))
    try:
        settings = make_settings(folder / "var", processing={"tile_cache_mb": 0})
        stac = _generate(settings)
        urls = _our_urls(settings, stac)
        item_file = folder / "item.json"
        item_file.write_text(json.dumps(_local(settings, stac)))
        port = free_port()
        with _ours(settings, folder) as our_pid, _theirs(folder, port) as their_pid:
            their = _their_urls(item_file, port)
            rows = []
            for case in ("NDVI + colormap", "RGB"):
                _same(urls[case], their[case], case)
                rows += _measure(case, (urls[case], our_pid), (their[case], their_pid))
        write("tile", rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(case: str, ours: tuple[str, int], theirs: tuple[str, int]) -> list[Row]:
    tiles = list(_tiles())
    for template, _ in (ours, theirs):
        _ask_all(template, tiles, 1)  # warm
    cpu: dict[str, list[float]] = {"ours": [], "theirs": []}
    wall: dict[str, list[float]] = {"ours": [], "theirs": []}
    rate: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(ROUNDS):
        for who, (template, pid) in (("ours", ours), ("theirs", theirs)):
            before = _cpu_seconds(pid)
            wall[who] += _ask_all(template, tiles, 1)
            cpu[who].append((_cpu_seconds(pid) - before) / len(tiles) * 1000)
            started = time.perf_counter()
            _ask_all(template, tiles * 2, 8)
            rate[who].append(2 * len(tiles) / (time.perf_counter() - started))
    where = f"{case}, {COLUMNS}x{LINES} adjacent z{ZOOM} tiles of {SIDE}² COGs, warm"
    middle = {k: {w: statistics.median(v) for w, v in d.items()} for k, d in (("c", cpu), ("w", wall), ("r", rate))}
    rows = [
        ("c", "CPU a tile, 1 client", "ms", None, "lower"),
        ("w", "p50, 1 client", "ms", None, "lower"),
        ("r", "8 clients", "tiles/s", 10, "higher"),
    ]
    peer, command = PEER.replace("==", " "), "make bench AREA=tile"
    return [
        Row(
            case=f"{where}: {what}",
            ours=round(middle[key]["ours"], 1),
            peer=peer,
            theirs=round(middle[key]["theirs"], 1),
            unit=unit,
            goal=goal,
            command=command,
            better=better,  # type: ignore[arg-type]
        )
        for key, what, unit, goal, better in rows
    ]


def _ask_all(template: str, tiles: list[tuple[int, int]], clients: int) -> list[float]:
    """Milliseconds of each request."""
    with httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=clients)) as client:

        def ask(tile: tuple[int, int]) -> float:
            started = time.perf_counter()
            client.get(template.format(z=ZOOM, x=tile[0], y=tile[1])).raise_for_status()
            return (time.perf_counter() - started) * 1000

        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(ask, tiles))


def _tiles() -> Iterator[tuple[int, int]]:
    middle = SIDE * PIXEL / 2
    lon, lat = (v[0] for v in transform("EPSG:32633", "EPSG:4326", [LEFT + middle], [TOP - middle]))
    n = 2**ZOOM
    x, y = int((lon + 180) / 360 * n), int((1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * n)
    return ((x - COLUMNS // 2 + i, y - LINES // 2 + j) for i in range(COLUMNS) for j in range(LINES))


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _generate(settings: Settings) -> dict[str, Any]:
    """Four bands of a made-up scene as COGs: DEFLATE with predictor 2, 512 px blocks, overviews."""
    random = np.random.default_rng(5)
    where = Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP)
    bounds = (LEFT, TOP - SIDE * PIXEL, LEFT + SIDE * PIXEL, TOP)
    assets = {}
    for number, band in enumerate(BANDS):
        fields = np.kron(random.integers(300, 4000, (SIDE // 64, SIDE // 64)), np.ones((64, 64), np.uint16))
        pixels = (fields + random.normal(0, 60, (SIDE, SIDE)) + 100 * number).clip(1, 20_000).astype(np.uint16)
        path = settings.store.data / f"bench/{band}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"driver": "GTiff", "dtype": "uint16", "count": 1, "width": SIDE, "height": SIDE, "nodata": 0}
        with rasterio.open(path.with_suffix(".raw"), "w", **profile, crs="EPSG:32633", transform=where) as file:
            file.write(pixels, 1)
        copy(path.with_suffix(".raw"), path, driver="COG", compress="DEFLATE", predictor=2, blocksize=512)
        path.with_suffix(".raw").unlink()
        assets[band] = asset(settings.store.href_of(path), band)
    return item("bench", "scene", "2024-06-01", transform_bounds("EPSG:32633", "EPSG:4326", *bounds), 0, assets)


def _local(settings: Settings, stac: dict[str, Any]) -> dict[str, Any]:
    """The item with the machine's own paths; without raster:bands, which make TiTiler warn at each tile."""
    assets = {}
    for key, described in stac["assets"].items():
        kept = {k: v for k, v in described.items() if k != "raster:bands"}
        assets[key] = {**kept, "href": str(settings.store.path_of(described["href"]))}
    return {**stac, "assets": assets}


def _our_urls(settings: Settings, stac: dict[str, Any]) -> dict[str, str]:
    """Tile addresses of our services, planned and stored as a post would."""
    described = collection("bench", "public", "", stac["bbox"])
    first = {"reducer": call("first", data=arg("data")), "dimension": "t"}
    save = {"format": "PNG"}
    graphs = {
        "NDVI + colormap": {
            "a": load_node("bench", bands=["B04", "B08"]),
            "n": node("ndvi", data=of("a"), nir="B08", red="B04"),
            "t": node("reduce_dimension", data=of("n"), **first),
            "s": node("save_result", True, data=of("t"), options={"colormap": "rdylgn", "min": -1, "max": 1}, **save),
        },
        "RGB": {
            "a": load_node("bench", bands=["B04", "B03", "B02"]),
            "t": node("reduce_dimension", data=of("a"), **first),
            "s": node("save_result", True, data=of("t"), options={"min": 0, "max": 4000}, **save),
        },
    }
    rights = Rights(settings, HubLogin(settings, "processing"))
    release = Principal(Person("dashboard:bench", frozenset({"project-forest"})), "release")
    services, urls = Services(connect(settings.database)), {}
    for case, raw in graphs.items():
        graph = parse(raw, REGISTRY)
        asked = queries(graph)
        made = plan.build(graph, asked, {"bench": described}, {q.node: [stac] for q in asked}, 10)
        services.add(made.id, json.dumps(raw), made.dump(), "bench", case)
        base = f"{settings.processing.url}/services/processing/tiles/{made.id}"
        urls[case] = f"{base}/{{z}}/{{x}}/{{y}}.png?sig={rights.sign(made.id, release)}"
    return urls


def _their_urls(item_file: Path, port: int) -> dict[str, str]:
    base = f"http://127.0.0.1:{port}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}.png?url={item_file}&resampling=bilinear&reproject=bilinear"
    return {
        "NDVI + colormap": base
        + "&assets=B08&assets=B04&expression=(b1-b2)/(b1%2Bb2)&rescale=-1,1&colormap_name=rdylgn",
        "RGB": base + "&assets=B04&assets=B03&assets=B02&rescale=0,4000",
    }


@contextmanager
def _ours(settings: Settings, folder: Path) -> Iterator[int]:
    """Our service as one process; settings travel in a file."""
    config = folder / "bdap.yaml"
    config.write_text(settings.model_dump_json())  # JSON is YAML
    command = [sys.executable, "-m", "uvicorn", "--factory", "bench.tile:application"]
    env = {**os.environ, "BDAP_CONFIG": str(config)}
    with _process(command, settings.processing.port, "/services/processing/health", env) as pid:
        yield pid


@contextmanager
def _theirs(folder: Path, port: int) -> Iterator[int]:
    """Plain TiTiler as one process, tuned as its documentation advises for GDAL."""
    (folder / "plain_titiler.py").write_text(TITILER)
    command = [str(PYTHON.absolute()), "-m", "uvicorn", "--app-dir", str(folder), "plain_titiler:app"]
    tuned = {"GDAL_CACHEMAX": "200", "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "RIO_TILER_MAX_THREADS": "1"}
    with _process(command, port, "/openapi.json", {**os.environ, **tuned}) as pid:
        yield pid


@contextmanager
def _process(command: list[str], port: int, health: str, env: dict[str, str]) -> Iterator[int]:
    quiet = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "--no-access-log"]
    process = subprocess.Popen([*command, *quiet], env=env)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://127.0.0.1:{port}{health}", timeout=2).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        else:
            raise TimeoutError(f"{command} did not start")
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def _same(ours: str, theirs: str, case: str) -> None:
    """Both must draw the same picture, but for rounding: else a comparison of times is worth nothing."""
    x, y = next(_tiles())
    images = []
    for template in (ours, theirs):
        answer = httpx.get(template.format(z=ZOOM, x=x, y=y), timeout=60).raise_for_status()
        with rasterio.MemoryFile(answer.content) as memory, memory.open() as file:
            images.append(_rgb(file))
    near = (np.abs(images[0].astype(int) - images[1].astype(int)) <= 6).all(axis=0).mean()
    print(f"{case}: {near:.2%} of the pixels agree")
    if near < 0.98:
        raise SystemExit(f"{case}: the pictures differ, nothing is measured")


def _rgb(file: Any) -> Any:
    if file.count > 1:
        return file.read((1, 2, 3))
    palette = np.array([file.colormap(1).get(i, (0, 0, 0, 0))[:3] for i in range(256)], np.uint8)
    return np.moveaxis(palette[file.read(1)], -1, 0)


def _install_peer() -> None:
    """TiTiler in an environment of its own: it never meets our lock file."""
    if PYTHON.exists():
        return
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "-q", str(PYTHON.parent.parent), "--python", sys.executable], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", str(PYTHON), PEER, "uvicorn", "pystac"], check=True)


if __name__ == "__main__":
    main()
