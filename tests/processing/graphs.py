"""Process graphs that the tests use, as a client would post them."""

from __future__ import annotations

from typing import Any

CLOUDS = (3, 8, 9, 10)


def node(process: str, result: bool = False, /, **arguments: Any) -> dict[str, Any]:
    """One node; `of` of an argument's value is a reference."""
    return {"process_id": process, "arguments": arguments, **({"result": True} if result else {})}


def of(name: str) -> dict[str, str]:
    """The result of another node."""
    return {"from_node": name}


def arg(name: str) -> dict[str, str]:
    """A callback's parameter."""
    return {"from_parameter": name}


def call(process: str, **arguments: Any) -> dict[str, Any]:
    """A callback of one node."""
    return {"process_graph": {"only": node(process, True, **arguments)}}


def load(collection: str = "fields", **arguments: Any) -> dict[str, Any]:
    """load_collection with open extents."""
    return node("load_collection", id=collection, **{"spatial_extent": None, "temporal_extent": None, **arguments})


def is_cloud() -> dict[str, Any]:
    """A reducer over the bands (SCL alone) that is true for clouds and their shadows."""
    nodes: dict[str, Any] = {"scl": node("array_element", data=arg("data"), index=0)}
    previous = None
    for value in CLOUDS:
        nodes[f"is{value}"] = node("eq", x=of("scl"), y=value)
        if previous:
            nodes[f"or{value}"] = node("or", x=of(previous), y=of(f"is{value}"))
        previous = f"or{value}" if previous else f"is{value}"
    nodes[previous or ""]["result"] = True
    return {"process_graph": nodes}


def ndvi_median(**extents: Any) -> dict[str, Any]:
    """The median over time of the cloud-masked NDVI, drawn in rdylgn from -1 to 1."""
    return {
        "data": load(bands=["B04", "B08"], **extents),
        "scl": load(bands=["SCL"], **extents),
        "clouds": node("reduce_dimension", data=of("scl"), reducer=is_cloud(), dimension="bands"),
        "clear": node("mask", data=of("data"), mask=of("clouds")),
        "ndvi": node("ndvi", data=of("clear"), nir="B08", red="B04"),
        "median": node("reduce_dimension", data=of("ndvi"), reducer=call("median", data=arg("data")), dimension="t"),
        "save": node(
            "save_result", True, data=of("median"), format="PNG", options={"colormap": "rdylgn", "min": -1, "max": 1}
        ),
    }


def band(name: str, collection: str = "fields", reducer: str = "first", **more: Any) -> dict[str, Any]:
    """One band, the first (or other) date, as it is."""
    return {
        "data": load(collection, bands=[name], **more),
        "flat": node("reduce_dimension", True, data=of("data"), reducer=call(reducer, data=arg("data")), dimension="t"),
    }
