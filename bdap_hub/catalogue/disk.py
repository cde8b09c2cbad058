"""JSON files of the catalogue: read whole, written atomically."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file."""
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace a file in one step: a reader sees the old or the new one, never half of it."""
    write_bytes(path, json.dumps(value, separators=(",", ":"), allow_nan=False).encode())


def keep(path: Path, content: bytes) -> None:
    """Write a file in a folder that may have to be made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
