"""Routes that say what the service can do: for everybody, without login."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Response

from ...errors import NotFound
from ..processes import REGISTRY


def add_descriptions(app: FastAPI, prefix: str) -> None:
    """What the service can do: for everybody, without login."""

    @app.get(f"{prefix}/file_formats")
    async def file_formats() -> dict[str, Any]:
        parameters = {
            "colormap": {"type": "string", "description": "Name of a colormap, for one band.", "default": "gray"},
            "min": {"type": ["number", "array"], "description": "Value (per band) of the first colour.", "default": 0},
            "max": {"type": ["number", "array"], "description": "Value (per band) of the last colour.", "default": 255},
        }
        return {
            "input": {},
            "output": {"PNG": {"title": "PNG", "gis_data_types": ["raster"], "parameters": parameters}},
        }

    @app.get(f"{prefix}/service_types")
    async def service_types() -> dict[str, Any]:
        return {"XYZ": {"title": "Map tiles (XYZ)", "configuration": {}, "process_parameters": []}}

    @app.get(f"{prefix}/udf_runtimes")
    async def udf_runtimes() -> dict[str, Any]:
        return {}  # no code of users runs in the service

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
