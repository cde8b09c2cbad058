"""What values of a map of classes mean, told by its palette, its legend, or the product it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from bdap_hub.catalogue.classes import classes_of
from bdap_hub.catalogue.ingest import ingest
from bdap_hub.catalogue.store import open_catalogue
from bdap_hub.settings import Settings

PALETTE = {0: (0, 0, 0, 0), 10: (0, 100, 0, 255), 80: (0, 100, 200, 255), 90: (0, 0, 0, 255)}


def test_the_legend_says_which_colours_count_and_what_they_are() -> None:
    found = classes_of("class", PALETTE, "10  Tree cover\n80\tWater\nnothing\n200 Elsewhere\n")
    assert [(one["value"], one["title"], one["name"], one["color_hint"]) for one in found] == [
        (10, "Tree cover", "Tree_cover", "006400"), (80, "Water", "Water", "0064C8"),
    ]  # fmt: skip


def test_without_a_legend_each_colour_is_a_class() -> None:
    assert [(one["value"], one["title"]) for one in classes_of("class", PALETTE, "")] == [(10, "10"), (80, "80")]
    assert classes_of("B04", {}, "10 Tree cover") == []


def test_scene_classes_are_known() -> None:
    assert {one["value"]: one["title"] for one in classes_of("SCL", {}, "")}[4] == "Vegetation"


def test_they_are_ingested_into_items_and_their_collection(settings: Settings) -> None:
    path = settings.store.data / "cover" / "2025-01-01" / "class.tif"
    path.parent.mkdir(parents=True)
    options = {"dtype": "uint8", "count": 1, "crs": "EPSG:32632", "transform": from_origin(460000, 5080000, 10, 10)}
    with rasterio.open(path, "w", driver="GTiff", width=64, height=64, **options) as file:
        file.write(np.full((1, 64, 64), 10, np.uint8))
        file.write_colormap(1, PALETTE)
        file.update_tags(legend="10 Tree cover\n80 Water")
    assert ingest(settings, Path(path.parents[1]), "cover", "Cover", "public", pattern="(?P<band>class)").added == 1
    collection = open_catalogue(settings).collections()["cover"]
    (band,) = collection.stac["item_assets"]["class"]["bands"]
    assert [one["title"] for one in band["classification:classes"]] == ["Tree cover", "Water"]
