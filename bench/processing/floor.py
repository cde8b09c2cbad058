"""The least that a reader can do: decode the blocks that a tile touches. Runs in an environment of its own as well.

As a program it reads [[[path, offset, bytes, rows, columns, dtype], …] for each tile] and prints CPU ms a tile.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Block = tuple[str, int, int, int, int, str]


def blocks_of(paths: Sequence[Path], tile: tuple[int, int, int]) -> list[Block]:
    """The compressed blocks of some files that a tile's pixels lie in."""
    import rasterio

    from bdap_hub.processing.engine.files import File
    from bdap_hub.processing.engine.grid import Grid
    from bdap_hub.processing.engine.sampling import sampler
    from bdap_hub.rasters.held import Version

    found: list[Block] = []
    for path in paths:
        found_as = path.resolve().stat()
        version = Version(str(path.resolve()), found_as.st_mtime_ns, found_as.st_size)
        how = sampler(Grid.tile(*tile), File(version).raster)
        if how is None:
            continue
        options = {"overview_level": how.level - 1} if how.level else {}
        with rasterio.open(path, **options) as level, rasterio.open(path) as file:
            height, width = level.block_shapes[0]
            for row in range(how.top // height, (how.bottom - 1) // height + 1):
                for column in range(how.left // width, (how.right - 1) // width + 1):
                    where = {"bidx": 1, **({"ovr": how.level - 1} if how.level else {})}
                    offset, size = (
                        file.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", **where)
                        for what in ("OFFSET", "SIZE")
                    )
                    found.append((str(path), int(offset), int(size), height, width, level.dtypes[0]))
    return found


def measure(python: Path, tiles: Sequence[Sequence[Block]]) -> float:
    """CPU milliseconds of a tile, on average."""
    asked = json.dumps(tiles)
    done = subprocess.run([python, __file__], input=asked, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _decode(blocks: Sequence[Any]) -> None:
    import imagecodecs
    import numpy as np

    for path, offset, size, rows, columns, dtype in blocks:
        with Path(path).open("rb", buffering=0) as file:
            file.seek(offset)
            raw = file.read(size)
        kind = np.dtype(dtype)
        pixels = imagecodecs.deflate_decode(raw, out=rows * columns * kind.itemsize)
        imagecodecs.delta_decode(np.frombuffer(pixels, kind).reshape(rows, columns), axis=1)


if __name__ == "__main__":
    _decode([])  # imports
    wanted = json.load(sys.stdin)
    started = time.process_time()
    for blocks in wanted:
        _decode(blocks)
    print((time.process_time() - started) * 1000 / len(wanted))
