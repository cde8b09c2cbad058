"""What this machine itself gains by a second core: two processes that share nothing evaluate the same tiles.

As a program it evaluates a chain's viewport for some seconds on the core it is given, and prints tiles a second.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .places import generated

SECONDS = 3.0


def rate(chain: int, cores: Sequence[int]) -> float:
    """Tiles a second of all together, on each of these cores one process."""
    command = [sys.executable, "-m", "bench.processing.apart", str(chain)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running: list[Any] = [subprocess.Popen(["taskset", "-c", str(core), *command], **pipes) for core in cores]
    for one in running:  # all are ready before any begins
        assert one.stdout.readline() == "ready\n"
    for one in running:
        one.stdin.write("go\n")
        one.stdin.flush()
    return sum(float(one.communicate(timeout=60)[0]) for one in running)


def _main(number: int) -> None:
    from bdap_hub.processing.engine.evaluate import Compiled, Engine
    from tests.conftest import make_settings

    from .chains import CHAINS
    from .inside import planned

    place = generated()
    with TemporaryDirectory() as folder:
        limits = {"threads": 1, "block_cache_mb": 400}
        engine = Engine(make_settings(Path(folder), processing=limits, store={"data_root": place.data}))
        engine.pool.map = map  # type: ignore[assignment,method-assign]  # all in this thread
        compiled, tiles = Compiled.of(*planned(place, CHAINS[number])), place.viewport("native")
        for tile in tiles:
            engine.tile(compiled, *tile)
        print("ready", flush=True)
        sys.stdin.readline()
        done, started = 0, time.monotonic()
        while (spent := time.monotonic() - started) < SECONDS:
            for tile in tiles:
                engine.tile(compiled, *tile)
            done += len(tiles)
        print(done / spent)
        engine.close()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
