"""GeoParquet 1.1 with geometries as WKB: its rows as GeoJSON features, and the other way round."""

from __future__ import annotations

import datetime
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import arro3.core as arrow
import arro3.io as arrow_io
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.geometry import shape

from ..cubes.extent import DEGREES, epsg
from ..cubes.vectors import Feature, feature
from ..graphs.graph import GraphError
from .degrees import in_degrees

MOST_ROWS = 200_000
GEOMETRY = "geometry"


def features_in(content: bytes) -> list[Feature]:
    """The features of a file; FormatUnsuitable where it is no GeoParquet, or one of a kind that is not read."""
    reader = arrow_io.read_parquet(io.BytesIO(content), batch_size=4096)
    column, crs = _geometry(reader.schema.metadata)
    found: list[Feature] = []
    for batch in reader:
        columns = {name: batch[name].to_pylist() for name in batch.schema.names}
        shapes = shapely.from_wkb(columns.pop(column))
        for number, made in enumerate(shapes):
            own = {name: _plain(values[number]) for name, values in columns.items()}
            found.append(feature(in_degrees(made, crs), own))
        if len(found) > MOST_ROWS:
            raise _wrong(f"has more than {MOST_ROWS} rows", "split it")
    return found


def _geometry(metadata: Mapping[bytes, bytes]) -> tuple[str, str]:
    """The column of geometries, and their reference system."""
    if b"geo" not in metadata:
        raise _wrong("is no GeoParquet: it does not say which column holds geometries", "write it with geo metadata")
    said = json.loads(metadata[b"geo"])
    name = str(said["primary_column"])
    column = said["columns"][name]
    if column["encoding"] != "WKB":
        raise _wrong(f"holds geometries as {column['encoding']!r:.40}", "write them as WKB")
    return name, _crs(column["crs"]) if "crs" in column else DEGREES


def _crs(said: Any) -> str:
    """A reference system by its EPSG code: only such are used, as other descriptions can name files."""
    try:
        crs = CRS.from_json_dict(said)
    except (CRSError, TypeError, AttributeError):
        raise _wrong("says no reference system that is known here", "write it in EPSG:4326") from None
    if crs.to_authority() == ("OGC", "CRS84"):
        return DEGREES
    return epsg(crs.to_wkt())


def _plain(value: Any) -> Any:
    """A value of a column as JSON has it; None for what it has not."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return value if isinstance(value, str | int | None) else None


def write(path: Path, features: Sequence[Feature]) -> None:
    """Features as a file: a column for each property, geometries in degrees."""
    shapes = [shape(one["geometry"]) if one["geometry"] is not None else None for one in features]
    names = dict.fromkeys(name for one in features for name in one["properties"])
    columns = {_free(name): _column([one["properties"].get(name) for one in features]) for name in names}
    columns[GEOMETRY] = arrow.Array(list(shapely.to_wkb(shapes)), type=arrow.DataType.binary())
    known = [one for one in shapes if one is not None]
    about = {
        "encoding": "WKB",
        "geometry_types": sorted({one.geom_type for one in known}),
        "bbox": [float(v) for v in shapely.total_bounds(known)],
    }
    said = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: about}}
    table = arrow.Table.from_pydict(dict(columns))
    arrow_io.write_parquet(table, path, compression="zstd(3)", key_value_metadata={"geo": json.dumps(said)})


def _free(name: str) -> str:
    return f"{name}_" if name == GEOMETRY else str(name)


def _column(values: Sequence[Any]) -> arrow.Array:
    """Values of one type: whole numbers, numbers, truths, else text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return arrow.Array(list(values), type=arrow.DataType.bool())
    if kinds == {int} and all(value is None or abs(value) < 2**63 for value in values):
        return arrow.Array(list(values), type=arrow.DataType.int64())
    if kinds and kinds <= {int, float}:
        return arrow.Array([None if v is None else float(v) for v in values], type=arrow.DataType.float64())
    texts = [v if isinstance(v, str | None) else json.dumps(v) for v in values]
    return arrow.Array(texts, type=arrow.DataType.string())


def _wrong(sentence: str, remedy: str) -> GraphError:
    return GraphError("FormatUnsuitable", sentence, remedy)
