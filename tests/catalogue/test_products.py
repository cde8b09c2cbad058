"""Products as they are delivered: Sentinel-1 and -2 in their SAFE folders, Landsat Collection 2 with its MTL file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
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


RADAR = "S1A_IW_GRDH_1SDV_20210809T173953_20210809T174018_039156_049F13_6FF8"
MANIFEST = """<xfdu:XFDU><safe:platform><safe:number>A</safe:number></safe:platform>
 <s1sarl1:mode>IW</s1sarl1:mode><s1sarl1:productType>GRD</s1sarl1:productType>
 <safe:orbitNumber type="start">39156</safe:orbitNumber><safe:orbitNumber type="stop">39156</safe:orbitNumber>
 <safe:relativeOrbitNumber type="start">59</safe:relativeOrbitNumber><s1:pass>ASCENDING</s1:pass>
 <s1sarl1:transmitterReceiverPolarisation>VV</s1sarl1:transmitterReceiverPolarisation>
 <s1sarl1:transmitterReceiverPolarisation>VH</s1sarl1:transmitterReceiverPolarisation>
 <safe:startTime>2021-08-09T17:39:53.153776</safe:startTime><safe:stopTime>2021-08-09T17:40:18.152800</safe:stopTime>
 <gml:coordinates>46.03,1.51 46.43,4.85 44.93,5.18 44.53,1.93</gml:coordinates></xfdu:XFDU>"""
ANNOTATION = """<product><rangePixelSpacing>1.000000e+01</rangePixelSpacing>
 <azimuthPixelSpacing>1.000000e+01</azimuthPixelSpacing></product>"""
CORNERS = ((0, 0, 1.51, 46.03), (0, 64, 4.85, 46.43), (32, 64, 5.18, 44.93), (32, 0, 1.93, 44.53))


def write_radar(folder: Path, files: tuple[str, ...], dtype: str = "uint16") -> Path:
    """A Sentinel-1 product: pixels with points whose places are known, and no transform."""
    product = folder / f"{RADAR}.SAFE"
    for part in ("measurement", "annotation", "preview"):
        (product / part).mkdir(parents=True)
    points = [GroundControlPoint(row, column, x, y) for row, column, x, y in CORNERS]
    for name in files:
        path = product / "measurement" / f"{name}.tiff"
        options: dict[str, Any] = {"width": 64, "height": 32, "count": 1, "dtype": dtype, "gcps": points}
        with rasterio.open(path, "w", driver="GTiff", crs="EPSG:4326", **options) as file:
            file.write(np.arange(64 * 32).reshape(1, 32, 64).astype("complex64" if "complex" in dtype else dtype))
        (product / "annotation" / f"{name}.xml").write_text(ANNOTATION)
    (product / "manifest.safe").write_text(MANIFEST)
    write_tif(product / "preview" / "quick-look.tif")
    return product


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
    known = {"data_type": "uint16", "scale": 0.0001, "offset": offset, "nodata": 0, "spatial_resolution": 10}
    assert red["raster:bands"] == [known]
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


def test_sentinel_1_as_it_is_delivered(stocked: Settings) -> None:
    names = tuple(f"s1a-iw-grd-{band}-20210809t173953-20210809t174018-039156-049f13-00{i}"
                  for i, band in enumerate(("vv", "vh"), 1))  # fmt: skip
    write_radar(stocked.store.data / "radar", names)
    report = run(stocked, "radar", "radar")
    assert (report.added, report.errors) == (1, [])
    item = items_of(stocked, "radar")[RADAR]
    properties = item["properties"]
    assert properties["datetime"].startswith("2021-08-09T17:39:53.153776")
    assert properties["end_datetime"] == "2021-08-09T17:40:18.152800Z"
    assert (properties["platform"], properties["constellation"]) == ("sentinel-1a", "sentinel-1")
    assert (properties["sar:polarizations"], properties["sar:instrument_mode"]) == (["VH", "VV"], "IW")
    assert (properties["sat:orbit_state"], properties["sat:relative_orbit"]) == ("ascending", 59)
    assert item["bbox"] == [1.51, 44.53, 5.18, 46.43] and item["geometry"]["coordinates"][0][0] == [1.51, 46.03]
    assert sorted(item["assets"]) == ["VH", "VV"]
    band = item["assets"]["VV"]
    assert band["href"].endswith(f"measurement/{names[0]}.tiff") and band["proj:shape"] == [32, 64]
    assert "proj:transform" not in band and properties["gsd"] == 10
    with rasterio.open(stocked.store.path_of(band["href"])) as file:
        assert band["raster:bands"][0]["data_type"] == file.dtypes[0]
        assert file.crs is None and len(file.gcps[0]) == 4
    assert run(stocked, "radar", "radar").skipped == 1


def test_without_its_manifest_a_radar_product_lies_where_its_points_do(stocked: Settings) -> None:
    names = ("s1a-iw-grd-vv-20210809t173953-20210809t174018-039156-049f13-001",)
    (write_radar(stocked.store.data / "radar", names) / "manifest.safe").unlink()
    assert run(stocked, "radar", "radar").added == 1
    item = items_of(stocked, "radar")[RADAR]
    assert item["bbox"] == [1.51, 44.53, 5.18, 46.43] and item["properties"]["datetime"].startswith("2021-08-09")


def test_each_swath_of_a_complex_product_is_a_band(stocked: Settings) -> None:
    names = tuple(f"s1a-iw{n}-slc-vv-20210809t173953-20210809t174018-039156-049f13-00{n}" for n in (1, 2))
    write_radar(stocked.store.data / "radar", names, "complex_int16")
    assert run(stocked, "radar", "radar").errors == []
    assets = items_of(stocked, "radar")[RADAR]["assets"]
    assert {name: asset["raster:bands"][0]["data_type"] for name, asset in assets.items()} == {
        "IW1_VV": "cint16", "IW2_VV": "cint16"
    }  # fmt: skip
