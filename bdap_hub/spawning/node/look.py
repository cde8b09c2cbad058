"""Looks at the store, which may hang for ever where that does not answer.

A program of its own (`python -I look.py`, a JSON object on stdin, another on stdout), so that the hub can leave
it behind. Nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def kind_of(folder: Path) -> str:
    """The type of the file system that holds `folder`, by this process's mounts."""
    best, kind = "", ""
    for fields in (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()):
        point = fields[4].encode().decode("unicode_escape")
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, fields[fields.index("-") + 1]
    return kind


def is_kind(found: str, wanted: str) -> bool:
    """Whether that is the wanted type: fuse is also fuse.eosxd."""
    return not wanted or found == wanted or found.startswith(f"{wanted}.")


def answers(folder: Path, wanted: str) -> Path:
    """The folder without links in its name, once it has answered; OSError where it is dead or not the store."""
    real = folder.resolve()
    if not is_kind(found := kind_of(real), wanted):
        raise OSError(0, f"{folder} lies on {found or 'nothing'} where {wanted} should be mounted")
    os.statvfs(real)
    with os.scandir(real) as entries:
        next(entries, None)
    return real


def device(path: Path) -> str:
    """major:minor of the file system at `path`, as mountinfo writes it."""
    number = path.stat().st_dev
    return f"{os.major(number)}:{os.minor(number)}"


def look(wanted: dict[str, Any]) -> dict[str, str]:
    """The devices of data, projects and those of the `sources` that are there, by path. A link is none of them."""
    folders = [Path(one) for one in wanted["folders"]]
    for folder in folders:
        if not wanted["file_system"]:
            folder.mkdir(parents=True, exist_ok=True)
        answers(folder, wanted["file_system"])
    sources = [Path(one) for one in wanted["sources"]]
    return {str(one): device(one) for one in (*folders, *sources) if one.is_dir() and not one.is_symlink()}


if __name__ == "__main__":
    try:
        json.dump(look(json.load(sys.stdin)), sys.stdout)
    except OSError as error:
        sys.exit(f"{error.strerror or error}: {error.filename}" if error.filename else str(error.strerror or error))
