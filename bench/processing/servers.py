"""The services that are compared, each a process of its own; titiler-openeo with the STAC API that it needs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

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
from bench.peers import Server, environment, process
from tests.conftest import free_port
from tests.processing.conftest import collection

TITILER, OPENEO = "titiler.core==2.4.0", "titiler-openeo==0.19.0"
SERVER, CODECS = "uvicorn[standard]", ("imagecodecs", "numpy")
TUNED = {
    "GDAL_CACHEMAX": "512",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_NUM_THREADS": "1",
    "RIO_TILER_MAX_THREADS": "1",
}
PLAIN = """
from fastapi import FastAPI
from titiler.core.factory import MultiBaseTilerFactory
from rio_tiler.io import STACReader
app = FastAPI()
app.include_router(MultiBaseTilerFactory(reader=STACReader).router)
"""


def application() -> FastAPI:
    """Our service, as uvicorn's factory; settings come from the environment."""
    return create_app(load())


@contextmanager
def ours(settings: Settings, folder: Path) -> Iterator[Server]:
    """Our service as one process; settings travel in a file."""
    config = folder / "bdap.yaml"
    config.write_text(settings.model_dump_json())  # JSON is YAML
    command = [sys.executable, "-m", "uvicorn", "--factory", "bench.processing.servers:application"]
    port, env = settings.processing.port, {**os.environ, "BDAP_CONFIG": str(config)}
    with process("ours", command, port, "/services/processing/health", env) as server:
        yield server


@contextmanager
def titiler(folder: Path) -> Iterator[Server]:
    """TiTiler as one process, tuned as its documentation advises."""
    python = environment("titiler", TITILER, "pystac", SERVER)
    (folder / "plain_titiler.py").write_text(PLAIN)
    command = [str(python), "-m", "uvicorn", "--app-dir", str(folder), "plain_titiler:app"]
    with process("titiler.core 2.4.0", command, free_port(), "/openapi.json", {**os.environ, **TUNED}) as server:
        yield server


@contextmanager
def openeo(folder: Path, described: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> Iterator[Server]:
    """titiler-openeo as one process. The STAC API beside it is not counted as its own work."""
    python = environment("openeo", OPENEO, SERVER)
    (folder / "stac.json").write_text(json.dumps({"collection": described, "items": items}))
    catalogue = [sys.executable, "-m", "uvicorn", "--factory", "bench.processing.stac:application"]
    with process("stac", catalogue, free_port(), "/", {**os.environ, "STAC_FILE": str(folder / "stac.json")}) as stac:
        (folder / "services.json").write_text("{}")
        env = {"TITILER_OPENEO_STAC_API_URL": stac.base, "TITILER_OPENEO_STORE_URL": str(folder / "services.json")}
        command = [str(python), "-m", "uvicorn", "titiler.openeo.main:app"]  # GDAL's threads and cache as TiTiler's
        with process("titiler-openeo 0.19.0", command, free_port(), "/", {**os.environ, **TUNED, **env}) as server:
            yield server


def post_to_openeo(server: Server, graph: Mapping[str, Any]) -> str:
    """The tiles' address of a graph at titiler-openeo."""
    parameters = [
        {"name": "bounding_box", "schema": {"type": "object", "subtype": "bounding-box"}},
        {"name": "target_crs", "schema": {"type": "integer", "subtype": "epsg-code"}},
    ]
    body = {
        "title": "bench",
        "type": "xyz",
        "process": {"process_graph": graph, "parameters": parameters},
        "configuration": {"scope": "public", "minzoom": 0, "maxzoom": 22, "tile_size": 256},
    }
    login = httpx.get(f"{server.base}/credentials/basic", auth=("test", "test")).raise_for_status().json()
    token = {"Authorization": f"Bearer basic//{login['access_token']}"}
    answer = httpx.post(f"{server.base}/services", json=body, headers=token, timeout=60)
    if answer.status_code != 201:
        raise RuntimeError(f"titiler-openeo refuses the graph: {answer.text[:500]}")
    identifier = answer.headers["openeo-identifier"]
    return f"{server.base}/services/xyz/{identifier}/tiles/{{z}}/{{x}}/{{y}}"


def add_service(settings: Settings, name: str, raw: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> str:
    """The tiles' address of a graph at our service, planned and stored as a post would."""
    described = collection(name, "public", "", (-180, -90, 180, 90))
    graph = parse(raw, REGISTRY)
    asked = queries(graph)
    made = plan.build(graph, asked, {name: described}, {q.node: items for q in asked}, 1000)
    Services(connect(settings.database)).add(made.id, json.dumps(raw), made.dump(), "dashboard:bench", "bench")
    release = Principal(Person("dashboard:bench", frozenset({"project-forest"})), "release")
    signature = Rights(settings, HubLogin(settings, "processing")).sign(made.id, release)
    return f"{settings.processing.url}/services/processing/tiles/{made.id}/{{z}}/{{x}}/{{y}}.png?sig={signature}"
