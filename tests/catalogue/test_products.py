"""Products as they are delivered: Sentinel-2 in its SAFE folder (JPEG 2000), Landsat Collection 2 with its MTL file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from bdap_hub.catalogue.products import describe
from bdap_hub.catalogue.scan import find
from bdap_hub.settings import Settings
from tests.catalogue.test_ingest import items_of, run, write_tif

NAME = "S2B_MSIL2A_20230815T095559_N0509_R122_T33TVN_20230815T132548"
S2 = """<?xml version="1.0"?><n1:Level-2A_User_Product>
 <PRODUCT_START_TIME>2023-08-15T09:55:59.024Z</PRODUCT_START_TIME><PROCESSING_BASELINE>05.09</PROCESSING_BASELINE>
 <Datatake datatakeIdentifier="x"><SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME></Datatake>
 <BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
 <BOA_ADD_OFFSET_VALUES_LIST>{offsets}</BOA_ADD_OFFSET_VALUES_LIST>
 <Cloud_Coverage_Assessment>12.345</Cloud_Coverage_Assessment></n1:Level-2A_User_Product>"""
MTL = """GROUP = LANDSAT_METADATA_FILE
    SPACECRAFT_ID = "LANDSAT_8"
    DATE_ACQUIRED = 2023-08-15
    SCENE_CENTER_TIME = "10:02:11.1234560Z"
    CLOUD_COVER = 7.50
  GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
    REFLECTANCE_MULT_BAND_4 = 2.75e-05
    REFLECTANCE_ADD_BAND_4 = -0.2
  END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
  GROUP = LEVEL1_RADIOMETRIC_RESCALING
    REFLECTANCE_MULT_BAND_4 = 2.0000E-05
    REFLECTANCE_ADD_BAND_4 = -0.100000
  END_GROUP = LEVEL1_RADIOMETRIC_RESCALING
END
"""


def write_jp2(path: Path, metres: int = 10, dtype: str = "uint16") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"crs": "EPSG:32633", "transform": from_origin(499_980, 5_100_000, metres, metres)}
    lossless = {"QUALITY": 100, "REVERSIBLE": "YES"}
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", width=64, height=64, count=1, dtype=dtype, **options, **lossless
    ) as file:
        file.write(np.arange(1, 4097).astype(dtype).reshape(1, 64, 64))


def write_safe(folder: Path, name: str = NAME, offsets: bool = True) -> Path:
    product = folder / f"{name}.SAFE"
    inside = product / "GRANULE" / "L2A_T33TVN_A033642_20230815T095559"
    for metres, band in ((10, "B04"), (20, "B04"), (20, "B8A"), (20, "SCL")):
        path = inside / "IMG_DATA" / f"R{metres}m" / f"T33TVN_20230815T095559_{band}_{metres}m.jp2"
        write_jp2(path, metres, "uint8" if band == "SCL" else "uint16")
    write_jp2(inside / "QI_DATA" / "MSK_CLDPRB_20m.jp2", 20, "uint8")
    rows = "".join(f'<BOA_ADD_OFFSET band_id="{i}">-1000</BOA_ADD_OFFSET>' for i in range(13)) if offsets else ""
    (product / "MTD_MSIL2A.xml").write_text(S2.format(offsets=rows))
    return product


@pytest.mark.parametrize(("offsets", "offset"), [(True, -0.1), (False, 0.0)])
def test_sentinel_2_as_it_is_delivered(stocked: Settings, offsets: bool, offset: float) -> None:
    write_safe(stocked.store.data / "safe", offsets=offsets)
    report = run(stocked, "safe", "safe")
    assert (report.added, report.errors) == (1, [])
    item = items_of(stocked, "safe")[NAME]
    properties = item["properties"]
    assert properties["datetime"] == "2023-08-15T09:55:59.024000Z" and properties["eo:cloud_cover"] == 12.345
    assert (properties["platform"], properties["constellation"]) == ("sentinel-2b", "sentinel-2")
    assert sorted(item["assets"]) == ["B04", "B8A", "SCL"]
    red, classes = item["assets"]["B04"], item["assets"]["SCL"]
    assert red["href"].endswith("IMG_DATA/R10m/T33TVN_20230815T095559_B04_10m.jp2") and red["type"] == "image/jp2"
    assert red["raster:bands"] == [{"data_type": "uint16", "scale": 0.0001, "offset": offset, "nodata": 0}]
    assert red["eo:bands"] == [{"name": "B04", "common_name": "red"}] and red["proj:shape"] == [64, 64]
    assert classes["raster:bands"][0]["scale"] == 1.0 and "nodata" not in classes["raster:bands"][0]
    assert run(stocked, "safe", "safe").skipped == 1


def test_two_baselines_of_a_scene_are_two_items(stocked: Settings) -> None:
    other = NAME.replace("N0509", "N0400")
    for name in (NAME, other):
        write_safe(stocked.store.data / "safe", name)
    assert run(stocked, "safe", "safe").added == 2
    assert sorted(items_of(stocked, "safe")) == sorted([NAME, other])


def test_landsat_as_it_is_delivered(stocked: Settings) -> None:
    scene = "LC08_L2SP_192028_20230815_20230819_02_T1"
    folder = stocked.store.data / "landsat" / scene
    write_tif(folder / f"{scene}_SR_B4.TIF", nodata=None)
    write_tif(folder / f"{scene}_QA_PIXEL.TIF", nodata=None)
    (folder / f"{scene}_MTL.txt").write_text(MTL)
    assert run(stocked, "landsat", "landsat").added == 1
    item = items_of(stocked, "landsat")[scene]
    assert item["properties"]["datetime"] == "2023-08-15T10:02:11.123456Z"
    assert (item["properties"]["platform"], item["properties"]["eo:cloud_cover"]) == ("landsat-8", 7.5)
    red = item["assets"]["SR_B4"]["raster:bands"][0]
    assert (red["scale"], red["offset"], red["nodata"]) == (2.75e-05, -0.2, 0)
    assert item["assets"]["QA_PIXEL"]["raster:bands"][0]["scale"] == 1.0


@pytest.mark.parametrize("text", ["", "<n1:x>", "\0\xff", "<BOA_QUANTIFICATION_VALUE>many</BOA_QUANTIFICATION_VALUE>"])
def test_odd_metadata_are_no_reason_to_fail(tmp_path: Path, text: str) -> None:
    product = write_safe(tmp_path)
    (product / "MTD_MSIL2A.xml").write_text(text)
    [acquisition] = find(tmp_path, "c")
    describe(acquisition)
    assert sorted(acquisition.files) == ["B04", "B8A", "SCL"] and acquisition.when is not None
