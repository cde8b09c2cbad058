"""The addresses of this extension, authenticated and XSRF-protected by Jupyter Server."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web

from .explored import ExploredHandler
from .folder import Folder
from .publish import SLUG_LENGTH, Place, PublishError, Wish, bundle, publish
from .store import Store


class Handler(APIHandler):
    """JSON in and out; errors as {message, remedy, link} and, where one failed, {cell}."""

    auth_resource = "contents"

    def fail(self, error: PublishError) -> None:
        """Answer with the error's words and status."""
        self.set_status(error.status)
        cell = {"cell": error.cell} if error.cell else {}
        self.finish(json.dumps({"message": error.message, "remedy": error.remedy, "link": error.link, **cell}))


class InfoHandler(Handler):
    """GET bdap/info: the project one publishes in, or why one cannot."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        place = Place.from_environment()
        problem = place.problem()
        self.finish(
            json.dumps(
                {
                    "project": place.project,
                    "dashboards": place.url,
                    "slug_length": SLUG_LENGTH,
                    "problem": {"message": problem.message, "remedy": problem.remedy} if problem else None,
                }
            )
        )


class FolderHandler(Handler):
    """GET bdap/folder?path=…: what the notebook's folder would bring along, and whether its manifest means the
    notebook; or why it cannot be published."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        try:
            found = await asyncio.to_thread(Folder.of, root_of(self), self.get_query_argument("path", ""))
            meant = await asyncio.to_thread(found.holds_notebook)
        except PublishError as error:
            self.finish(json.dumps({"problem": {"message": error.message, "remedy": error.remedy}}))
            return
        told = {"name": found.place.name, "files": len(found.files), "bytes": found.size}
        self.finish(json.dumps({**told, "meant": meant}))


class PublishHandler(Handler):
    """POST bdap/publish {path, title, slug, visibility, description, folder}: the notebook, with what lies in its
    folder where that is asked for, becomes a dashboard."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        try:
            wish = Wish.read(self.get_json_body())
            content = bundle(await self.notebook(wish.path))
            if wish.folder:
                folder = await asyncio.to_thread(Folder.of, root_of(self), wish.path)
                content = await asyncio.to_thread(folder.packed, wish.path.rsplit("/", 1)[-1], content)
            self.finish(json.dumps(await publish(Place.from_environment(), wish, content)))
        except PublishError as error:
            self.fail(error)

    async def notebook(self, path: str) -> dict[str, Any]:
        """The notebook at a path of the contents manager."""
        try:
            model = await ensure_async(self.contents_manager.get(path, content=True, type="notebook"))
        except web.HTTPError as error:
            raise PublishError(
                f"the notebook {path!r} cannot be read: {error.log_message or error.reason}",
                "save it and publish it again",
                404 if error.status_code == 404 else 400,
            ) from None
        return dict(model["content"])


def root_of(handler: JupyterHandler) -> Path:
    """Where the server's files begin; PublishError where it keeps none in folders."""
    root = getattr(handler.contents_manager, "root_dir", "")
    if not root:
        raise PublishError("this server keeps no folders", "publish the notebook alone")
    return Path(root)


class StoreHandler(Handler):
    """GET bdap/store: whether the data store is away in this server."""

    def initialize(self, store: Store) -> None:
        self.store = store

    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.finish(json.dumps({"mount": self.store.mount, "away": await self.store.away()}))


def routes(base_url: str) -> list[tuple[Any, ...]]:
    """The addresses under the server's base URL."""
    store = Store(os.environ.get("BDAP_STORE", ""))
    return [
        (url_path_join(base_url, "bdap", "explored"), ExploredHandler),
        (url_path_join(base_url, "bdap", "folder"), FolderHandler),
        (url_path_join(base_url, "bdap", "info"), InfoHandler),
        (url_path_join(base_url, "bdap", "publish"), PublishHandler),
        (url_path_join(base_url, "bdap", "store"), StoreHandler, {"store": store}),
    ]
