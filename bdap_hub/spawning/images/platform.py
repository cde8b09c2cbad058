"""The platform's images on this host: build what is out of date, list, and run an image's own check in it.

An image carries the hash of everything it was built from; a build with the same inputs does nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ... import __version__
from ...errors import Unavailable
from . import debian
from .recipes import Recipe, debian_hash, headlines, inputs_hash, names, recipe, with_parents

Progress = Callable[[str], None]

DEFAULT = ("lab", "dashboard")
BASE_IMAGE = "bdap/debian:trixie"
INPUTS = "bdap.inputs"
STEP = re.compile(r"#\d+ \[(?:[\w-]+ )?(\d+/\d+)\] (?:RUN|COPY) .*?(install-locked|apt-get|COPY|$)")


@dataclass(frozen=True)
class Built:
    """An image as the engine has it; `up_to_date` says that its inputs are those of this checkout."""

    name: str
    reference: str
    exists: bool
    up_to_date: bool
    size_mb: int

    def __str__(self) -> str:
        state = "up to date" if self.up_to_date else "out of date" if self.exists else "not built"
        return f"{self.reference:24} {state:12}" + (f"{self.size_mb:6} MB" if self.exists else "")


def list_images(base_image: str | None = None) -> list[Built]:
    """Every image with what the engine has of it."""
    base_image = base_image or os.environ.get("BASE_IMAGE") or None
    known = _inspect([f"bdap/{name}" for name in names()])
    rows = []
    for name in names():
        found = known.get(f"bdap/{name}:latest")
        arguments = ((found or {}).get("labels") or {}).get("bdap.arguments", "").split()
        fresh = _inputs(known, f"bdap/{name}:latest") == inputs_hash(name, base_image, arguments)
        size = int(found["size"]) // 1_000_000 if found else 0
        rows.append(Built(name, f"bdap/{name}:latest", found is not None, bool(found) and fresh, size))
    return rows


def build(
    wanted: Iterable[str] | None = None,
    base_image: str | None = None,
    progress: Progress = print,
    *,
    arguments: Sequence[str] = (),
    refresh: bool = False,
) -> list[str]:
    """Build what is missing or out of date of `wanted` (lab, dashboard) and its parents; the names of what was built.

    `base_image` (or $BASE_IMAGE) is a Debian trixie image to start from instead of debootstrap's. `arguments` are build
    arguments of the wanted images (`VARIANT=cpu`). `refresh` builds anew for security updates of the distribution.
    """
    base_image = base_image or os.environ.get("BASE_IMAGE") or None
    wanted = list(wanted or DEFAULT)
    order = list(dict.fromkeys(one for name in wanted for one in with_parents(name)))
    known = _inspect([BASE_IMAGE, *(f"bdap/{name}" for name in order)])
    given = {name: tuple(arguments) if name in wanted else () for name in order}
    # All before the first build: what changes meanwhile is then built next time, never taken for built.
    digests = {name: inputs_hash(name, base_image, given[name]) for name in order}
    stale = [name for name in order if refresh or _inputs(known, f"bdap/{name}:latest") != digests[name]]
    if stale and base_image is None and (refresh or _inputs(known, BASE_IMAGE) != debian_hash()):
        _build_debian(progress)
    for name in stale:
        _build_one(recipe(name), digests[name], base_image, given[name], progress, refresh)
    for name in reversed(stale):
        _forget(known.get(f"bdap/{name}:latest"))
    return stale


def verify(name: str) -> str:
    """Run the image's own check inside it, as a uid nobody knows and without a network; what the check printed.

    Unavailable, with the check's last line, where the image breaks a promise.
    """
    recipe(name)
    limits = ["--network=none", "--user=23456:23456", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    script = "for check in /opt/bdap-verify/*.py; do python3 $check || exit 1; done"
    command = [
        docker_client(),
        "run",
        "--rm",
        *limits,
        "--read-only",
        "--tmpfs=/tmp:exec",
        "--env=HOME=/tmp",
        f"bdap/{name}",
    ]
    done = subprocess.run(
        [*command, "sh", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise Unavailable(
            f"the image bdap/{name} failed its check: {last}", f"`bdap images build {name}` builds it anew"
        )
    return done.stdout.strip()


def image_id(reference: str) -> str | None:
    """The id of an image that the engine has under that name; None where it has none."""
    command = [docker_client(), "image", "inspect", "--format", "{{.Id}}", reference]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _inputs(known: dict[str, dict], reference: str) -> str | None:
    return (known.get(reference, {}).get("labels") or {}).get(INPUTS)


def _forget(replaced: dict | None) -> None:
    """Remove an image that a build replaced, unless a container still uses it or another image is built on it."""
    if replaced:
        subprocess.run([docker_client(), "image", "rm", replaced["id"]], capture_output=True, check=False)


def _build_debian(progress: Progress) -> None:
    start = time.monotonic()
    progress(f"debian: {debian.SUITE} by debootstrap")
    with tempfile.TemporaryDirectory(prefix="bdap-debian-", dir="/var/tmp") as folder:
        archive = Path(folder) / "root.tar"
        debian.root_archive(archive, progress)
        label = f"LABEL {INPUTS}={debian_hash()} org.opencontainers.image.title=Debian"
        with archive.open("rb") as stream:
            command = [docker_client(), "import", "--change", label, "-", BASE_IMAGE]
            done = subprocess.run(command, stdin=stream, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"the engine cannot import Debian's root: {done.stderr.strip()}", "see var/log/dockerd.log")
    progress(f"debian: ready in {time.monotonic() - start:.0f} s")


def _build_one(
    made_of: Recipe, digest: str, base_image: str | None, arguments: Sequence[str], progress: Progress, refresh: bool
) -> None:
    start = time.monotonic()
    progress(f"{made_of.name}: building")
    labels = {
        INPUTS: digest,
        "bdap.arguments": " ".join(arguments),
        "bdap.contents": ", ".join(headlines(made_of, arguments)),
        "org.opencontainers.image.title": f"BDAP Hub {made_of.name}",
        "org.opencontainers.image.version": __version__,
        "org.opencontainers.image.licenses": "EUPL-1.2",
        "org.opencontainers.image.base.name": base_image or BASE_IMAGE,
    }
    command = [
        docker_client(building=True),
        "build",
        "--progress=plain",
        "--network=host",
        f"--tag={made_of.reference}",
    ]
    command += [f"--label={key}={value}" for key, value in labels.items()]
    command += [f"--build-arg={key}" for key in ("http_proxy", "https_proxy", "no_proxy") if os.environ.get(key)]
    command += [f"--build-arg={argument}" for argument in arguments]
    if base_image and made_of.starts_from_debian:
        command.append(f"--build-arg=BASE_IMAGE={base_image}")
    command += ["--no-cache"] if refresh else []
    with _context(made_of) as (context, secrets):
        _run_build([*command, *secrets, str(context)], made_of.name, progress)
    progress(f"{made_of.name}: ready in {time.monotonic() - start:.0f} s")


@contextlib.contextmanager
def _context(made_of: Recipe) -> Iterator[tuple[Path, list[str]]]:
    """The build's files in a folder of their own, and the options that lend it the host's CA and apt settings."""
    with tempfile.TemporaryDirectory(prefix="bdap-build-") as folder:
        context, apt = Path(folder) / "context", Path(folder) / "apt.conf"
        (context / "extensions").mkdir(parents=True)
        for path, file in made_of.files:
            (context / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, context / path)
        apt.write_text(debian.apt_options())
        secrets = [f"--secret=id=apt,src={apt}"]
        if bundle := ca_bundle():
            secrets.append(f"--secret=id=ca,src={bundle}")
        yield context, secrets


def ca_bundle() -> str | None:
    """The host's CA certificates: the one the environment names, else the system's; None where there is none."""
    for path in (os.environ.get("SSL_CERT_FILE", ""), "/etc/ssl/certs/ca-certificates.crt"):
        if path and Path(path).is_file():
            return path
    return None


def _run_build(command: list[str], name: str, progress: Progress) -> None:
    tail: list[str] = []
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            tail = [*tail[-40:], line.rstrip()]
            if step := STEP.match(line):
                what = {"install-locked": "Python packages", "apt-get": "Debian packages"}.get(step[2], "files")
                progress(f"{name}: step {step[1]}, {what}")
    if process.returncode:
        for line in tail:
            progress(f"{name}: | {line}")
        raise Unavailable(f"the image bdap/{name} was not built: {tail[-1]}", "the build's last lines stand above")


def _inspect(references: Sequence[str]) -> dict[str, dict]:
    """Labels and sizes of those of `references` that the engine has, in one call."""
    form = '{"id":{{json .Id}},"tags":{{json .RepoTags}},"labels":{{json .Config.Labels}},"size":{{.Size}}}'
    command = [docker_client(), "image", "inspect", "--format", form, *references]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode and "No such image" not in done.stderr:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise Unavailable(f"the Docker engine does not answer: {last}", "start it, or use make demo ENGINE=process")
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    return {tag: row for row in rows for tag in row["tags"] or ()}


@cache
def docker_client(building: bool = False) -> str:
    """The docker client on PATH; for builds one that speaks BuildKit (older than 23, or with buildx)."""
    clients = [
        str(path)
        for folder in dict.fromkeys([*os.get_exec_path(), "/usr/bin"])
        if os.access(path := Path(folder) / "docker", os.X_OK)
    ]
    if clients and not building:
        return clients[0]
    for client in clients:
        version = subprocess.run([client, "--version"], capture_output=True, text=True, check=False).stdout
        major = re.search(r"version (\d+)", version)
        if (major and int(major[1]) < 23) or not subprocess.run(
            [client, "buildx", "version"], capture_output=True, check=False
        ).returncode:
            return client
    if clients:
        raise Unavailable("the docker client cannot build: it lacks buildx", "run 'sudo apt-get install docker-buildx'")
    raise Unavailable("the docker client is missing", "run 'sudo apt-get install docker.io', or use ENGINE=process")
