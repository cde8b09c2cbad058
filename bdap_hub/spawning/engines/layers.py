"""How far a pull is, from the events that Docker tells of each layer. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .contract import Pull

DONE = ("Download complete", "Verifying Checksum")


class Layers:
    """Bytes of each layer count twice: when they are fetched, and when they are unpacked."""

    def __init__(self) -> None:
        self._size: dict[str, int] = {}
        self._fetched: dict[str, int] = {}
        self._unpacked: dict[str, int] = {}
        self._share = 0.0

    def after(self, event: Mapping[str, Any]) -> Pull:
        """Where it is after this event. It never goes back, though layers tell their size only as they begin."""
        layer, status = str(event.get("id", "")), str(event.get("status", ""))
        detail = event.get("progressDetail") or {}
        if detail.get("total") and status in ("Downloading", "Extracting"):
            self._size[layer] = detail["total"]
            (self._fetched if status == "Downloading" else self._unpacked)[layer] = detail["current"]
        if layer in self._size and status in (*DONE, "Extracting", "Pull complete"):
            self._fetched[layer] = self._size[layer]
        if layer in self._size and status == "Pull complete":
            self._unpacked[layer] = self._size[layer]
        total = 2 * sum(self._size.values())
        done = sum(self._fetched.values()) + sum(self._unpacked.values())
        self._share = max(self._share, done / total if total else 0.0)
        return Pull(int(self._share * total), total, status)
