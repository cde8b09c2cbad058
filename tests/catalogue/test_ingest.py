"""Ingest: what it finds, how it dates and names it, what it refuses, and that running it twice changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from bdap_hub.catalogue.disk import read_json
from bdap_hub.catalogue.ingest import ingest
from bdap_hub.catalogue.scan import find, read_date
from bdap_hub.catalogue.search import from_body
from bdap_hub.catalogue.store import open_catalogue
from bdap_hub.catalogue.thumbnail import draw
from bdap_hub.catalogue.work import Report
from bdap_hub.errors import BadRequest
from bdap_hub.settings import Settings
from tests.latin import with_latin_name

DEMO = "sentinel-2-demo"


def run(settings: Settings, folder: str = DEMO, collection: str = DEMO, **options: Any) -> Report:
    options = {"title": "Demo", "visibility": "public"} | options
    return ingest(settings, settings.store.data / folder, collection, **options)


def items_of(settings: Settings, collection: str = DEMO) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in open_catalogue(settings).items.every(collection)}


def collection_of(settings: Settings, collection: str = DEMO) -> dict[str, Any]:
    return read_json(settings.var / "catalogue" / collection / "collection.json")


def write_tif(path: Path, dtype: str = "uint16", tags: dict[str, str] | None = None, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"crs": "EPSG:32632", "transform": from_origin(470_000, 5_070_000, 10, 10), "nodata": 0} | more
    with rasterio.open(path, "w", driver="GTiff", width=16, height=16, count=1, dtype=dtype, **options) as file:
        file.write(np.arange(1, 257, dtype=dtype).reshape(16, 16), 1)
        file.update_tags(**(tags or {}))
    return path


def test_a_file_with_a_colour_for_each_value_holds_classes(settings: Settings) -> None:
    for name, colours in (("cover", {40: (240, 150, 255)}), ("height", {})):
        path = write_tif(settings.store.data / "maps" / f"2025-01-01_{name}.tif", "uint8")
        if colours:
            with rasterio.open(path, "r+") as file:
                file.write_colormap(1, colours)
    run(settings, "maps", "maps", pattern="(?P<date>[0-9-]+)_(?P<band>cover|height)")
    (item,) = items_of(settings, "maps").values()
    roles = {name: asset["roles"] for name, asset in item["assets"].items()}
    assert roles == {"cover": ["data", "classification"], "height": ["data"]}


def test_a_folder_of_dates_becomes_items_with_bands(stocked: Settings) -> None:
    report = run(stocked)
    assert (report.added, report.updated, report.skipped, report.errors) == (3, 0, 0, [])
    items = items_of(stocked)
    assert sorted(items) == [f"{DEMO}_{day}" for day in ("2025-03-14", "2025-04-18", "2025-05-16")]
    item = items[f"{DEMO}_2025-04-18"]
    assert item["properties"]["datetime"] == "2025-04-18T10:20:31Z"
    assert sorted(item["assets"]) == ["B02", "B03", "B04", "B08", "SCL"]
    red = item["assets"]["B04"]
    assert red["href"] == f"/eos/data/{DEMO}/2025-04-18/B04.tif"
    known = {"data_type": "uint16", "scale": 0.0001, "offset": 0.0, "nodata": 0}
    assert red["raster:bands"] == [known | {"spatial_resolution": 10, "sampling": "area"}]
    assert red["file:size"] == stocked.store.path_of(red["href"]).stat().st_size and "file:checksum" not in red
    assert red["eo:bands"] == [{"name": "B04", "common_name": "red"}]
    assert item["assets"]["SCL"]["roles"] == ["data", "classification"]
    assert item["assets"]["SCL"]["raster:bands"][0]["scale"] == 1.0
    assert 15 < item["properties"]["eo:cloud_cover"] < 40


def test_projection_fields_are_rasterios(stocked: Settings) -> None:
    run(stocked)
    for item in items_of(stocked).values():
        assert item["properties"]["proj:code"] == "EPSG:32632"
        for asset in item["assets"].values():
            with rasterio.open(stocked.store.path_of(asset["href"])) as file:
                assert asset["proj:shape"] == [file.height, file.width]
                assert asset["proj:transform"] == list(file.transform)[:6]
                assert item["properties"]["proj:bbox"] == list(file.bounds)
        west, south, east, north = item["bbox"]
        assert 8.5 < west < east < 8.6 and 45.8 < south < north < 45.9


def test_checksums_are_those_of_the_files_and_made_if_asked(stocked: Settings) -> None:
    run(stocked)
    assert str(run(stocked, checksum=True)).startswith("0 added, 3 updated")
    for item in items_of(stocked).values():
        for asset in item["assets"].values():
            digest = hashlib.sha256(stocked.store.path_of(asset["href"]).read_bytes()).hexdigest()
            assert asset["file:checksum"] == f"1220{digest}"
    assert run(stocked, checksum=True).skipped == 3


def test_the_collection_sums_up_its_items(stocked: Settings) -> None:
    run(stocked)
    stac = collection_of(stocked)
    assert stac["extent"]["temporal"]["interval"] == [["2025-03-14T10:20:31Z", "2025-05-16T10:20:31Z"]]
    assert (stac["bdap:visibility"], stac["bdap:project"], stac["bdap:items"]) == ("public", "", 3)
    assert sorted(stac["item_assets"]) == ["B02", "B03", "B04", "B08", "SCL"]
    assert (stocked.var / "catalogue" / DEMO / "thumbnail.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_of_a_file_that_is_narrow_and_very_high_is_small(stocked: Settings) -> None:
    """Such a file may take a few hundred bytes, as what is not written takes none."""
    path = stocked.store.path_of(f"{stocked.store.mount}/data/high.tif")
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": 10, "height": 100_000, "sparse_ok": True}
    with rasterio.open(path, "w", **profile, crs="EPSG:32632", transform=from_origin(5e5, 5e6, 10, 10)) as file:
        file.write(np.full((10, 10), 7, np.uint8), 1, window=((0, 10), (0, 10)))
    band = {"scale": 1, "offset": 0}
    drawn = draw(
        stocked.store, {"assets": {"a": {"href": stocked.store.href_of(path), "roles": [], "raster:bands": [band]}}}
    )
    assert drawn is not None
    with MemoryFile(drawn) as memory, memory.open() as picture:
        assert picture.height <= 1920


def test_items_and_collection_are_valid_stac(stocked: Settings) -> None:
    """Core schemas come with pystac; extensions' schemas are not fetched."""
    run(stocked)
    validator = JsonSchemaSTACValidator()
    for item in items_of(stocked).values():
        validator.validate_core(item, pystac.STACObjectType.ITEM, item["stac_version"])
    collection = collection_of(stocked)
    validator.validate_core(collection, pystac.STACObjectType.COLLECTION, collection["stac_version"])
    broken = {k: v for k, v in item.items() if k != "geometry"}
    with pytest.raises(pystac.errors.STACValidationError):
        validator.validate_core(broken, pystac.STACObjectType.ITEM, "1.1.0")


