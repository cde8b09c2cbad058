"""`jupyterhub-singleuser` without the parts of the hub that it imports and never uses: half of a start's imports.

JupyterHub's package holds hub and server. The server's half reaches the hub's database models by way of a log function
and an entry point for JupyterHub 1; verify.py holds this to the version that it was written for.
"""

import ctypes
import gc
import os
import sys
import types
from collections.abc import Callable

from . import later
from .gitlab_panel import turn_on

PR_SET_NAME = 15


class _Unused(Exception):
    """Stands where a class is only compared with, caught or re-exported."""


UNUSED = {
    "jupyterhub.singleuser.mixins": {"HubAuthenticatedHandler": _Unused, "make_singleuser_app": _Unused},
    "jupyterhub.handlers": {},
    "jupyterhub.handlers.pages": {"HealthCheckHandler": _Unused},
    "jupyterhub.orm": {},
}
# People's own programs get the real one.
MEANWHILE = {"sqlalchemy": {"func": None}, "sqlalchemy.exc": {"SQLAlchemyError": _Unused}}


def import_server() -> Callable[[], None]:
    """The normal server's main function. Imports leave next to no garbage: none is looked for meanwhile."""
    gc.disable()
    later.remember_entry_points()
    later.no_pypi()
    for name, content in (UNUSED | MEANWHILE).items():
        module = types.ModuleType(name, "Not part of a person's server.")
        module.__path__ = []
        module.__dict__.update(content)
        sys.modules[name] = module
    with later.seldom():
        import jupyterlab_server.listings_handler  # noqa: F401  which alone imports requests
        from jupyterhub.singleuser.extension import JupyterHubSingleUser
        from jupyterhub.singleuser.extension import main as server

    for name in MEANWHILE:
        del sys.modules[name]
    later.reports(JupyterHubSingleUser)
    gc.freeze()
    gc.enable()
    return server


def call_it(name: str) -> None:
    """What lists of processes show."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
    sys.argv[0] = name


def main() -> None:
    """Run it."""
    server = import_server()
    call_it("jupyterhub-singleuser")
    turn_on(os.environ)
    server()
