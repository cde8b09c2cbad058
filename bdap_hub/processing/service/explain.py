"""The plan as people read it: what is read from where, in which scale, and what that costs. Reads no pixels."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from ..engine import cost
from ..engine.evaluate import Compiled
from ..engine.grid import Grid
from ..engine.reader import Reader
from ..graphs.plan import Load, Plan


def explained(reader: Reader, compiled: Compiled) -> dict[str, Any]:
    """Order of evaluation, dates, items, scales, files with their bytes, and estimates for a tile and the extent."""
    plan = compiled.plan
    sources = list(plan.sources())
    hrefs = sorted({source.href for source in sources} | {href for href, _, _ in plan.pinned()})
    sizes = {href: reader.version(href).size for href in hrefs}
    return {
        "id": plan.id,
        "bounds": list(plan.bounds),
        "collections": [asdict(owned) for owned in plan.collections],
        "nodes": [
            {"id": n.id, "name": n.name, "process": n.process, "needs": sorted(n.refs)} for n in compiled.graph.nodes
        ],
        "loads": [_load(load, compiled.graph.node(load.node).physical) for load in plan.loads],
        "files": [{"href": href, "bytes": size} for href, size in sizes.items()],
        "estimate": {
            "files": len(hrefs),
            "bytes_of_files": sum(sizes.values()),
            "pixels_per_tile": sum(len(load.steps) * len(load.bands) for load in plan.loads) * 256 * 256,
            **(_costs(plan, reader) if sources else {}),
        },
    }


def _load(load: Load, physical: bool) -> dict[str, Any]:
    scales = dict(zip(load.bands, load.scales, strict=True))
    return {
        "collection": load.collection,
        "bands": list(load.bands),
        "dates": [{"date": s.label, "items": [scene.item for scene in s.scenes]} for s in load.steps],
        "values": "physical" if physical else "stored",
        "scales": {band: {"scale": scale, "offset": offset} for band, (scale, offset) in scales.items()},
        "read_as": _read_as(load),
    }


def _read_as(load: Load) -> list[dict[str, Any]]:
    """How stored numbers are changed while they are read, where they are: value = stored * gain + shift."""
    count: Counter[tuple[str, float, float]] = Counter()
    for step in load.steps:
        for scene in step.scenes:
            for band, source in zip(load.bands, scene.sources, strict=True):
                if source and (source.gain, source.shift) != (1, 0):
                    count[band, source.gain, source.shift] += 1
    return [{"band": b, "gain": g, "shift": s, "items": n} for (b, g, s), n in sorted(count.items())]


def _costs(plan: Plan, reader: Reader) -> dict[str, Any]:
    at = cost.native_tile(plan, reader)
    return {
        "tile": {"zxy": list(at), **cost.shown(cost.of_tile(plan, reader, Grid.tile(*at)))},
        "extent": cost.shown(cost.of_extent(plan, reader)),
    }
