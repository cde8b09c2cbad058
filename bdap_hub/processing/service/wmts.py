"""The capabilities of a web map tile service (OGC 07-057r7) with one layer, and what its requests ask for. PURE."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import BadRequest
from ..cubes.extent import EARTH, Bounds
from ..drawing.formats import Format
from ..engine.grid import TILE
from ..xml_text import xml_text

WMTS = "http://www.opengis.net/wmts/1.0"
OWS = "http://www.opengis.net/ows/1.1"
XLINK = "http://www.w3.org/1999/xlink"
PIXEL = 0.00028
"""Metres of a pixel on the standard's screen, by which it states scales."""
SETS = {256: "WebMercatorQuad", 512: "WebMercatorQuad512"}
QUAD = "urn:ogc:def:wkss:OGC:1.0:GoogleMapsCompatible"
LIMIT = 85.05112877980659


@dataclass(frozen=True)
class Layer:
    """What the capabilities say of a service. `forms` have templates with {z}, {x} and {y}; `kvp` is where KVP goes."""

    identifier: str
    title: str
    abstract: str
    bounds: Bounds
    size: int
    zooms: range
    forms: tuple[tuple[Format, str], ...]
    kvp: str
    capabilities: str
    legend: str
    times: tuple[str, ...] = ()


def capabilities(layer: Layer) -> bytes:
    """The GetCapabilities document."""
    for prefix, uri in (("", WMTS), ("ows", OWS), ("xlink", XLINK)):
        ET.register_namespace(prefix, uri)
    root = ET.Element(f"{{{WMTS}}}Capabilities", {"version": "1.0.0"})
    _identification(root, layer)
    _operations(root, layer)
    contents = _add(root, "Contents")
    _layer(contents, layer)
    _matrices(contents, layer)
    _add(root, "ServiceMetadataURL", "", {f"{{{XLINK}}}href": layer.capabilities})
    return _text(root)


def _add(parent: ET.Element, name: str, text: str = "", attributes: Mapping[str, str] | None = None) -> ET.Element:
    space, _, local = name.rpartition(":")
    child = ET.SubElement(parent, f"{{{OWS if space == 'ows' else WMTS}}}{local}", dict(attributes or {}))
    child.text = xml_text(text) or None
    return child


def _identification(root: ET.Element, layer: Layer) -> None:
    found = _add(root, "ows:ServiceIdentification")
    _add(found, "ows:Title", layer.title)
    _add(found, "ows:Abstract", layer.abstract)
    _add(found, "ows:ServiceType", "OGC WMTS")
    _add(found, "ows:ServiceTypeVersion", "1.0.0")


def _operations(root: ET.Element, layer: Layer) -> None:
    found = _add(root, "ows:OperationsMetadata")
    for name in ("GetCapabilities", "GetTile"):
        http = _add(_add(_add(found, "ows:Operation", "", {"name": name}), "ows:DCP"), "ows:HTTP")
        address = layer.kvp + ("&" if "?" in layer.kvp else "?")
        get = _add(http, "ows:Get", "", {f"{{{XLINK}}}href": address})
        allowed = _add(_add(get, "ows:Constraint", "", {"name": "GetEncoding"}), "ows:AllowedValues")
        _add(allowed, "ows:Value", "KVP")


def _layer(contents: ET.Element, layer: Layer) -> None:
    found = _add(contents, "Layer")
    _add(found, "ows:Title", layer.title)
    _add(found, "ows:Abstract", layer.abstract)
    box = _add(found, "ows:WGS84BoundingBox")
    west, south, east, north = layer.bounds
    _add(box, "ows:LowerCorner", f"{west} {max(south, -LIMIT)}")
    _add(box, "ows:UpperCorner", f"{east} {min(north, LIMIT)}")
    _add(found, "ows:Identifier", layer.identifier)
    style = _add(found, "Style", "", {"isDefault": "true"})
    _add(style, "ows:Identifier", "default")
    _add(style, "LegendURL", "", {"format": "image/png", f"{{{XLINK}}}href": layer.legend})
    for form, _ in layer.forms:
        _add(found, "Format", form.media.partition(";")[0])
    if layer.times:
        _times(found, layer)
    _add(_add(found, "TileMatrixSetLink"), "TileMatrixSet", SETS[layer.size])
    for form, template in layer.forms:
        address = template.replace("{z}", "{TileMatrix}").replace("{x}", "{TileCol}").replace("{y}", "{TileRow}")
        address += ("&" if "?" in address else "?") + "time={time}" if layer.times else ""
        media = form.media.partition(";")[0]
        _add(found, "ResourceURL", "", {"format": media, "resourceType": "tile", "template": address})


