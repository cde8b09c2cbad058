"""Hand images on to a private registry; from there they are known by their digest, which nobody can move.

The credentials come from a secret file and reach the docker client by a folder of its own, never by its arguments.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...errors import BadRequest, BadSettings, NotAllowed, Unavailable
from ...settings import Settings
from ...telemetry import redact
from ..engines.login import CREDENTIALS
from .platform import Progress, docker_client, image_id

DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")


def push(settings: Settings, reference: str, name: str, progress: Progress = print) -> str:
    """Push an image that the engine has as `<registry>/<name>`; its reference by digest."""
    registry = settings.spawning.registry
    if not registry:
        raise BadSettings("there is no registry", "set spawning.registry, such as registry.example.org/bdap")
    found = image_id(reference)
    if found is None:
        raise BadRequest(f"the engine has no image {reference!r}", "`bdap images list` shows the platform's")
    target = f"{registry}/{name}"
    tagged = f"{target}:{found.removeprefix('sha256:')[:12]}"
    with _client_folder(settings, registry.partition("/")[0]) as folder:
        _run(folder, "image", "tag", reference, tagged)
        progress(f"{name}: pushing to {registry}")
        told = _run(folder, "image", "push", tagged)
    digest = DIGEST.search(told)
    if digest is None:
        raise Unavailable(f"the registry {registry} names no digest of {name}", "see the registry's log")
    return f"{target}@{digest[1]}"


@contextlib.contextmanager
def _client_folder(settings: Settings, host: str) -> Iterator[str]:
    """The docker client's own settings for one push: nobody else may read them, and they are gone after it."""
    with tempfile.TemporaryDirectory(prefix="bdap-push-") as folder:
        if (settings.var / "secrets" / CREDENTIALS).exists():
            given = settings.secret(CREDENTIALS)
            if ":" not in given:
                raise BadSettings(f"the secret {CREDENTIALS!r} is no user:password", "write both in one line")
            access = {"auths": {host: {"auth": base64.b64encode(given.encode()).decode()}}}
            file = Path(folder) / "config.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps(access))
        yield folder


def _run(folder: str, *arguments: str) -> str:
    environment = {**os.environ, "DOCKER_CONFIG": folder}
    done = subprocess.run(
        [docker_client(), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = redact((done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1])
        if re.search(r"unauthorized|denied|no basic auth|authentication required", last, re.IGNORECASE):
            remedy = f"write user:password of an account that may push in <var>/secrets/{CREDENTIALS}, mode 600"
            raise NotAllowed(f"the registry lets nobody push: {last}", remedy)
        raise Unavailable(f"the image was not pushed: {last}", "see that the engine reaches and trusts the registry")
    return done.stdout
