"""Routes for map clients: WMTS by key and value and RESTful, and TileJSON; with a signed address or a login."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

from ...errors import BdapError
from ..drawing.formats import FORMATS
from ..engine.grid import MAX_ZOOM
from . import wmts
from .document import Addresses, addresses
from .room import Room
from .tile_address import read_address, read_format
from .tiles import answer
from .views import View

PRIVATE = {"Cache-Control": "private, no-cache"}


def add_maps(app: FastAPI, prefix: str, room: Room) -> None:
    base = f"{room.settings.hub.public_url}{prefix}"

    @app.get(f"{prefix}/services/{{identifier}}/tilejson.json")
    async def tilejson(request: Request, identifier: str, sig: str = "") -> dict[str, Any]:
        view, _ = await room.viewed(request, identifier, sig)
        return tile_json(view, addresses(base, view, await room.query(request, view, sig)))

    @app.get(f"{prefix}/services/{{identifier}}/WMTSCapabilities.xml")
    async def restful(request: Request, identifier: str, sig: str = "") -> Response:
        view, _ = await room.viewed(request, identifier, sig)
        return await _capabilities(request, view, sig)

    @app.get(f"{prefix}/services/{{identifier}}/wmts")
    async def by_key(request: Request, identifier: str) -> Response:
        sig = request.query_params.get("sig", "")
        view, everybody = await room.viewed(request, identifier, sig)
        try:
            wanted = wmts.read_request(request.query_params, view.row.id, view.configuration.tile_size)
            if wanted is None:
                return await _capabilities(request, view, sig)
            form = _form(wanted.media) if wanted.media else view.configuration.form
            address = read_address(wanted.z, wanted.x, str(wanted.y), view.configuration.tile_size, form)
            return await answer(request, room, view, address, wanted.time, everybody)
        except BdapError as error:  # this standard has errors of its own
            code = "TileOutOfRange" if error.status == 404 else error.code
            sentence = f"{error.message}: {error.remedy}" if error.remedy else error.message
            return Response(wmts.exception(code, sentence), error.status, PRIVATE, "application/xml")

    async def _capabilities(request: Request, view: View, sig: str) -> Response:
        where = addresses(base, view, await room.query(request, view, sig))
        return Response(wmts.capabilities(layer(view, where)), 200, PRIVATE, "application/xml")


def _form(media: str) -> Any:
    known = {form.media.partition(";")[0]: form for form in FORMATS}
    return known.get(media.partition(";")[0].strip().lower()) or read_format(media)


def layer(view: View, where: Addresses) -> wmts.Layer:
    """What the capabilities say of a service."""
    configuration = view.configuration
    pictures = [form for form in FORMATS if not form.values]
    forms = sorted({configuration.form, *pictures}, key=lambda form: form != configuration.form)
    ending = f".{where.extension}"
    return wmts.Layer(
        view.row.id,
        view.row.title or "map",
        view.row.description,
        view.compiled.plan.bounds,
        configuration.tile_size,
        range(configuration.minzoom, min(configuration.maxzoom, MAX_ZOOM) + 1),
        tuple((form, where.tiles.replace(ending, f".{form.extensions[0]}", 1)) for form in forms),
        where.wmts,
        where.capabilities,
        where.legend("png"),
        view.compiled.dates,
    )


def tile_json(view: View, where: Addresses) -> dict[str, Any]:
    """The service as TileJSON 3.0."""
    west, south, east, north = view.compiled.plan.bounds
    south, north = max(south, -wmts.LIMIT), min(north, wmts.LIMIT)
    configuration = view.configuration
    return {
        "tilejson": "3.0.0",
        "tiles": [where.tiles],
        "name": view.row.title or "map",
        **({"description": view.row.description} if view.row.description else {}),
        **({"attribution": configuration.attribution} if configuration.attribution else {}),
        "version": "1.0.0",
        "scheme": "xyz",
        "minzoom": configuration.minzoom,
        "maxzoom": configuration.maxzoom,
        "bounds": [west, south, east, north],
        "center": [(west + east) / 2, (south + north) / 2, configuration.minzoom],
        "legend": where.legend("svg"),
    }
