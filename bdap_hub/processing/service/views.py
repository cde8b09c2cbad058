"""Web services as tiles need them: the graph compiled, the style read, kept for a few seconds."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import NotFound
from ..drawing.drawable import Drawable, drawable
from ..engine.evaluate import Compiled
from .configuration import Configuration, read_configuration
from .tables import Services, StoredService

SECONDS = 5.0
"""How long another process may go on drawing what was changed, disabled or removed here."""
MOST = 1000


class ServiceNotFound(NotFound):
    """There is no such service, or it is somebody else's, or switched off."""

    code = "ServiceNotFound"


@dataclass(frozen=True)
class View:
    """A service with all that its tiles need. `digest` stands for its style in ETags."""

    row: StoredService
    compiled: Compiled
    drawable: Drawable
    configuration: Configuration
    digest: str


class Views:
    """Views by service and owner. Its methods block; call them in a thread."""

    def __init__(self, services: Services, compiled: Callable[[str], Compiled]) -> None:
        self.services, self._compiled = services, compiled
        self._kept: dict[tuple[str, str], tuple[float, View]] = {}

    def ready(self, identifier: str, owner: str) -> View | None:
        """The view, where it was made a moment ago; never blocks."""
        until, view = self._kept.get((identifier, owner), (0.0, None))
        return view if until > time.monotonic() else None

    def get(self, identifier: str, owner: str) -> View:
        """The view; ServiceNotFound where there is none, or its owner switched it off."""
        row = self.services.get(identifier, owner)
        if row is None:
            raise ServiceNotFound(f"{owner} has no service {identifier!r:.80}", "post the graph again")
        if not row.enabled:
            raise ServiceNotFound(f"the service {identifier!r:.80} is switched off", "its owner can enable it again")
        view = self.of(row)
        now = time.monotonic()
        if len(self._kept) > MOST:
            self._kept = {key: entry for key, entry in self._kept.items() if entry[0] > now}
        self._kept[identifier, owner] = (now + SECONDS, view)
        return view

    def forget(self, identifier: str, owner: str) -> None:
        """Look it up anew next time."""
        self._kept.pop((identifier, owner), None)

    def of(self, row: StoredService) -> View:
        """The view of a row as it is, switched off or not."""
        compiled = self._compiled(row.plan)
        shown = drawable(compiled.result, json.loads(row.style)) if row.style else compiled.drawable
        digest = hashlib.sha256(row.style.encode()).hexdigest()[:16] if row.style else ""
        return View(row, compiled, shown, read_configuration(json.loads(row.configuration)), digest)
