"""Server parts of two of JupyterLab's extensions that need not be there at once.

nbdime is loaded at the first question to it: it brings GitPython, a tenth of a second of every start. What language
servers there are is looked for once the first page is being loaded; who asks before waits, as always. Who turns on
`nbdime` or `jupyter_lsp` themselves gets them as they are; this turns off with `bdap_server.extensions`.
"""

import asyncio
import re
from contextlib import suppress

from jupyter_server.utils import url_path_join
from tornado.httputil import HTTPServerRequest
from tornado.routing import PathMatches, Router, Rule

LOOK = 1.0  # seconds after the server was made


class Nbdime(Router):
    """Answers nothing itself: what it loads adds its own addresses behind this one."""

    def __init__(self, app: object) -> None:
        self._app, self._loaded = app, False

    def find_handler(self, request: HTTPServerRequest, **_: object) -> None:
        """None: the next who has this address."""
        if self._loaded:
            return
        self._loaded = True
        try:
            from nbdime import _load_jupyter_server_extension as load

            load(self._app)
        except Exception:  # as JupyterLab does with an extension that fails
            self._app.log.warning("nbdime cannot be loaded: notebooks are not compared", exc_info=True)


def _languages(app: object) -> None:
    from jupyter_lsp import serverextension as lsp

    async def look(*arguments: object) -> None:
        await asyncio.sleep(LOOK)
        await now(*arguments)

    now, lsp.initialize = lsp.initialize, look
    lsp.load_jupyter_server_extension(app)


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(app: object) -> None:
    own = app.jpserver_extensions
    if not own.get("nbdime"):
        address = url_path_join(app.web_app.settings["base_url"], "nbdime/")
        rules = app.web_app.default_router.rules
        rules.insert(len(rules) - 1, Rule(PathMatches(re.compile(re.escape(address))), Nbdime(app)))
    if not own.get("jupyter_lsp"):
        with suppress(ImportError):
            _languages(app)
