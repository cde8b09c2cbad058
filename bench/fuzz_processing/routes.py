"""Requests other than graphs: styles, areas, tiles, WMTS, stored processes, jobs, files, STAC documents, rasters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import rasterio
from affine import Affine
from hypothesis import strategies as st

from tests.processing.conftest import DATES, X, Y, Z, asset, collection, item, write_catalogue
from tests.processing.graphs import arg, band, call, load, node, of

from .checks import Found, ask
from .graphs import BOXES, NUMBERS, RINGS, SHAPES, TEXTS, anything, callbacks, graphs, nested, numbers, scalars, texts
from .stage import Stage

FOLDER = "/eos/projects/agriculture/fuzz"
STYLES = ["min", "max", "percentiles", "gamma", "colormap", "expression", "classes", "intervals", "breaks", "rgb",
          "bivariate", "trivariate", "hillshade", "title", "unit", "labels", "ticks", "background", "x"]  # fmt: skip
SAID = [
    "viridis",
    "gray_r",
    "B04",
    "B04 / (B08 - B04)",
    "b1**b1**9",
    "((" * 40,
    "#12345",
    "red",
    "-",
    "B04" + "+1" * 90,
]
style_values = (
    st.sampled_from([*SAID, True, [2, 98], [98, 2], [0, 1e308], ["B04", "B03", "B02"], [["0", "red"], [1, "blue"]]])
    | st.lists(numbers | st.sampled_from(SAID), max_size=4)
    | st.lists(st.dictionaries(st.sampled_from(["value", "min", "max", "color", "label"]), scalars), max_size=3)
    | st.dictionaries(st.sampled_from(["elevation", "azimuth", "bands", "steps", "colors", "altitude", "1"]), scalars)
    | anything
)
styles = st.dictionaries(st.sampled_from(STYLES), style_values, max_size=4)
configurations = st.fixed_dictionaries(
    {},
    optional={
        "style": styles,
        "tile_size": st.sampled_from([256, 512, 0, True, "256", 10**9]),
        "format": st.sampled_from(["png", "gtiff", "npy", "jpeg", "webp", "", "PNG", 5]),
        "minzoom": st.sampled_from([0, 5, 30, -1, None]),
        "maxzoom": st.sampled_from([22, 0, 10**30, 3.5]),
        "attribution": texts,
    },
)
RESULTS = [
    band("B04"),
    band("B04", "wide"),
    {"data": load("wide"), "all": node("save_result", True, data=of("data"), format="PNG")},
    {"data": load(bands=["B02", "B03", "B04"]),
     "all": node("reduce_dimension", True, data=of("data"), dimension="t", reducer=call("max", data=arg("data")))},
    {"data": load("wide"), "big": node("apply", True, data=of("data"), process=call("multiply", x=arg("x"), y=1e305))},
]  # fmt: skip
positions = st.lists(st.sampled_from([*NUMBERS, 14.69, 46.81, -179.9, 89.999, 360, 540]), min_size=2, max_size=3)
shapes = st.sampled_from([*SHAPES, *BOXES]) | st.builds(
    lambda kind, places: {"type": kind, "coordinates": places},
    st.sampled_from(["LineString", "MultiPoint", "Polygon", "Point"]),
    st.lists(positions, max_size=4) | st.sampled_from(RINGS) | st.lists(st.lists(positions, max_size=5), max_size=2),
)
features = st.builds(
    lambda geometry, properties: {"type": "Feature", "geometry": geometry, "properties": properties},
    shapes,
    anything | st.sampled_from([nested(30, True), nested(140, True), nested(900, True)]),
)
bodies = (
    shapes
    | features
    | st.builds(lambda box: {"bbox": box}, st.lists(numbers, min_size=3, max_size=5))
    | st.builds(lambda places: {"points": places}, st.lists(positions, max_size=3))
    | st.builds(lambda some: {"type": "FeatureCollection", "features": some}, st.lists(features, max_size=3))
    | st.builds(lambda geometry: {"geometry": geometry}, shapes)
    | anything
)
tile_parts = st.sampled_from([Z, Z + 1, 0, 22, 23, -1, 10**9, 10**30, "x", "", "1e3", "0x5", "%00", "..", "13.0"])
rows = st.sampled_from([f"{Y}.png", f"{Y}@2x.webp", f"{Y}.npy", f"{Y}.tif", f"{Y}.jpeg", str(Y), "-1.png", "0.exe",
                        "9" * 5000, f"{Y}@9x.png", "%00.png", "1.png%2F.."])  # fmt: skip
times = st.sampled_from([*DATES, "", "2024", "default", "current", "1", "x" * 3000, "\x00", "2024-05-01/2024-06-01"])
names = st.sampled_from(["a", "b", "mine", "ndvi", "load_collection", "a b", "\x00", "../x", "é", "n" * 101, ""])
paths = st.lists(
    st.sampled_from(["a", "b.tif", "..", ".", "", "é", "\x00", "n" * 250, ".upload-x", "\\", "\u202e"]), max_size=20
).map("/".join)


def query(values: Mapping[str, Any]) -> str:
    return urlencode({key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()})


class Routes:
    """A check for each kind of request, on services of a few graphs."""

    def __init__(self, on: Stage, found: Found) -> None:
        self.on, self.found, self._numbers = on, found, count()
        self.folder = on.settings.store.root / "projects/agriculture/fuzz"
        self.folder.mkdir(parents=True)
        _wide(on)
        self.services = [self._posted({"process": {"process_graph": graph}}) for graph in RESULTS]
        assert all(self.services), "a service of the stage is refused"

    def all(self) -> list[tuple[st.SearchStrategy[Any], Callable[[Any], None]]]:
        """Strategies with what is done with what they give."""
        service = st.sampled_from(self.services)
        return [
            (st.tuples(st.sampled_from(RESULTS), configurations, texts), self.styled),
            (st.tuples(service, st.sampled_from(AREAS), bodies), self.area),
            (st.tuples(service, st.lists(numbers, min_size=4, max_size=4), numbers), self.values),
            (st.tuples(service, tile_parts, tile_parts, rows, times, texts, texts), self.tile),
            (st.tuples(service, st.dictionaries(st.sampled_from(KVP), texts | st.sampled_from(KNOWN))), self.wmts),
            (st.tuples(names, names, callbacks(("x", "data"), 1), graphs(), anything), self.stored),
            (st.tuples(graphs(), anything, names), self.job),
            (st.tuples(paths, st.binary(max_size=50)), self.file),
            (documents(), self.document),
            (st.tuples(st.sampled_from(RASTERS), st.lists(patches, max_size=4), st.integers(0, 9)), self.raster),
        ]  # fmt: skip

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return ask(self.on, method, path, self.found, body, None if body is not None else {})

    def _posted(self, body: Mapping[str, Any]) -> str:
        made = self._ask("POST", "/services", {"type": "XYZ", **body})
        return made.headers["openeo-identifier"] if made is not None and made.status_code == 201 else ""

    def _seen(self, name: str, *more: str) -> None:
        """Looked at as a map does, and taken down."""
        for path in (f"/tiles/{name}/{Z}/{X}/{Y}.png", f"/services/{name}", *more):
            self._ask("GET", path)
        self._ask("DELETE", f"/services/{name}")

    def styled(self, drawn: tuple[Any, Any, str]) -> None:
        graph, configuration, title = drawn
        body = {"process": {"process_graph": graph}, "configuration": configuration, "title": title}
        if name := self._posted(body):
            legends = [f"/services/{name}/legend.{kind}" for kind in ("png", "svg", "json")]
            maps = [f"/services/{name}/{kind}" for kind in ("tilejson.json", "WMTSCapabilities.xml", "logs")]
            self._ask("PATCH", f"/services/{name}", {"configuration": configuration, "title": title[::-1]})
            self._seen(name, *legends, *maps)

    def area(self, drawn: tuple[str, str, Any]) -> None:
        service, kind, body = drawn
        self._ask("POST", f"/services/{service}/{kind}", body if isinstance(body, dict) else {"geometry": body})

    def values(self, drawn: tuple[str, list[Any], Any]) -> None:
        service, box, other = drawn
        west, south, east, north = box
        sides = {"west": west, "south": south, "east": east, "north": north}
        self._ask("GET", f"/services/{service}/histogram?{query({**sides, 'bins': other})}")
        self._ask("GET", f"/services/{service}/point?{query({'lon': west, 'lat': south})}")
        self._ask("GET", f"/services/{service}/points?{query({'lon': f'{west},{east}', 'lat': f'{south},{north}'})}")
        self._ask("GET", f"/services/{service}/statistics?{query({'bbox': ','.join(map(str, box))})}")
        self._ask("GET", f"/services/{service}/timeseries?{query({'lon': east, 'lat': other})}")

    def tile(self, drawn: tuple[str, Any, Any, str, str, str, str]) -> None:
        service, z, x, row, time, form, signature = drawn
        asked = query({"time": time, "format": form})
        self._ask("GET", f"/tiles/{service}/{z}/{x}/{row}?{asked}")
        self._ask("GET", f"/tiles/{service}/{Z}/{X}/{Y}.png?{query({'time': time})}")
        self._ask("GET", f"/tiles/{service}/{Z}/{X}/{row}?{query({'sig': signature})}")
        self._ask("GET", f"/tiles/{quote(form, safe='')[:300] or 'x'}/{Z}/{X}/{Y}.png")

    def wmts(self, drawn: tuple[str, dict[str, str]]) -> None:
        service, keys = drawn
        self._ask("GET", f"/services/{service}/wmts?{query({**keys, 'layer': service})}")
        self._ask("GET", f"/services/{service}/wmts?{query(keys)}")

    def stored(self, drawn: tuple[str, str, Any, Any, Any]) -> None:
        """Two processes that may call each other or themselves, and a graph that calls one."""
        one, other, inner, graph, extra = drawn
        calling = {"c": {"process_id": other, "arguments": {"x": arg("x"), "data": extra}, "result": True}}
        wrapped = {"c": node("apply", True, data=arg("data"), process={"process_graph": inner})}
        parameters = [{"name": "x", "schema": {}, "optional": True}, {"name": "data", "schema": {}, "default": extra}]
        at = [f"/process_graphs/{quote(name, safe='')}" for name in (one, other)]
        self._ask("PUT", at[0], {"process_graph": calling, "parameters": parameters})
        self._ask("PUT", at[1], {"process_graph": wrapped, "parameters": parameters})
        self._ask("PUT", at[0], {"process_graph": calling, "parameters": extra})
        self._ask("PUT", at[1], {"process_graph": graph, "summary": extra})
        self._ask("POST", "/validation", {"process": {"process_graph": calling, "parameters": parameters}})
        self._ask("POST", "/validation", {"process": {"process_graph": wrapped, "parameters": extra}})
        for path in at:
            self._ask("GET", path)
            self._ask("DELETE", path)

    def job(self, drawn: tuple[Any, Any, str]) -> None:
        graph, extra, name = drawn
        made = self._ask("POST", "/jobs", {"process": {"process_graph": graph}, "title": extra, "log_level": "info"})
        there = made is not None and made.status_code == 201
        at = f"/jobs/{made.headers['openeo-identifier'] if there else quote(name)}"
        self._ask("PATCH", at, {"description": name, "budget": extra})
        for path in ("", "/estimate", "/logs?offset=%00", "/logs?limit=-1", "/results"):
            self._ask("GET", at + path)
        self._ask("DELETE", f"{at}/results")
        self._ask("DELETE", at)

    def file(self, drawn: tuple[str, bytes]) -> None:
        path, _ = drawn
        at = f"/files/{quote(path)}"
        self._ask("PUT", at, {"content": path})
        self._ask("GET", at)
        self._ask("GET", "/files")
        self._ask("DELETE", at)

    def document(self, drawn: Any) -> None:
        """A STAC document, or two that link to each other, on the store."""
        number = next(self._numbers)
        for name, text in zip((f"{number}.json", f"{number}-b.json"), (drawn, drawn), strict=True):
            (self.folder / name).write_text(json.dumps(drawn if text else {}).replace("{number}", str(number)))
        graph = {"data": {"process_id": "load_stac", "arguments": {"url": f"{FOLDER}/{number}.json"}}}
        graph["all"] = node(
            "reduce_dimension", True, data=of("data"), dimension="t", reducer=call("max", data=arg("data"))
        )
        if name := self._posted({"process": {"process_graph": graph}}):
            self._seen(
                name, f"/services/{name}/tilejson.json", f"/explain/{name}", f"/services/{name}/WMTSCapabilities.xml"
            )
        self._ask("POST", "/result", {"process": {"process_graph": graph}})

    def raster(self, drawn: tuple[str, list[tuple[int, int]], int]) -> None:
        """A file some of whose first bytes are others; it may be cut short."""
        kind, changes, cut = drawn
        number = next(self._numbers)
        suffix = kind.split(".")[-1]
        content = bytearray(RAW.setdefault(kind, _raw(self.on.folder, kind)))
        for place, value in changes:
            content[place % min(len(content), 1500)] = value
        path = self.folder / f"{number}.{suffix}"
        path.write_bytes(content[: len(content) * cut // 9] if cut else content)
        graph = {"data": {"process_id": "load_result", "arguments": {"id": f"{FOLDER}/{number}.{suffix}"}}}
        graph["all"] = node("save_result", True, data=of("data"), format="GTiff")
        if name := self._posted({"process": {"process_graph": graph}}):
            self._seen(name, f"/services/{name}/point?lon=14.69&lat=46.81", f"/explain/{name}")
        self._ask("POST", "/result", {"process": {"process_graph": graph}})
        path.unlink()


AREAS = ["statistics", "zonal", "timeseries", "transect", "points"]
KVP = [
    "service",
    "REQUEST",
    "version",
    "LAYER",
    "style",
    "tilematrixset",
    "TILEMATRIX",
    "tilerow",
    "tilecol",
    "format",
    "time",
]
KNOWN = ["WMTS", "GetTile", "GetCapabilities", "default", "WebMercatorQuad", str(Z), str(X), str(Y), "image/png",
         *DATES, "-1", "9" * 9, "٣", "\x00"]  # fmt: skip
RASTERS = ["plain.tif", "big.tif", "masked.tif", "bands.tif", "plain.jp2"]
RAW: dict[str, bytes] = {}
patches = st.tuples(
    st.integers(0, 600) | st.integers(0, 1500), st.sampled_from([0, 1, 2, 255, 127, 128]) | st.integers(0, 255)
)


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """A sound STAC item or collection with a few of its parts replaced by anything."""
    own = anything.map(deepcopy)  # the next replacement may be within this one; `anything` draws from shared constants
    sound = item(
        "a", "x", DATES[0], (14.6, 46.7, 14.8, 46.9), 0, {"B04": asset("/eos/data/fields/2024-05-01/B04.tif", "B04")}
    )
    if draw(st.booleans()):
        sound = {**collection("a", "public", "", (14.6, 46.7, 14.8, 46.9)), "item_assets": draw(own), "links": [
            {"rel": draw(st.sampled_from(RELATIONS)), "href": draw(st.sampled_from(HREFS))}
            for _ in range(draw(st.integers(0, 4)))]}  # fmt: skip
    for _ in range(draw(st.integers(0, 3))):
        at: Any = sound
        while isinstance(at, (dict, list)) and at:
            key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            if not isinstance(at[key], (dict, list)) or not at[key] or not draw(st.integers(0, 3)):
                at[key] = draw(own | st.sampled_from([float("nan"), float("inf"), 10**400, "", *TEXTS]))
                break
            at = at[key]
    return sound


RELATIONS = ["item", "child", "items", "next", "self"]
HREFS = ["./{number}.json", "{number}-b.json", "../fuzz/{number}.json", f"{FOLDER}/{{number}}.json", "/etc/passwd",
         "http://127.0.0.1:1/x.json", "file:///etc/passwd", "//x", "", ".", "x" * 5000, "\x00"]  # fmt: skip


def _wide(on: Stage) -> None:
    """A collection in degrees, of whole numbers and of doubles, on two dates."""
    west, north, step, size = 14.6, 46.9, 0.0005, 400
    box = (west, north - size * step, west + size * step, north)
    place, items = Affine(step, 0, west, 0, -step, north), []
    for number, date in enumerate(DATES[:2]):
        assets = {}
        for name, kind in (("B04", "int32"), ("B08", "float64")):
            path = on.settings.store.root / f"data/wide/{date}/{name}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = (np.arange(size * size) * (number + 1) % 9000 - 4000).reshape(size, size)
            values = values * (1e300 if kind == "float64" else 400_000)
            with rasterio.open(path, "w", "GTiff", size, size, 1, "EPSG:4326", place, kind) as file:
                file.write(values.astype(kind), 1)
            assets[name] = asset(f"/eos/data/wide/{date}/{name}.tif", name)
        items.append(item("wide", f"wide-{date}", date, box, 0, assets))
    write_catalogue(on.settings.var, collection("wide", "public", "", box), items)


def _raw(folder: Path, kind: str) -> bytes:
    """A small sound file of that kind."""
    path, pixels = folder / kind, np.arange(128 * 128, dtype=np.uint16).reshape(128, 128)
    count = 3 if kind == "bands.tif" else 1
    given: dict[str, Any] = {
        "crs": "EPSG:32633",
        "transform": Affine(90, 0, 475000, 0, -90, 5190000),
        "dtype": "uint16",
    }
    if kind.endswith(".jp2"):
        driver, more = "JP2OpenJPEG", {"quality": "100", "reversible": "yes"}
    else:
        driver, more = "GTiff", {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
        more |= {"bigtiff": "yes"} if kind == "big.tif" else {}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", driver, 128, 128, count, **given, **more) as file,
    ):
        for number in range(count):
            file.write(pixels, number + 1)
        if kind == "masked.tif":
            file.write_mask(pixels % 7 != 0)
    return path.read_bytes()
