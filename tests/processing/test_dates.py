"""One date of a result that has several: its own files alone are read, and its values are those of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bdap_hub.processing.drawing.layers import at_date
from bdap_hub.processing.engine.dates import ONE_BY_ONE, alone
from bdap_hub.processing.engine.evaluate import Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.processes import REGISTRY

from .conftest import DATES, X, Y, Z
from .engines import compiled, engine_on
from .graphs import arg, band, call, load, ndvi_median, node, of

ALL = {"data": {**load(bands=["B04"]), "result": True}}
NDVI = {k: v for k, v in ndvi_median().items() if k not in ("median", "save", "ndvi")} | {
    "ndvi": node("ndvi", True, data=of("clear"), nir="B08", red="B04")
}
SMOOTH = {
    "data": load(bands=["B04", "B08"]),
    "sum": node("reduce_dimension", data=of("data"), reducer=call("sum", data=arg("data")), dimension="bands"),
    "smooth": node("apply_kernel", data=of("sum"), kernel=[[1, 1, 1]] * 3, factor=1 / 9),
    "half": node("apply", True, data=of("smooth"), process=call("divide", x=arg("x"), y=2)),
}
MIXED = {
    "data": load(bands=["B04"]),
    "rank": node("apply_dimension", True, data=of("data"), process=call("cumsum", data=arg("data")), dimension="t"),
}


@pytest.fixture(scope="module")
def engine(fields: Any) -> Iterator[Engine]:
    made = engine_on(fields[0])
    yield made
    made.close()


@pytest.mark.parametrize("raw", [ALL, NDVI, SMOOTH])
def test_a_date_alone_reads_its_own_files_and_gives_the_same(fields: Any, engine: Engine, raw: Any) -> None:
    made, grid = compiled(raw, [fields[1]], fields[2]), Grid.tile(Z, X, Y)
    whole = engine.cube(made, grid)
    assert len(made.dates) == 3
    for date, label in zip(DATES, made.dates, strict=True):
        one = alone(made, label)
        assert {href.split("/")[-2] for href, _, _ in engine.touched(one.plan, grid)} == {date}
        np.testing.assert_array_equal(at_date(engine.cube(one, grid), label).data, at_date(whole, label).data)


@pytest.mark.parametrize("raw", [MIXED, band("B04"), ndvi_median()])
def test_where_dates_are_mixed_all_are_read(fields: Any, raw: Any) -> None:
    made = compiled(raw, [fields[1]], fields[2])
    assert alone(made, f"{DATES[2]}T10:00:00Z") is made


def test_the_processes_that_keep_dates_apart_exist() -> None:
    assert REGISTRY.keys() >= ONE_BY_ONE
