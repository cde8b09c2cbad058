"""Further Python packages on one of the platform's images: a layer of wheels, locked by their hashes, built once.

It is built where projects' recipes are. No code of a package runs in it, for none is built; the image's own packages
stay at their versions.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ....errors import BadRequest
from ....settings import Settings
from .. import platform, scan
from . import builder, check, container, dockerfile, folder, result, room
from .recipe import COPIED, INTO, RECIPE, TOOLS, Recipe

LOCK = "/opt/bdap/share/requirements.lock"
REPOSITORY = "bdap-packages"


def with_packages(settings: Settings, reference: str, requirements: Sequence[str], progress: container.Progress) -> str:
    """The id of the image with those packages. NotBuilt with what the installer said last; BadRequest for what is no
    name of a package."""
    if any("\n" in one or one.lstrip().startswith("-") for one in requirements):
        raise BadRequest("requirements: one of them is an option", "name packages alone")
    base = result.base_of(reference)
    asked = json.dumps([base.id, sorted(requirements), settings.builder.index])
    key = hashlib.sha256(asked.encode()).hexdigest()
    kept = settings.var / "builds" / "packages" / key
    with contextlib.suppress(FileNotFoundError):
        os.utime(kept)  # first: what was touched is not tidied away
        if platform.image_id(id_ := kept.read_text()) is not None:
            return id_
    with room.alone(settings):
        id_ = _built(settings, base, requirements, key, progress)
    container.docker("image", "tag", id_, f"{REPOSITORY}:{key[:12]}")
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept.write_text(id_)
    return id_


def _built(
    settings: Settings, base: result.Base, requirements: Sequence[str], key: str, progress: container.Progress
) -> str:
    platform.build(["builder"], progress=progress)
    with tempfile.TemporaryDirectory(prefix="bdap-packages-") as place:
        Path(place, "requirements.txt").write_text("\n".join(sorted(requirements)) + "\n")
        Path(place, "install.sh").write_text(script(settings.builder.index))
        taken = folder.take(Path(place), settings.builder.context_mb)
    plan = Recipe(f"FROM {dockerfile.BASE}\nUSER 0:0\nRUN sh {RECIPE}/install.sh\n{dockerfile.FINISH}", base.reference)
    labels = {"bdap.install": settings.install_id, "bdap.packages": key}
    made = builder.built(settings, plan, taken, base.layers, progress)
    with made as (archive, lent), result.taken_over(archive, base, lent, labels) as (clean, contents, id_):
        check.refuse(scan.look(REPOSITORY, contents, first_layer=len(base.layers)).serious)
        result.load(clean, id_)
    check.check(id_, base.reference, progress, server=False)
    return id_


def script(index: str) -> str:
    """What is asked for is resolved beside what is there, locked, and installed by that lock."""
    uv, wheels = f"{TOOLS}/bin/uv", "--only-binary :all:"
    return f"""set -eu
mkdir -p {Path(LOCK).parent} {COPIED}
export UV_CACHE_DIR={COPIED}/uv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_PROGRESS=1
export UV_DEFAULT_INDEX={shlex.quote(index)}
{uv} pip freeze -q {INTO} | grep -E '^[A-Za-z0-9._-]+==' >{COPIED}/held
{uv} pip compile -q {INTO} --no-header {wheels} --generate-hashes --constraint {COPIED}/held \\
    -o {LOCK} {RECIPE}/requirements.txt >/dev/null
{uv} pip install {INTO} {wheels} --require-hashes -r {LOCK}
rm -rf {COPIED}
"""
