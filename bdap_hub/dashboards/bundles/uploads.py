"""Uploads in pieces, which go on where they broke off: kept by their SHA-256 for the person who sends them.

A file is `<size>.<sha256>.part` until it is whole and its content is what was announced. All go a day after they were
last touched, whole or not: what was published lies among the bundles.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...errors import BadRequest, Conflict, NotFound, TooMuch

DAY = 24 * 3600.0
MOST = 4
"""So many times the size of one upload a person may keep here, and so many uploads that are not whole."""
_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class State:
    """How far an upload is: it goes on at `offset`, and is whole where that is its size."""

    sha256: str
    size: int
    offset: int

    @property
    def complete(self) -> bool:
        """Whether the server has it."""
        return self.offset == self.size

    def model(self) -> dict[str, object]:
        """As the API gives it."""
        return {"sha256": self.sha256, "size": self.size, "offset": self.offset, "complete": self.complete}


class Uploads:
    """The uploads of everybody, below one folder; `limit` is the size of one."""

    def __init__(self, root: Path, limit: int) -> None:
        self.root, self.limit = root, limit

    def begin(self, person: str, sha256: str, size: int) -> State:
        """Announce an upload, or ask how far it is: one that is there already need not be sent."""
        if not _SHA.fullmatch(sha256):
            raise BadRequest(f"sha256: {sha256[:80]!r} is none", "send 64 hexadecimal digits, small letters")
        if not 0 < size <= self.limit:
            raise TooMuch(f"size: the upload has {size} bytes; the limit is {self.limit}", "leave large data out")
        self.tidy()
        folder = self._folder(person)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (whole := folder / sha256).is_file():
            os.utime(whole)
            return State(sha256, whole.stat().st_size, whole.stat().st_size)
        part = folder / f"{size}.{sha256}.part"
        if not part.exists():
            self._room(folder, size)
            for other in folder.glob(f"*.{sha256}.part"):  # one of the two sizes is wrong
                other.unlink(missing_ok=True)
        part.touch(mode=0o600)
        if part.stat().st_size == size:  # all of it was written, and then the service ended
            return self.append(person, sha256, size, b"")
        return State(sha256, size, part.stat().st_size)

    def state(self, person: str, sha256: str) -> State:
        """How far it is; NotFound where it was never announced, or has gone."""
        folder = self._folder(person)
        if _SHA.fullmatch(sha256) and (whole := folder / sha256).is_file():
            return State(sha256, whole.stat().st_size, whole.stat().st_size)
        part = self._part(person, sha256)
        if part.stat().st_size == _size(part):
            return self.append(person, sha256, _size(part), b"")
        return State(sha256, _size(part), part.stat().st_size)

    def append(self, person: str, sha256: str, offset: int, content: bytes) -> State:
        """The next piece. Conflict where it does not begin where the last one ended."""
        part = self._part(person, sha256)
        size = _size(part)
        with _locked(part) as file:
            here = file.seek(0, os.SEEK_END)
            if offset != here:
                raise Conflict(f"offset: {offset} is not where the upload goes on: {here}", "send the rest from there")
            if offset + len(content) > size:
                raise BadRequest(f"the piece ends beyond the announced {size} bytes", "send what was announced")
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if offset + len(content) == size:
                self._finish(part, sha256)
        return State(sha256, size, offset + len(content))

    def content(self, person: str, sha256: str) -> bytes:
        """All of it; Conflict while it is not whole."""
        found = self.state(person, sha256)
        if not found.complete:
            raise Conflict(f"upload: {found.offset} of {found.size} bytes are here", "send the rest first")
        path = self._folder(person) / sha256
        os.utime(path)
        return path.read_bytes()

    def drop(self, person: str, sha256: str) -> None:
        """Forget it, whole or not."""
        self.state(person, sha256)
        for path in (self._folder(person) / sha256, *self._folder(person).glob(f"*.{sha256}.part")):
            path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what nobody has touched for a day."""
        before = time.time() - DAY
        for path in self.root.glob("*/*"):
            try:
                if path.stat().st_mtime < before:
                    path.unlink()
            except FileNotFoundError:
                continue  # another process was first

    def _finish(self, part: Path, sha256: str) -> None:
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            part.unlink()
            raise BadRequest(f"the upload's content has the SHA-256 {found}, not {sha256}", "send it again")
        part.rename(part.with_name(sha256))

    def _room(self, folder: Path, size: int) -> None:
        """TooMuch where a person would keep too much here; what is whole, and so published or left, goes first."""
        parts = list(folder.glob("*.part"))
        if len(parts) >= MOST:
            raise TooMuch(f"{len(parts)} of your uploads are not whole yet", "finish or delete one first")
        wholes = sorted((path for path in folder.iterdir() if path.suffix != ".part"), key=lambda p: p.stat().st_mtime)
        held = sum(map(_size, parts)) + sum(path.stat().st_size for path in wholes)
        while wholes and held + size > MOST * self.limit:
            held -= wholes[0].stat().st_size
            wholes.pop(0).unlink(missing_ok=True)

    def _part(self, person: str, sha256: str) -> Path:
        parts = sorted(self._folder(person).glob(f"*.{sha256}.part")) if _SHA.fullmatch(sha256) else []
        if not parts:
            raise NotFound(f"there is no upload {sha256[:80]!r} of yours", "announce it first: POST /api/uploads")
        return parts[0]

    def _folder(self, person: str) -> Path:
        return self.root / hashlib.sha256(person.encode()).hexdigest()[:32]


@contextmanager
def _locked(part: Path) -> Iterator:  # type: ignore[type-arg]
    """The file, for one process at a time; NotFound where another has just finished or forgotten it."""
    with part.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink == 0 or not part.exists():
            raise Conflict("the upload has just ended elsewhere", "ask how far it is")
        yield file


def _size(part: Path) -> int:
    return int(part.name.partition(".")[0])
