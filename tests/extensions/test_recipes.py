"""The recipes of docs/how-to/notebook.md, run as they stand against the real services."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bdap
import numpy as np
import pytest
import rasterio
from bdap import client as clients

from tests.extensions.season import Season, pixels, place, season

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "notebook.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def running(hub: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Season]:
    with season(hub) as made:
        monkeypatch.setattr(clients, "_default", made.client)
        yield made


def test_the_page_runs_and_its_numbers_are_right(
    running: Season, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lon, lat = place(256, 256)
    here = f".inside(({lon - 0.004}, {lat - 0.004}, {lon + 0.004}, {lat + 0.004}))"
    names: dict[str, Any] = {}
    for block in BLOCKS:
        text = block.replace('.on("Ispra", country="IT", around=5)', here)  # the season lies elsewhere
        exec(text, names)  # our own page
    red, nir = pixels("B04"), pixels("B08")
    clear = np.where(np.isin(pixels("SCL"), (3, 8, 9, 10)), np.nan, (nir - red) / (nir + red))
    assert names["monthly"].dates() == ["2024-05", "2024-06", "2024-07"]
    value = names["june"].value(*place(260, 250))
    assert (value is None and np.isnan(clear[1, 260, 250])) or value == pytest.approx(clear[1, 260, 250], abs=1e-4)
    assert len(names["counts"]) == 3 and sum(names["counts"]) > 100
    assert names["zones"].pandas()["valid"].iloc[0] == sum(names["counts"])
    assert names["job"].status == "finished" and names["lazy"].sizes["t"] == 3
    with rasterio.open("ndvi.tif") as one, rasterio.open("ndvi-whole.tif") as other:
        np.testing.assert_array_equal(one.read(1), other.read(1))
    assert names["own"].last().value(*place(256, 256)) == pytest.approx(
        names["ndvi"].max().value(*place(256, 256)) * 100, rel=1e-5
    )
    assert isinstance(names["cube"], bdap.Cube) and "3 items" in repr(names["cube"])
