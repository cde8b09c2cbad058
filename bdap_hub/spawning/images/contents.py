"""An image's layers and configuration, read as the engine saves them. Nothing of the image is run."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from ...errors import BadRequest, NotFound, Unavailable
from .platform import docker_client
from .rules import File

CAPABILITY = "SCHILY.xattr.security.capability"
LOOKED_INTO = 4_000_000  # bytes; larger files are listed, and not searched


@dataclass(frozen=True)
class Contents:
    """An image in Docker's archive format, which has a manifest.json in its old and in its new form."""

    archive: tarfile.TarFile
    configuration: dict[str, Any]
    layers: tuple[str, ...]

    @classmethod
    def of(cls, archive: tarfile.TarFile) -> Contents:
        """The one image in the archive."""
        try:
            (manifest,) = json.load(member(archive, "manifest.json"))
            return cls(archive, json.load(member(archive, manifest["Config"])), tuple(manifest["Layers"]))
        except (ValueError, KeyError, TypeError):
            raise BadRequest("this is no archive of one image", "save one image, by its name") from None

    @property
    def digests(self) -> list[str]:
        """Each layer's digest, lowest first."""
        return list(self.configuration["rootfs"]["diff_ids"])

    def files(self, first_layer: int = 0) -> Iterator[File]:
        """Every file of the layers from that one on; of one that several layers hold, each."""
        for number, name in enumerate(self.layers[first_layer:], first_layer):
            with tarfile.open(fileobj=member(self.archive, name), mode="r:*") as tar:
                yield from (_file(tar, one, number) for one in tar if not one.issym())


@contextlib.contextmanager
def opened(reference: str) -> Iterator[Contents]:
    """The image as the engine has it; NotFound where it has none of that name."""
    with tempfile.TemporaryFile(prefix="bdap-scan-", dir="/var/tmp") as saved:
        command = [docker_client(), "image", "save", reference]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=saved, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            told = (done.stderr.decode(errors="replace").strip() or "no output").splitlines()[-1]
            if "No such image" in told or "not exist" in told:
                raise NotFound(f"the engine has no image {reference!r}", "`bdap images list` shows the platform's")
            raise Unavailable(f"the engine does not give the image {reference!r}: {told}", "see the engine's log")
        saved.seek(0)
        with tarfile.open(fileobj=saved, mode="r:") as archive:
            yield Contents.of(archive)


def member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """A file of an archive, which must be there."""
    with contextlib.suppress(KeyError):
        if found := archive.extractfile(name):
            return found
    raise BadRequest(f"the image's archive lacks {name[:80]!r}", "save the image anew")


def _file(tar: tarfile.TarFile, one: tarfile.TarInfo, layer: int) -> File:
    stream = tar.extractfile(one) if one.isfile() and one.size <= LOOKED_INTO else None
    path = one.name.removeprefix("./").strip("/")
    capable = CAPABILITY in one.pax_headers
    return File(path, one.mode, one.uid, layer, one.isdir(), stream.read() if stream else None, capable)
