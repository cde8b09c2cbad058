"""What each image is built from: its folder, the extensions installed in it, its parents; and the hash of all that.

Adding an image is adding a folder with a Dockerfile and a verify.py under images/.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import BadRequest, BadSettings
from . import debian

ROOT = Path(__file__).parents[3]
# What is installed in a person's image, and in which one.
EXTENSIONS = {"base": ("bdap", "jeodpp"), "lab": ("jupyterlab-bdap",)}
# What people look for in an image, in the order in which the start page says it; from the locks of the image.
TELLING = {
    "jupyterlab": "JupyterLab",
    "voila": "Voilà",
    "torch": "PyTorch",
    "jax": "JAX",
    "vois": "vois",
    "ipyleaflet": "ipyleaflet",
    "numpy": "NumPy",
    "xarray": "xarray",
    "matplotlib": "Matplotlib",
}
PYTHON = "Python 3.13"  # Debian trixie's own
IGNORED = ("__pycache__", "node_modules", ".ipynb_checkpoints", "*.egg-info", "tests", "dist", ".*_cache")


@dataclass(frozen=True)
class Recipe:
    """One image: its folder's files as `path -> file`, and the images that its Dockerfile starts from."""

    name: str
    files: tuple[tuple[str, Path], ...]
    parents: tuple[str, ...]

    @property
    def starts_from_debian(self) -> bool:
        """Whether it begins with the base image rather than with another of ours."""
        return "FROM ${BASE_IMAGE}" in dict(self.files)["Dockerfile"].read_text()

    @property
    def reference(self) -> str:
        return f"bdap/{self.name}"


def names() -> list[str]:
    """Every image that this checkout can build, parents before children."""
    if not (ROOT / "images").is_dir():
        raise BadSettings(f"{ROOT} holds no images folder", "images are built from a checkout of the source")
    ordered: dict[str, None] = {}
    for name in sorted(path.parent.name for path in (ROOT / "images").glob("*/Dockerfile")):
        for one in with_parents(name):
            ordered[one] = None
    return list(ordered)


def recipe(name: str) -> Recipe:
    """What the image `name` is built from; BadRequest where there is no such folder."""
    folder = ROOT / "images" / name
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or not (folder / "Dockerfile").is_file():
        raise BadRequest(f"there is no image {name!r}", "`bdap images list` shows them")
    files = _files(folder)
    for extension in EXTENSIONS.get(name, ()):
        files += [(f"extensions/{extension}/{path}", file) for path, file in _files(ROOT / "extensions" / extension)]
    parents = re.findall(r"(?:^FROM |from=)bdap/([a-z0-9-]+)", (folder / "Dockerfile").read_text(), re.MULTILINE)
    return Recipe(name, tuple(files), tuple(dict.fromkeys(parents)))


def inputs_hash(name: str, base_image: str | None = None, arguments: Sequence[str] = ()) -> str:
    """Hash of every input: files with their mode, the parents' hashes, the base image and the build arguments."""
    made_of = recipe(name)
    digest = hashlib.sha256(f"{base_image or debian_hash()}\n{sorted(arguments)}\n".encode())
    for parent in made_of.parents:
        digest.update(f"{parent} {inputs_hash(parent, base_image)}\n".encode())
    for path, file in made_of.files:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{path} {os.access(file, os.X_OK)} {content}\n".encode())
    return digest.hexdigest()


def headlines(made_of: Recipe, arguments: Sequence[str] = ()) -> tuple[str, ...]:
    """What is in the image, for people: `Python 3.13`, `JupyterLab 4.6`. Build arguments may choose between locks."""
    variant = dict(one.partition("=")[::2] for one in arguments).get("VARIANT", "cuda")
    files = dict(made_of.files)
    locks = [file for path, file in files.items() if path in ("requirements.lock", f"{variant}.lock")]
    found = dict(
        pair for file in locks for pair in re.findall(r"^([a-z0-9-]+)==(\d+(?:\.\d+)?)", file.read_text(), re.M)
    )
    return (PYTHON, *(f"{title} {found[package]}" for package, title in TELLING.items() if package in found))


def _files(folder: Path) -> list[tuple[str, Path]]:
    left_out = shutil.ignore_patterns(*IGNORED)
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - left_out(here, folders))
        found += [Path(here) / file for file in files]
    return sorted((path.relative_to(folder).as_posix(), path) for path in found)


def with_parents(name: str) -> list[str]:
    """The image and all that it starts from, in the order in which to build them."""
    chain = [one for parent in recipe(name).parents for one in with_parents(parent)]
    return list(dict.fromkeys([*chain, name]))


def debian_hash() -> str:
    """Hash of what the Debian root is made of."""
    return hashlib.sha256(f"{debian.SUITE}{debian.sources()}{debian.LEFT_OUT}".encode()).hexdigest()
