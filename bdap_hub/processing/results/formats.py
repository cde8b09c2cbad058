"""The formats that results can be written in, with their options: one table, from which /file_formats is made. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..graphs.graph import Graph, GraphError
from ..graphs.uploads import INPUTS

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
DTYPE = {
    "type": "string",
    "enum": list(DTYPES),
    "description": "Type of the stored numbers; others than float are rounded, and clipped to what it can hold.",
    "default": "float32",
}
NODATA = {
    "type": "number",
    "description": "What stands for no data; NaN in floats, else the largest number of the type, unless it is given.",
}
SHOWN = "One band in colours, or three as RGB, of one date."


@dataclass(frozen=True)
class Format:
    """How a result is written. `suffix` and `media` are those of its files; `kinds`, openEO's gis_data_types."""

    name: str
    title: str
    suffix: str
    media: str
    kinds: tuple[str, ...] = ("raster",)
    description: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    picture: bool = False

    def document(self, style: Mapping[str, Any]) -> dict[str, Any]:
        """The format as /file_formats lists it; the options of pictures are `style`."""
        about = {"description": self.description} if self.description else {}
        return {
            "title": self.title,
            **about,
            "gis_data_types": list(self.kinds),
            "parameters": dict(style if self.picture else self.options),
        }


FORMATS = {
    one.name: one
    for one in (
        Format(
            "GTiff",
            "GeoTIFF, cloud optimised",
            "tif",
            "image/tiff; application=geotiff; profile=cloud-optimized",
            description="DEFLATE, tiles of 512 pixels, overviews. A job writes one file a date, /result one file in "
            "all; each band (and date) is a band of the file with its name.",
            options={"dtype": DTYPE, "nodata": NODATA},
        ),
        Format(
            "netCDF",
            "netCDF-4 with CF conventions",
            "nc",
            "application/netcdf",
            description="A variable for each band along t, y and x; the CRS stands in spatial_ref.",
            options={"dtype": DTYPE, "nodata": NODATA},
        ),
        Format(
            "Zarr",
            "Zarr 2, zipped",
            "zarr.zip",
            "application/zip",
            description="A group with an array for each band along t, y and x, as xarray reads it.",
            options={"dtype": DTYPE, "nodata": NODATA},
        ),
        Format("PNG", "PNG", "png", "image/png", picture=True, description=SHOWN),
        Format("WEBP", "WebP", "webp", "image/webp", picture=True, description=SHOWN),
        Format("JPEG", "JPEG", "jpeg", "image/jpeg", picture=True, description=SHOWN),
        Format(
            "JSON",
            "JSON",
            "json",
            "application/json",
            ("raster", "vector", "table", "other"),
            description="Values along the dimensions; statistics of geometries as {date: [[value of each band]]}.",
        ),
        Format(
            "GeoJSON", "GeoJSON", "geojson", "application/geo+json", ("vector",),
            description="Statistics of geometries, as properties of these.",
        ),
        Format(
            "Parquet", "GeoParquet 1.1", "parquet", "application/vnd.apache.parquet", ("vector",),
            description="Statistics of geometries, with the properties of these; a column for each.",
        ),
        Format(
            "CSV", "CSV", "csv", "text/csv; charset=utf-8", ("raster", "vector", "table"),
            description="A row for each date, geometry or pixel; a column for each band.",
        ),
    )
}  # fmt: skip
OTHER_NAMES = {"COG": "GTiff", "TIFF": "GTiff", "GEOTIFF": "GTiff", "XYZ": "PNG", "GEOPARQUET": "Parquet"}


@dataclass(frozen=True)
class Wanted:
    """What a graph's save_result asks for."""

    format: Format
    options: Mapping[str, Any]


def wanted(graph: Graph, pixels: bool = True) -> Wanted:
    """The format that a graph ends with; where it names none, GTiff for pixels and JSON for all else."""
    node = graph.node(graph.result)
    if node.process != "save_result":
        return Wanted(FORMATS["GTiff" if pixels else "JSON"], {})
    name = str(node.arguments["format"])
    known = {key.upper(): key for key in FORMATS} | OTHER_NAMES
    if name.upper() not in known:
        raise GraphError("FormatUnsuitable", f"the format {name!r:.60} cannot be written", f"use {', '.join(FORMATS)}")
    form = FORMATS[known[name.upper()]]
    options = node.arguments.get("options") or {}
    if form.picture:  # its options are a style, which is read where pictures are drawn
        return Wanted(form, options)
    if unknown := sorted(set(options) - set(form.options)):
        have = ", ".join(form.options) or "none"
        raise GraphError(
            "ProcessArgumentInvalid", f"node {node.name!r}: {form.name} has no option {unknown[0]!r}", f"it has: {have}"
        )
    dtype = options.get("dtype", "float32")
    if dtype not in DTYPES:
        raise GraphError("ProcessArgumentInvalid", f"{dtype!r:.40} is no type of numbers", f"use {', '.join(DTYPES)}")
    return Wanted(form, options)


def listed(style: Mapping[str, Any]) -> dict[str, Any]:
    """The body of /file_formats: what results can be written in, and what collections and files may lie in."""
    return {
        "input": {
            name: {"title": one.title, "gis_data_types": [one.kind], "parameters": dict(one.options)}
            for name, one in INPUTS.items()
        },
        "output": {name: form.document(style) for name, form in FORMATS.items()},
    }
