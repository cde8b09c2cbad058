"""A person's files at the service: paths that cannot lead out, no links followed, a bound on their size.

Every folder on the way is opened by its parent's handle, without following links: what a name stands for cannot change
between the look and the use.
"""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import shutil
import stat
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ...errors import BadRequest, NotFound
from ...settings import Settings

DEEPEST = 16
MOST_FILES = 10_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
HIDDEN = ".upload-"
"""So begin names of our own, which nobody can give and no list shows."""


class FilePathInvalid(BadRequest):
    """The path is none that a workspace has."""

    code = "FilePathInvalid"


class FileNotFound(NotFound):
    """There is no such file in the workspace."""

    code = "FileNotFound"


class FileOperationUnsupported(BadRequest):
    """A folder where a file is needed, or a file where a folder is."""

    code = "FileOperationUnsupported"


class StorageQuotaExceeded(BadRequest):
    """The workspace would grow beyond its bound."""

    code = "StorageQuotaExceeded"


@dataclass(frozen=True)
class Entry:
    """A file of a workspace; `path` is relative to it."""

    path: str
    size: int
    modified: datetime

    def document(self) -> dict[str, str | int]:
        """As openEO describes it."""
        return {"path": self.path, "size": self.size, "modified": self.modified.strftime("%Y-%m-%dT%H:%M:%SZ")}


@dataclass(frozen=True)
class Unfinished:
    """A file that is being written: its folder's handle, the name that it has until it is whole."""

    folder: int
    name: str
    target: io.BufferedWriter


class Workspace:
    """The files of one person, below `root`, which is the service's own."""

    def __init__(self, root: Path, most_bytes: int) -> None:
        self.root, self.most_bytes = root, most_bytes

    def entries(self) -> list[Entry]:
        """All files, by path."""
        with suppress(FileNotFoundError), self._root() as handle:
            return sorted(_walk(handle, "", 0), key=lambda entry: entry.path)
        return []

    def open(self, path: str) -> int:
        """A handle for reading a file; the caller closes it."""
        *folders, name = parts(path)
        with self._folder(folders) as handle, _as_ours(path):
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise FileOperationUnsupported(f"{path!r} is no file", "name a file")
        return file

    def remove(self, path: str) -> None:
        """Delete a file, and the folders that it leaves empty."""
        *folders, name = parts(path)
        os.close(self.open(path))
        with self._folder(folders) as handle, _as_ours(path):
            os.unlink(name, dir_fd=handle)
        for depth in range(len(folders), 0, -1):
            with self._folder(folders[: depth - 1]) as handle:
                try:
                    os.rmdir(folders[depth - 1], dir_fd=handle)
                except OSError:
                    return

    async def write(self, path: str, chunks: AsyncIterator[bytes]) -> Entry:
        """Keep what comes as that file, instead of an earlier one, all or nothing; bounded while it comes."""
        *folders, _ = parts(path)
        before = await asyncio.to_thread(self.entries)
        if len(before) >= MOST_FILES:
            raise StorageQuotaExceeded(f"you have {MOST_FILES} files, which is the limit", "delete some")
        left, opened = self._left(before, path), ExitStack()
        try:  # all of it in threads: the store may be slow
            unfinished = await asyncio.to_thread(opened.enter_context, self._unfinished(folders))
            async for chunk in chunks:
                left -= len(chunk)
                self._check(left)
                await asyncio.to_thread(unfinished.target.write, chunk)
            return await asyncio.to_thread(self._kept, unfinished, path)
        finally:
            await asyncio.to_thread(opened.close)

    @contextmanager
    def _unfinished(self, folders: list[str]) -> Iterator[Unfinished]:
        """A new file in that folder, which is gone in the end unless it was `_kept`."""
        with self._folder(folders, make=True) as handle:
            name = f"{HIDDEN}{secrets.token_hex(8)}"
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=handle)
            try:
                with os.fdopen(file, "wb") as target:
                    yield Unfinished(handle, name, target)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=handle)

    def _kept(self, unfinished: Unfinished, path: str) -> Entry:
        """The file takes its place, unless others came meanwhile and it is too much."""
        size, name = unfinished.target.tell(), parts(path)[-1]
        unfinished.target.close()
        self._check(self._left(self.entries(), path) - size)
        with _as_ours(path):
            os.replace(unfinished.name, name, src_dir_fd=unfinished.folder, dst_dir_fd=unfinished.folder)
        return _entry(path, os.stat(name, dir_fd=unfinished.folder, follow_symlinks=False))

    def _left(self, entries: Iterable[Entry], path: str) -> int:
        """How many bytes a file of that path may have."""
        return self.most_bytes - sum(entry.size for entry in entries if entry.path != path)

    def _check(self, left: int) -> None:
        if left < 0:
            sentence = f"your files would need more than {self.most_bytes >> 20} MB"
            raise StorageQuotaExceeded(sentence, "delete some first")

    @contextmanager
    def _root(self) -> Iterator[int]:
        handle = os.open(self.root, _FOLDER)
        try:
            yield handle
        finally:
            os.close(handle)

    @contextmanager
    def _folder(self, folders: list[str], make: bool = False) -> Iterator[int]:
        if make:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = "/".join(folders)
        with _as_ours(path):
            handle = os.open(self.root, _FOLDER)
        try:
            for name in folders:
                with _as_ours(path):
                    if make:
                        with suppress(FileExistsError):
                            os.mkdir(name, 0o700, dir_fd=handle)
                    inner = os.open(name, _FOLDER, dir_fd=handle)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)


