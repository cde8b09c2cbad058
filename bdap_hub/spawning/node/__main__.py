"""`python -I -S <this folder> pipe|CONFIG`: root's part, also where nothing of the platform but this folder is."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    sys.path[:] = [*(one for one in sys.path if Path(one).resolve() != folder), str(folder.parent)]
    import_module(f"{folder.name}.serve").main(sys.argv[1:])
