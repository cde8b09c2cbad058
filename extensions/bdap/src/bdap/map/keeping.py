"""What a map remembers beside the notebook, so that a cell that runs again shows the same view of its layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(".bdap") / "maps.json"


class Memory:
    """The view and the layers' looks of one map, by its name, in a file of the notebook's folder.

    Where nothing can be written, nothing is remembered.
    """

    def __init__(self, name: str, file: Path = FILE) -> None:
        self.name, self.file = name, file
        found = self._all().get(name)
        self.known: dict[str, Any] = found if isinstance(found, dict) else {}

    def view(self) -> tuple[tuple[float, float], float] | None:
        """Centre and zoom, where they are remembered."""
        try:
            lat, lon = self.known["center"]
            return (float(lat), float(lon)), float(self.known["zoom"])
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def layers(self) -> dict[str, dict[str, Any]]:
        """Opacity, visibility and date of each layer."""
        found = self.known.get("layers")
        if not isinstance(found, dict):
            return {}
        return {name: looks for name, looks in found.items() if isinstance(looks, dict)}

    def keep(self, **parts: Any) -> None:
        """Remember these parts from now on."""
        if all(self.known.get(key) == value for key, value in parts.items()):
            return
        self.known |= parts
        try:
            self.file.parent.mkdir(exist_ok=True)
            whole = {**self._all(), self.name: self.known}
            self.file.with_suffix(".new").write_text(json.dumps(whole))
            self.file.with_suffix(".new").replace(self.file)
        except OSError:
            pass

    def _all(self) -> dict[str, Any]:
        try:
            found = json.loads(self.file.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
