"""A bundle: one entry (a notebook, a page) with its files, checked, content-addressed and kept immutable.

It may not touch anything outside `<var>/dashboards/bundles`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import nbformat

from ...errors import BadRequest, TooMuch
from ...settings import Settings
from . import kinds, manifest
from .manifest import NOTHING, Manifest
from .scan import find_secret

MAX_FILES = 2000
MAX_DEPTH = 12
UNPACKED_FACTOR = 4
MOST_NOTEBOOK, MOST_PARTS = 50 * 2**20, 10_000
"""Of the notebook that is run: bytes, and cells and outputs together."""
STAGING = ".staging-"
_LEFT_OUT = {".ipynb_checkpoints", "__pycache__", "__MACOSX", ".DS_Store", ".jupyter_cache"}


@dataclass(frozen=True)
class Bundle:
    """Checked content: `files` by relative path, the `entry`'s path, what its manifest says and its `kind`."""

    files: dict[str, bytes]
    entry: str
    manifest: Manifest = NOTHING
    kind: str = kinds.NOTEBOOK

    @property
    def sha256(self) -> str:
        """Address of the content: the same files and entry give the same address, however they were packed."""
        digest = hashlib.sha256(f"entry {self.entry}\n".encode())
        for path in sorted(self.files):
            digest.update(f"{path} {hashlib.sha256(self.files[path]).hexdigest()}\n".encode())
        return digest.hexdigest()


def read_bundle(name: str, content: bytes, max_bytes: int, entry: str = "", kind: str = "") -> Bundle:
    """The bundle in an uploaded file or .zip; BadRequest or TooMuch with the file and the reason.

    `entry` and `kind` count before what its own manifest says.
    """
    if len(content) > max_bytes:
        raise TooMuch(f"the bundle has {mib(len(content))}; the limit is {mib(max_bytes)}", "leave large data out")
    if zipfile.is_zipfile(io.BytesIO(content)):
        files = _without_common_folder(_unzip(content, max_bytes * UNPACKED_FACTOR))
    elif name.lower().endswith(".zip"):
        raise BadRequest(f"{name!r} is not a readable zip archive", "pack it again")
    else:
        files = {_alone(name): content}
    said = _manifest(files)
    kind = kinds.kind_of(name, kind or said.kind)
    bundle = Bundle(files, kinds.find_entry(files, entry or said.entry or "", kind), said, kind)
    if bundle.entry.endswith(".ipynb"):
        _check_notebook(bundle)
    _refuse_secrets(files)
    return bundle


def bundles_of(settings: Settings) -> Path:
    """Where this machine keeps bundles, by their addresses."""
    return settings.var / "dashboards" / "bundles"


def store_bundle(bundle: Bundle, root: Path) -> Path:
    """Write the bundle to `<root>/<sha256>/` once, whole or not at all; returns that folder."""
    target = root / bundle.sha256
    with contextlib.suppress(FileNotFoundError):
        os.utime(target)
        return target
    root.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=root))
    try:
        for path, content in bundle.files.items():
            file = staging / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(0o444)
        for folder in (staging, *(p for p in staging.rglob("*") if p.is_dir())):
            folder.chmod(0o755)
        _move_into_place(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def _move_into_place(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)
    except OSError:  # somebody else stored the same content in the meantime
        if not target.is_dir():
            raise


def _unzip(content: bytes, max_bytes: int) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = max_bytes
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_FILES:
                raise TooMuch(f"the bundle has {len(infos)} files; the limit is {MAX_FILES}", "leave large data out")
            for info in infos:
                path = _safe_path(info, files)
                if path is None:
                    continue
                files[path] = _read(archive, info, left, max_bytes)
                left -= len(files[path])
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, OSError, ValueError) as error:
        raise BadRequest(f"the zip archive cannot be read: {error}", "pack it again") from None
    if not files:
        raise BadRequest("the zip archive has no files", "put the notebook into it")
    for path in files:
        if both := next((str(one) for one in PurePosixPath(path).parents if str(one) in files), None):
            raise BadRequest(f"the zip archive names {both!r} as a file and as a folder", "pack it again")
    return files


