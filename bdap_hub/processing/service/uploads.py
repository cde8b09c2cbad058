"""One's own files in a graph: found by their names in one's workspace, nobody else's, never by a path of a server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from ...access import results_folder
from ...errors import NotAllowed, TooMuch
from ...settings import Settings
from ...web import Principal
from ..cubes.vectors import collection
from ..engine.headers import item_of_raster
from ..engine.reader import Reader
from ..graphs.graph import Graph, GraphError
from ..graphs.plan import Owned
from ..graphs.uploads import Given, unpacked_in, upload_of, vectors_in
from ..vectorfiles.reading import MOST_POSITIONS, MOST_TEXT, geometries, positions_in, text_in
from .rights import Rights
from .unpacked import layers
from .workspace import parts, workspace_of

MOST_BYTES = 32 << 20
"""The size of a file with geometries."""
AT_ONCE = 2
DRIVERS = {"GTiff": ("GTiff", "LIBERTIFF"), "JP2": ("JP2OpenJPEG",)}


class Uploads:
    """What `load_uploaded_files` reads, in the caller's name. `run` does blocking work."""

    def __init__(self, settings: Settings, rights: Rights, reader: Reader, run: Callable[..., Awaitable[Any]]) -> None:
        self.settings, self.rights, self.reader, self.run = settings, rights, reader, run
        self.root = f"{settings.store.mount.rstrip('/')}/files"
        self._turns = asyncio.Semaphore(AT_ONCE)

    def owned(self, principal: Principal) -> Owned:
        """What access decides by: the caller's folder."""
        return Owned(f"{self.root}/{results_folder(principal.person.name)}", "people", "", "path")

    async def may(self, arguments: Mapping[str, Any], principal: Principal) -> None:
        """The refusal of a call as far as it shows before files are looked into."""
        for path in upload_of(arguments).paths:
            await self._href(path, principal)

    async def items(self, arguments: Mapping[str, Any], principal: Principal) -> list[Mapping[str, Any]]:
        """A STAC item for each file of pixels."""
        upload, found = upload_of(arguments), list[Mapping[str, Any]]()
        for path in upload.paths:
            href = await self._href(path, principal)
            if upload.form.name != "netCDF":
                found.append(await self.run(self._item, href, path, upload.form.name))
                continue
            for layer in await self._in_turn(layers, workspace_of(self.settings, principal.person.name), path):
                href = f"{self.owned(principal).id}/{layer}"
                found.append(await self.run(self._item, href, f"{path}/{PurePosixPath(layer).stem}", "GTiff"))
        return found

    async def given(self, graph: Graph, principal: Principal) -> tuple[Given, ...]:
        """The geometries of all nodes whose files hold some, as they are now."""
        found, left, room = list[Given](), MOST_POSITIONS, MOST_TEXT
        for node in vectors_in(graph):
            upload = upload_of(node.arguments)
            features, files = list[Any](), list[tuple[str, int, int]]()
            for path in upload.paths:
                href = await self._href(path, principal)
                version = await self.run(self.reader.version, href)
                content = await self.run(self.reader.text, href, MOST_BYTES)
                more = await self._in_turn(geometries, content, upload.form.name, upload.options, path)
                if (left := left - await self.run(positions_in, more)) < 0:
                    raise TooMuch(f"the files have more than {MOST_POSITIONS} positions", "simplify the geometries")
                if (room := room - await self.run(text_in, more)) < 0:
                    raise TooMuch(f"the files hold more than {MOST_TEXT >> 20} MB", "leave columns out of them")
                features += more
                files.append((href, version.mtime, version.size))
            text = await self.run(lambda features: json.dumps(collection(features)), features)
            found.append(Given(node.id, text, tuple(upload.options.get("properties", ())), tuple(files)))
        return tuple(found + await self._watched(graph, principal))

    async def _watched(self, graph: Graph, principal: Principal) -> list[Given]:
        """The netCDF files of a graph, of which only what was unpacked is read."""
        hrefs = [await self._href(path, principal) for path in unpacked_in(graph)]
        versions = [await self.run(self.reader.version, href) for href in hrefs]
        files = tuple((href, one.mtime, one.size) for href, one in zip(hrefs, versions, strict=True))
        return [Given("", "", (), files)] if files else []

    async def _in_turn(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """What a few do at once, as each may take a process and a gigabyte; the others wait without a thread."""
        async with self._turns:
            return await asyncio.to_thread(act, *arguments)

    async def _href(self, path: str, principal: Principal) -> str:
        """Where one of the caller's files lies, as the store names it."""
        if principal.kind != "person":
            raise NotAllowed("a dashboard has no files", "use a collection, or a folder of its project")
        person = principal.person
        href = "/".join((self.root, results_folder(person.name), *parts(path)))
        self.rights.read(href, person)
        await asyncio.to_thread(lambda: os.close(workspace_of(self.settings, person.name).open(path)))
        return href

    def _item(self, href: str, path: str, form: str) -> Mapping[str, Any]:
        found = item_of_raster(self.reader, href)
        driver = self.reader.file(href).level().driver
        if driver not in DRIVERS[form]:
            raise GraphError("FormatUnsuitable", f"{path} is no {form}", "name the format that it has")
        (asset,) = found["assets"].values()
        names = [band["name"] for band in asset["eo:bands"]]
        key = names[0] if len(names) == 1 else PurePosixPath(path).stem
        return {**found, "id": path, "assets": {key: asset}}
