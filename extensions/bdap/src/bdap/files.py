"""Files that come from the platform: their formats by name, and writing them whole or not at all."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from .client import Client
from .errors import BadCube, NotReachable

FORMATS = {
    ".tif": "GTiff", ".tiff": "GTiff", ".nc": "netCDF", ".zarr": "Zarr", ".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG",
    ".jpeg": "JPEG", ".json": "JSON", ".geojson": "GeoJSON", ".parquet": "Parquet", ".csv": "CSV",
}  # fmt: skip
PIECE = 1 << 20
Progress = Callable[[float | None, str], None]


def format_of(path: str | Path) -> str:
    """The format that a file's name asks for; BadCube for others."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise BadCube(f"{str(path)!r} ends in no format that is known", f"end it in one of {', '.join(FORMATS)}")
    return FORMATS[suffix]


def writable(path: str | Path) -> Path:
    """A path that can be written, looked at before any work begins; BadCube with the reason where it cannot."""
    target = Path(path).expanduser()
    folder = target if str(path).endswith("/") else target.parent
    if not folder.is_dir() and folder.parent.is_dir() and str(path).endswith("/"):
        folder = folder.parent
    if not folder.is_dir():
        raise BadCube(f"there is no folder {folder} here", _where(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadCube(f"you may not write into {folder}", "choose a folder of yours, or ask the project's lead")
    if target.is_dir() and not str(path).endswith("/"):
        raise BadCube(f"{target} is a folder", f'name a file in it, such as "{target}/result.tif"')
    return target


def targets(path: str | Path, names: Sequence[str]) -> dict[str, Path]:
    """Where each file of a job goes: into a folder by its own name, else beside the path by its date."""
    target = writable(path)
    if str(path).endswith("/"):
        target.mkdir(exist_ok=True)
        return {name: target / Path(name).name for name in names}
    if len(names) == 1:
        return {names[0]: target}
    common = _beginning([Path(name).stem for name in names])
    return {
        name: target.with_name(
            f"{target.stem}_{Path(name).stem[len(common) :].strip('_') or number}{Path(name).suffix}"
        )
        for number, name in enumerate(names)
    }


def result(client: Client, graph: dict[str, Any], target: Path, progress: Progress) -> Path:
    """The file that a graph's save_result makes, at once; whole or not at all."""
    progress(None, "computing")
    with client.stream("processing", "POST", "/result", json={"process": {"process_graph": graph}}) as answer:
        return written(answer, target, progress)


def fetched(client: Client, address: str, target: Path, progress: Progress = lambda share, words: None) -> Path:
    """The file behind a signed address."""
    with client.open(address) as answer:
        return written(answer, target, progress)


def written(answer: httpx.Response, target: Path, progress: Progress) -> Path:
    """What an answer holds, in a file that is there only once it is whole."""
    total = int(answer.headers.get("Content-Length") or 0)
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    done = 0
    try:
        with part.open("wb") as file:
            for piece in answer.iter_bytes(PIECE):
                file.write(piece)
                done += len(piece)
                progress(done / total if total else None, f"{done / 1e6:.1f} MB")
        if total and done != total:
            raise NotReachable(f"the file ended after {done} of {total} bytes", "ask for it again")
        _put(part, target)
    except OSError as error:
        raise BadCube(
            f"{target} could not be written: {error.strerror}", "look at the space and rights there"
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return target


def _beginning(names: Sequence[str]) -> str:
    """What all names begin with, up to a _."""
    low, high = min(names), max(names)
    same = next((place for place, sign in enumerate(low) if high[place : place + 1] != sign), len(low))
    return low[: low.rfind("_", 0, same) + 1]


def _put(part: Path, target: Path) -> None:
    """The finished file in its place; Zarr comes packed and becomes a folder."""
    if target.suffix != ".zarr":
        part.replace(target)
        return
    if target.exists():
        raise BadCube(f"{target} is there already", "delete it first, or choose another name")
    with zipfile.ZipFile(part) as packed:
        packed.extractall(target)


def _where(folder: Path) -> str:
    if folder.is_relative_to("/eos"):
        return "the store is mounted in notebook servers of the platform; elsewhere name a folder of this machine"
    return f"make it first: mkdir -p {folder}"
