"""Unpacks a netCDF file of somebody in a process of its own, which gets the open file and a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..apart import answered, asked


def unpacked(handle: int, folder: Path, most_bytes: int) -> None:
    """Write the layers of an open file as GeoTIFFs into the folder; FormatUnsuitable where it has none."""
    asked(__name__, str(handle), str(folder), str(most_bytes), handles=(handle,))


def _unpack() -> Any:
    from .unpacking import unpack  # after the limits: what it loads counts as well

    handle, folder, most = sys.argv[1:]
    unpack(f"/proc/self/fd/{int(handle)}", Path(folder), int(most))


if __name__ == "__main__":
    sys.exit(answered(_unpack))
