"""Reads a Parquet file of somebody, from standard input, in a process of its own."""

from __future__ import annotations

import sys
from typing import Any

from ..apart import answered, asked
from ..cubes.vectors import Feature


def features_in(content: bytes) -> list[Feature]:
    """The features of a GeoParquet; FormatUnsuitable where it cannot be read."""
    found: list[Feature] = asked(__name__, content=content)
    return found


def _read() -> Any:
    from . import parquet  # after the limits: what it loads counts as well

    return parquet.features_in(sys.stdin.buffer.read())


if __name__ == "__main__":
    sys.exit(answered(_read))
