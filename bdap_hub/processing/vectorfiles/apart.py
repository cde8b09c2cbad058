"""Reads a Parquet file of somebody in a process of its own: a few bytes there can claim to be gigabytes.

`python -m bdap_hub.processing.vectorfiles.apart < file` prints GeoJSON features, or why it gives none.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..cubes.vectors import Feature
from ..graphs.graph import GraphError

PACKAGE = Path(__file__).parents[3]
MEMORY, SECONDS = 1 << 30, 60
REMEDY = "look into the file, or split it"


def features_in(content: bytes) -> list[Feature]:
    """The features of a GeoParquet; FormatUnsuitable where it cannot be read within MEMORY and SECONDS."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "PROJ_DATA") if key in os.environ}
    command = [sys.executable, "-m", __name__]
    try:
        ended = subprocess.run(
            command,
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "PYTHONPATH": str(PACKAGE), "OMP_NUM_THREADS": "1"},
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise _unsuitable(f"takes longer than {SECONDS} seconds to read") from None
    if ended.returncode:
        raise _unsuitable(f"cannot be read as Parquet with {MEMORY >> 20} MB of memory")
    said = json.loads(ended.stdout)
    if "refused" in said:
        raise GraphError("FormatUnsuitable", said["refused"], said["remedy"])
    found: list[Feature] = said["features"]
    return found


def main() -> int:
    """Print what the file of standard input holds."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from .parquet import features_in as read  # after the limits: what it loads counts as well

    said: dict[str, Any]
    try:
        said = {"features": read(sys.stdin.buffer.read())}
    except GraphError as error:
        said = {"refused": error.message, "remedy": error.remedy}
    json.dump(said, sys.stdout, allow_nan=False)
    return 0


def _unsuitable(what: str) -> GraphError:
    return GraphError("FormatUnsuitable", what, REMEDY)


if __name__ == "__main__":
    sys.exit(main())
