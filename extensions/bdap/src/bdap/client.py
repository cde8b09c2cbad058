"""The platform's services as methods: tile services of graphs and what is asked of them, collections, searches."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import httpx

from .errors import BadCube, ServiceError
from .transport import Transport

ASKED, OLDEST = "asked by a notebook", 50
"""The title of services that nobody named, and how many go at most where an owner has too many."""
RELEASE = "dashboard:"
"""How the names of dashboards begin, where people's are their own."""
ROOMS = 3
"""How often room is made for one service: others of the same owner may take it."""
PAGE, MOST_ITEMS = 200, 100_000
"""Items of one answer, and of one search."""
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


@dataclass(frozen=True)
class Made:
    """A service that this process made, when, and how it is called."""

    at: float
    service: TileService
    title: str


class Client(Transport):
    """The services as methods. Safe to use from several threads; keeps one connection pool."""

    def __init__(
        self, token: str = "", processing: str = "", catalogue: str = "", timeout: float = 60, hub: str = ""
    ) -> None:
        super().__init__(token, processing, catalogue, timeout, hub)
        self._services: dict[str, Made] = {}
        self._basemaps: list[dict[str, Any]] | None = None

    def service(self, graph_json: str, graph: dict[str, Any], title: str = "") -> TileService:
        """The tile service of a graph, made once and named once; `graph_json` is the graph's canonical text."""
        with self._lock:
            known = self._services.get(graph_json)
        unnamed = known is not None and known.title == ASKED and title not in ("", ASKED)
        if known and not unnamed and time.monotonic() - known.at < SERVICE_SECONDS:
            return known.service
        title = title or (known.title if known else ASKED)
        answer = self._posted({"title": title, "type": "XYZ", "process": {"process_graph": graph}})
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
            self._services[graph_json] = Made(time.monotonic(), service, title)
        return service

    def _posted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The new service; where there are too many, old ones make room."""
        for _ in range(ROOMS):
            try:
                return self.call("processing", "POST", "/services", json=body)
            except ServiceError as error:
                if error.code != "QuotaExceeded" or not self._room_made():
                    raise
        return self.call("processing", "POST", "/services", json=body)

    def _room_made(self) -> bool:
        """Whether some services that can be made again could be taken away."""
        owner = str(self.call("processing", "GET", "/me")["user_id"])
        every = self.call("processing", "GET", "/services")["services"]
        with self._lock:
            mine = {made.service.id for made in self._services.values()}
        going = droppable(every, mine, owner.startswith(RELEASE))
        for each in going:
            self._dropped(each)
        return bool(going)

    def _dropped(self, identifier: str) -> None:
        self._outdated(identifier)
        try:
            self.call("processing", "DELETE", f"/services/{identifier}")
        except ServiceError as error:  # another process of the same owner was faster
            if error.status != 404:
                raise

    def _outdated(self, identifier: str) -> tuple[str, Made] | None:
        """The graph of a service that this process made; it is made anew when it is next needed."""
        with self._lock:
            for graph, made in self._services.items():
                if made.service.id == identifier:
                    self._services[graph] = replace(made, at=-math.inf)
                    return graph, made
        return None

    def ask(self, service: TileService, method: str, what: str, **options: Any) -> dict[str, Any]:
        """What a service answers; it is made anew where another process took it away to make room."""
        try:
            return self.call("processing", method, f"/services/{service.id}/{what}", **options)
        except ServiceError as error:
            if error.code != "ServiceNotFound" or not (found := self._outdated(service.id)):
                raise
        graph, made = found
        again = self.service(graph, json.loads(graph), made.title)
        return self.call("processing", method, f"/services/{again.id}/{what}", **options)

    def point(self, service: TileService, lon: float, lat: float) -> dict[str, float | None]:
        """The values of a service's graph at a place, one per band."""
        answer = self.ask(service, "GET", "point", params={"lon": lon, "lat": lat})
        return dict(answer["values"])

    def inspect(self, service: TileService, lon: float, lat: float) -> dict[str, Any]:
        """`values` of a service's graph at a place, and `chain`: the values after each of its steps."""
        return self.ask(service, "GET", "point", params={"lon": lon, "lat": lat})

    def legend(self, service: TileService) -> dict[str, Any]:
        """What the colours of a service mean."""
        return self.ask(service, "GET", "legend.json")

    def failures(self, service: TileService, after: int = 0) -> list[dict[str, Any]]:
        """Why tiles of a service could not be drawn, after the entry of that id, oldest first."""
        params = {"level": "error", "offset": after}
        return list(self.ask(service, "GET", "logs", params=params)["logs"])

    def area(self, service: TileService, what: str, geometry: Any, **params: Any) -> dict[str, Any]:
        """What the service says of a GeoJSON geometry: statistics, timeseries, histogram, pixels, transect."""
        return self.ask(service, "POST", what, json={"geometry": geometry}, params=params)

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
        if place["type"] == "Point":
            lon, lat = place["coordinates"]
            answer = self.ask(service, "GET", "timeseries", params={"lon": lon, "lat": lat})
        else:
            answer = self.ask(service, "POST", "timeseries", json=place)
        return list(answer["dates"]), {band: dict(found) for band, found in answer["series"].items()}

    def histogram(
        self, service: TileService, bbox: tuple[float, float, float, float], bins: int
    ) -> tuple[list[float], list[int]]:
        """Edges (bins + 1 of them) and counts of the graph's values within a box."""
        west, south, east, north = bbox
        params = {"west": west, "south": south, "east": east, "north": north, "bins": bins}
        answer = self.ask(service, "GET", "histogram", params=params)
        return list(answer["bins"]), list(answer["counts"])

    def collections(self) -> list[dict[str, Any]]:
        """The collections this person may see, as STAC."""
        return list(self._call("catalogue", "GET", "/collections")["collections"])

    def collection(self, name: str) -> dict[str, Any]:
        """One collection, as STAC; ServiceError if there is none one may see."""
        return self._call("catalogue", "GET", f"/collections/{name}")

    def search(self, query: dict[str, Any], limit: int = 0) -> list[dict[str, Any]]:
        """The items a STAC search finds, following its pages up to `limit` items (0: to the end)."""
        found: list[dict[str, Any]] = []
        body = {**query, "limit": min(limit or PAGE, PAGE)}
        while True:
            answer = self._call("catalogue", "POST", "/search", json=body)
            found += answer["features"]
            token = _next_token(answer)
            if not token or not answer["features"] or (limit and len(found) >= limit):
                return found[: limit or None]
            if len(found) >= MOST_ITEMS:
                raise BadCube(
                    f"more than {MOST_ITEMS} items fit", "choose fewer by .during(), .on() or .where(), or .limit(n)"
                )
            body = {**body, "token": token}


def droppable(every: Sequence[Mapping[str, Any]], mine: set[str], release: bool) -> list[str]:
    """The ids of an owner's services (newest first) that go to make room, at most a tenth of what may go. PURE.

    A person's services go only if nobody named them; a dashboard's release makes all of its own again. Unnamed ones go
    first, then those that this process (`mine`) does not use, then the oldest.
    """
    may = [each for each in reversed(every) if release or each.get("title") == ASKED]
    may.sort(key=lambda each: (each.get("title") != ASKED, each["id"] in mine, str(each.get("created"))))
    return [str(each["id"]) for each in may[: max(1, min(OLDEST, len(may) // 10))]]


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
    _default = Client(token, processing, catalogue, hub=hub)
    return _default
