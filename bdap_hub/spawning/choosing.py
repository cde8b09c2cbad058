"""What the start page shows, as plain data: own projects, their images, what was used last. PURE."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Use:
    """A start of an image for a project; `at` is seconds since the epoch."""

    project: str
    image: str
    size: str = ""
    at: float = 0.0
