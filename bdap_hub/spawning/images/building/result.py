"""What is taken over from a build: layers on the platform's image, and variables. All else is the platform's own.

The archive comes from where a recipe ran: nothing in it is believed that is not looked at here.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from ....errors import BadRequest
from ..contents import Contents, member
from ..platform import docker_client, image_id
from .container import docker

MOST_LAYERS = 20
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=[^\0\r\n]{0,4096}")
# What the hub, the platform and the engine say to a server, and what would lend a recipe's program to every start.
NOT_TAKEN = re.compile(r"(JUPYTERHUB|BDAP|NVIDIA)_|JPY_|LD_|PYTHONSTARTUP=|PYTHONHOME=")


@dataclass(frozen=True)
class Base:
    """The platform's image that a recipe starts from, as the engine has it."""

    reference: str
    id: str
    layers: tuple[str, ...]
    configuration: Mapping[str, Any]
    platform: Mapping[str, str]


def base_of(reference: str) -> Base:
    """The engine's image of that name."""
    found = json.loads(docker("image", "inspect", reference))[0]
    platform = {"architecture": found["Architecture"], "os": found["Os"]}
    return Base(reference, found["Id"], tuple(found["RootFS"]["Layers"]), found["Config"], platform)


@contextlib.contextmanager
def taken_over(
    archive: IO[bytes], base: Base, lent: frozenset[str], labels: Mapping[str, str]
) -> Iterator[tuple[IO[bytes], Contents, str]]:
    """The image to be: its archive for the engine, the same opened, its id. BadRequest where it is not on `base`."""
    with tarfile.open(fileobj=archive, mode="r:") as tar, tempfile.TemporaryFile(dir="/var/tmp") as output:
        contents = Contents.of(tar)
        digests, names = _checked(contents, base)
        configuration = _configuration(contents.configuration, base, digests, lent, labels)
        encoded = json.dumps(configuration, sort_keys=True).encode()
        id_ = hashlib.sha256(encoded).hexdigest()
        manifest = json.dumps([{"Config": f"{id_}.json", "RepoTags": None, "Layers": names}]).encode()
        with tarfile.open(fileobj=output, mode="w") as clean:
            for name in names[len(base.layers) :]:
                layer = tarfile.TarInfo(name)
                layer.size = tar.getmember(name).size
                clean.addfile(layer, member(tar, name))
            for name, content in ((f"{id_}.json", encoded), ("manifest.json", manifest)):
                part = tarfile.TarInfo(name)
                part.size = len(content)
                clean.addfile(part, io.BytesIO(content))
        output.seek(0)
        with tarfile.open(fileobj=output, mode="r:") as again:
            yield output, Contents.of(again), f"sha256:{id_}"


def load(archive: IO[bytes], id_: str) -> None:
    """Give it to the engine, which looks at each layer's digest again; the layers of the base it has already."""
    archive.seek(0)
    done = subprocess.run(
        [docker_client(), "image", "load", "--quiet"], stdin=archive, capture_output=True, check=False
    )
    if done.returncode or image_id(id_) is None:
        last = (done.stderr.decode(errors="replace").strip() or "it names another image").splitlines()[-1]
        raise BadRequest(f"the engine does not take what was built: {last[:300]}", "build again")


def _checked(contents: Contents, base: Base) -> tuple[list[str], list[str]]:
    digests, names = contents.digests, list(contents.layers)
    held = len(base.layers)
    if tuple(digests[:held]) != base.layers or len(names) != len(digests):
        raise BadRequest(f"what was built does not stand on {base.reference}", "start from it, and build again")
    if not 0 < len(digests) - held <= MOST_LAYERS:
        raise BadRequest(f"what was built has {len(digests) - held} layers of its own", "build again")
    if not all(re.fullmatch(r"[0-9a-f]{64}(\.tar|/layer\.tar)", str(name)) for name in names):
        raise BadRequest("what was built has layers of strange names", "build again")
    return digests, names


def _configuration(
    made: Mapping[str, Any], base: Base, digests: list[str], lent: frozenset[str], labels: Mapping[str, str]
) -> dict[str, Any]:
    """The base's, with the recipe's variables, our labels, and a history that tells nothing of the build."""
    variables = dict(one.partition("=")[::2] for one in base.configuration.get("Env") or ())
    for one in (made.get("config") or {}).get("Env") or ():
        name, _, value = str(one).partition("=")
        if VARIABLE.fullmatch(str(one)) and not NOT_TAKEN.match(str(one)) and name not in lent:
            variables[name] = value
    created = datetime.now(UTC).isoformat()
    return {
        **base.platform,
        "created": created,
        "config": {
            **base.configuration,
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Labels": {**(base.configuration.get("Labels") or {}), **labels},
        },
        "rootfs": {"type": "layers", "diff_ids": digests},
        "history": [{"created": created, "created_by": "bdap images project build"} for _ in digests],
    }