def _times(parent: ET.Element, layer: Layer) -> None:
    """The dates as a dimension; the last one is drawn where none is asked for."""
    found = _add(parent, "Dimension")
    _add(found, "ows:Identifier", "time")
    _add(found, "ows:UOM", "ISO8601")
    _add(found, "Default", layer.times[-1])
    _add(found, "Current", "false")
    for label in layer.times:
        _add(found, "Value", label)


def _matrices(contents: ET.Element, layer: Layer) -> None:
    found = _add(contents, "TileMatrixSet")
    _add(found, "ows:Identifier", SETS[layer.size])
    _add(found, "ows:SupportedCRS", "urn:ogc:def:crs:EPSG::3857")
    if layer.size == TILE:
        _add(found, "WellKnownScaleSet", QUAD)
    corner = math.pi * EARTH
    for zoom in layer.zooms:
        matrix = _add(found, "TileMatrix")
        _add(matrix, "ows:Identifier", str(zoom))
        _add(matrix, "ScaleDenominator", repr(2 * corner / (layer.size << zoom) / PIXEL))
        _add(matrix, "TopLeftCorner", f"{-corner} {corner}")
        for name, value in (("TileWidth", layer.size), ("TileHeight", layer.size)):
            _add(matrix, name, str(value))
        for name in ("MatrixWidth", "MatrixHeight"):
            _add(matrix, name, str(1 << zoom))


@dataclass(frozen=True)
class Wanted:
    """A GetTile request; its format as the media type that was asked for."""

    z: int
    x: int
    y: int
    media: str
    time: str


def read_request(query: Mapping[str, str], layer: str, size: int) -> Wanted | None:
    """What a request by key and value wants: a tile, or None for the capabilities. Keys are in any case."""
    keys = {key.upper(): value for key, value in query.items()}
    if keys.get("SERVICE", "WMTS").upper() != "WMTS":
        raise InvalidParameter(f"there is no service {keys['SERVICE']!r:.40} here", "SERVICE=WMTS")
    request = keys.get("REQUEST", "GetCapabilities").lower()
    if request == "getcapabilities":
        return None
    if request != "gettile":
        raise InvalidParameter(f"there is no request {keys['REQUEST']!r:.40}", "GetCapabilities or GetTile")
    for key, allowed in (("LAYER", layer), ("TILEMATRIXSET", SETS[size])):
        if keys.get(key) != allowed:
            raise InvalidParameter(f"{key} is {keys.get(key, 'missing')!r:.40}", f"{key}={allowed}")
    z, y, x = (_number(keys, key) for key in ("TILEMATRIX", "TILEROW", "TILECOL"))
    return Wanted(z, x, y, keys.get("FORMAT", ""), keys.get("TIME", ""))


def _text(root: ET.Element) -> bytes:
    found: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return found


class InvalidParameter(BadRequest):
    """A request by key and value that says something wrong."""

    code = "InvalidParameterValue"


def _number(keys: Mapping[str, str], key: str) -> int:
    text = keys.get(key, "")
    if not (text.isdecimal() and len(text) < 10):
        raise InvalidParameter(f"{key} is {text!r:.20}; it must be a whole number")
    return int(text)


def exception(code: str, sentence: str) -> bytes:
    """An error as OGC services write it."""
    ET.register_namespace("ows", OWS)
    root = ET.Element(f"{{{OWS}}}ExceptionReport", {"version": "1.1.0"})
    _add(_add(root, "ows:Exception", "", {"exceptionCode": code}), "ows:ExceptionText", sentence)
    return _text(root)
