"""Run inside the image: vois with the older widgets that it needs; its map helpers work on the platform's map."""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import ipyleaflet
import pandas
from jeodpp import imap, inter
from vois import interMap

assert version("vois") == "1.0.44", version("vois")
assert version("ipyvuetify").startswith("1."), f"vois needs ipyvuetify 1, here is {version('ipyvuetify')}"
assert interMap.inter is inter and interMap.imap is imap, "vois does not find the platform's map"


def square(west: float) -> dict:
    ring = [[west, 45], [west + 1, 45], [west + 1, 46], [west, 46], [west, 45]]
    return {"type": "Polygon", "coordinates": [ring]}


REGIONS = {
    "type": "FeatureCollection",
    "features": [
        {"type": "Feature", "properties": {"code": code, "a": a, "b": b, "c": 50}, "geometry": square(west)}
        for code, a, b, west in (("X", 1, 9, 8), ("Y", 9, 1, 9))
    ],
}
LOOK = {"colorlist": ["#000000", "#ffffff"], "center": [45.5, 9], "zoom": 7}


def fills(shown: imap.Map) -> list[dict[str, str]]:
    """What each layer paints its features with."""
    layers = [layer for layer in shown.layers if isinstance(layer, ipyleaflet.GeoJSON)]
    found = [[f["properties"] for f in layer.data["features"]] for layer in layers]
    return [{p.get("code") or p.get("iso_a2"): p["style"]["fillColor"] for p in each} for each in found]


values = pandas.DataFrame({"iso2code": ["IT", "FR"], "value": [1.0, 3.0]})
countries = interMap.countriesMap(values, code_column="iso2code", codes_selected=["IT"], **LOOK)
assert len(fills(countries)) == 2, "countries and the chosen one"
assert (fills(countries)[0]["IT"], fills(countries)[0]["FR"]) == ("#000000", "#ffffff"), fills(countries)[0]["IT"]
assert (countries.center, countries.zoom) == ([45.5, 9], 7), "vois chose where to look"

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "regions.geojson"
    path.write_text(json.dumps(REGIONS))
    numbers = pandas.DataFrame({"code": ["X", "Y"], "value": [1.0, 3.0]})
    regions = interMap.geojsonMap(numbers, str(path), "code", code_column="code", codes_selected=["Y"], **LOOK)
assert fills(regions)[0] == {"X": "#000000", "Y": "#ffffff"}, fills(regions)
regions._handle_leaflet_event(None, {"event": "interaction", "type": "click", "coordinates": [45.5, 8.5]}, None)
(popup,) = [layer for layer in regions.layers if isinstance(layer, ipyleaflet.Popup)]
assert "X: 1.0" in popup.child.value, popup.child.value

vector = interMap.interGeojsonToVector(json.dumps(REGIONS))
two = interMap.bivariateLegend(
    vector, ["[a] < 5", "[a] >= 5"], ["[b] < 5", "[b] >= 5"], ["#ffffff", "#ff0000"], ["#ffffff", "#0000ff"]
)
assert two.startswith("<svg") and [vector.style_of(f)["fillColor"] for f in vector.features] == ["#0000ff", "#ff0000"]
three = interMap.trivariateLegend(vector, "[a] > 5", "[b] > 5", "[c] > 60")
assert three.startswith("<svg") and len({vector.style_of(f)["fillColor"] for f in vector.features}) == 2
more = interMap.trivariateLegendEx(vector, "a", "b", "c", 3, 0, 10, 0, 10, 0, 100)
assert more.startswith("<svg") and len({vector.style_of(f)["fillColor"] for f in vector.features}) == 2
print("vois", version("vois"), "with ipyvuetify", version("ipyvuetify"), "draws its maps")
