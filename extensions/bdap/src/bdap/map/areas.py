"""What the platform says of an area or a line: asked of the cube that can answer it, made ready for charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import bqplot

from .. import ask, labels
from ..charts import transect_figure
from ..cube import Cube
from ..errors import BadCube
from ..graph import Node
from ..maths import TIME, pixels
from .chain import number, of_time

MOST = 2000
"""Pixels of a scatter: more are not told apart."""
ROWS = (("mean", "mean"), ("median", "median"), ("min", "lowest"), ("max", "highest"), ("sd", "standard deviation"))


def clean(feature: Mapping[str, Any]) -> dict[str, Any]:
    """A feature without what Leaflet needs to draw it."""
    properties = {key: value for key, value in (feature.get("properties") or {}).items() if key != "style"}
    return {"type": "Feature", "properties": properties, "geometry": dict(feature["geometry"])}


def histogram(cube: Cube, geometry: Mapping[str, Any], bins: int = 32) -> dict[str, Any]:
    """Edges and counts of the first band within an area."""
    return ask.client_of(cube).area(ask.service(cube), "histogram", geometry, bins=bins)


def series(cube: Cube, geometry: Mapping[str, Any]) -> dict[str, list[tuple[str, float | None]]]:
    """Means through time by band."""
    whole = with_dates(cube)
    found = ask.client_of(cube).area(ask.service(whole), "timeseries", geometry)
    days = [labels.day(str(date)) for date in found["dates"]]
    return {band: list(zip(days, each["mean"], strict=True)) for band, each in found["series"].items()}


def pairs(
    cube: Cube, geometry: Mapping[str, Any], names: tuple[str, str] | None = None
) -> tuple[list[float | None], list[float | None], tuple[str, str]]:
    """Values of two bands at the same pixels of an area: those named, else the first two of the cube or its source."""
    service = ask.service(cube)
    found = ask.client_of(cube).area(service, "pixels", geometry, most=MOST)
    values = bands_of(found["values"], service.times)
    chosen = names or tuple(values)[:2]
    if len(chosen) < 2 or any(name not in values for name in chosen):
        has = ", ".join(values)
        raise BadCube(
            f"a scatter needs two bands, the cube has {has}", 'draw on a cube with .bands("B04", "B08"): map.draw(cube)'
        )
    return values[chosen[0]], values[chosen[1]], (chosen[0], chosen[1])


def transect(cube: Cube, line: Mapping[str, Any], title: str) -> bqplot.Figure:
    """The values along a line as a chart, of the last date where there are dates."""
    if line.get("type") != "LineString":
        raise BadCube(f"a transect goes along a line, not a {line.get('type')}", "draw a line, or give a LineString")
    service = ask.service(cube)
    found = ask.client_of(cube).area(service, "transect", line)
    return transect_figure(found["distance"], bands_of(found["values"], service.times), found["scale"]["unit"], title)


def bands_of(values: Mapping[str, Any], times: Sequence[str]) -> dict[str, Any]:
    """What each band has: on the last of the service's `times`, where it has any."""
    return dict(of_time(values, times))


def with_dates(cube: Cube) -> Cube:
    """The cube as it was before a reducer took its dates away; what comes after that stays."""
    return Cube(pixels(_unreduced(cube._node)), None, cube.client)


def _unreduced(node: Node) -> Node:
    if node.process == "load_collection":
        return node
    data = node.arguments.get("data")
    if not isinstance(data, Node):
        raise BadCube(
            f"the dates of this cube cannot be found behind {node.process}",
            "ask for the time series of the cube before its dates are reduced",
        )
    if node.process == "reduce_dimension" and node.arguments.get("dimension") == TIME:
        return data
    return Node(node.process, {**node.arguments, "data": _unreduced(data)})


def statistics_html(answer: Mapping[str, Any], times: Sequence[str]) -> str:
    """Statistics of an area as a table with a column for each band."""
    found = of_time(answer["statistics"], times)
    bands = {"value": found} if "valid" in found else found
    head = "".join(f'<th scope="col" style="padding:0 8px;text-align:right">{escape(_title(b))}</th>' for b in bands)
    lines = [_line(label, [each.get(key) for each in bands.values()]) for key, label in ROWS]
    lines.append(_line("valid pixels", [each["valid"] for each in bands.values()]))
    lines.append(_line("without data", [each["nodata"] for each in bands.values()]))
    scale = answer["scale"]
    size = f"on pixels of {scale['resolution'] * scale['coarser']:g} {escape(str(scale['unit']))}s"
    rows = f"<tr><td></td>{head}</tr>{''.join(lines)}"
    return f'<table style="line-height:1.5;font-size:13px">{rows}</table><small>{size}</small>'


def _line(label: str, values: Sequence[Any]) -> str:
    cells = "".join(f'<td style="padding:0 8px;text-align:right"><b>{number(value)}</b></td>' for value in values)
    return f'<tr><th scope="row" style="text-align:left;font-weight:400">{label}</th>{cells}</tr>'


def _title(band: str) -> str:
    return "" if band == "value" else band
