"""Build a recipe in the builder's container, and bring out what it made: the new layers, in an archive.

The platform's image is imported once into a volume that builds only read; each build has a volume of its own.
"""

from __future__ import annotations

import contextlib
import io
import secrets
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from ....errors import BadRequest, Unavailable
from ....settings import Settings
from ..platform import ca_bundle, docker_client, image_id
from .container import IMAGE, LABEL, PROGRAM, Progress, Run, docker, hardened, remove_containers, remove_volumes
from .folder import Taken
from .gate import gate
from .recipe import LENT, Recipe

KEPT = "bdap.builder.base"  # label of the volumes that outlive a build
CA_VARIABLES = (
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)
PROXY_VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
PROXY = "http://127.0.0.1:3128"


class NotBuilt(BadRequest):
    """A build that failed: at which step, and what was said last."""

    code = "NotBuilt"


@contextlib.contextmanager
def built(
    settings: Settings, recipe: Recipe, taken: Taken, base_layers: Sequence[str], progress: Progress
) -> Iterator[tuple[IO[bytes], frozenset[str]]]:
    """The archive of what the recipe makes, and the variables that were lent to its steps. NotBuilt where it fails."""
    owner, name = settings.install_id, f"bdap-build-{secrets.token_hex(6)}"
    base, lent = _base_volume(settings, recipe.base, progress), _lent()
    docker("volume", "create", f"--label={LABEL}={owner}", name)
    with (
        tempfile.TemporaryDirectory(prefix="bdap-build-") as folder,
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile(prefix="bdap-built-", dir="/var/tmp") as archive,
    ):
        socket = Path(folder) / "gate"
        socket.mkdir()
        _send(given, recipe, taken)
        command = [*hardened(settings.builder, name, owner), f"--volume={base}:/base:ro", f"--volume={name}:/work"]
        command += [f"--volume={socket}:/gate", IMAGE, *PROGRAM, "build", ",".join(base_layers)]
        command += [f"--env={key}={value}" for key, value in lent.items()]
        run = Run(name, settings.builder, progress)
        try:
            with gate(socket / "socket", settings.builder.registries, progress):
                status = run.carry_out(command, given, archive)
        finally:
            remove_containers([name])
            remove_volumes([name])
        if status or run.stopped:
            raise _failed(run, status)
        archive.seek(0)
        yield archive, frozenset(lent)


def _failed(run: Run, status: int) -> NotBuilt:
    at = f" at {run.step[:200]}" if run.step else ""
    if run.stopped:
        return NotBuilt(f"the build was stopped{at}: {run.stopped}", "make it smaller, or ask the operator for more")
    if status == 137:
        return NotBuilt(f"the build was killed{at}: it needs more than builder.memory allows", "let it need less")
    last = "\n  ".join(line for line in run.tail if line)[-3000:]
    return NotBuilt(f"the build failed{at}; it said last:\n  {last}", "correct the recipe and build again")


def _lent() -> dict[str, str]:
    """Variables that a recipe's steps have, and the image has not: the gate, and the site's certificates."""
    lent = dict.fromkeys(PROXY_VARIABLES, PROXY) | {"APT_CONFIG": f"{LENT}/apt"}
    return lent | (dict.fromkeys(CA_VARIABLES, f"{LENT}/ca") if ca_bundle() else {})


def _send(stream: IO[bytes], recipe: Recipe, taken: Taken) -> None:
    """What the builder reads: the Dockerfile, the recipe's folder, and the certificates that are lent."""
    files: Mapping[str, bytes] = {
        "Dockerfile": recipe.dockerfile.encode(),
        "lent/apt": b'Acquire::http::Pipeline-Depth "0";\n',
        **({"lent/ca": Path(bundle).read_bytes()} if (bundle := ca_bundle()) else {}),
    }
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
        with tarfile.open(fileobj=io.BytesIO(taken.archive)) as folder:
            below = f"{recipe.context}/" if recipe.context else ""
            for one in folder:
                if one.name.startswith(below):
                    content = folder.extractfile(one) if one.isreg() else None
                    one.name = f"recipe/{one.name.removeprefix(below)}"
                    tar.addfile(one, content)
    stream.seek(0)


def _base_volume(settings: Settings, reference: str, progress: Progress) -> str:
    """The volume with the platform's image, imported the first time. Those of images that are no more are removed."""
    found = image_id(reference)
    if found is None:
        raise Unavailable(f"the image {reference} is not on this host", "ask the operator to build it")
    key = found.removeprefix("sha256:")[:20]
    name = f"bdap-base-{settings.install_id}-{key}"
    done = settings.var / "builds" / "bases" / key
    known = docker("volume", "ls", "--quiet", f"--filter=label={KEPT}={settings.install_id}").split()
    if name in known and done.exists():
        return name
    _forget_old(settings, known)
    progress(f"importing {reference} into the builder, once")
    docker("volume", "create", f"--label={KEPT}={settings.install_id}", name)
    command = [*hardened(settings.builder, f"bdap-build-{secrets.token_hex(6)}", settings.install_id)]
    command += [f"--volume={name}:/base", IMAGE, *PROGRAM, "import"]
    with subprocess.Popen([docker_client(), "image", "save", reference], stdout=subprocess.PIPE) as saved:
        imported = subprocess.run(command, stdin=saved.stdout, capture_output=True, text=True, check=False)
    if imported.returncode:
        remove_volumes([name])
        last = (imported.stderr.strip() or "no output").splitlines()[-1]
        raise Unavailable(f"the builder cannot import {reference}: {last}", "see docs/how-to/project-images.md")
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()
    return name


def _forget_old(settings: Settings, known: list[str]) -> None:
    for volume in known:
        mark = settings.var / "builds" / "bases" / volume.rpartition("-")[2]
        if not mark.exists() or image_id(f"sha256:{mark.name}") is None:
            remove_volumes([volume])
            mark.unlink(missing_ok=True)
