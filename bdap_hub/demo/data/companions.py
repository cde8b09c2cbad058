"""Writes what stands beside the demo's season: radar, heights and land cover of the same ground, and regions.

Each folder appears when it is complete, and is left alone as long as its stamp says what is wanted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import Conflict
from . import ground, landscape
from .crops import Curves
from .files import write_cog, write_text
from .landscape import Landscape
from .regions import regions
from .truth import Truth

if TYPE_CHECKING:
    from .generate import Plan, Progress

VERSION = 2
RADAR, HEIGHTS, COVER, REGIONS = "sentinel-1-demo", "dem-demo", "land-cover-demo", "regions-demo"
RADAR_DAYS = ("2025-03-20", "2025-04-25", "2025-05-31", "2025-07-06", "2025-08-11", "2025-09-16", "2025-10-22")
FLOOD_DAY = "2025-09-16"
YEAR = "2025-01-01"
STAMP = ".stamp.json"
MADE = "Synthetic data of the demo, not an observation"


def make_companions(root: Path, plan: Plan, truth: Truth, progress: Progress = lambda _: None) -> None:
    """All that lacks of what belongs to the collection of that plan."""
    wanted = json.dumps({"version": VERSION, **asdict(plan)}, sort_keys=True)
    missing = [name for name in _WRITERS if not _there(root / name, wanted)]
    if not missing:
        progress(f"{', '.join(_WRITERS)}: there already")
        return
    land = landscape.make(np.random.default_rng(plan.seed), plan.size)  # the same seed makes the same ground
    for name in missing:
        partial = _begin(root / name)
        _WRITERS[name](partial, plan, land, truth.curves)
        write_text(partial / STAMP, wanted)
        shutil.rmtree(root / name, ignore_errors=True)
        partial.rename(root / name)
        progress(f"{name}: written")


def _there(folder: Path, wanted: str) -> bool:
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == wanted


def _begin(folder: Path) -> Path:
    """An empty folder to write in; Conflict where another's files lie in the wanted place."""
    if folder.is_dir() and not (folder / STAMP).is_file() and any(folder.iterdir()):
        raise Conflict(f"{folder} holds files that the demo did not make", "move them, or choose another store")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def _radar(folder: Path, plan: Plan, land: Landscape, curves: Curves) -> None:
    for number, day in enumerate(RADAR_DAYS):
        rng = np.random.default_rng((plan.seed, 1, number))
        bands = ground.backscatter(land, curves, date.fromisoformat(day), day == FLOOD_DAY, rng)
        for name, array in zip(("VV", "VH"), bands, strict=True):
            _write(folder / day / f"{name}.tif", array, 20, plan, day)


def _heights(folder: Path, plan: Plan, land: Landscape, curves: Curves) -> None:
    _write(folder / YEAR / "elevation.tif", ground.heights(land), 10, plan, YEAR)


def _cover(folder: Path, plan: Plan, land: Landscape, curves: Curves) -> None:
    legend = "\n".join(f"{code} {name.capitalize()}" for code, name in ground.CLASSES.items())
    _write(folder / YEAR / "class.tif", ground.classes(land, curves), 10, plan, YEAR, ground.COLOURS, legend)


def _regions(folder: Path, plan: Plan, land: Landscape, curves: Curves) -> None:
    write_text(folder / "regions.geojson", regions(plan.west, plan.north, plan.size * 10))


def _write(path: Path, array: Any, pixel: int, plan: Plan, day: str, colours: Any = None, legend: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tags = {"TIFFTAG_DATETIME": f"{day.replace('-', ':')} 05:30:00", "TIFFTAG_IMAGEDESCRIPTION": MADE}
    tags |= {"legend": legend} if legend else {}
    write_cog(path, array, pixel, (plan.west, plan.north), tags, colours)


_WRITERS: dict[str, Callable[[Path, Plan, Landscape, Curves], None]] = {
    RADAR: _radar,
    HEIGHTS: _heights,
    COVER: _cover,
    REGIONS: _regions,
}
