"""Finds acquisitions in a folder of rasters: which files belong together, their bands and their date.

Only names are looked at here (and STAC items that lie beside the rasters); headers are read elsewhere.
A folder of Zarr is one file.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import BadRequest
from . import sentinel1

ZARR = ".zarr"
RASTERS = (".tif", ".tiff", ".jp2", ".nc", ".nc4", ZARR)
OF_PRODUCTS = ("IMG_DATA", "measurement")
"""Folders of a SAFE product that hold its bands: what lies in others are masks and previews."""
BAND = re.compile(
    r"(?:^|(?<=[_.\- ]))"
    r"(SR_B\d{1,2}|B\d{1,2}A?|SCL|CLDPRB|SNWPRB|AOT|WVP|TCI|QA_PIXEL|QA60|NDVI|VV|VH|HH|HV)"
    r"(?=$|[_.\- ])",
    re.IGNORECASE,
)
RESOLUTION = re.compile(r"[_.\- ](\d{2,4})m(?=$|[_.\- ])", re.IGNORECASE)
DATE = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
    r"(?:[T_ -]?([01]\d|2[0-3])[-:]?([0-5]\d)[-:]?([0-5]\d))?(?!\d)"
)
YEAR = re.compile(r"(?:^|(?<=[_.\- ]))((?:19|20)\d\d)(?=$|[_.\- ])")
SAFE_ID = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass
class Acquisition:
    """One item to be. `when` is None if no name tells, `until` for a moment; `stac` lay beside the rasters."""

    id: str
    files: dict[str, Path] = field(default_factory=dict)
    when: datetime | None = None
    day_only: bool = False
    until: datetime | None = None
    stac: dict[str, Any] | None = None


def find(folder: Path, collection: str, pattern: str = "") -> list[Acquisition]:
    """All acquisitions below `folder`, by id. `pattern` is a regular expression with groups band and date."""
    rule = _compile(pattern)
    described: list[Acquisition] = []
    plain: list[Path] = []
    for rasters, documents in _walk(folder):
        here = [found for path in documents if (found := _described(path))]
        taken = {path for acquisition in here for path in acquisition.files.values()}
        described += here
        plain += [path for path in rasters if path not in taken]
    return sorted(described + _group(folder, collection, plain, rule), key=lambda a: a.id)


def product_of(path: Path) -> Path | None:
    """The folder of the Sentinel product (SAFE) that a file or folder is part of."""
    return next((folder for folder in (path, *path.parents) if folder.suffix == ".SAFE"), None)


def read_date(text: str) -> tuple[datetime, bool] | None:
    """The first date in a text, and whether it is a day without a time; UTC."""
    match = DATE.search(text)
    if not match:
        return None
    year, _, month, day, *clock = match.groups()
    try:
        hour, minute, second = (int(c or 0) for c in clock)
        return datetime(int(year), int(month), int(day), hour, minute, second, tzinfo=UTC), clock[0] is None
    except ValueError:
        return None


def read_year(text: str) -> tuple[datetime, datetime] | None:
    """The first and the last second of the year that a name of a yearly map tells."""
    match = YEAR.search(text)
    if not match:
        return None
    year = int(match[1])
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)


def _compile(pattern: str) -> re.Pattern[str] | None:
    if not pattern:
        return None
    try:
        rule = re.compile(pattern)
    except re.error as error:
        raise BadRequest(f"the pattern {pattern!r} is no regular expression: {error}", "correct it") from None
    if "band" not in rule.groupindex:
        raise BadRequest(
            f"the pattern {pattern!r} has no group 'band'", "write it as in (?P<date>\\d{8})_(?P<band>B\\d\\d)"
        )
    return rule


def _walk(folder: Path) -> Iterator[tuple[list[Path], list[Path]]]:
    """Rasters and JSON files of each folder, hidden ones left out."""
    for where, folders, files in os.walk(folder):
        seen = sorted(name for name in (*files, *folders) if not name.startswith("."))
        whole = {name for name in folders if name.lower().endswith(ZARR)}
        paths = [Path(where) / name for name in seen if name in whole or name not in folders]
        folders[:] = [name for name in seen if name in folders and name not in whole]
        if product_of(Path(where)) and not set(OF_PRODUCTS) & set(Path(where).parts):
            paths = []
        yield [p for p in paths if p.suffix.lower() in RASTERS], [p for p in paths if p.suffix.lower() == ".json"]


def _described(path: Path) -> Acquisition | None:
    """The acquisition of a STAC item with rasters beside it; None for any other JSON."""
    try:
        item = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not (isinstance(item, dict) and item.get("type") == "Feature" and "stac_version" in item and item.get("assets")):
        return None
    files: dict[str, Path] = {}
    for key, asset in item["assets"].items():
        raster = path.parent / str(asset.get("href", ""))
        if raster.suffix.lower() in RASTERS and raster.is_file():
            name = _band_of(raster.stem) or str(key)
            asset["bdap:key"] = name
            files[name] = raster
    return Acquisition(id=str(item.get("id", path.stem)), files=files, stac=item) if files else None


def _band_of(stem: str) -> str:
    found = BAND.findall(stem)
    return found[-1].upper() if found else ""


def _group(folder: Path, collection: str, paths: list[Path], rule: re.Pattern[str] | None) -> list[Acquisition]:
    groups: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    dates: dict[str, tuple[datetime, bool] | None] = {}
    for path in paths:
        band, rest, named = _parts(path, rule)
        inside = path.parent.relative_to(folder).as_posix().replace("/", "_").replace(".", "")
        key = rest if rest and (read_date(rest) or not inside) else "_".join(p for p in (inside, rest) if p)
        if product := product_of(path):
            key = rest = product.stem
        key = SAFE_ID.sub("-", key).strip("-._")
        groups[key if rest else f"{collection}_{key}".rstrip("_")].append((band or "data", path))
        when = named or _date_of(path, folder)
        dates[key if rest else f"{collection}_{key}".rstrip("_")] = when
    return [_acquisition(key, members, dates[key]) for key, members in groups.items()]


def _parts(path: Path, rule: re.Pattern[str] | None) -> tuple[str, str, tuple[datetime, bool] | None]:
    """Band, what of the name is not the band, and the date where the pattern names one."""
    stem = path.stem
    if rule:
        match = rule.search(stem)
        if not match:
            return "", stem, None
        named = read_date(match.group("date")) if "date" in rule.groupindex and match.group("date") else None
        rest = stem[: match.start("band")] + stem[match.end("band") :]
        return match.group("band"), re.sub(r"[_.\- ]+$|^[_.\- ]+", "", rest), named
    if band := sentinel1.band_of(stem):
        return band, stem, None
    rest = RESOLUTION.sub("", stem)
    matches = list(BAND.finditer(rest))
    if not matches:
        return "", stem, None
    last = matches[-1]
    rest = rest[: last.start()].rstrip("_.- ") + rest[last.end() :]
    return last.group(1).upper(), rest.strip("_.- "), None


def _date_of(path: Path, root: Path) -> tuple[datetime, bool] | None:
    """The date in the file's name, else in the nearest folder's up to and including `root`."""
    for name in (path.stem, *(p.name for p in path.parents if p == root or root in p.parents)):
        if found := read_date(name):
            return found
    return None


def _acquisition(key: str, members: list[tuple[str, Path]], when: tuple[datetime, bool] | None) -> Acquisition:
    """Where a band comes at several resolutions (R10m, R20m), the finest is taken."""
    acquisition = Acquisition(key, when=when[0] if when else None, day_only=bool(when and when[1]))
    for band, path in sorted(members, key=lambda m: (_metres(m[1]), m[1].as_posix())):
        acquisition.files.setdefault(band, path)
    if when is None and (year := next((found for _, path in members if (found := read_year(path.stem))), None)):
        acquisition.when, acquisition.until = year
    return acquisition


def _metres(path: Path) -> int:
    match = RESOLUTION.search(path.stem)
    return int(match.group(1)) if match else 0