def workspace_of(settings: Settings, person: str) -> Workspace:
    """Somebody's files: on the store, where batch jobs find them. What earlier versions kept is moved there."""
    folder = settings.store.files_of(person)
    before = settings.var / "processing" / "files" / person
    if person == before.name and before.is_dir() and not folder.exists():
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.move(before, folder)
    return Workspace(folder, settings.processing.files_mb * 2**20)


def parts(path: str) -> list[str]:
    """The names of a path; FilePathInvalid for one that is empty, absolute, too long or deep, or leads elsewhere."""
    names = path.split("/")
    if len(names) > DEEPEST:
        raise FilePathInvalid(f"the path has more than {DEEPEST} parts", "use fewer folders")
    for name in names:
        plain = name not in ("", ".", "..") and name.isprintable() and "\\" not in name
        if not plain or len(name.encode("utf-8", "surrogatepass")) > 200 or name.startswith(HIDDEN):
            raise FilePathInvalid(
                f"{path[:100]!r} is no path of a file", "use names of folders and a file, such as a/b.tif"
            )
    return names


@contextmanager
def _as_ours(path: str) -> Iterator[None]:
    """What the system says about a path, in openEO's words; never where the workspace lies."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFound(f"you have no file {path!r}", "GET /files lists yours") from None
    except OSError:  # a link, a folder, a file in a folder's place
        raise FileOperationUnsupported(f"{path!r} is not what this needs: a file in folders", "GET /files") from None


def _walk(handle: int, prefix: str, depth: int) -> Iterator[Entry]:
    with os.scandir(handle) as found:
        for one in found:
            state = one.stat(follow_symlinks=False)
            if stat.S_ISREG(state.st_mode) and not one.name.startswith(HIDDEN):
                yield _entry(f"{prefix}{one.name}", state)
            elif stat.S_ISDIR(state.st_mode) and depth < DEEPEST and not one.name.startswith(HIDDEN):
                with suppress(OSError):
                    inner = os.open(one.name, _FOLDER, dir_fd=handle)
                    try:
                        yield from _walk(inner, f"{prefix}{one.name}/", depth + 1)
                    finally:
                        os.close(inner)


def _entry(path: str, state: os.stat_result) -> Entry:
    return Entry(path, state.st_size, datetime.fromtimestamp(state.st_mtime, UTC))
