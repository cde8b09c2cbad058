"""The processing service: openEO process graphs, evaluated per tile while one pans. Its routes stand in service/."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from ..settings import Settings
from ..web import create_service
from .service.descriptions import add_descriptions
from .service.pixels import add_drawing
from .service.room import Room
from .service.services import add_services


def create_app(settings: Settings) -> FastAPI:
    """The service under /services/processing/. Nothing is built before this call."""
    app, _ = create_service(settings, "processing", "BDAP Processing")
    room = Room(settings, app)
    app.state.room = room

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        room.gate.pool.shutdown(wait=False, cancel_futures=True)
        room.engine.close()

    app.router.lifespan_context = lifespan
    prefix = room.login.prefix.rstrip("/")
    add_descriptions(app, prefix, settings)
    add_services(app, prefix, room)
    add_drawing(app, prefix, room)
    return app
