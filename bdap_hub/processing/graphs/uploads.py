"""What `load_uploaded_files` may read: the formats, with their options, and vectors that stand in the plan. PURE.

Pixels are read like those of any file, when they are needed. Geometries are put into the graph when it is posted, so
that extents and masks made of them are known before anything is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .graph import Graph, GraphError, Node

MOST_PATHS = 500
PROPERTIES = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Properties whose numbers become values of the cube, as in load_geojson. All others stay beside the "
    "geometries.",
    "default": [],
}
COLUMN = {"type": "string"}
CSV_OPTIONS = {
    "geometry": {**COLUMN, "description": "The column with geometries as WKT; without it there are x and y."},
    "x": {**COLUMN, "description": "The column of longitudes (or of x).", "default": "lon"},
    "y": {**COLUMN, "description": "The column of latitudes (or of y).", "default": "lat"},
    "crs": {"type": "integer", "description": "The EPSG code of the coordinates.", "default": 4326},
}


@dataclass(frozen=True)
class Input:
    """A format that is read. `kind` is openEO's gis_data_type: raster or vector."""

    name: str
    title: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


INPUTS = {
    one.name: one
    for one in (
        Input("GTiff", "GeoTIFF (cloud optimised or not)", "raster"),
        Input("JP2", "JPEG 2000", "raster"),
        Input("netCDF", "netCDF with CF conventions", "raster"),
        Input("GeoJSON", "GeoJSON", "vector", {"properties": PROPERTIES}),
        Input("Parquet", "GeoParquet", "vector", {"properties": PROPERTIES}),
        Input("CSV", "CSV with coordinates or WKT", "vector", {"properties": PROPERTIES, **CSV_OPTIONS}),
    )
}
OTHER_NAMES = {
    "COG": "GTiff",
    "TIFF": "GTiff",
    "GEOTIFF": "GTiff",
    "JP2OPENJPEG": "JP2",
    "JPEG2000": "JP2",
    "GEOPARQUET": "Parquet",
}


@dataclass(frozen=True)
class Upload:
    """What one call asks for: paths in the caller's files, how they are read."""

    paths: tuple[str, ...]
    form: Input
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """The geometries that a node found in files, as GeoJSON, and the files by href, time and size.

    Without a node: files whose content was taken elsewhere, and that are to stay what they were.
    """

    node: str
    geojson: str
    properties: tuple[str, ...]
    files: tuple[tuple[str, int, int], ...]


def upload_of(arguments: Mapping[str, Any]) -> Upload:
    """The files, format and options of a call; GraphError where they cannot be read here."""
    name = str(arguments["format"])
    known = {key.upper(): key for key in INPUTS} | OTHER_NAMES
    if name.upper() not in known:
        raise GraphError("FormatUnsuitable", f"the format {name!r:.60} cannot be read", f"use {', '.join(INPUTS)}")
    form, options = INPUTS[known[name.upper()]], dict(arguments.get("options") or {})
    if unknown := sorted(set(options) - set(form.options)):
        have = ", ".join(form.options) or "none"
        raise _wrong(f"{form.name} has no option {unknown[0]!r:.40}", f"it has: {have}")
    for key, value in options.items():
        if not _fits(value, kind := form.options[key]["type"]):
            raise _wrong(f"the option {key} is {value!r:.40}", f"give what /file_formats says: {kind}")
    paths = tuple(dict.fromkeys(map(str, arguments["paths"])))
    if not 0 < len(paths) <= MOST_PATHS:
        raise _wrong(f"{len(paths)} files are named", f"name 1 to {MOST_PATHS}")
    return Upload(paths, form, options)


def vectors_in(graph: Graph) -> Sequence[Node]:
    """The nodes whose files hold geometries."""
    named = (node for node in graph.nodes if node.process == "load_uploaded_files")
    return [node for node in named if upload_of(node.arguments).form.kind == "vector"]


def unpacked_in(graph: Graph) -> list[str]:
    """The paths of all files that are unpacked before they are read."""
    uploads = [upload_of(node.arguments) for node in graph.nodes if node.process == "load_uploaded_files"]
    return sorted({path for one in uploads if one.form.name == "netCDF" for path in one.paths})


def filled(graph: Graph, given: Sequence[Given]) -> Graph:
    """The graph with the geometries that were found in files, as if they stood in it."""
    known = {one.node: one for one in given}

    def put(node: Node) -> Node:
        if node.process != "load_uploaded_files" or node.id not in known:
            return node
        one = known[node.id]
        data = {"data": json.loads(one.geojson), "properties": list(one.properties)}
        return replace(node, process="load_geojson", arguments=data)

    return Graph(tuple(map(put, graph.nodes)), graph.result) if known else graph


def _fits(value: Any, kind: str) -> bool:
    if kind == "array":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, str) if kind == "string" else isinstance(value, int) and not isinstance(value, bool)


def _wrong(sentence: str, remedy: str) -> GraphError:
    return GraphError("ProcessArgumentInvalid", sentence, remedy)
