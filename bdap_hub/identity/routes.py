"""The hub's pages and API that are identity's own, beside the login itself: one line a module."""

from __future__ import annotations

from typing import Any

HANDLERS: list[tuple[str, Any]] = []
"""(path below /hub, tornado handler) of each; the authenticator hands them to JupyterHub."""