def _safe_path(info: zipfile.ZipInfo, seen: dict[str, bytes]) -> str | None:
    """The member's path, None for what is left out (folders, caches); BadRequest for what would do harm."""
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    path = PurePosixPath(name)
    bad = (
        name.startswith("/")
        or "\\" in name
        or ":" in name
        or ".." in path.parts
        or any(ord(c) < 32 or ord(c) == 127 for c in name)
        or len(path.parts) > MAX_DEPTH
        or not path.parts
    )
    if bad:
        raise BadRequest(f"the zip archive names {name!r}, which is not a plain path inside it", "pack it again")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadRequest(f"{name!r} is a link or a special file", "put the file itself into the archive")
    if info.flag_bits & 0x1:
        raise BadRequest(f"{name!r} is encrypted", "pack it without a password")
    if info.is_dir() or _LEFT_OUT & set(path.parts):
        return None
    if str(path) in seen or any(str(parent) in seen for parent in path.parents):
        raise BadRequest(f"the zip archive names {name!r} twice", "pack it again")
    return str(path)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, left: int, limit: int) -> bytes:
    """The member's bytes, never more than `left`, whatever its header says (zip bombs)."""
    too_much = TooMuch(f"the bundle unpacks to more than {mib(limit)}", "leave large data out")
    if info.file_size > left:
        raise too_much
    with archive.open(info) as stream:
        content = stream.read(left + 1)
    if len(content) > left:
        raise too_much
    return content


def _without_common_folder(files: dict[str, bytes]) -> dict[str, bytes]:
    tops = {path.partition("/")[0] for path in files}
    if len(tops) != 1 or any("/" not in path for path in files):
        return files
    return {path.partition("/")[2]: content for path, content in files.items()}


def _alone(name: str) -> str:
    """What a file that comes alone is called: a notebook, unless its own name says what else."""
    ending = PurePosixPath(name).suffix.lower()
    return f"index{ending if ending in kinds.ALONE else '.ipynb'}"


def _manifest(files: dict[str, bytes]) -> Manifest:
    """What its bdap-dashboard.yaml says; nothing where it has none."""
    try:
        text = files.get(manifest.NAME, b"").decode()
    except UnicodeDecodeError:
        raise BadRequest(f"{manifest.NAME} is no text in UTF-8", "save it as UTF-8") from None
    return manifest.read(text)


def _check_notebook(bundle: Bundle) -> None:
    _refuse_long(bundle)
    try:
        notebook = nbformat.reads(bundle.files[bundle.entry].decode(), as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat raises whatever its parser meets
        first = str(error).strip().partition("\n")[0][:200]
        raise BadRequest(f"{bundle.entry} is not a valid notebook: {first}", "save it again in JupyterLab") from None


def _refuse_long(bundle: Bundle) -> None:
    """To look each cell and output over takes long; a small archive may hold very many that are alike."""
    content = bundle.files[bundle.entry]
    if len(content) > MOST_NOTEBOOK:
        raise TooMuch(f"{bundle.entry} has more than {mib(MOST_NOTEBOOK)}", "clear its outputs, and save it again")
    with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):  # of no notebook, as is told next
        found = json.loads(content)
        sheets = [found, *(found.get("worksheets") or ())]  # where earlier formats have their cells
        cells = [cell for sheet in sheets for cell in sheet.get("cells") or ()]
        if (parts := len(cells) + sum(len(cell.get("outputs") or ()) for cell in cells)) > MOST_PARTS:
            raise TooMuch(
                f"{bundle.entry} has {parts} cells and outputs", f"at most {MOST_PARTS} are taken: clear its outputs"
            )


def _refuse_secrets(files: dict[str, bytes]) -> None:
    for path in sorted(files):
        if reason := find_secret(path, files[path]):
            raise BadRequest(
                f"{path} holds {reason}" if not reason.startswith("a file") else f"{path} is {reason}",
                "remove it from the bundle; visitors of a dashboard could read it",
            )


def mib(size: int) -> str:
    """A number of bytes as people read it."""
    return f"{size / 2**20:.1f} MiB"
