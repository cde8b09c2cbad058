"""The route of legends: what the colours of a service mean, as PNG, SVG or JSON."""

from __future__ import annotations

import hashlib
import json

from fastapi import FastAPI, Request, Response

from ...errors import NotFound
from ..drawing.layers import drawn_names
from ..drawing.layout import laid_out
from ..drawing.legend import Legend, legend_of
from ..drawing.sheets import measured, png, svg
from .room import Room
from .views import View

MEDIA = {"png": "image/png", "svg": "image/svg+xml", "json": "application/json"}
SECONDS = 300


def add_legends(app: FastAPI, prefix: str, room: Room) -> None:
    @app.get(f"{prefix}/services/{{identifier}}/legend.{{extension}}", response_class=Response)
    async def legend(request: Request, identifier: str, extension: str, sig: str = "") -> Response:
        if extension not in MEDIA:
            raise NotFound(f"there is no legend.{extension:.20}", "take legend.png, legend.svg or legend.json")
        view, everybody = await room.viewed(request, identifier, sig)
        content = await room.gate.run(written, legend_for(view), extension, person=view.row.owner)
        shared = "public" if everybody else "private"
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {"Cache-Control": f"{shared}, max-age={SECONDS}, must-revalidate", "ETag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=MEDIA[extension], headers=headers)


def legend_for(view: View) -> Legend:
    """The legend of a service; GraphError where it cannot be drawn."""
    return legend_of(view.drawable.wanted(), drawn_names(view.compiled.result), view.row.title[:80])


def written(legend: Legend, extension: str) -> bytes:
    """A legend in one of the formats."""
    if extension == "json":
        return json.dumps(legend.document(), ensure_ascii=False).encode()
    sheet = laid_out(legend, measured)
    return svg(sheet) if extension == "svg" else png(sheet)
