"""Maps of composites against the real services: clicks, charts and drawings know the periods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bdap
import numpy as np
import pytest
import shapely
from bdap.map import areas, drawing

from tests.extensions.season import Season, box, pixels, place, season

B4, B8 = pixels("B04"), pixels("B08")
AREA = shapely.geometry.mapping(shapely.box(*box(100, 120, 140, 180)))
ROWS, COLUMNS = slice(100, 140), slice(120, 180)


@pytest.fixture(scope="module")
def running(hub: Any) -> Iterator[Season]:
    with season(hub) as made:
        yield made


def means(band: np.ndarray) -> list[float]:
    """Of each date in the area."""
    return [float(each.mean()) for each in band[:, ROWS, COLUMNS]]


def test_a_click_on_months(running: Season) -> None:
    cube = running.cube().bands("B04", "B08", "B02").composite("month", "mean")
    told: list[Any] = []
    shown = bdap.Map(basemap=None).add(cube, "months").at("months", "2024-06")
    shown.on_click_value(lambda *given: told.append(given[2]))
    lon, lat = place(50, 60)
    shown.identify(lat, lon)
    assert shown.messages == [] and told == [
        {"months": {name: band[1, 50, 60] for name, band in (("B04", B4), ("B08", B8), ("B02", pixels("B02")))}}
    ]
    chart = shown._notes["series"].widget.children[1]
    assert [list(mark.y) for mark in chart.marks[:2]] == [B4[:, 50, 60].tolist(), B8[:, 50, 60].tolist()]
    assert [str(each)[:10] for each in chart.marks[0].x] == ["2024-05-01", "2024-06-01", "2024-07-01"]


@pytest.mark.parametrize(("period", "count"), [("month", 3), ("season", 2)])
def test_drawings_on_composites(running: Season, period: str, count: int) -> None:
    cube = running.cube().bands("B04", "B08").composite(period, "mean")
    x, y, names = areas.pairs(cube, AREA)
    assert names == ("B04", "B08") and len(x) == len(y) > 0
    assert "median" in drawing.statistics(cube, AREA).value
    with pytest.raises(bdap.BadCube, match="the cube has value"):
        areas.pairs(cube.band("B04"), AREA)
    drawn = drawing.series(cube, AREA).marks
    assert len(drawn[0].x) == count
    if period == "month":
        assert set(x) <= set(B4[-1, ROWS, COLUMNS].ravel().tolist())
        assert list(drawn[1].y) == pytest.approx(means(B8), rel=0.001)
