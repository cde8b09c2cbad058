"""The hub of the session is everybody's: a test that counts what is in the store puts away what others left there."""

from __future__ import annotations

import shutil
from pathlib import Path

from bdap_hub.settings import Settings


def emptied(settings: Settings) -> Path:
    """The store's data folder, with nothing in it, and an empty catalogue beside it."""
    for folder in (settings.var / "catalogue", settings.var / "stamps", settings.store.data):
        if folder.exists():
            shutil.rmtree(folder)
    settings.store.data.mkdir(parents=True)
    return settings.store.data
