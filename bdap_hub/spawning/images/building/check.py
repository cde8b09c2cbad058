"""Whether an image keeps the platform's promises: the base image's own checks, and a server that answers."""

from __future__ import annotations

import io
import re
import secrets
import subprocess
import tarfile
from pathlib import Path

from ..platform import docker_client
from ..rules import Finding
from .builder import NotBuilt
from .container import Progress, docker, remove_containers

ANSWERS = Path(__file__).parent / "answers.py"
PATIENCE = 300  # seconds for one check
# As a server runs, and as a person whom nobody knows.
LIMITS = (
    *("--interactive", "--network=none", "--user=23456:23456", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
    *("--read-only", "--tmpfs=/tmp:exec", "--env=HOME=/tmp", "--memory=2g", "--pids-limit=512", "--log-driver=none"),
)


def check(id_: str, base: str, progress: Progress, *, server: bool = True) -> None:
    """Run the checks in the image. NotBuilt with what the failed one said last; what ran is gone in any case.

    `server`: also whether a person's server starts in it.
    """
    answers = [("a server starts and answers", ANSWERS.read_bytes())] if server else []
    for name, script in (*_checks_of(base), *answers):
        progress(f"CHECK {name}")
        container = f"bdap-check-{secrets.token_hex(6)}"
        command = [docker_client(), "run", "--rm", f"--name={container}", *LIMITS, id_, "python3", "-"]
        try:
            done = subprocess.run(command, input=script, capture_output=True, timeout=PATIENCE, check=False)
            said = (done.stderr.decode(errors="replace").strip() or "no output").splitlines()[-1]
        except subprocess.TimeoutExpired:
            done, said = None, f"no answer within {PATIENCE} s"
        finally:
            remove_containers([container])
        if done is None or done.returncode:
            raise NotBuilt(
                f"the image fails the platform's check {name!r}: {said[:500]}", "see what the recipe changed"
            )


def refuse(findings: tuple[Finding, ...]) -> None:
    """NotBuilt where a scan found something for which no image is offered."""
    if findings:
        named = "; ".join(f"{found.kind} {found.where} ({found.what})" for found in findings[:5])
        raise NotBuilt(f"the image is not offered, because of {len(findings)} findings: {named}", "remove them")


def _checks_of(reference: str) -> list[tuple[str, bytes]]:
    """The scripts that the base image brings; those of the new image might have been changed by its recipe."""
    made = docker("container", "create", reference, "true").strip()
    try:
        copied = subprocess.run(
            [docker_client(), "cp", f"{made}:/opt/bdap-verify", "-"], capture_output=True, check=False
        )
    finally:
        remove_containers([made])
    if copied.returncode:
        return []
    with tarfile.open(fileobj=io.BytesIO(copied.stdout)) as tar:
        found = [one for one in tar if one.isreg() and re.search(r"/\d-[a-z]+\.py$", one.name)]
        return [(Path(one.name).name, tar.extractfile(one).read()) for one in sorted(found, key=lambda one: one.name)]  # type: ignore[union-attr]
