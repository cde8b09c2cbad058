"""Changes of a swarm's services and secrets that docker-py has no single call for."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from docker.errors import APIError, NotFound

from ... import errors
from . import swarm_arguments
from .contract import File

HOLDER = "bdap.holder"  # label of a secret: whose it is


def service_of(client: Any, name: str) -> dict[str, Any]:
    """The service of that server: of its name, or one that waited and was claimed. NotFound where there is none."""
    try:
        return dict(client.inspect_service(name))
    except NotFound:
        for one in client.services(filters={"label": f"{swarm_arguments.NAME}={name}"}):
            return dict(one)
        raise


def name_of(service: Mapping[str, Any]) -> str:
    """The server's."""
    return str((service["Spec"].get("Labels") or {}).get(swarm_arguments.NAME) or service["Spec"]["Name"])


def promised(service: Mapping[str, Any]) -> tuple[str, int]:
    """(node, bytes of memory) of a server."""
    labels = service["Spec"]["Labels"]
    limit = service["Spec"]["TaskTemplate"]["Resources"]["Limits"]["MemoryBytes"]
    return labels.get(swarm_arguments.NODE, ""), int(labels.get(swarm_arguments.MEMORY, limit))


def scale(client: Any, name: str, replicas: int) -> None:
    """Another number of tasks, unless it is that already. NotFound where there is no such service."""
    stopped = {} if replicas else {swarm_arguments.STOPPED: "true"}

    def change(spec: Mapping[str, Any]) -> tuple[Mapping[str, str], int] | None:
        if spec["Mode"]["Replicated"]["Replicas"] == replicas:
            return None
        return {**(spec.get("Labels") or {}), **stopped}, replicas

    _update(client, name, change)


def label(client: Any, service: str, labels: Mapping[str, str]) -> None:
    """Other labels in the place of its own; its task runs on. NotFound where there is no such service."""
    _update(client, service, lambda spec: (labels, spec["Mode"]["Replicated"]["Replicas"]))


def _update(
    client: Any, name: str, change: Callable[[Mapping[str, Any]], tuple[Mapping[str, str], int] | None]
) -> None:
    for _ in range(20):
        found = service_of(client, name)
        spec = found["Spec"]
        if (wanted := change(spec)) is None:
            return
        labels, replicas = wanted
        try:
            client.update_service(
                found["ID"],
                found["Version"]["Index"],
                task_template=spec["TaskTemplate"],
                name=spec["Name"],
                labels=dict(labels),
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