def test_running_it_twice_changes_nothing(stocked: Settings) -> None:
    run(stocked)
    before = items_of(stocked), collection_of(stocked)
    assert str(run(stocked)) == "0 added, 0 updated, 3 unchanged, 0 with errors"
    assert before == (items_of(stocked), collection_of(stocked))


def test_what_changed_is_updated(stocked: Settings) -> None:
    run(stocked)
    os.utime(stocked.store.data / DEMO / "2025-04-18" / "B04.tif", (1, 1))
    shutil.copytree(stocked.store.data / DEMO / "2025-04-18", stocked.store.data / DEMO / "2025-06-20")
    report = run(stocked)
    assert (report.added, report.updated, report.skipped) == (1, 1, 2)


def test_an_interrupted_ingest_goes_on(stocked: Settings) -> None:
    run(stocked)
    open_catalogue(stocked).items.drop(DEMO, [f"{DEMO}_2025-04-18"])
    report = run(stocked)
    assert (report.added, report.skipped) == (1, 2)


@pytest.mark.parametrize("damage", ["truncated", "not a tif", "empty"])
def test_a_damaged_file_is_named_and_its_date_left_out(stocked: Settings, damage: str) -> None:
    path = stocked.store.data / DEMO / "2025-04-18" / "B04.tif"
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) * 3 // 4], "not a tif": b"hello", "empty": b""}[damage])
    report = run(stocked)
    assert report.added == 2
    assert len(report.errors) == 1 and "B04.tif cannot be read" in report.errors[0]
    assert f"{DEMO}_2025-04-18" not in items_of(stocked)
    path.write_bytes(whole)
    assert run(stocked).added == 1


