"""Outlines of countries: our own, and an operator's file in each form, or a sentence where it is none."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import geopandas
import pytest
import shapely

from bdap_hub.errors import BadSettings
from bdap_hub.outlines import OWN, countries
from bdap_hub.processing.drawing import basemap
from tests.conftest import ROOT

WEST, EAST = shapely.box(0, 40, 10, 50), shapely.box(10, 40, 20, 50)


def written(folder: Path, form: str) -> Path:
    """Two countries that share a border, as a file."""
    frame = geopandas.GeoDataFrame({"NAME": ["Westland", "Eastland"]}, geometry=[WEST, EAST], crs="EPSG:4326")
    path = folder / f"countries.{form}"
    if form != "zip":
        frame.to_file(path)
        return path
    frame.to_file(folder / "countries.shp")
    with zipfile.ZipFile(path, "w") as archive:
        for part in folder.glob("countries.*"):
            if part.suffix in (".shp", ".shx", ".dbf", ".prj", ".cpg"):
                archive.write(part, part.name)
    return path


def test_our_own_have_names_and_areas() -> None:
    known = {one.name: one.shape for one in countries()}
    assert len(known) > 170
    assert known["Italy"].contains(shapely.Point(12.5, 42)) and not known["Italy"].contains(shapely.Point(2, 47))


@pytest.mark.parametrize("form", ["geojson", "gpkg", "zip"])
def test_an_operators_file(tmp_path: Path, form: str) -> None:
    found = countries(written(tmp_path, form))
    assert [one.name for one in found] == ["Westland", "Eastland"]
    assert [one.shape.area for one in found] == pytest.approx([100, 100])


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    metres = tmp_path / "metres.geojson"
    metres.write_text(json.dumps(_collection(shapely.box(0, 0, 500_000, 500_000))))
    points = tmp_path / "points.geojson"
    points.write_text(json.dumps(_collection(shapely.Point(1, 1))))
    (tmp_path / "junk.gpkg").write_bytes(b"junk")
    (tmp_path / "junk.json").write_text("{")
    for name, said in (
        ("metres.geojson", "not in degrees"),
        ("points.geojson", "has no polygons"),
        ("junk.gpkg", "cannot be read"),
        ("junk.json", "cannot be read"),
        ("missing.zip", "cannot be read"),
        ("missing.geojson", "cannot be read"),
    ):
        with pytest.raises(BadSettings, match=f"processing.outlines.*{name} .*{said}"):
            countries(tmp_path / name)


def test_coasts_and_borders_are_told_apart(tmp_path: Path) -> None:
    known = basemap.world(written(tmp_path, "geojson"))
    shared = {line.wkt for line, border in zip(known.lines, known.border, strict=True) if border}
    assert len(shared) == 2  # the border, once from each side
    x = basemap._projected(shapely.get_coordinates(shapely.Point(10, 45)))[0][0]
    assert all(shapely.from_wkt(each).bounds[::2] == pytest.approx((x, x)) for each in shared)
    assert known.far == basemap.FAR_FINE and basemap.world().far == basemap.FAR


def test_the_librarys_outlines_are_the_same() -> None:
    data = ROOT / "extensions/bdap/src/bdap"
    assert (data / "inter/countries.geojson").read_bytes() == OWN.read_bytes()
    rings = json.loads((data / "data/land.json").read_text())
    polygons = [part for one in countries() for part in one.shape.geoms]
    assert len(rings) > 280 and shapely.total_bounds(polygons) == pytest.approx(
        [min(min(r[0::2]) for r in rings), min(min(r[1::2]) for r in rings),
         max(max(r[0::2]) for r in rings), max(max(r[1::2]) for r in rings)]
    )  # fmt: skip


def _collection(shape: object) -> dict[str, object]:
    geometry = shapely.geometry.mapping(shape)
    return {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": geometry}]}
