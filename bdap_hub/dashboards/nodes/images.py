"""Images that a node was brought: known by what they are on the hub's host, and by no other name."""

from __future__ import annotations

import json
import posixpath
import tarfile
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from ...errors import BadRequest, Unavailable
from .order import REPOSITORY

SAYING = ("repositories", "manifest.json", "index.json")
NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


def has(reference: str) -> bool:
    """Whether the image is here."""
    try:
        docker.from_env(timeout=60).api.inspect_image(reference)
    except ImageNotFound:
        return False
    except (DockerException, OSError):
        raise Unavailable("the Docker engine does not answer", "try again in a moment") from None
    return True


def load(file: Path, digest: str) -> None:
    """What `docker save` wrote on the hub's host. BadRequest where it would give names to images here."""
    if name := named(file):
        raise BadRequest(f"the image brings the name {name!r:.200} along", "images are brought without names")
    try:
        with file.open("rb") as content:
            [image, *_] = docker.from_env(timeout=600).images.load(content)
        image.tag(REPOSITORY, digest)
    except (DockerException, OSError, ValueError) as error:
        raise Unavailable(
            f"the image could not be loaded: {type(error).__name__}", "look at the engine's log"
        ) from None


def named(file: Path) -> str:
    """The first name in an archive of images, '' where there is none. Engines would take over each that is there."""
    try:
        with tarfile.open(file) as archive:
            members: dict[str, tarfile.TarInfo] = {}
            for member in archive:
                name = posixpath.normpath(member.name).lstrip("/")
                if name in SAYING and (name in members or not member.isfile()):
                    raise ValueError(name)  # engines may read another one of these
                members[name] = member
            if "repositories" in members:
                return "repositories"
            for manifest in _json(archive, members.get("manifest.json"), []):
                if tags := manifest.get("RepoTags"):
                    return str(tags[0])
            for manifest in _json(archive, members.get("index.json"), {}).get("manifests", []):
                if found := [value for key, value in (manifest.get("annotations") or {}).items() if key in NAMES]:
                    return str(found[0])
    except (tarfile.TarError, OSError, ValueError, AttributeError, TypeError, KeyError):
        raise BadRequest("the image cannot be read", "send it again") from None
    return ""


def _json[T](archive: tarfile.TarFile, member: tarfile.TarInfo | None, nothing: T) -> T:
    if member is None or (content := archive.extractfile(member)) is None:
        return nothing
    found: T = json.loads(content.read(2**22))
    return found
