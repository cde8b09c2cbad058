"""An engine on a folder, plans without HTTP, and what a test knows of the pixels and of a PNG."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bdap_hub.processing.engine.evaluate import Compiled, Engine
from bdap_hub.processing.graphs import plan
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.settings import Settings

from .conftest import truth
from .graphs import CLOUDS


def engine_on(store: Path, **processing: Any) -> Engine:
    return Engine(Settings(environment="demo", store={"root": store}, processing={"port": 1, **processing}))


def compiled(raw: Any, collections: list[Any], items: list[Any], max_items: int = 100, whole: bool = False) -> Compiled:
    graph = parse(raw, REGISTRY)
    asked = queries(graph)
    found = {q.node: [i for i in items if i["collection"] == q.collection] for q in asked}
    made = plan.build(graph, asked, {c["id"]: c for c in collections}, found, max_items)
    assert plan.restore(made.dump()) == made
    return Compiled.of(graph, made, whole)


def expected_median() -> Any:
    layers = []
    for number in range(3):
        pixels = truth(number)
        red, nir = (np.where(pixels[b] == 0, np.nan, pixels[b].astype(np.float64)) for b in ("B04", "B08"))
        ndvi = (nir - red) / (nir + red)
        layers.append(np.where(np.isin(pixels["SCL"], CLOUDS), np.nan, ndvi))
    with warnings.catch_warnings(action="ignore"):  # pixels without any value
        return np.nanmedian(layers, axis=0)


def decoded(png: bytes) -> tuple[Any, bytes, bytes]:
    """Indices or channels of a PNG of ours, its palette and its transparency, by the standard's own rules."""
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        size = struct.unpack(">I", png[at : at + 4])[0]
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + body) == struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0]
        chunks[kind] = chunks.get(kind, b"") + body
        at += 12 + size
    width, height, _, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    channels = {3: 1, 2: 3, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width * channels)
    out = rows[:, 1:].copy()
    for number in range(1, height):
        if rows[number, 0] == 2:
            out[number] += out[number - 1]
    return out.reshape(height, width, channels), chunks.get(b"PLTE", b""), chunks.get(b"tRNS", b"")
