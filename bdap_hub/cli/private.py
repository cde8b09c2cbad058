"""Files of commands that root alone may read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def write_private(path: Path, text: str) -> None:
    """With mode 600 from the beginning."""

    def opener(name: Any, flags: int) -> int:
        return os.open(name, flags, 0o600)

    with open(path, "w", opener=opener) as out:
        out.write(text)
