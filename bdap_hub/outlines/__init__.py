"""Outlines of countries in degrees: Natural Earth 1:110m (public domain), or a finer file of the operator's.

Below the rooms that draw maps. The notebook library's copies are made of the file beside this module.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from ..errors import BadSettings

OWN = Path(__file__).with_name("countries.geojson")
NAMES = ("NAME", "name", "ADMIN", "admin", "NAME_EN")
REMEDY = "give a GeoJSON, a GeoPackage or a zip of Natural Earth's admin_0_countries"


@dataclass(frozen=True)
class Country:
    """A country's name ('': not known) and its polygons, cut at the antimeridian."""

    name: str
    shape: BaseGeometry


@cache
def countries(path: Path | None = None) -> tuple[Country, ...]:
    """Those of a file, else our own. BadSettings where it cannot be read."""
    if path is None:
        return tuple(_geojson(OWN))
    try:
        found = tuple(_geojson(path) if path.suffix.lower() in (".json", ".geojson") else _by_gdal(path))
    except BadSettings:
        raise
    except Exception as error:  # whatever a library says of a broken file
        raise BadSettings(f"processing.outlines: {path} cannot be read ({type(error).__name__})", REMEDY) from None
    if not found:
        raise BadSettings(f"processing.outlines: {path} has no polygons", REMEDY)
    west, south, east, north = shapely.total_bounds([one.shape for one in found])
    if west < -180.5 or south < -90.5 or east > 180.5 or north > 90.5:
        raise BadSettings(f"processing.outlines: {path} is not in degrees", "convert it to EPSG:4326")
    return found


def _geojson(path: Path) -> Iterator[Country]:
    for feature in json.loads(path.read_text("utf-8"))["features"]:
        if feature.get("geometry"):
            yield from _country(feature.get("properties") or {}, shapely.geometry.shape(feature["geometry"]))


def _by_gdal(path: Path) -> Iterator[Country]:
    """A file of any form that GDAL reads, by the package pyogrio, which an install need not have."""
    try:
        import pyogrio.raw
    except ImportError:
        raise BadSettings(
            f"processing.outlines: {path} is no GeoJSON, and the package pyogrio, which reads other forms, is missing",
            "install pyogrio, or convert the file to GeoJSON",
        ) from None
    meta, _, shapes, columns = pyogrio.raw.read(path)
    fields = [str(name) for name in meta["fields"]]
    for number, shape in enumerate(shapely.from_wkb(shapes)):
        if shape is not None:
            yield from _country({name: column[number] for name, column in zip(fields, columns, strict=True)}, shape)


def _country(properties: dict[str, Any], shape: BaseGeometry) -> Iterator[Country]:
    polygons = [part for part in shapely.get_parts(shapely.make_valid(shape)) if part.geom_type == "Polygon"]
    if polygons:
        name = next((str(properties[key]) for key in NAMES if properties.get(key)), "")
        yield Country(name, shapely.MultiPolygon(polygons))
