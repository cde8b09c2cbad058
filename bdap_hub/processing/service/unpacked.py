"""netCDF files of a workspace as GeoTIFFs beside it: unpacked once, gone with the file that they came from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from ...errors import BdapError
from ..graphs.graph import GraphError
from ..netcdf.apart import unpacked
from .workspace import HIDDEN, StorageQuotaExceeded, Workspace

SOURCE = "source.json"
FOLDER = f"{HIDDEN}netcdf"
"""No path of a workspace leads there."""


def layers(workspace: Workspace, path: str) -> list[str]:
    """The layers of a netCDF file as paths below the workspace's root; they are made where they are not there yet."""
    handle = workspace.open(path)
    try:
        found = os.fstat(handle)
        said = [path, found.st_mtime_ns, found.st_size]
        name = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:24]
        root = workspace.root / FOLDER
        if not (root / name).is_dir():
            _tidy(workspace, root)
            _unpack(handle, root, name, workspace.most_bytes - _size(root), said)
    except GraphError as error:
        raise GraphError(error.code, f"{path} {error.message}", error.remedy) from None
    finally:
        os.close(handle)
    return [f"{FOLDER}/{name}/{one.name}" for one in sorted((root / name).glob("*.tif"))]


def _unpack(handle: int, root: Path, name: str, left: int, said: list[object]) -> None:
    if left <= 0:
        raise StorageQuotaExceeded("your netCDF files take as much as you may have, unpacked", "delete some first")
    root.mkdir(mode=0o700, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="part-", dir=root))
    try:
        unpacked(handle, part, left)
        (part / SOURCE).write_text(json.dumps(said))
        part.rename(root / name)
    except OSError:
        if not (root / name).is_dir():  # else another request was faster
            raise
        shutil.rmtree(part, True)
    except BdapError:
        shutil.rmtree(part, True)
        raise


def _tidy(workspace: Workspace, root: Path) -> None:
    """Forget the layers of files that were deleted or replaced."""
    known = {entry.path for entry in workspace.entries()}
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name.startswith("part-") or not (folder / SOURCE).is_file():
            continue  # somebody is at it
        path, mtime, size = json.loads((folder / SOURCE).read_text())
        if path in known:
            handle = workspace.open(path)
            state = os.fstat(handle)
            os.close(handle)
            if (state.st_mtime_ns, state.st_size) == (mtime, size):
                continue
        shutil.rmtree(folder, True)


def _size(root: Path) -> int:
    return sum(one.stat().st_size for one in root.rglob("*") if one.is_file())
