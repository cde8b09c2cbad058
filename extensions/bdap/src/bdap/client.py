"""The platform's services as methods: tile services of graphs and what is asked of them, collections, searches."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from .errors import ServiceError
from .transport import Transport

ASKED, OLDEST = "asked by a notebook", 50
"""The title of services that only values were asked through, and how many go where a person has too many."""
SERVICE_SECONDS = 3 * 3600
"""A tile service made for a graph is used again this long; its signed address outlives it."""


@dataclass(frozen=True)
class TileService:
    """A process graph made into tiles: its id, the XYZ template of its tiles and where it has data.

    `times` are its dates, where it has several; `undrawable` says why no picture can be made of it.
    """

    id: str
    url: str
    bounds: tuple[float, float, float, float] | None
    min_zoom: int
    max_zoom: int
    times: tuple[str, ...] = ()
    """The dates of a result that has several; `&time=` at a tile's address picks one."""
    undrawable: str = ""


class Client(Transport):
    """The services as methods. Safe to use from several threads; keeps one connection pool."""

    def __init__(self, token: str = "", processing: str = "", catalogue: str = "", timeout: float = 60) -> None:
        super().__init__(token, processing, catalogue, timeout)
        self._services: dict[str, tuple[float, TileService]] = {}
        self._basemaps: list[dict[str, Any]] | None = None

    def service(self, graph_json: str, graph: dict[str, Any], title: str = "") -> TileService:
        """The tile service of a graph, made once; `graph_json` is the graph's canonical text."""
        with self._lock:
            made, known = self._services.get(graph_json, (0.0, None))
            if known and time.monotonic() - made < SERVICE_SECONDS:
                return known
        body = {"title": title or ASKED, "type": "XYZ", "process": {"process_graph": graph}}
        try:
            answer = self.call("processing", "POST", "/services", json=body)
        except ServiceError as error:
            if error.code != "QuotaExceeded" or not self._room_made():
                raise
            answer = self.call("processing", "POST", "/services", json=body)
        options = answer.get("configuration") or {}
        bounds = options.get("bounds")
        service = TileService(
            id=answer["id"],
            url=answer["url"],
            bounds=tuple(bounds) if bounds else None,
            min_zoom=int(options.get("minzoom", 0)),
            max_zoom=int(options.get("maxzoom", 18)),
            times=tuple((answer.get("attributes") or {}).get("times") or ()),
            undrawable=(answer.get("attributes") or {}).get("undrawable") or "",
        )
        with self._lock:
            self._services[graph_json] = (time.monotonic(), service)
        return service

    def _room_made(self) -> bool:
        """Whether some of the oldest services that notebooks have asked through could be taken away."""
        with self._lock:
            mine = {service.id for _, service in self._services.values()}
        every = self.call("processing", "GET", "/services")["services"]
        asked = [each for each in every if each.get("title") == ASKED and each["id"] not in mine]
        oldest = sorted(asked, key=lambda each: str(each.get("created")))[:OLDEST]
        for each in oldest:
            self.call("processing", "DELETE", f"/services/{each['id']}")
        return bool(oldest)

    def point(self, service: TileService, lon: float, lat: float) -> dict[str, float | None]:
        """The values of a service's graph at a place, one per band."""
        answer = self._call("processing", "GET", f"/services/{service.id}/point", params={"lon": lon, "lat": lat})
        return dict(answer["values"])

    def inspect(self, service: TileService, lon: float, lat: float) -> dict[str, Any]:
        """`values` of a service's graph at a place, and `chain`: the values after each of its steps."""
        return self._call("processing", "GET", f"/services/{service.id}/point", params={"lon": lon, "lat": lat})

    def legend(self, service: TileService) -> dict[str, Any]:
        """What the colours of a service mean."""
        return self._call("processing", "GET", f"/services/{service.id}/legend.json")

    def failures(self, service: TileService, after: int = 0) -> list[dict[str, Any]]:
        """Why tiles of a service could not be drawn, after the entry of that id, oldest first."""
        params = {"level": "error", "offset": after}
        return list(self._call("processing", "GET", f"/services/{service.id}/logs", params=params)["logs"])

    def area(self, service: TileService, what: str, geometry: Any, **params: Any) -> dict[str, Any]:
        """What the service says of a GeoJSON geometry: statistics, timeseries, histogram, pixels, transect."""
        path = f"/services/{service.id}/{what}"
        return self._call("processing", "POST", path, json={"geometry": geometry}, params=params)

    def printed(self, body: Mapping[str, Any]) -> bytes:
        """A map as PNG."""
        return bytes(self.send("processing", "POST", "/print", 120, json=body).content)

    def basemaps(self) -> list[dict[str, Any]]:
        """The base maps that the platform offers: `name`, `title`, `url`, `attribution`, `max_zoom`."""
        with self._lock:
            known = self._basemaps
        if known is None:
            known = list(self.call("processing", "GET", "/basemaps", 5)["basemaps"])
            with self._lock:
                self._basemaps = known
        return known

    def table(self, name: str) -> dict[str, Any]:
        """A table of PostGIS: `columns`, `bounds`, `count`, `more`, and the address of its vector tiles."""
        return self.call("processing", "GET", f"/tables/{quote(name, safe='')}")

    def table_features(self, name: str, tolerance: float = 0) -> dict[str, Any]:
        """All features of a table, simplified to so many degrees, as far as one answer has them."""
        params = {"tolerance": tolerance}
        return self.call("processing", "GET", f"/tables/{quote(name, safe='')}/features", params=params)

    def timeseries(
        self, service: TileService, lon: float, lat: float
    ) -> tuple[list[str], dict[str, list[float | None]]]:
        """The dates of a service's graph, and each band's values at a place on these."""
        dates, series = self.series(service, {"type": "Point", "coordinates": [lon, lat]})
        return dates, {band: list(found["mean"]) for band, found in series.items()}

    def series(
        self, service: TileService, place: Mapping[str, Any]
    ) -> tuple[list[str], dict[str, dict[str, list[float | None]]]]:
        """The dates of a service's graph, and each band's statistics of a geometry (or a point) on these."""
        path = f"/services/{service.id}/timeseries"
        if place["type"] == "Point":
            lon, lat = place["coordinates"]
            answer = self.call("processing", "GET", path, params={"lon": lon, "lat": lat})
        else:
            answer = self.call("processing", "POST", path, json=place)
        return list(answer["dates"]), {band: dict(found) for band, found in answer["series"].items()}

    def histogram(
        self, service: TileService, bbox: tuple[float, float, float, float], bins: int
    ) -> tuple[list[float], list[int]]:
        """Edges (bins + 1 of them) and counts of the graph's values within a box."""
        west, south, east, north = bbox
        params = {"west": west, "south": south, "east": east, "north": north, "bins": bins}
        answer = self._call("processing", "GET", f"/services/{service.id}/histogram", params=params)
        return list(answer["bins"]), list(answer["counts"])

    def collections(self) -> list[dict[str, Any]]:
        """The collections this person may see, as STAC."""
        return list(self._call("catalogue", "GET", "/collections")["collections"])

    def collection(self, name: str) -> dict[str, Any]:
        """One collection, as STAC; ServiceError if there is none one may see."""
        return self._call("catalogue", "GET", f"/collections/{name}")

    def search(self, query: dict[str, Any], limit: int = 1000) -> list[dict[str, Any]]:
        """The items a STAC search finds, following its pages up to `limit` items."""
        found: list[dict[str, Any]] = []
        body = {**query, "limit": min(limit, 200)}
        while True:
            answer = self._call("catalogue", "POST", "/search", json=body)
            found += answer["features"]
            token = _next_token(answer)
            if not token or not answer["features"] or len(found) >= limit:
                return found[:limit]
            body = {**body, "token": token}


def _next_token(answer: dict[str, Any]) -> str | None:
    for link in answer.get("links", ()):
        if link.get("rel") == "next":
            token = (link.get("body") or {}).get("token") or httpx.URL(link["href"]).params.get("token")
            return str(token) if token else None
    return None


_default = Client()


def default() -> Client:
    """The client that cubes and maps use unless they are given another."""
    return _default


def configure(token: str = "", processing: str = "", catalogue: str = "", hub: str = "") -> Client:
    """Use this token and these addresses from now on, for example from a laptop. Empty: the environment's.

    `hub` is the platform's address, such as "https://hub.example.eu"; its services are found below it.
    """
    global _default
    if hub:
        processing = processing or f"{hub.rstrip('/')}/services/processing"
        catalogue = catalogue or f"{hub.rstrip('/')}/services/catalogue"
    _default = Client(token, processing, catalogue)
    return _default
