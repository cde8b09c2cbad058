"""The picture of an item as the processing service draws it: by the engine that draws our maps, over HTTP.

Who may see the item was decided before; the service decides once more, for a member of the collection's project.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from fastapi.concurrency import run_in_threadpool

from ..settings import Settings
from ..web import HubLogin
from .disk import keep

WIDTH, SECONDS = 768, 10
AT_ONCE, REMEMBERED = 2, 60
LARGEST = 1e12  # of numbers that say where pixels lie
COLOURS = ("red", "green", "blue")
RASTERS = "image/tiff", "image/jp2"


class Previews:
    """Asks for pictures, some at once; what could not be drawn is not asked for again for a minute."""

    def __init__(self, settings: Settings, login: HubLogin) -> None:
        self.settings, self.login = settings, login
        base = f"{settings.processing.url}/services/processing/"
        self.client = httpx.AsyncClient(base_url=base, trust_env=False)
        self.turns = asyncio.Semaphore(AT_ONCE)
        self.failed: dict[Path, float] = {}

    async def draw(self, path: Path, item: dict[str, Any], group: str) -> None:
        """Have the picture at `path`, where it can be had. `group`: the project's, '' for nobody's."""
        graph = None if self._settled(path) else self._graph(item)
        if graph is not None:
            async with self.turns:
                if not self._settled(path):  # another may have asked for it meanwhile
                    await self._keep(path, graph, group)

    async def _keep(self, path: Path, graph: dict[str, Any], group: str) -> None:
        try:
            png = await self._asked(graph, group)
        except httpx.ConnectError:
            return  # told at once: asking again holds up nobody
        except httpx.HTTPError:
            png = None
        if png is not None:
            await run_in_threadpool(keep, path, png)
            return
        now = time.monotonic()
        self.failed = {each: at for each, at in self.failed.items() if now - at < REMEMBERED} | {path: now}

    def _settled(self, path: Path) -> bool:
        return path.is_file() or time.monotonic() - self.failed.get(path, float("-inf")) < REMEMBERED

    def _graph(self, item: dict[str, Any]) -> dict[str, Any] | None:
        """None where there is nothing to draw on a map."""
        bands, resolution = bands_of(item), _resolution(item)
        if not bands or not resolution:
            return None
        address = f"{self.settings.hub.public_url}/services/catalogue/collections/{item['collection']}"
        return graph_of(f"{address}/items/{quote(item['id'], safe=':')}", bands, resolution)

    async def _asked(self, graph: dict[str, Any], group: str) -> bytes | None:
        """A PNG; None where the service cannot draw it."""
        token = self.login.release_token("catalogue/preview", group, 60)
        headers, body = {"Authorization": f"Bearer {token}"}, {"process": {"process_graph": graph}}
        answer = await self.client.post("result", json=body, headers=headers, timeout=SECONDS)
        drawn = answer.status_code == 200 and answer.headers.get("content-type") == "image/png"
        return answer.content if drawn else None


def bands_of(item: dict[str, Any]) -> list[str]:
    """Red, green and blue where it has them, else its first band; none where no file of it is a raster of a map."""
    found: dict[str, str] = {}
    for asset in item["assets"].values():
        if str(asset.get("type", "")).startswith(RASTERS) and "proj:transform" in asset:
            for band in asset.get("eo:bands") or ():
                found.setdefault(str(band.get("common_name") or band.get("name")), str(band.get("name")))
    names = [found[colour] for colour in COLOURS if colour in found]
    return names if len(names) == len(COLOURS) else list(found.values())[:1]


def graph_of(address: str, bands: list[str], resolution: float) -> dict[str, Any]:
    """openEO's process graph of the picture: from the 2nd to the 98th percentile of its own values."""
    style = {"percentiles": [2, 98], **({"rgb": bands} if len(bands) == len(COLOURS) else {})}
    return {
        "load": {"process_id": "load_stac", "arguments": {"url": address, "bands": bands}},
        "small": {
            "process_id": "resample_spatial",
            "arguments": {"data": {"from_node": "load"}, "resolution": resolution},
        },
        "save": {
            "process_id": "save_result",
            "arguments": {"data": {"from_node": "small"}, "format": "PNG", "options": style},
            "result": True,
        },
    }


def _resolution(item: dict[str, Any]) -> float:
    """Of pixels that make a picture of at most so many across, in the item's own unit; 0 where no file says."""
    placed = [(asset.get("proj:transform"), asset.get("proj:shape")) for asset in item["assets"].values()]
    steps = [
        abs(transform[0]) * max(1.0, max(shape) / WIDTH)
        for transform, shape in placed
        if _numbers(transform) and _numbers(shape) and transform[0]
    ]
    return min(steps, default=0.0)


def _numbers(value: Any) -> bool:
    """People write items by hand, too."""
    return (
        bool(value)
        and isinstance(value, list)
        and all(isinstance(one, int | float) and abs(one) < LARGEST for one in value)
    )
