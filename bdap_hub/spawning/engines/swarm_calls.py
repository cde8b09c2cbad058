"""Changes of a swarm's services and secrets that docker-py has no single call for."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from typing import Any

from docker.errors import APIError

from ... import errors
from . import swarm_arguments
from .contract import File

HOLDER = "bdap.holder"  # label of a secret: whose it is


def scale(client: Any, name: str, replicas: int) -> None:
    """Another number of tasks, unless it is that already. NotFound where there is no such service."""
    for _ in range(20):
        found = client.inspect_service(name)
        spec = found["Spec"]
        if spec["Mode"]["Replicated"]["Replicas"] == replicas:
            return
        labels = {**(spec.get("Labels") or {}), **({} if replicas else {swarm_arguments.STOPPED: "true"})}
        try:
            client.update_service(
                found["ID"],
                found["Version"]["Index"],
                task_template=spec["TaskTemplate"],
                name=spec["Name"],
                labels=labels,
                mode={"Replicated": {"Replicas": replicas}},
                endpoint_spec=spec["EndpointSpec"],
            )
            return
        except APIError as error:
            if "out of sequence" not in str(error.explanation):  # somebody else changed it meanwhile
                raise
    raise errors.Unavailable(f"the service {name!r} changes all the time", "try again in a moment")


def secrets_of(client: Any, name: str, files: Sequence[File]) -> list[dict[str, Any]]:
    """The files as the swarm's secrets. What an earlier hub left under this name goes first."""
    forget(client, [one["ID"] for one in client.secrets(filters={"label": f"{HOLDER}={name}"})])
    found = []
    for number, file in enumerate(files):
        called = f"bdap-{hashlib.sha256(name.encode()).hexdigest()[:20]}-{number}"
        made = client.create_secret(called, file.content, labels={HOLDER: name})
        found.append(swarm_arguments.secret(file, made["ID"], called))
    return found


def forget(client: Any, secrets: Sequence[str]) -> None:
    for one in secrets:
        with contextlib.suppress(APIError):  # one that a service still has stays with it
            client.remove_secret(one)
