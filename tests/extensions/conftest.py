"""Makes the extensions importable as they lie in the tree; they have their own distributions."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

EXTENSIONS = Path(__file__).parents[2] / "extensions"
for folder in (
    EXTENSIONS / "bdap" / "src",
    EXTENSIONS / "jeodpp" / "src",
    EXTENSIONS / "jupyterlab-bdap",
    EXTENSIONS / "collections-explorer",
):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def environment(hub: Any, name: str) -> dict[str, str]:
    """The environment of that person's notebook server, for processes of the tests."""
    settings = hub.settings
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("BDAP_", "JUPYTERHUB"))},
        "JUPYTERHUB_API_TOKEN": hub.token(name),
        "JUPYTERHUB_USER": name,
        "BDAP_PROCESSING_URL": f"{settings.processing.url}/services/processing",
        "BDAP_CATALOGUE_URL": f"{settings.catalogue.url}/services/catalogue",
        "BDAP_PROJECT": "agriculture",
        "BDAP_STORE": str(settings.store.root),
        "PYTHONPATH": str(EXTENSIONS / "bdap" / "src"),
        "PYTHONWARNINGS": "ignore",
    }
