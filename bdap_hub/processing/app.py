"""The processing service: openEO process graphs, evaluated per tile while one pans. Its routes stand in service/."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from ..settings import Settings
from ..web import create_service
from .service.account import add_account
from .service.answers import add_errors
from .service.areas import add_areas
from .service.basemaps import add_basemaps
from .service.capabilities import add_capabilities
from .service.collections import add_collections
from .service.cors import Cors
from .service.descriptions import add_descriptions
from .service.files import add_files
from .service.job_results import add_job_results, dispatcher, expiry
from .service.jobs import add_jobs
from .service.legends import add_legends
from .service.maps import add_maps
from .service.pixels import add_values
from .service.postgis import add_tables
from .service.prints import add_prints
from .service.result import add_result
from .service.room import Room
from .service.services import add_services
from .service.tiles import add_tiles
from .service.user_processes import add_user_processes
from .service.validation import add_validation
from .service.windows import add_windows


def create_app(settings: Settings) -> FastAPI:
    """The service under /services/processing/. Nothing is built before this call."""
    app, _ = create_service(settings, "processing", "BDAP Processing")
    room = Room(settings, app)
    app.state.room = room

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if room.team is not None:
            room.team.start()
        room.dispatcher, app.state.expiry = dispatcher(room), expiry(room)
        serving = [asyncio.create_task(one.serve()) for one in (room.dispatcher, app.state.expiry)]
        yield
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        room.close()

    app.router.lifespan_context = lifespan
    prefix = room.login.prefix.rstrip("/")
    add_tiles(app, prefix, room)
    add_descriptions(app, prefix, room)
    add_account(app, prefix, room)
    add_collections(app, prefix, room)
    add_validation(app, prefix, room)
    add_user_processes(app, prefix, room)
    add_files(app, prefix, room)
    add_services(app, prefix, room)
    add_maps(app, prefix, room)
    add_legends(app, prefix, room)
    add_values(app, prefix, room)
    add_result(app, prefix, room)
    add_jobs(app, prefix, room)
    add_job_results(app, prefix, room)
    add_areas(app, prefix, room)
    add_windows(app, prefix, room)
    add_prints(app, prefix, room)
    add_basemaps(app, prefix, room)
    add_tables(app, prefix, room)
    add_capabilities(app, prefix, settings)  # last: it lists what is there
    add_errors(app)
    app.add_middleware(Cors, public_url=settings.hub.public_url)
    return app
