"""Routes for a person's own files: list, upload, download, delete."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from ...errors import NotAllowed
from .room import Room
from .workspace import Workspace, workspace_of

CHUNK = 2**20


def add_files(app: FastAPI, prefix: str, room: Room) -> None:
    async def workspace(request: Request) -> Workspace:
        principal = await room.login.require(request)
        if principal.kind != "person":
            raise NotAllowed("a dashboard has no files", "use the files of its bundle")
        return await asyncio.to_thread(workspace_of, room.settings, principal.person.name)

    @app.get(f"{prefix}/files")
    async def listed(request: Request) -> dict[str, Any]:
        found = await asyncio.to_thread((await workspace(request)).entries)
        return {"files": [entry.document() for entry in found], "links": []}

    @app.get(f"{prefix}/files/{{path:path}}", response_class=Response)
    async def download(request: Request, path: str) -> Response:
        handle = await asyncio.to_thread((await workspace(request)).open, path)
        file = os.fdopen(handle, "rb")
        headers = {
            "Content-Length": str(os.fstat(handle).st_size),
            "Content-Disposition": "attachment",  # never shown as a page of ours
        }

        def chunks() -> Any:
            with file:
                while chunk := file.read(CHUNK):
                    yield chunk

        return StreamingResponse(chunks(), media_type="application/octet-stream", headers=headers)

    @app.put(f"{prefix}/files/{{path:path}}")
    async def upload(request: Request, path: str) -> Response:
        entry = await (await workspace(request)).write(path, request.stream())
        return JSONResponse(entry.document())

    @app.delete(f"{prefix}/files/{{path:path}}", status_code=204)
    async def remove(request: Request, path: str) -> Response:
        await asyncio.to_thread((await workspace(request)).remove, path)
        return Response(status_code=204)
