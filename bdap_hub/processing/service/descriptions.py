"""Routes that say what the service can do: for everybody, without login."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Response

from ... import __version__
from ...settings import Settings
from ..processes import REGISTRY

ENDPOINTS = (
    ("/", "GET"),
    ("/conformance", "GET"),
    ("/file_formats", "GET"),
    ("/service_types", "GET"),
    ("/processes", "GET"),
    ("/validation", "POST"),
    ("/services", "GET"),
    ("/services", "POST"),
    ("/services/{service_id}", "GET"),
    ("/services/{service_id}", "DELETE"),
)


def add_descriptions(app: FastAPI, prefix: str, settings: Settings) -> None:
    """What the service can do: for everybody, without login."""

    @app.get(f"{prefix}/")
    async def capabilities() -> dict[str, Any]:
        return {
            "api_version": "1.2.0",
            "backend_version": __version__,
            "stac_version": "1.0.0",
            "type": "Catalog",
            "id": "bdap-processing",
            "title": f"{settings.hub.platform_name} processing",
            "description": "openEO process graphs, evaluated for each tile while one pans.",
            "endpoints": [{"path": path, "methods": [method]} for path, method in ENDPOINTS],
            "links": [{"rel": "conformance", "href": f"{settings.hub.public_url}{prefix}/conformance"}],
            "conformsTo": ["https://api.openeo.org/1.2.0"],
        }

    @app.get(f"{prefix}/conformance")
    async def conformance() -> dict[str, Any]:
        return {"conformsTo": ["https://api.openeo.org/1.2.0"]}

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

    listed = {"processes": [REGISTRY[name].document() for name in sorted(REGISTRY)], "links": []}
    content = json.dumps(listed, allow_nan=False, separators=(",", ":")).encode()  # once: it is long

    @app.get(f"{prefix}/processes", response_model=dict[str, Any])
    async def processes() -> Response:
        return Response(content, media_type="application/json")
