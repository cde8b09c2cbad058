"""Makes the demo collections: plans one, builds its landscape once, then writes date after date.

A finished collection is left alone (stamp file); an interrupted one goes on with the dates that lack.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import Conflict
from . import landscape, weather
from .companions import make_companions
from .crops import CROPS, Curves, grow
from .files import EPSG, NORTH, SCALE, WEST, write_cog, write_quicklook, write_text
from .spectra import BANDS, Textures, reflectance, textures
from .truth import Truth

VERSION = 1
NOISE_DN = 3.0
STEP_DN = 8
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Overpass:
    """One acquisition: the day, its shares of cloud and haze, and whether the swath ends in the scene."""

    day: str
    cloud: float
    haze: float = 0.0
    edge: bool = False
    platform: str = "sentinel-2a"


@dataclass(frozen=True)
class Plan:
    """All that decides what a collection will hold. `size` is in pixels of 10 m and even."""

    collection: str
    size: int
    overpasses: tuple[Overpass, ...]
    seed: int
    west: int = WEST
    north: int = NORTH


SEASON = Plan(
    "sentinel-2-demo",
    1792,
    (
        Overpass("2025-03-14", 0.03),
        Overpass("2025-04-18", 0.28, platform="sentinel-2b"),
        Overpass("2025-05-16", 0.08, haze=0.10),
        Overpass("2025-06-15", 0.46, platform="sentinel-2b"),
        Overpass("2025-07-10", 0.0),
        Overpass("2025-08-09", 0.17, platform="sentinel-2b"),
        Overpass("2025-09-13", 0.11, haze=0.16, edge=True),
        Overpass("2025-10-18", 0.36, platform="sentinel-2b"),
    ),
    seed=20250314,
)
FOREST = Plan(
    "forest-plots",
    512,
    (Overpass("2025-04-18", 0.05), Overpass("2025-07-10", 0.02)),
    seed=77,
    west=476_000,
    north=5_098_000,
)
COLLECTIONS = (SEASON, FOREST)


def generate(
    root: Path, progress: Progress = lambda _: None, size: int | None = None, dates: int | None = None
) -> Truth:
    """All demo collections below `root` (the store's data folder); returns the truth of the first.

    `size` and `dates` make a smaller `sentinel-2-demo`, for tests.
    """
    season = SEASON
    if size or dates:
        few = season.overpasses[:dates] if dates else season.overpasses
        season = Plan(season.collection, size or season.size, few, season.seed)
    truth = make_collection(root, season, progress)
    make_companions(root, season, truth, progress)
    make_collection(root, FOREST if season is SEASON else _smaller(FOREST, season.size), progress)
    return truth


def _smaller(plan: Plan, size: int) -> Plan:
    return Plan(plan.collection, min(plan.size, size), plan.overpasses, plan.seed, plan.west, plan.north)


def make_collection(root: Path, plan: Plan, progress: Progress = lambda _: None) -> Truth:
    """One collection at <root>/<collection>/<day>/<band>.tif; its truth in the hidden folder .truth beside the days."""
    truth = Truth(plan.collection, root / plan.collection)
    stamp = truth.folder / "stamp.json"
    wanted = json.dumps({"version": VERSION, **asdict(plan)}, sort_keys=True)
    if stamp.is_file() and stamp.read_text() == wanted:
        progress(f"{plan.collection}: there already")
        return truth
    _start_over_if_changed(truth, wanted)
    progress(f"{plan.collection}: building the landscape, {plan.size} x {plan.size} pixels")
    rng = np.random.default_rng(plan.seed)
    land = landscape.make(rng, plan.size)
    skin, curves = textures(rng, land), grow(rng, land.parcels)
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_acquire, plan, i, truth.data, land, skin, curves) for i in range(len(plan.overpasses))]
        for number, job in enumerate(jobs, 1):
            progress(f"{plan.collection}: {job.result()} written ({number} of {len(jobs)})")
    _write_truth(plan, truth, land, curves)
    write_text(stamp, wanted)
    return truth


def _start_over_if_changed(truth: Truth, wanted: str) -> None:
    """Files of another plan go; those of an interrupted run of this plan stay. Never a folder that is not ours."""
    begun = truth.folder / "begun.json"
    if truth.data.is_dir() and not truth.folder.is_dir() and any(truth.data.iterdir()):
        raise Conflict(f"{truth.data} holds files that the demo did not make", "move them, or choose another store")
    if not begun.is_file() or begun.read_text() != wanted:
        shutil.rmtree(truth.data, ignore_errors=True)
    truth.data.mkdir(parents=True, exist_ok=True)
    write_text(begun, wanted)


def _acquire(plan: Plan, index: int, data: Path, land: landscape.Landscape, skin: Textures, curves: Curves) -> str:
    """Write one date in a folder that appears when it is complete."""
    overpass = plan.overpasses[index]
    folder, partial = data / overpass.day, data / f".{overpass.day}.partial"
    if folder.is_dir():
        return overpass.day
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    rng = np.random.default_rng((plan.seed, index))
    day = date.fromisoformat(overpass.day)
    azimuth, elevation = _sun(day)
    sky = weather.make(rng, plan.size, overpass.cloud, overpass.haze, azimuth, elevation, overpass.edge)
    tags = {
        "TIFFTAG_DATETIME": f"{day:%Y:%m:%d} 10:20:31",
        "TIFFTAG_IMAGEDESCRIPTION": "Synthetic Sentinel-2-like Level-2A data, not an observation",
        "PLATFORM": overpass.platform,
    }
    corner = (plan.west, plan.north)
    ground = reflectance(land, skin, curves, day)
    numbers = [_digital(weather.seen_through(band, sky, i), sky, rng) for i, band in enumerate(ground)]
    for name, array in zip(BANDS, numbers, strict=True):
        write_cog(partial / f"{name}.tif", array, 10, corner, tags)
    write_cog(partial / "SCL.tif", weather.classify(land, sky, ground[2], ground[3]), 20, corner, tags)
    write_quicklook(partial / "quicklook.png", *numbers[:3])
    partial.rename(folder)
    return overpass.day


def _digital(seen: Any, sky: weather.Weather, rng: np.random.Generator) -> Any:
    """Digital numbers with sensor noise, in steps of a 12-bit instrument; 0 only where there is no data."""
    noise = rng.standard_normal(seen.shape, dtype=np.float32) * np.float32(NOISE_DN)
    numbers = np.rint((seen * np.float32(1 / SCALE) + noise) / STEP_DN) * STEP_DN
    return np.where(sky.covered, np.clip(numbers, 1, 20000), 0).astype(np.uint16)


def _sun(day: date) -> tuple[float, float]:
    """Azimuth and elevation in degrees at the overpass (about 10:20 UTC at 46 degrees north), roughly."""
    season = np.cos(2 * np.pi * (day.timetuple().tm_yday - 172) / 365)
    return 157 - 12 * season, 44 + 21 * season


def _write_truth(plan: Plan, truth: Truth, land: landscape.Landscape, curves: Curves) -> None:
    days = [date.fromisoformat(o.day) for o in plan.overpasses]
    expected = np.stack([curves.ndvi(day) for day in days], axis=1)
    about = {
        "collection": plan.collection,
        "epsg": EPSG,
        "origin": [plan.west, plan.north],
        "pixel": 10,
        "size": plan.size,
        "scale": SCALE,
        "offset": 0,
        "noise_dn": NOISE_DN,
        "dates": [o.day for o in plan.overpasses],
        "overpasses": [asdict(o) for o in plan.overpasses],
        "land_cover": {str(k): v for k, v in landscape.LAND_COVER.items()},
        "crops": [asdict(crop) for crop in CROPS],
        "parcels": land.parcels,
    }
    parameters = {name: getattr(curves, name) for name in ("crop", "base", "amplitude", "start", "end", "rise", "fall")}
    partial = truth.folder / ".truth.partial.npz"
    np.savez_compressed(partial, parcel=land.parcel, cover=land.cover, ndvi=expected, **parameters)
    partial.rename(truth.folder / "truth.npz")
    write_text(truth.folder / "truth.json", json.dumps(about, indent=1))
