"""Routes that say what the service can do: for everybody, without login."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import FastAPI, Response

from ...errors import NotFound
from ..processes import REGISTRY
from ..processes.udf import RUNTIME, VERSION
from ..results.formats import listed as formats
from ..udf.pool import Udfs
from .configuration import PARAMETERS
from .room import Room
from .style_parameters import STYLE

TYPES = {
    "XYZ": {"title": "Map tiles (XYZ)", "description": "Tiles by zoom, column and row, for web maps."},
    "WMTS": {
        "title": "Web map tile service (OGC)",
        "description": "WMTS 1.0.0 for GIS: KVP and RESTful.",
    },
    "TileJSON": {"title": "TileJSON 3.0", "description": "A document that tells MapLibre and others where tiles are."},
}


def add_descriptions(app: FastAPI, prefix: str, room: Room) -> None:
    """What the service can do: for everybody, without login."""

    @app.get(f"{prefix}/file_formats")
    async def file_formats() -> dict[str, Any]:
        return formats(STYLE)

    @app.get(f"{prefix}/service_types")
    async def service_types() -> dict[str, Any]:
        return {kind: {**said, "configuration": PARAMETERS, "process_parameters": []} for kind, said in TYPES.items()}

    @app.get(f"{prefix}/udf_runtimes")
    async def udf_runtimes() -> dict[str, Any]:
        return await asyncio.to_thread(runtimes, room.engine.udfs)

    listed = {"processes": [REGISTRY[name].document() for name in sorted(REGISTRY)], "links": []}
    content = json.dumps(listed, allow_nan=False, separators=(",", ":")).encode()  # once: it is long

    @app.get(f"{prefix}/processes", response_model=dict[str, Any])
    async def processes() -> Response:
        return Response(content, media_type="application/json")

    @app.get(f"{prefix}/processes/{{namespace}}", response_model=dict[str, Any])
    async def processes_of(namespace: str) -> Response:
        if namespace != "backend":
            raise NotFound(f"there is no namespace {namespace[:100]!r}", "GET /process_graphs lists your own processes")
        return await processes()


def runtimes(udfs: Udfs | None) -> dict[str, Any]:
    """Where code of people runs, as the sandbox itself says; nothing where none does."""
    said = udfs.runtime() if udfs is not None else None
    if said is None:
        return {}
    libraries = {name: {"version": version} for name, version in said["libraries"].items()}
    return {
        RUNTIME: {
            "title": f"Python {said['python']}",
            "description": "`apply_datacube(cube: xarray.DataArray, context: dict)`, without network and files.",
            "type": "language",
            "default": VERSION,
            "versions": {VERSION: {"libraries": libraries}},
        }
    }
