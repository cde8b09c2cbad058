"""The folder of a notebook: what of it would be published, and packed. Knows nothing of Jupyter Server."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .publish import PublishError, bundle

LEFT_OUT = {".git", ".venv", "node_modules", "__pycache__", ".ipynb_checkpoints", ".DS_Store"}
"""Of a working folder: what no dashboard needs, as where the command line publishes one."""
HALF = ".~"
"""So begins the name of what an editor has half written."""
MANIFEST = "bdap-dashboard.yaml"
MOST_FILES, MOST_DEPTH = 2000, 12
MOST_BYTES = 200 * 2**20
LONG_AGO = (1980, 1, 1, 0, 0, 0)
PLAIN = re.compile(r"[^\\:\x00-\x1f\x7f\udc80-\udcff]+")
"""A name that means the same everywhere; the last ones are bytes that are no UTF-8."""


@dataclass(frozen=True)
class Folder:
    """A folder by its place and its files (relative paths, sorted), with their bytes together."""

    place: Path
    files: tuple[str, ...]
    size: int

    @classmethod
    def of(cls, root: Path, notebook: str) -> Folder:
        """The folder that holds the notebook, whose path begins at `root`. PublishError where it cannot be published:
        the root itself (a home, with all that a person has), links, odd names, too much, what cannot be read."""
        place = Path(os.path.normpath(root / notebook)).parent  # a link out of the root is as good as a folder in it
        if place.resolve() == root.resolve():
            raise PublishError("the notebook lies in your home folder itself", "put it into a folder of its own first")
        if not place.is_relative_to(root) or not place.is_dir():
            raise PublishError(f"there is no folder {place.name!r}", "save the notebook, and publish it again", 404)
        sizes: dict[str, int] = {}
        total = 0
        with _readable(place):
            for file in _walk(place):
                name = _checked(file, place)
                sizes[name] = file.stat().st_size
                total += sizes[name]
                if len(sizes) > MOST_FILES or total > MOST_BYTES:
                    raise _too_much(place, sizes)
        return cls(place, tuple(sorted(sizes)), total)

    def holds_notebook(self) -> bool:
        """Whether its manifest speaks of a notebook, and not of a page or an app."""
        if MANIFEST not in self.files:
            return False
        with _readable(self.place):
            said = re.search(r"^kind:\s*(\S+)", (self.place / MANIFEST).read_text(errors="replace"), re.M)
        return said is None or said[1].strip("\"'") == "voila"

    def packed(self, entry: str, content: bytes) -> bytes:
        """A zip archive, the same for the same files; `entry` is `content` in it. Notebooks have no outputs."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive, _readable(self.place):
            for name in sorted({*self.files, entry}):
                info = zipfile.ZipInfo(name, LONG_AGO)
                info.external_attr = 0o644 << 16
                held = content if name == entry else _held(self.place / name)
                archive.writestr(info, held, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()


def _walk(place: Path) -> Iterator[Path]:
    for path in sorted(place.iterdir()):
        if path.name in LEFT_OUT or path.name.startswith(HALF):
            continue
        if path.is_dir() and not path.is_symlink():
            if not (path / "pyvenv.cfg").exists():
                yield from _walk(path)
        elif path.is_file() or path.is_symlink():
            yield path


def _checked(file: Path, place: Path) -> str:
    name = file.relative_to(place).as_posix()
    shown = name.encode("utf-8", "replace").decode()
    if file.is_symlink():
        raise PublishError(f"{shown!r} is a link", "remove it; folders of the store are named under Data")
    if not PLAIN.fullmatch(name) or name.count("/") >= MOST_DEPTH:
        raise PublishError(f"{shown!r} is no name that works everywhere, or lies too deep", "rename or move it")
    return name


def _held(path: Path) -> bytes:
    """The file; of a notebook all but what it showed."""
    content = path.read_bytes()
    if path.suffix != ".ipynb":
        return content
    try:
        return bundle(json.loads(content))
    except (ValueError, AttributeError, TypeError):  # it is no notebook
        return content


@contextmanager
def _readable(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        named = Path(os.fsdecode(error.filename or place)).name.encode("utf-8", "replace").decode()
        raise PublishError(f"{named!r} in the folder {place.name!r} cannot be read", "look at its rights") from None


def _too_much(place: Path, sizes: dict[str, int]) -> PublishError:
    largest = max(sizes, key=sizes.__getitem__)
    return PublishError(
        f"the folder {place.name!r} holds more than {MOST_FILES} files or {MOST_BYTES // 2**20} MiB; the largest seen "
        f"is {largest!r} ({sizes[largest] / 2**20:.1f} MiB)",
        "leave large data on the store, and name its folder under Data",
        413,
    )
