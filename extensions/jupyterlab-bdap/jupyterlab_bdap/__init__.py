"""Jupyter Server extension that publishes a notebook as a dashboard, and says whether the data store is away.

The person's hub token stays on the server: the browser only speaks to `bdap/...` of its own Jupyter server.
"""

from __future__ import annotations

from typing import Any

from .handlers import routes

__version__ = "0.1.0"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "jupyterlab_bdap"}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Where `jupyter labextension develop` finds the browser part."""
    return [{"src": "../labextension", "dest": "jupyterlab-bdap"}]


def _load_jupyter_server_extension(server_app: Any) -> None:
    """Called by Jupyter Server at start: adds the addresses."""
    server_app.web_app.add_handlers(".*$", routes(server_app.web_app.settings["base_url"]))
    server_app.log.info("jupyterlab_bdap: notebooks can be published as dashboards; the data store is looked at")
