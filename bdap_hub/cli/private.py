"""Files of commands that root alone may read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_private(path: Path, text: str) -> None:
    """With mode 600 from the beginning."""

    def opener(name: Any, flags: int) -> int:
        return os.open(name, flags, 0o600)

    with open(path, "w", opener=opener) as out:
        out.write(text)


def write_changed(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Those of these files, by their names, that are not so already; the names of what was written."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    changed = [name for name, text in wanted.items() if not _is(folder / name, text)]
    for name in changed:
        write_private(folder / name, wanted[name])
    return changed


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text
