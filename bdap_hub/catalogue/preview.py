"""The picture of an item as the processing service draws it: by the engine that draws our maps, over HTTP.

Who may see the item was decided before; the service decides once more, for a member of the collection's project.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from ..settings import Settings
from ..web import HubLogin

WIDTH, SECONDS = 768, 10
COLOURS = ("red", "green", "blue")
RASTERS = "image/tiff", "image/jp2"


class Previews:
    """Asks for pictures."""

    def __init__(self, settings: Settings, login: HubLogin) -> None:
        self.settings, self.login = settings, login
        base = f"{settings.processing.url}/services/processing/"
        self.client = httpx.AsyncClient(base_url=base, timeout=SECONDS, trust_env=False)

    async def of(self, item: dict[str, Any], group: str) -> bytes | None:
        """A PNG; None where the service does not answer, or cannot draw it. `group`: the project's, '' for nobody's."""
        bands = bands_of(item)
        if not bands:
            return None
        address = f"{self.settings.hub.public_url}/services/catalogue/collections/{item['collection']}"
        graph = graph_of(f"{address}/items/{quote(item['id'], safe=':')}", bands, _resolution(item))
        token = self.login.release_token("catalogue/preview", group, 60)
        try:
            answer = await self.client.post(
                "result", json={"process": {"process_graph": graph}}, headers={"Authorization": f"Bearer {token}"}
            )
        except httpx.HTTPError:
            return None
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
    """Of pixels that make a picture of at most so many across, in the unit of the item's own reference system."""
    steps = [abs(a["proj:transform"][0]) * max(1.0, max(a["proj:shape"]) / WIDTH)
             for a in item["assets"].values() if a.get("proj:transform") and a.get("proj:shape")]  # fmt: skip
    return min(steps)
