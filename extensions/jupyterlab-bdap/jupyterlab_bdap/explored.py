"""A notebook of the picture that an address describes. Whoever writes the address writes no code: see bdap.recipe."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web

WORDS = "A picture from the *Collections Explorer*. Run the cell; change what you like."


def notebook(view: str) -> tuple[str, dict[str, Any]]:
    """Its name and content; the same address gives the same. ValueError with a sentence where it describes nothing."""
    from bdap.errors import BdapError
    from bdap.recipe import read_sheet  # the library loads widgets: not when the server starts

    try:
        sheet = read_sheet(view)
    except BdapError as error:
        raise ValueError(f"{error.message}: {error.remedy}") from None
    digest = hashlib.sha256(sheet.text().encode()).hexdigest()[:8]
    return f"explored-{sheet.recipes[0].collection}-{digest}.ipynb", _content(sheet.code())


def _content(code: str) -> dict[str, Any]:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    text = {"cell_type": "markdown", "id": "words", "metadata": {}, "source": WORDS}
    cell: dict[str, Any] = {"cell_type": "code", "id": "picture", "metadata": {}, "source": code.rstrip()}
    cell |= {"outputs": [], "execution_count": None}
    return {"cells": [text, cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


class ExploredHandler(JupyterHandler):
    """GET bdap/explored?view=…: a notebook in the person's home, opened. One that is there already stays as it is."""

    auth_resource = "contents"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        try:
            name, content = notebook(self.get_query_argument("view", ""))
        except ValueError as error:
            raise web.HTTPError(400, str(error)) from None
        manager = self.contents_manager
        if not await ensure_async(manager.file_exists(name)):
            await ensure_async(manager.save({"type": "notebook", "format": "json", "content": content}, name))
        self.redirect(url_path_join(self.base_url, "lab", "tree", quote(name)))
