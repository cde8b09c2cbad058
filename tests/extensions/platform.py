"""STAND-IN of processing and catalogue for tests of the client alone: fixed answers, all calls recorded."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOUNDS = [8.5, 45.5, 8.7, 45.7]
DAYS = ("2025-04-18", "2025-06-15", "2025-07-10")


@dataclass
class Call:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: Any
    authorization: str


@dataclass
class Platform:
    """The running stand-in. `refusal` answers everything; `values` are what a point has."""

    root: str
    calls: list[Call] = field(default_factory=list)
    refusal: tuple[int, Any] | None = None
    full: list[dict[str, Any]] = field(default_factory=list)
    """Services that leave no room for another one."""
    owner: str = "ana"
    gone: set[str] = field(default_factory=set)
    """Services that somebody took away."""
    values: dict[str, float | None] = field(default_factory=lambda: {"value": 0.625})
    times: list[str] = field(default_factory=list)
    chain: list[dict[str, Any]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    many: bool = False

    @property
    def processing(self) -> str:
        return f"{self.root}/services/processing"

    @property
    def catalogue(self) -> str:
        return f"{self.root}/services/catalogue"

    def posted(self, path: str) -> list[Any]:
        """The bodies posted to a path."""
        return [call.body for call in self.calls if call.method == "POST" and call.path.endswith(path)]


@contextmanager
def platform() -> Iterator[Platform]:
    """The stand-in on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            address = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            call = Call(self.command, address.path, parse_qs(address.query), body, self.headers["Authorization"] or "")
            made.calls.append(call)
            status, answer = made.refusal or _answer(made, call)
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _do

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Platform(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def _answer(made: Platform, call: Call) -> tuple[int, Any]:
    if call.method == "DELETE":
        made.full.clear()
        return 204, ""
    if call.path.endswith("/me"):
        return 200, {"user_id": made.owner}
    if call.method != "POST" and call.path.split("/")[-2] in made.gone:
        return 404, {"code": "ServiceNotFound", "message": "you have no such service", "remedy": ""}
    if call.path.endswith("/services") and call.method == "GET":
        return 200, {"services": list(made.full)}
    if call.path.endswith("/services") and made.full:
        return 400, {"code": "QuotaExceeded", "message": "you have 1000 web services", "remedy": "delete some"}
    if call.path.endswith("/services") and call.method == "POST":
        number = len(made.posted("/services"))
        url = f"{made.processing}/tiles/s{number}/{{z}}/{{x}}/{{y}}.png?sig=abc"
        options = {"bounds": BOUNDS, "minzoom": 0, "maxzoom": 16}
        return 201, {"id": f"s{number}", "url": url, "configuration": options, "attributes": {"times": made.times}}
    if call.path.endswith("/point"):
        return 200, {"lon": 0, "lat": 0, "values": made.values, "chain": made.chain}
    if call.path.endswith("/basemaps"):
        url = f"{made.processing}/basemaps/offline/{{z}}/{{x}}/{{y}}.png"
        return 200, {"basemaps": [{"name": "offline", "title": "Countries", "url": url}]}
    if call.path.endswith("/legend.json"):
        ticks = [{"value": value, "label": label} for value, label in ((-0.2, "−0.2"), (0.4, "0.4"), (0.9, "0.9"))]
        return 200, {"type": "continuous", "alt": "a bar", "colors": ["#a50026", "#006837"], "ticks": ticks}
    if call.path.endswith("/logs"):
        shown = [{"id": str(n), "time": time, "message": text} for n, (time, text) in enumerate(made.failures, 1)]
        return 200, {"logs": [each for each in shown if int(each["id"]) > int(call.query["offset"][0])]}
    if call.path.endswith("/timeseries"):
        series = {band: {"mean": [value] * len(DAYS)} for band, value in made.values.items()}
        return 200, {"dates": [f"{day}T10:15:00Z" for day in DAYS], "series": series}
    if call.path.endswith("/tables/regions"):
        tiles = f"{made.processing}/tables/regions/{{z}}/{{x}}/{{y}}.mvt?sig=abc"
        return 200, {"columns": ["name"], "bounds": BOUNDS, "count": 2, "more": made.many, "tiles": tiles}
    if call.path.endswith("/tables/regions/features"):
        point = {"type": "Point", "coordinates": [8.6, 45.6]}
        both = [{"type": "Feature", "properties": {"name": n, "size": s}, "geometry": point} for n, s in ("a1", "b2")]
        return 200, {"type": "FeatureCollection", "features": both, "more": False}
    if call.path.endswith("/print"):
        return 200, "PNG"
    scale = {"crs": "EPSG:32632", "resolution": 10, "unit": "metre", "coarser": 1}
    if call.path.endswith("/transect"):
        return 200, {"distance": [0, 10, 20], "values": {"value": [1.0, None, 3.0]}, "scale": scale}
    if call.path.endswith("/pixels"):
        return 200, {"values": {band: [value] * 3 for band, value in made.values.items()}, "scale": scale}
    if call.path.endswith("/statistics"):
        numbers = {"valid": 3, "nodata": 1, "mean": 0.5}
        return 200, {"statistics": {"value": numbers}, "pixels": 4, "scale": scale}
    if call.path.endswith("/histogram"):
        return 200, {"bins": [0, 0.5, 1], "counts": [3, 4]}
    if call.path.endswith("/collections"):
        extent = {"temporal": {"interval": [["2025-03-14T10:00:00Z", None]]}}
        return 200, {"collections": [{"id": "s2", "title": "Sentinel-2 <demo>", "extent": extent}]}
    return 200, _page(call.body)


def _page(body: dict[str, Any]) -> dict[str, Any]:
    """One item on each page."""
    place = int(body.get("token", 0))
    item = {"properties": {"datetime": f"{DAYS[place]}T10:15:00Z"}}
    following = [{"rel": "next", "href": "x", "body": {"token": str(place + 1)}}] if place + 1 < len(DAYS) else []
    return {"features": [item], "links": following}
