"""The notebooks that all sides serve: a light one, and one that holds some hundred MiB."""

from __future__ import annotations

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

_SHOWN = """
import bqplot.pyplot as plt, ipyvuetify as v, ipywidgets as w
from ipyleaflet import Map, Polygon
m = Map(center=(45, 12), zoom=6, basemap={}, layers=())
m.add(Polygon(locations=[(44, 11), (46, 11), (46, 13)]))
fig = plt.figure(title="NDVI"); line = plt.plot([1, 2, 3], [2, 4, 3])
b = v.Btn(children=["Refresh"], color="primary")
said = w.HTML()
"""
_LIGHT = """
b.on_event("click", lambda *_: setattr(said, "value", "<i id='said'>refreshed</i>"))
w.VBox([m, fig, b, said])
"""
_DATA = """
import itertools, geopandas, numpy as np, pandas as pd, xarray as xr
from scipy import ndimage, stats
random = np.random.default_rng(1)
months = pd.date_range("2023-01-01", periods=24, freq="MS")
ndvi = xr.DataArray(
    random.random((24, 1150, 1150), dtype="float32"), dims=("time", "y", "x"), coords={"time": months}, name="ndvi"
)
fields = pd.DataFrame({
    "name": [f"field {number}" for number in range(20_000)],
    "crop": random.choice(["maize", "wheat", "olives"], 20_000),
    "y": random.integers(0, 1150, 20_000),
    "x": random.integers(0, 1150, 20_000),
})
"""
_HEAVY = """
month = itertools.cycle(range(24))
def draw(*clicked):
    smooth = ndimage.uniform_filter(ndvi.isel(time=next(month)).values, 5)
    of_crops = fields.assign(ndvi=smooth[fields.y, fields.x]).groupby("crop").ndvi.mean()
    means = ndvi.mean(("y", "x")).to_series()
    trend = stats.linregress(np.arange(24), means).slope
    line.x, line.y = np.arange(24), means.values
    said.value = f"<i id='{'said' if clicked else 'first'}'>{of_crops.idxmax()}, {trend:+.4f} a month</i>"
draw()
b.on_event("click", draw)
w.VBox([m, fig, b, said])
"""


def _notebook(*cells: str) -> bytes:
    return nbformat.writes(new_notebook(cells=[new_markdown_cell("# Map"), *map(new_code_cell, cells)])).encode()


LIGHT = _notebook(_SHOWN + _LIGHT)
"""A map, a chart, and a button that answers."""

HEAVY = _notebook(_DATA, _SHOWN + _HEAVY)
"""The same with geopandas, xarray and SciPy, two years of monthly NDVI (121 MiB) and 20,000 fields in memory: in plain
Voilà its kernel takes about 276 MiB. Its button has all of the data read once, a month of it smoothed, the chart drawn
anew, as it is at first."""
