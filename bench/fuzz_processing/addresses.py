"""schemathesis, in an environment of its own, over all that the service's OpenAPI document declares."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

import httpx

from bench.peers import environment
from tests.processing.conftest import X, Y, Z
from tests.processing.graphs import band

from .checks import Found
from .stage import PREFIX, TOKEN, Stage

PACKAGE = "schemathesis==4.32.5"
KEPT = ("services", "tiles", "explain")
COORDINATES = {"type": "array", "items": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3}}
LINE = {
    "type": "object",
    "properties": {"type": {"enum": ["LineString", "MultiPoint", "Polygon", "Nothing"]}, "coordinates": COORDINATES},
    "required": ["type", "coordinates"],
}
PLACES = {
    "properties": {
        "bbox": {"type": "array", "items": {"type": "number", "minimum": -200, "maximum": 200}},
        "points": COORDINATES,
        "type": {"enum": ["Point", "Polygon", "FeatureCollection"]},
        "geometry": LINE,
        "features": {"type": "array", "items": {"type": "object", "properties": {"geometry": LINE}}},
    }
}
TOLD = {
    "properties": {
        "title": {"type": ["string", "null"]},
        "description": {"type": ["string", "null"]},
        "enabled": {"const": True},
        "configuration": {
            "properties": {
                "tile_size": {"type": "integer"},
                "format": {"type": "string"},
                "minzoom": {"type": "integer"},
                "maxzoom": {"type": "integer"},
                "attribution": {"type": "string"},
                "style": {"type": "object"},
            }
        },
        "budget": {"type": "number"},
        "log_level": {"type": "string"},
    }
}
WMTS = {
    "service": ["WMTS", "WMS"],
    "request": ["GetTile", "GetCapabilities", "GetFeatureInfo"],
    "version": ["1.0.0"],
    "layer": None,
    "style": ["default"],
    "tilematrixset": ["WebMercatorQuad", "GoogleMapsCompatible"],
    "tilematrix": [str(Z), "99"],
    "tilerow": [str(Y), "-1"],
    "tilecol": [str(X), "x"],
    "format": ["image/png", "image/webp", "text/html"],
    "time": ["2024-05-01", "default"],
}


def schemathesis(on: Stage, seconds: float, found: Found) -> None:
    """Each operation with right and wrong input: no server error, for a service that is there and others."""
    python = environment("schemathesis", PACKAGE)
    document = on.folder / "openapi.json"
    document.write_text(json.dumps(declared(on)))
    lines = on.folder / "events.ndjson"
    command = [
        str(python.parent / "st"), "run", str(document), "--url", on.settings.processing.url, "-c",
        "not_a_server_error", "-H", f"Authorization: Bearer {TOKEN}", "--max-time", str(max(1, int(seconds))),
        "--continue-on-failure", "--request-timeout", "60", "--no-shrink", "--suppress-health-check", "all",
        "--phases", "examples,coverage,fuzzing", "--report", "ndjson", "--report-ndjson-path", str(lines),
    ]  # fmt: skip
    env = {**os.environ, "NO_COLOR": "1"}
    ended = subprocess.run(command, env=env, cwd=on.folder, capture_output=True, text=True, timeout=seconds * 2 + 300)
    (on.folder / "st.txt").write_text(ended.stdout)
    print(ended.stdout[-6000:], ended.stderr[-1000:], flush=True)
    if not on.alive:
        found.fail("schemathesis: the process ended", ended.stdout[-2000:])
    _count(on, ended.stdout, found)


def declared(on: Stage) -> dict[str, Any]:
    """The service's document; where it can be, an identifier is that of a service that is there.

    What the document leaves open, bodies and WMTS's parameters, it says here, so that more than the first check is met.
    """
    name = _service(on)
    document: dict[str, Any] = httpx.get(f"{on.settings.processing.url}{PREFIX}/openapi").raise_for_status().json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            there = {"z": Z, "x": X, "last": f"{Y}.png"}
            if (
                any(f"/{part}/{{identifier}}" in path for part in ("services", "tiles", "explain"))
                and method != "delete"
            ):
                there["identifier"] = _service(on) if method == "patch" else name
            for one in operation.get("parameters", ()):
                if one["in"] == "path" and one["name"] in there:
                    one["schema"] = {"enum": [there[one["name"]]]}
            if path.endswith("/wmts"):
                operation["parameters"] += [_key(key, values) for key, values in WMTS.items()]
            if method in ("post", "patch", "put") and "requestBody" not in operation:
                schema = {"type": "object", **(PLACES if "{identifier}" in path and method == "post" else TOLD)}
                operation["requestBody"] = {"content": {"application/json": {"schema": schema}}, "required": True}
    return document


def _service(on: Stage) -> str:
    """The id of a new service."""
    made = on.http.post("/services", json={"type": "XYZ", "process": {"process_graph": band("B04")}}).raise_for_status()
    return str(made.headers["openeo-identifier"])


def _key(name: str, values: list[str] | None) -> dict[str, Any]:
    schema = {"type": "string"} if values is None else {"enum": [*values, ""]}
    return {"name": name, "in": "query", "required": name in ("service", "request"), "schema": schema}


def _count(on: Stage, text: str, found: Found) -> None:
    """Failures by the operation, with the request that showed them."""
    operation = ""
    for line in text.splitlines():
        if line.startswith("____") and line.strip("_ "):
            operation = line.strip("_ ")
        if "curl -X" in line:
            found.fail(f"schemathesis: {operation}: {on.failure()}"[:300], line.strip()[:1500])
        if found_count := re.match(r"\s*(\d+) generated", line):
            found.counts["requests of schemathesis"] += int(found_count[1])
