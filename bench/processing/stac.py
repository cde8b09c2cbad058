"""The smallest STAC API that titiler-openeo can search: one collection, its items in a file. Run by uvicorn."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

CONFORMS = ("core", "collections", "item-search", "item-search#fields", "item-search#query")


def application() -> FastAPI:
    """Reads the file that STAC_FILE names."""
    app = FastAPI()
    content = json.loads(Path(os.environ["STAC_FILE"]).read_text())
    described, items = content["collection"], content["items"]

    @app.get("/")
    def landing(request: Request) -> dict[str, Any]:
        base = str(request.base_url).rstrip("/")
        links = [("self", ""), ("root", ""), ("data", "/collections"), ("search", "/search")]
        made = [{"rel": rel, "href": base + path, "type": "application/json", "method": "GET"} for rel, path in links]
        made.append({"rel": "search", "href": f"{base}/search", "type": "application/geo+json", "method": "POST"})
        conforms = [f"https://api.stacspec.org/v1.0.0/{name}" for name in CONFORMS]
        return {"type": "Catalog", "stac_version": "1.0.0", "id": "bench", "description": "bench", "links": made,
                "conformsTo": conforms}  # fmt: skip

    @app.get("/collections")
    def collections() -> dict[str, Any]:
        return {"collections": [described], "links": []}

    @app.get("/collections/{name}")
    def one(name: str) -> dict[str, Any]:
        return dict(described)

    @app.post("/search")
    async def search(request: Request) -> dict[str, Any]:
        asked = await request.json()
        start, _, end = str(asked.get("datetime") or "/").partition("/")
        found = [
            item for item in items if (start or "0")[:10] <= item["properties"]["datetime"][:10] < (end or "9")[:10]
        ]
        return {"type": "FeatureCollection", "features": found, "links": []}

    return app
