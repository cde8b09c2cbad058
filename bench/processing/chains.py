"""The chains that are measured, as each service wants them: process graphs for openEO, a query for TiTiler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tests.processing.graphs import arg, call, node, of
from tests.processing.graphs import load as load_node

from .scenes import CLOUDY

EXTENT = {"from_parameter": "bounding_box"}
WHITE = 4000


@dataclass(frozen=True)
class Chain:
    """A chain over some bands. `reducer` None: only the first of the dates is drawn."""

    name: str
    bands: tuple[str, ...]
    reducer: str | None = None

    @property
    def composite(self) -> bool:
        """Whether it is the cloud-masked NDVI of several dates."""
        return self.reducer is not None

    def graph(self, collection: str, dates: Sequence[str]) -> dict[str, Any]:
        """For our service."""
        when = {} if self.composite else {"temporal_extent": _day(dates[0])}
        raw = {"data": load_node(collection, bands=list(self.bands), **when)}
        last = self._calculated(raw, collection, {})
        options = {"min": 0, "max": WHITE} if len(self.bands) == 3 else {"min": -1, "max": 1, "colormap": "rdylgn"}
        raw["save"] = node("save_result", True, data=of(last), format="PNG", options=options)
        return raw

    def theirs(self, collection: str, dates: Sequence[str]) -> dict[str, Any]:
        """For titiler-openeo, which draws by processes of its own and wants the tile's extent as a parameter."""
        extent = {"spatial_extent": EXTENT, "target_crs": {"from_parameter": "target_crs"}}
        if not self.composite:
            extent["temporal_extent"] = _day(dates[0])
        raw = {"data": load_node(collection, bands=list(self.bands), **extent)}
        last = self._calculated(raw, collection, extent)
        low, high = (0, WHITE) if len(self.bands) == 3 else (-1, 1)
        scale = call("linear_scale_range", x=arg("x"), inputMin=low, inputMax=high, outputMin=0, outputMax=255)
        raw["scaled"] = node("apply", data=of(last), process=scale)
        options: dict[str, Any] = {}
        if len(self.bands) != 3:
            raw["table"] = node("get_colormap", name="rdylgn")
            raw["drawn"] = node("colormap", data=of("scaled"), colormap=of("table"))
        raw["save"] = node(
            "save_result", True, data=of("drawn" if "drawn" in raw else "scaled"), format="PNG", options=options
        )
        return raw

    def query(self, item: str, resampling: str, dates: Sequence[str]) -> str | None:
        """For TiTiler, on an item that has the bands of all dates; None where it cannot say it."""
        if self.reducer == "median":
            return None
        dates = dates if self.composite else dates[:1]
        names = [f"{band}_{date}" for date in dates for band in (*self.bands, *(["SCL"] if self.composite else []))]
        asked: list[tuple[str, Any]] = [("url", item), ("resampling", resampling), ("reproject", resampling)]
        asked += [("assets", name) for name in names]
        if len(self.bands) == 3:
            return urlencode([*asked, ("rescale", f"0,{WHITE}")])
        expression = _nested(len(dates)) if self.composite else _ndvi(1)
        return urlencode([*asked, ("expression", expression), ("rescale", "-1,1"), ("colormap_name", "rdylgn")])

    def _calculated(self, raw: dict[str, Any], collection: str, extent: dict[str, Any]) -> str:
        """Adds the nodes between loading and drawing; the last one's name."""
        if self.composite:
            raw["scl"] = load_node(collection, bands=["SCL"], **extent)
            raw["clouds"] = node("reduce_dimension", data=of("scl"), reducer=_cloudy(), dimension="bands")
            raw["clear"] = node("mask", data=of("data"), mask=of("clouds"))
        if len(self.bands) == 2:
            raw["ndvi"] = node("ndvi", data=of("clear" if self.composite else "data"), nir="B08", red="B04")
        before = "ndvi" if len(self.bands) == 2 else "data"
        raw["flat"] = node("reduce_dimension", data=of(before), dimension="t",
                           reducer=call(self.reducer or "first", data=arg("data")))  # fmt: skip
        return "flat"


CHAINS: Sequence[Chain] = (
    Chain("true colour", ("B04", "B03", "B02")),
    Chain("NDVI + colormap", ("B04", "B08")),
    Chain("masked max", ("B04", "B08"), "max"),
    Chain("masked median", ("B04", "B08"), "median"),
)


def _day(date: str) -> list[str]:
    return [date, (datetime.fromisoformat(date) + timedelta(days=1)).strftime("%Y-%m-%d")]


def _cloudy() -> dict[str, Any]:
    """A reducer over the bands (SCL alone) that is true for clouds and their shadows."""
    nodes: dict[str, Any] = {"scl": node("array_element", data=arg("data"), index=0)}
    previous = None
    for value in CLOUDY:
        nodes[f"is{value}"] = node("eq", x=of("scl"), y=value)
        if previous:
            nodes[f"or{value}"] = node("or", x=of(previous), y=of(f"is{value}"))
        previous = f"or{value}" if previous else f"is{value}"
    nodes[str(previous)]["result"] = True
    return {"process_graph": nodes}


def _ndvi(first: int) -> str:
    red, nir = f"b{first}", f"b{first + 1}"
    return f"({nir}-{red})/({nir}+{red})"


def _masked(first: int) -> str:
    scl = f"b{first + 2}"
    return f"where(({scl}==3)|({scl}>7)&({scl}<11),-2.0,{_ndvi(first)})"


def _nested(dates: int) -> str:
    expression = _masked(1)
    for number in range(1, dates):
        expression = f"maximum({expression},{_masked(1 + 3 * number)})"
    return expression
