"""What a project's recipe asks for, by its files: a Dockerfile, or lists of packages as repo2docker names them.

PURE: no I/O; `folder` has read the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from ....errors import BadRequest
from . import dockerfile

# Read as text where they are there; the first folder that has one of them is the recipe's, as repo2docker looks.
FOLDERS = ("binder", ".binder", "")
NAMES = ("Dockerfile", "environment.yml", "requirements.txt", "apt.txt", "postBuild")
# What repo2docker would act on and we do not: refused, so that nobody misses it later.
NOT_DONE = frozenset(
    {
        "start",
        "install.R",
        "DESCRIPTION",
        "Project.toml",
        "REQUIRE",
        "Pipfile",
        "Pipfile.lock",
        "default.nix",
        "setup.py",
    }
)
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?")
PYTHON = "3.13"  # the images'
# Where the builder puts things for the time of the build: folders that every image has, empty.
RECIPE, LENT, TOOLS = "/mnt", "/run/secrets", "/uv"
COPIED = "/tmp/recipe"  # noqa: S108  inside the build
INTO = "--python /opt/bdap/bin/python"
# The hub and the platform's parts stay at the versions that were tested together.
KEPT = "jupyterhub|jupyterlab|jupyter-server|bdap|jupyterlab-bdap"


@dataclass(frozen=True)
class Recipe:
    """What to build: the Dockerfile, the platform's image that it starts from, and the folder that is its context."""

    dockerfile: str
    base: str
    context: str = ""


def read(files: Mapping[str, str], names: Iterable[str], bases: Mapping[str, str], default: str) -> Recipe:
    """The recipe in a folder whose known `files` are given as text, and all of whose `names` are given.

    `bases` are the references that a recipe may start from, by what they may be called; `default` is that of lists.
    """
    listed = set(names)
    for folder in FOLDERS:
        here = {name: files[path] for name in NAMES if (path := f"{folder}/{name}".lstrip("/")) in files}
        inside = {name.removeprefix(f"{folder}/") for name in listed if not folder or name.startswith(f"{folder}/")}
        if here or (folder and inside):
            if unknown := sorted(NOT_DONE & inside | ({"runtime.txt"} & inside)):
                raise BadRequest(f"the recipe has {', '.join(unknown)}, which is not supported", "do it in postBuild")
            return _recipe(here, folder, bases, default)
    raise BadRequest("the folder holds no recipe", f"put one of {', '.join(NAMES[:-1])} into it")


def _recipe(here: Mapping[str, str], folder: str, bases: Mapping[str, str], default: str) -> Recipe:
    if "Dockerfile" in here:
        text, base = dockerfile.overlay(here["Dockerfile"], bases)
        return Recipe(text, base)  # its context is the whole folder, as repo2docker has it
    steps = [*_debian(here.get("apt.txt", "")), *_python(here), *_last(here)]
    if not steps:
        raise BadRequest("the recipe asks for nothing", "name packages in requirements.txt or apt.txt")
    text = "\n".join((f"FROM {dockerfile.BASE}", "USER 0:0", *steps)) + "\n" + dockerfile.FINISH
    return Recipe(text, default, folder)


def _debian(listed: str) -> list[str]:
    packages = [line.partition("#")[0].strip() for line in listed.splitlines()]
    packages = [one for line in packages for one in line.split()]
    for package in packages:
        if not PACKAGE.fullmatch(package):
            raise BadRequest(f"apt.txt names {package[:60]!r}, which is no Debian package", "one name a line")
    if not packages:
        return []
    options = "-qq -y --no-install-recommends"
    return [f"RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install {options} {' '.join(packages)}"]


def _python(here: Mapping[str, str]) -> list[str]:
    steps = []
    if wanted := _of_environment(here["environment.yml"]) if "environment.yml" in here else []:
        lines = " ".join(_quoted(one) for one in wanted)
        steps.append(
            _install(f"printf '%s\\n' {lines} >/tmp/wanted && {TOOLS}/bin/uv pip install {INTO} -r /tmp/wanted")
        )
    if here.get("requirements.txt", "").strip():
        steps.append(_install(f"{TOOLS}/bin/uv pip install {INTO} -r requirements.txt"))
    return steps


def _install(command: str) -> str:
    """With the platform's own packages held, from a copy that packages may be built in, leaving nothing behind."""
    held = f"{TOOLS}/bin/uv pip freeze {INTO} | grep -E '^({KEPT})==' >/tmp/held"
    return (
        f"RUN cp -r {RECIPE} {COPIED} && cd {COPIED} && {held}; UV_CACHE_DIR=/tmp/uv UV_LINK_MODE=copy && "
        f"export UV_CACHE_DIR UV_LINK_MODE UV_COMPILE_BYTECODE=1 && {command} --constraint /tmp/held && "
        f"rm -rf {COPIED} /tmp/held /tmp/wanted /tmp/uv"
    )


def _last(here: Mapping[str, str]) -> list[str]:
    if "postBuild" not in here:
        return []
    return [
        f"RUN cp -r {RECIPE} {COPIED} && cd {COPIED} && chmod +x postBuild && HOME=/tmp/home ./postBuild && "
        f"rm -rf {COPIED} /tmp/home"
    ]


def _of_environment(text: str) -> list[str]:
    """The Python packages of an environment.yml; conda itself is not here, and its packages are refused."""
    try:
        asked = yaml.safe_load(text) or {}
        wanted = [one for one in asked.get("dependencies") or () if isinstance(one, str)]
        parts = [one["pip"] for one in asked.get("dependencies") or () if isinstance(one, dict)]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        raise BadRequest("environment.yml cannot be read", "write it as conda does") from None
    conda = [
        one for one in wanted if not re.fullmatch(r"pip|python(\s*[=~]=?\s*3(\.13)?(\.\*)?)?", one.split("::")[-1])
    ]
    if conda:
        python = next((one for one in conda if one.startswith("python")), "")
        raise BadRequest(
            f"environment.yml asks for {python}; the images have {PYTHON}"
            if python
            else f"environment.yml asks conda for {', '.join(conda)[:200]}: conda's packages are not supported",
            "name Python packages below pip: or in requirements.txt, and Debian's in apt.txt",
        )
    return [str(one) for part in parts for one in part]


def _quoted(text: str) -> str:
    return "'" + text.replace("\n", " ").replace("'", "'\"'\"'") + "'"