def test_a_bands_name_in_another_encoding_is_named_with_the_remedy(stocked: Settings) -> None:
    path = stocked.store.data / DEMO / "2025-04-18" / "B04.tif"
    whole = with_latin_name(path)
    report = run(stocked)
    assert report.added == 2 and len(report.errors) == 1
    assert "B04.tif has a band's description" in report.errors[0] and "UTF-8" in report.errors[0]
    path.write_bytes(whole)
    assert run(stocked).added == 1


def test_a_file_without_a_date_is_named_with_the_remedy(stocked: Settings) -> None:
    write_tif(stocked.store.data / "loose" / "elevation.tif")
    report = run(stocked, "loose", "loose")
    assert len(report.errors) == 1
    assert "elevation.tif" in report.errors[0] and "--datetime" in report.errors[0]
    assert run(stocked, "loose", "loose", datetime="2025-06-01").added == 1
    assert items_of(stocked, "loose")["elevation"]["properties"]["datetime"] == "2025-06-01T00:00:00Z"


def test_files_without_a_date_are_one_sentence_a_folder(stocked: Settings) -> None:
    loose = stocked.store.data / "loose"
    for name in ("b.tif", "a.tif", "deep/c.tif", "2025-01-01_d.tif"):
        write_tif(loose / name)
    (loose / "broken_2025-01-02.tif").write_bytes(b"hello")
    report = run(stocked, "loose", "loose")
    assert str(report).startswith("1 added, 0 updated, 0 unchanged, 4 with errors\n")
    broken, first, second = report.errors
    assert "broken_2025-01-02.tif cannot be read" in broken
    assert first.startswith(f"no date is found for 2 files in {loose}, such as a.tif: ")
    assert second.startswith(f"no date is found for c.tif in {loose / 'deep'}: ")
    assert all(each.count("--datetime 2025-06-01") == 1 for each in (first, second))
    again = run(stocked, "loose", "loose", datetime="2025-06-01")
    assert (again.added, again.left_out, len(again.errors)) == (3, 1, 1)


