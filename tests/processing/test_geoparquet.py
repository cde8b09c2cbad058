"""GeoParquet: what is written is what GeoJSON would hold; what others write is read, and nothing odd."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import arro3.core as arrow
import arro3.io as arrow_io
import pytest
import shapely
from pyproj import CRS, Transformer

from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.results.export import export
from bdap_hub.processing.vectorfiles import apart, parquet
from bdap_hub.processing.vectorfiles.reading import geometries

from .test_exports import evaluator, zonal

TRIANGLE = shapely.Polygon([(10, 50), (11, 50), (11, 51)])


def parquet_of(shapes: Any, column: Any, **properties: Any) -> bytes:
    """A file as other programs write it; `column`: the metadata of its geometries, None for none at all."""
    columns: dict[str, Any] = {"geom": arrow.Array(list(shapely.to_wkb(shapes)), type=arrow.DataType.binary())}
    columns |= {name: arrow.Array(*given) for name, given in properties.items()}
    geo = {"version": "1.1.0", "primary_column": "geom", "columns": {"geom": column}}
    target = io.BytesIO()
    metadata = {} if column is None else {"geo": json.dumps(geo)}
    arrow_io.write_parquet(arrow.Table.from_pydict(columns), target, key_value_metadata=metadata)
    return target.getvalue()


def test_a_result_holds_what_geojson_holds(fields: Any, tmp_path: Path) -> None:
    folders = [tmp_path / form for form in ("GeoJSON", "Parquet")]
    for folder in folders:
        folder.mkdir()
        export(evaluator(fields, zonal(fields, folder.name)), folder)
    features = json.loads((folders[0] / "result.geojson").read_text())["features"]
    reader = arrow_io.read_parquet(folders[1] / "result.parquet")
    geo = json.loads(reader.schema.metadata[b"geo"])
    table = reader.read_all()
    assert geo["columns"]["geometry"]["encoding"] == "WKB" and geo["primary_column"] == "geometry"
    assert "crs" not in geo["columns"]["geometry"]  # which means degrees, longitude first
    assert table.num_rows == len(features) > 1
    for name in features[0]["properties"]:
        assert table[name].to_pylist() == [one["properties"][name] for one in features]
    shapes = shapely.from_wkb(table["geometry"].to_pylist())
    assert list(shapes) == [shapely.geometry.shape(one["geometry"]) for one in features]
    assert geo["columns"]["geometry"]["bbox"] == pytest.approx(list(shapely.total_bounds(shapes)))


def test_what_was_written_is_read_again() -> None:
    given = [
        {"type": "Feature", "geometry": shapely.geometry.mapping(TRIANGLE), "properties": {"a": 1, "b": "x", "c": 1.5}},
        {"type": "Feature", "geometry": None, "properties": {"a": 2, "d": True}},
    ]
    target = io.BytesIO()
    parquet.write(target, given)  # type: ignore[arg-type]
    found = apart.features_in(target.getvalue())
    assert [one["properties"] for one in found] == [
        {"a": 1, "b": "x", "c": 1.5, "d": None},
        {"a": 2, "b": None, "c": None, "d": True},
    ]
    assert shapely.geometry.shape(found[0]["geometry"]) == TRIANGLE and found[1]["geometry"] is None


@pytest.mark.parametrize("crs", ["EPSG:3035", "EPSG:4326", "OGC:CRS84", ""])
def test_other_reference_systems_become_degrees(crs: str) -> None:
    change = Transformer.from_crs("OGC:CRS84", crs or "OGC:CRS84", always_xy=True)
    moved = shapely.transform(TRIANGLE, change.transform, interleaved=False)
    said = {"crs": CRS(crs).to_json_dict()} if crs else {}
    content = parquet_of([moved], {"encoding": "WKB", **said}, n=([7], arrow.DataType.int64()))
    (found,) = apart.features_in(content)
    assert shapely.geometry.shape(found["geometry"]).equals_exact(TRIANGLE, 1e-8) and found["properties"] == {"n": 7}


WRONG = {
    "no metadata": (parquet_of([TRIANGLE], None), "is no GeoParquet"),
    "points as structs": (parquet_of([TRIANGLE], {"encoding": "point"}), "holds geometries as 'point'"),
    "nowhere": (parquet_of([TRIANGLE], {"encoding": "WKB", "crs": None}), "says no reference system"),
    "a file": (
        parquet_of([TRIANGLE], {"encoding": "WKB", "crs": "+init=/etc/passwd:1"}),
        "says no reference",
    ),
    "no bytes": (b"", "cannot be read with"),
    "cut off": (parquet_of([TRIANGLE], {"encoding": "WKB"})[:-30], "cannot be read with"),
    "mixed": (
        parquet_of([shapely.GeometryCollection([TRIANGLE, shapely.Point(1, 1)])], {"encoding": "WKB"}),
        "is not a GeoJSON geometry",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_geoparquet_is_refused(name: str) -> None:
    content, said = WRONG[name]
    with pytest.raises(GraphError) as refused:
        geometries(content, "Parquet", {}, "a.parquet")
    assert refused.value.code == "FormatUnsuitable" and said in refused.value.message


def test_a_file_that_claims_much_ends_in_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    many = parquet_of([shapely.Point(1, 1)] * 300_000, {"encoding": "WKB"})
    with pytest.raises(GraphError, match="has more than 200000 rows"):
        apart.features_in(many)
    wide = ["\u00e9" * (12 << 20)]  # six characters of JSON for one
    for text, refused in ((["\u00e9"], ""), (wide, "holds more than 64 MB")):
        named = parquet_of([TRIANGLE], {"encoding": "WKB"}, name=(text, arrow.DataType.string()))
        if not refused:
            assert apart.features_in(named)[0]["properties"] == {"name": text[0]}
            continue
        with pytest.raises(GraphError, match=refused):
            apart.features_in(named)
    monkeypatch.setattr("bdap_hub.processing.apart.SECONDS", 0.01)
    with pytest.raises(GraphError, match="takes longer than"):
        apart.features_in(many)
