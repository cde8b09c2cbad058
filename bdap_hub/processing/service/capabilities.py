"""Where an openEO client begins: the version, the capabilities, and which endpoints there are, read off the routes."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from ... import __version__
from ...settings import Settings

API_VERSION = "1.2.0"
STAC_VERSION = "1.0.0"
CONFORMS = (
    f"https://api.openeo.org/{API_VERSION}",
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
)
STANDARD = (
    *("conformance", "collections", "processes", "file_formats", "service_types", "udf_runtimes", "credentials"),
    *("me", "validation", "process_graphs", "files", "services", "jobs", "result"),
)
"""The first parts of the paths that openEO's API defines; what else is served here is our own."""
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_NAMES = {"files": "path", "processes": "namespace"}


def add_capabilities(app: FastAPI, prefix: str, settings: Settings) -> None:
    """To be called when all other routes are there."""
    base = f"{settings.hub.public_url}{prefix}"

    @app.get(f"{prefix}/.well-known/openeo")
    async def versions() -> dict[str, Any]:
        return {"versions": [version(settings, base)]}

    @app.get(f"{prefix}/conformance")
    async def conformance() -> dict[str, Any]:
        return {"conformsTo": list(CONFORMS)}

    @app.get(prefix, include_in_schema=False)
    @app.get(f"{prefix}/")
    async def capabilities() -> dict[str, Any]:
        return document

    document = {
        "api_version": API_VERSION,
        "backend_version": __version__,
        "stac_version": STAC_VERSION,
        "type": "Catalog",
        "id": "bdap-processing",
        "title": f"{settings.hub.platform_name} processing",
        "description": "openEO process graphs, evaluated for each tile while one pans.",
        "production": settings.environment == "production",
        "conformsTo": list(CONFORMS),
        "endpoints": endpoints(app, prefix),
        "links": _links(base),
    }


def version(settings: Settings, base: str) -> dict[str, Any]:
    """What `/.well-known/openeo` says of this service at `base`."""
    return {"url": f"{base}/", "api_version": API_VERSION, "production": settings.environment == "production"}


def endpoints(app: FastAPI, prefix: str) -> list[dict[str, Any]]:
    """The routes that openEO defines, as it writes them: those that are really there."""
    found: dict[str, set[str]] = {}
    for route in app.routes:
        if isinstance(route, APIRoute) and route.path.startswith(f"{prefix}/"):
            path = openeo_path(route.path.removeprefix(prefix))
            if path == "/" or path.split("/")[1] in STANDARD:
                found.setdefault(path, set()).update((route.methods or set()) - {"HEAD", "OPTIONS"})
    return [{"path": path, "methods": sorted(methods)} for path, methods in sorted(found.items())]


def openeo_path(path: str) -> str:
    """A route's path with its parameter named as openEO names it: clients look paths up by these names."""
    first = path.split("/")[1]
    singular = f"{first.removesuffix('s')}_id"
    return _PARAMETER.sub(r"{\1}", _PARAMETER.sub(f"{{{_NAMES.get(first, singular)}}}", path, count=1))


def _links(base: str) -> list[dict[str, str]]:
    def link(rel: str, path: str, title: str) -> dict[str, str]:
        return {"rel": rel, "href": f"{base}{path}", "type": "application/json", "title": title}

    return [
        link("self", "/", "This document"),
        link("root", "/", "This document"),
        link("version-history", "/.well-known/openeo", "The versions of the API"),
        link("conformance", "/conformance", "What this service conforms to"),
        link("data", "/collections", "The collections you may read"),
    ]