def test_a_year_alone_is_a_period(stocked: Settings) -> None:
    write_tif(
        stocked.store.data / "cover" / "Cover_10m_2021_v200_N00E006_Map.tif", tags={"TIFFTAG_DATETIME": "2022:10:01"}
    )
    assert run(stocked, "cover", "cover").added == 1
    properties = items_of(stocked, "cover")["Cover_10m_2021_v200_N00E006_Map"]["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] == "2021-01-01T00:00:00Z"
    assert properties["end_datetime"] == "2021-12-31T23:59:59Z"
    found = open_catalogue(stocked).items.search(["cover"], from_body({"datetime": "2021-06-01T00:00:00Z"}))
    assert found.matched == 1


def test_bands_that_are_dates_make_a_period(stocked: Settings) -> None:
    path = stocked.store.data / "series" / "ndvi.tif"
    path.parent.mkdir()
    options: dict[str, Any] = {"width": 8, "height": 8, "count": 2, "dtype": "float32", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", driver="GTiff", transform=from_origin(500_000, 5_000_000, 10, 10), **options) as file:
        file.write(np.ones((2, 8, 8), "float32"))
        file.descriptions = ("2015-07-11T10:00:08", "2015-07-31T10:00:09")
    assert run(stocked, "series", "series").added == 1
    [item] = items_of(stocked, "series").values()
    ends = [item["properties"][f"{end}_datetime"] for end in ("start", "end")]
    assert ends == ["2015-07-11T10:00:08Z", "2015-07-31T10:00:09Z"]


def test_the_headers_date_is_used_when_no_name_tells(stocked: Settings) -> None:
    write_tif(stocked.store.data / "loose" / "scene.tif", tags={"TIFFTAG_DATETIME": "2024:02:03 04:05:06"})
    assert run(stocked, "loose", "loose").added == 1
    assert items_of(stocked, "loose")["scene"]["properties"]["datetime"] == "2024-02-03T04:05:06Z"


def test_a_file_without_a_reference_system_is_refused(stocked: Settings) -> None:
    write_tif(stocked.store.data / "loose" / "2024-01-01.tif", crs=None)
    assert "no coordinate reference system" in run(stocked, "loose", "loose").errors[0]


def test_scale_and_offset_can_be_given(stocked: Settings) -> None:
    write_tif(stocked.store.data / "raw" / "20240101_B04.tif")
    write_tif(stocked.store.data / "raw" / "20240101_SCL.tif", "uint8")
    run(stocked, "raw", "raw")
    assert items_of(stocked, "raw")["20240101"]["assets"]["B04"]["raster:bands"][0]["scale"] == 1.0
    assert run(stocked, "raw", "raw", scale=0.0001, offset=-0.1).updated == 1
    assets = items_of(stocked, "raw")["20240101"]["assets"]
    assert assets["B04"]["raster:bands"][0] | {"scale": 0.0001, "offset": -0.1} == assets["B04"]["raster:bands"][0]
    assert assets["SCL"]["raster:bands"][0]["scale"] == 1.0


def test_nodata_is_given_to_bands_that_declare_none(stocked: Settings) -> None:
    write_tif(stocked.store.data / "bare" / "20240101_B04.tif", nodata=None)
    write_tif(stocked.store.data / "bare" / "20240101_B08.tif")
    run(stocked, "bare", "bare", nodata=65535.0)
    assets = items_of(stocked, "bare")["20240101"]["assets"]
    assert [assets[band]["raster:bands"][0]["nodata"] for band in ("B04", "B08")] == [65535, 0]


def stac_item(offset: float, applied: bool | None) -> dict[str, Any]:
    properties: dict[str, Any] = {"datetime": "2023-08-15T09:57:57Z", "eo:cloud_cover": 12.5}
    if applied is not None:
        properties["earthsearch:boa_offset_applied"] = applied
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "S2A_X",
        "properties": properties,
        "geometry": {"type": "Polygon", "coordinates": [[[8, 45], [9, 45], [9, 46], [8, 45]]]},
        "bbox": [8, 45, 9, 46],
        "links": [{"rel": "self", "href": "https://example.org/x.json"}],
        "assets": {
            "red": {"href": "B04.tif", "title": "Red", "raster:bands": [{"scale": 0.0001, "offset": offset}]},
            "far": {"href": "https://example.org/B02.tif"},
        },
    }


@pytest.mark.parametrize(("applied", "expected"), [(True, 0), (False, -0.1), (None, -0.1)])
def test_an_offset_that_the_pixels_have_already_is_not_taken_off_again(
    stocked: Settings, applied: bool | None, expected: float
) -> None:
    folder = stocked.store.data / "given"
    write_tif(folder / "B04.tif")
    (folder / "item.json").write_text(json.dumps(stac_item(-0.1, applied)))
    assert run(stocked, "given", "given").added == 1
    item = items_of(stocked, "given")["S2A_X"]
    assert item["assets"]["B04"]["raster:bands"][0]["offset"] == expected
    assert item["assets"]["B04"]["bands"][0]["raster:offset"] == expected


def test_an_item_beside_the_rasters_is_used(stocked: Settings) -> None:
    folder = stocked.store.data / "given"
    write_tif(folder / "B04.tif")
    (folder / "item.json").write_text(json.dumps(stac_item(0, None)))
    run(stocked, "given", "given")
    item = items_of(stocked, "given")["S2A_X"]
    assert item["properties"]["eo:cloud_cover"] == 12.5
    assert list(item["assets"]) == ["B04"]
    assert item["geometry"]["coordinates"][0][0] == [8, 45]
    assert {link["href"] for link in item["links"]} == {"../collection.json"}


def test_nothing_outside_of_the_folder_gets_in(stocked: Settings) -> None:
    """Neither by a path in an item nor by a link: a public collection must not show a project's files."""
    secret = write_tif(stocked.store.projects / "forest" / "20250101_B04.tif")
    folder = stocked.store.data / "open"
    folder.mkdir()
    item = stac_item(0, None)
    item["assets"]["red"]["href"] = os.path.relpath(secret, folder)
    (folder / "item.json").write_text(json.dumps(item))
    (folder / "20250102_B04.tif").symlink_to(secret)
    report = run(stocked, "open", "open")
    assert report.added == 0 and len(report.errors) == 2
    assert all("leads out of the folder" in error for error in report.errors)
    assert items_of(stocked, "open") == {}


def test_a_project_can_ingest_its_own_folder(stocked: Settings) -> None:
    write_tif(stocked.store.projects / "forest" / "plots" / "20250101_B04.tif")
    folder = stocked.store.projects / "forest" / "plots"
    assert ingest(stocked, folder, "plots", "Plots", "project", "forest").added == 1
    href = items_of(stocked, "plots")["20250101"]["assets"]["B04"]["href"]
    assert href == "/eos/projects/forest/plots/20250101_B04.tif"
    assert collection_of(stocked, "plots")["bdap:folder"] == "/eos/projects/forest/plots"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"collection": "../up"}, "cannot be a collection's id"),
    ({"collection": "Big Letters"}, "cannot be a collection's id"),
    ({"visibility": "everyone"}, "unknown visibility"),
    ({"visibility": "project"}, "needs a project"),
    ({"visibility": "project", "project": "nowhere"}, "no project 'nowhere'"),
    ({"visibility": "project", "project": "forest", "collection": "other"}, "seen from servers of other projects"),
    ({"folder": "missing"}, "there is no folder"),
    ({"folder": ".."}, "not in the store"),
    ({"datetime": "yesterday"}, "is no date"),
    ({"pattern": "("}, "no regular expression"),
    ({"pattern": "x"}, "no group 'band'"),
]


