"""What the labels of dates and periods mean, as the processing service gives them."""

from __future__ import annotations

from datetime import UTC, datetime

import bdap
import pytest
from bdap import labels, walk
from bdap.charts import lines_figure, timeseries_figure

from bdap_hub.processing.processes.temporal import period_label

MOMENT = datetime(2025, 4, 18, 10, 15)
BEGINNINGS = {
    "hour": "2025-04-18T10",
    "day": "2025-04-18T00",
    "week": "2025-04-14T00",
    "dekad": "2025-04-11T00",
    "month": "2025-04-01T00",
    "season": "2025-03-01T00",
    "tropical-season": "2024-11-01T00",
    "year": "2025-01-01T00",
    "decade": "2020-01-01T00",
    "decade-ad": "2021-01-01T00",
}


@pytest.mark.parametrize("period", BEGINNINGS)
def test_each_period_of_the_service_has_a_beginning(period: str) -> None:
    label = period_label(MOMENT.replace(tzinfo=UTC), period)
    assert [f"{each:%Y-%m-%dT%H}" for each in labels.moments([label], period)] == [BEGINNINGS[period]]
    assert labels.dated([label]) and labels.day(label) == label
    assert len(timeseries_figure([(label, 0.5)], period=period).marks[0].x) == 1


def test_two_digits_are_what_they_count_up_to() -> None:
    for last, second in (("12", "2025-02-01"), ("36", "2025-01-11"), ("52", "2025-01-06")):
        assert str(labels.moments(["2025-02", f"2025-{last}"])[0])[:10] == second
    assert str(labels.moments(["2025-02"], "dekad")[0])[:10] == "2025-01-11"


def test_what_is_no_date_is_said() -> None:
    assert labels.day("2025-04-18T10:15:00Z") == "2025-04-18" and labels.day("2025-04-18-10") == "2025-04-18-10"
    assert not labels.dated([]) and not labels.dated(["2025-04", "B04"]) and not labels.dated(["2025-spring"])
    with pytest.raises(bdap.BadCube, match="'spring' is no date"):
        lines_figure({"value": [("spring", 1.0)]})


def test_a_cube_knows_its_last_period() -> None:
    cube = bdap.collection("s2").ndvi()
    assert walk.period(cube._node) == ""
    assert walk.period((cube.composite("dekad", "median") * 2)._node) == "dekad"
