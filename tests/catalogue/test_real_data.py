"""Real imagery through the documented command's function: Sentinel-2, Landsat 5, Sentinel-1, WorldCover, a series."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.warp

from bdap_hub.catalogue.disk import read_json
from bdap_hub.catalogue.ingest import ingest
from bdap_hub.catalogue.store import open_catalogue
from bdap_hub.settings import Settings

S2 = "s2-l2a-33T-cog"


@pytest.fixture
def real(settings: Settings, real_data: Path) -> Settings:
    """Settings whose store is the folder of real imagery."""
    store = settings.store.model_copy(update={"data_root": real_data})
    return settings.model_copy(update={"store": store})


def items_of(settings: Settings, collection: str) -> list[dict[str, Any]]:
    return sorted(open_catalogue(settings).items.every(collection), key=lambda item: str(item["id"]))


def test_sentinel_2(real: Settings, real_data: Path) -> None:
    report = ingest(real, real_data / S2, "sentinel-2-l2a", "Sentinel-2 L2A", "public")
    assert (report.added, report.errors) == (10, [])
    items = items_of(real, "sentinel-2-l2a")
    days = {item["properties"]["datetime"][:10] for item in items}
    assert days == {f"2023-08-{day}" for day in (10, 13, 15, 18, 20)}
    for item in items:
        original = read_json(next(real_data.rglob(f"{item['id']}.json")))
        assert item["properties"]["eo:cloud_cover"] == original["properties"]["eo:cloud_cover"]
        assert item["properties"]["datetime"][:19] == original["properties"]["datetime"][:19]
        assert sorted(item["assets"]) == ["B02", "B03", "B04", "B08", "CLDPRB", "SCL"]
        assert item["assets"]["B08"]["eo:bands"] == [{"name": "B08", "common_name": "nir"}]
        for asset in item["assets"].values():
            with rasterio.open(real.store.path_of(asset["href"])) as file:
                assert asset["proj:shape"] == [file.height, file.width]
                assert asset["proj:transform"] == list(file.transform)[:6]
                assert item["properties"]["proj:epsg"] == file.crs.to_epsg() == 32633
        red = item["assets"]["B04"]["raster:bands"][0]
        assert (red["scale"], red["offset"], red["nodata"]) == (0.0001, 0, 0)


def test_landsat_5(real: Settings, real_data: Path) -> None:
    report = ingest(real, real_data / "landsat5-ga-nbar", "landsat-5", "Landsat 5", "public", scale=0.0001)
    assert (report.added, report.errors) == (2, [])
    scene = next(item for item in items_of(real, "landsat-5") if "NBAR" in item["id"])
    assert scene["properties"]["datetime"] == "1992-03-23T00:00:00Z"
    assert sorted(scene["assets"]) == ["B10", "B20", "B30", "B40", "B50", "B70"]
    assert scene["assets"]["B10"]["raster:bands"][0]["nodata"] == -999
    assert "common_name" not in scene["assets"]["B10"]["eo:bands"][0]  # not Sentinel-2's B10


def test_sentinel_1(real: Settings, real_data: Path) -> None:
    report = ingest(real, real_data / "s1-grd-sigma0", "sentinel-1", "Sentinel-1", "public")
    assert (report.added, report.errors) == (1, [])
    scene = items_of(real, "sentinel-1")[0]
    assert scene["properties"]["datetime"] == "2015-03-09T17:30:17Z"
    assert scene["assets"]["VV"]["raster:bands"][0]["data_type"] == "float32"


# Folder, how many items, and what the operator has to say where no name and no header tells a date.
ALL = [
    ("worldcover-n00e006", 2, {}), ("s2-openeo-dolomites", 1, {"datetime": "2022-06-12"}),
    ("s2-slovenia-timeseries", 5, {"datetime": "2017-12-31"}), (S2, 10, {}), ("landsat5-ga-nbar", 2, {}),
    ("s1-grd-sigma0", 1, {}),
]  # fmt: skip


@pytest.mark.parametrize(("folder", "count", "options"), ALL)
def test_all_of_it_is_taken_in_and_described_as_rasterio_reads_it(
    real: Settings, real_data: Path, folder: str, count: int, options: dict[str, Any]
) -> None:
    report = ingest(real, real_data / folder, "all", "All", "public", **options)
    assert (report.added, report.errors) == (count, [])
    for item in items_of(real, "all"):
        for asset in item["assets"].values():
            path = real.store.path_of(asset["href"])
            with rasterio.open(path) as file:
                assert asset["proj:shape"] == [file.height, file.width]
                assert asset["proj:transform"] == list(file.transform)[:6]
                told = [(b["data_type"], b["scale"], b["offset"]) for b in asset["raster:bands"]]
                applied = item["properties"].get("earthsearch:boa_offset_applied") is not None
                assert applied or told == list(zip(file.dtypes, file.scales, file.offsets, strict=True))
                gaps = np.array([band.get("nodata") for band in asset["raster:bands"]], float)
                assert applied or np.array_equal(gaps, np.array(file.nodatavals, float), equal_nan=True)
                bounds = rasterio.warp.transform_bounds(file.crs, "EPSG:4326", *file.bounds)
            assert item["bbox"] == pytest.approx(bounds, abs=0.5)
            assert asset["file:size"] == path.stat().st_size


def test_a_yearly_map_and_a_series_are_of_a_period(real: Settings, real_data: Path) -> None:
    ingest(real, real_data / "worldcover-n00e006", "cover", "WorldCover", "public")
    ends = [item["properties"]["end_datetime"] for item in items_of(real, "cover")]
    assert ends == ["2020-12-31T23:59:59Z", "2021-12-31T23:59:59Z"]
    ingest(real, real_data / "s2-slovenia-timeseries", "series", "Series", "public")
    series = next(item for item in items_of(real, "series") if "NDVI" in str(item["assets"]))
    assert series["properties"]["start_datetime"].startswith("2015-07-11")
    assert series["properties"]["end_datetime"].startswith("2017-12-22")


def test_all_extensions_validate(real: Settings, real_data: Path, tmp_path: Path) -> None:
    """Against the extensions' schemas too, served from the folder of schemas instead of the network."""
    schemas, shim = real_data / "stac-schemas", real_data.parent / "tools"
    if not (schemas.is_dir() and (shim / "sitecustomize.py").is_file()):
        pytest.skip("the extensions' schemas are not at hand; the core schemas are tested in test_ingest.py")
    for folder, name in ((S2, "s2"), ("landsat5-ga-nbar", "l5"), ("s1-grd-sigma0", "s1")):
        ingest(real, real_data / folder, name, name, "public")
    script = tmp_path / "validate.py"
    script.write_text(
        "import json, sys, pystac\n"
        "for path in sys.argv[1:]:\n"
        "    data = json.load(open(path))\n"
        "    checked = pystac.validation.validate_dict(data)\n"
        "    print(json.dumps(checked))\n"
    )
    documents = [item for name in ("s2", "l5", "s1") for item in items_of(real, name)]
    documents += [found.stac for found in open_catalogue(real).collections().values()]
    assert len(documents) == 16
    paths = [tmp_path / f"{number}.json" for number in range(16)]
    for path, document in zip(paths, documents, strict=True):
        path.write_text(json.dumps(document))
    environment = {"PYTHONPATH": str(shim), "STAC_SCHEMA_DIR": str(schemas), "PATH": "/usr/bin:/bin"}
    result = subprocess.run(
        [sys.executable, str(script), *map(str, paths)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr[-3000:]
    checked = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(any("/projection/" in uri for uri in uris) for uris in checked)