@pytest.mark.parametrize(("change", "sentence"), REFUSED)
def test_a_wrong_request_is_refused_whole(stocked: Settings, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence) as refused:
        run(stocked, **change)
    assert refused.value.remedy
    assert open_catalogue(stocked).collections() == {}
    assert open_catalogue(stocked).items.counts() == {}


def test_an_empty_folder_is_refused(stocked: Settings) -> None:
    (stocked.store.data / "nothing").mkdir()
    with pytest.raises(BadRequest, match="no GeoTIFF, JPEG 2000, NetCDF or Zarr below"):
        run(stocked, "nothing", "nothing")


def test_files_that_are_gone_are_reported_and_pruned_if_asked(stocked: Settings) -> None:
    run(stocked)
    shutil.rmtree(stocked.store.data / DEMO / "2025-03-14")
    assert run(stocked).gone == [f"{DEMO}_2025-03-14"]
    assert len(items_of(stocked)) == 3
    run(stocked, prune=True)
    assert len(items_of(stocked)) == 2


def test_visibility_changes_before_items_do(stocked: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    run(stocked)
    monkeypatch.setattr("bdap_hub.catalogue.ingest.carry_out", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run(stocked, visibility="project", project="forest")
    assert collection_of(stocked)["bdap:visibility"] == "project"


NAMES: list[tuple[list[str], dict[str, list[str]]]] = [
    (["2025-01-02/B02.tif", "2025-01-02/B03.tif"], {"c_2025-01-02": ["B02", "B03"]}),
    (["T32TLR_20250102T101031_B02_10m.tif", "T32TLR_20250102T101031_SCL_20m.tif"],
     {"T32TLR_20250102T101031": ["B02", "SCL"]}),
    (["R10m/T32TLR_20250102T101031_B02_10m.tif", "R20m/T32TLR_20250102T101031_B02_20m.tif"],
     {"T32TLR_20250102T101031": ["B02"]}),
    (["LC08_192028_20250102_SR_B4.TIF", "LC08_192028_20250102_QA_PIXEL.TIF"],
     {"LC08_192028_20250102": ["QA_PIXEL", "SR_B4"]}),
    (["a/20250102.tif", "b/20250103.tif"], {"20250102": ["data"], "20250103": ["data"]}),
    ([".hidden/20250102_B02.tif", ".20250102_B02.tif"], {}),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), NAMES)
def test_names_are_understood(tmp_path: Path, files: list[str], expected: dict[str, list[str]]) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert {a.id: sorted(a.files) for a in find(tmp_path, "c")} == expected


def test_the_finest_resolution_is_taken(tmp_path: Path) -> None:
    for name in ("x_20250102_B02_20m.tif", "x_20250102_B02_10m.tif"):
        (tmp_path / name).touch()
    assert find(tmp_path, "c")[0].files["B02"].name == "x_20250102_B02_10m.tif"


def test_a_pattern_names_band_and_date(tmp_path: Path) -> None:
    (tmp_path / "run7-red-2025.01.02.tif").touch()
    found = find(tmp_path, "c", r"(?P<band>[a-z]+)-(?P<date>[\d.]{10})$")
    assert [(list(a.files), str(a.when)) for a in found] == [(["red"], "2025-01-02 00:00:00+00:00")]


DATES = [
    ("S2A_20230815T095031", "2023-08-15 09:50:31+00:00"),
    ("2023-08-15", "2023-08-15 00:00:00+00:00"),
    ("LS5_TM_NBAR_P54_GANBAR01-002_090_084_19920323", "1992-03-23 00:00:00+00:00"),
    ("20230230", "None"),
    ("1120230815", "None"),
    ("tile_002_090", "None"),
]


@pytest.mark.parametrize(("text", "expected"), DATES)
def test_dates_are_read_from_names(text: str, expected: str) -> None:
    found = read_date(text)
    assert str(found[0] if found else None) == expected
