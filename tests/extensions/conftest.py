"""Makes the extensions importable as they lie in the tree; they have their own distributions."""

from __future__ import annotations

import sys
from pathlib import Path

EXTENSIONS = Path(__file__).parents[2] / "extensions"
for folder in (EXTENSIONS / "bdap" / "src", EXTENSIONS / "jupyterlab-bdap"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
