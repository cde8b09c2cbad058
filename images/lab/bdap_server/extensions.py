"""Two server parts of JupyterLab's extensions that need not be there at once.

nbdime is loaded at the first question to it: it brings GitPython, a tenth of a second of every start. What language
servers there are is looked for once the first page is being loaded; who asks before waits, as always.
"""

import asyncio
import re

from jupyter_lsp import serverextension as lsp
from jupyter_server.utils import url_path_join
from nbdime import _load_jupyter_server_extension as load_nbdime
from tornado.httputil import HTTPServerRequest
from tornado.routing import PathMatches, Router, Rule

LOOK = 1.0  # seconds after the server was made


class Nbdime(Router):
    """Answers nothing itself: what it loads adds its own addresses behind this one."""

    def __init__(self, app: object) -> None:
        self._app, self._loaded = app, False

    def find_handler(self, request: HTTPServerRequest, **_: object) -> None:
        """None: the next who has this address."""
        if not self._loaded:
            self._loaded = True
            load_nbdime(self._app)


async def _look(*arguments: object) -> None:
    await asyncio.sleep(LOOK)
    await _look_now(*arguments)


_look_now, lsp.initialize = lsp.initialize, _look


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(app: object) -> None:
    address = url_path_join(app.web_app.settings["base_url"], "nbdime/")
    rules = app.web_app.default_router.rules
    rules.insert(len(rules) - 1, Rule(PathMatches(re.compile(re.escape(address))), Nbdime(app)))
    lsp.load_jupyter_server_extension(app)
