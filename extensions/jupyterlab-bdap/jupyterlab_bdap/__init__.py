"""Jupyter Server extension that publishes a notebook as a dashboard with the person's hub token."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "jupyterlab_bdap"}]


def _load_jupyter_server_extension(server_app: Any) -> None:
    """Called by Jupyter Server at start."""
