"""A recipe's folder, taken as it is at one moment: only its own files, never what a link in it leads to.

Whoever writes in the folder may change it while it is read: every file is opened without following links.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ....errors import BadRequest, TooMuch
from .recipe import FOLDERS, NAMES

LEFT_OUT = frozenset({".git", "__pycache__", ".ipynb_checkpoints", "node_modules"})
MOST_FILES = 5000
LONGEST_TEXT = 200_000


@dataclass(frozen=True)
class Taken:
    """The folder as a tar file, the text of the files that make it a recipe, all names, and a digest of it all."""

    archive: bytes
    texts: dict[str, str]
    names: tuple[str, ...]
    digest: str


def take(folder: Path, limit_mb: int) -> Taken:
    """All files below `folder`. BadRequest for links that leave it and what is no file; TooMuch above the limit."""
    output, texts, names = io.BytesIO(), {}, []
    wanted = {f"{where}/{name}".lstrip("/") for where in FOLDERS for name in NAMES}
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, member, content in _walk(folder, limit_mb * 1_000_000):
            tar.addfile(member, io.BytesIO(content))
            names.append(path)
            if path in wanted and member.isreg():
                texts[path] = _text(path, content)
    archive = output.getvalue()
    return Taken(archive, texts, tuple(names), f"sha256:{hashlib.sha256(archive).hexdigest()}")


def _walk(folder: Path, left: int):  # type: ignore[no-untyped-def]
    count = 0
    for here, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        relative = PurePosixPath(os.path.relpath(here, folder))
        for name in sorted({*files, *folders}):
            path = str(relative / name)
            member, content = _member(descriptor, name, path, left)
            left, count = left - len(content), count + 1
            if count > MOST_FILES:
                raise TooMuch(f"the recipe has more than {MOST_FILES} files", "leave out what the build does not need")
            yield path, member, content


def _member(folder: int, name: str, path: str, left: int) -> tuple[tarfile.TarInfo, bytes]:
    """One entry, with owner and times taken away: the same files make the same archive."""
    member, content = tarfile.TarInfo(path), b""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    member.mode = 0o755 if found.st_mode & 0o111 else 0o644
    if stat.S_ISLNK(found.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=folder)
        _stays_inside(path, member.linkname)
    elif stat.S_ISDIR(found.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    elif stat.S_ISREG(found.st_mode):
        content = _content(folder, name, path, left)
        member.size = len(content)
    else:
        raise BadRequest(f"{path!r} in the recipe is neither file, folder nor link", "remove it")
    return member, content


def _content(folder: int, name: str, path: str, left: int) -> bytes:
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise BadRequest(f"{path!r} in the recipe cannot be read: {error.strerror}", "correct its rights") from None
    with os.fdopen(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise BadRequest(f"{path!r} in the recipe is no file any more", "build again when nobody changes it")
        content = file.read(left + 1)
    if len(content) > left:
        raise TooMuch("the recipe's files are larger than builder.context_mb allows", "leave out data; fetch it later")
    return content


def _stays_inside(path: str, target: str) -> None:
    depth = len(PurePosixPath(path).parts) - 1
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if part == "/" or depth < 0:
            raise BadRequest(f"the link {path!r} leads out of the recipe, to {target[:80]!r}", "copy the file instead")


def _text(path: str, content: bytes) -> str:
    if len(content) > LONGEST_TEXT:
        raise TooMuch(f"{path} is longer than {LONGEST_TEXT} bytes", "make it shorter")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadRequest(f"{path} is no text", "write it as UTF-8") from None
