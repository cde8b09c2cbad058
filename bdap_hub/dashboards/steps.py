"""Who is told the steps of something that takes long. Imports nothing: also what never serves a page needs it."""

from __future__ import annotations

from collections.abc import Callable

NDJSON = "application/x-ndjson"
Tell = Callable[[str], None]


def silent(_step: str) -> None:
    """Tells nobody."""
