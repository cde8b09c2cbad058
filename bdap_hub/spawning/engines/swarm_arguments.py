"""A SpawnPlan in the words of a swarm's service. PURE: what a service cannot say is refused, never left out."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...errors import BadSettings
from ..plan import Limits, SpawnPlan
from ..store.mounts import Mount
from .claimed import CAPABILITIES, KIND
from .contract import File

NODE, STOPPED = "bdap.node", "bdap.stopped"  # labels of a service: where it runs, and that it was asked to end
NAME, MEMORY = "bdap.name", "bdap.memory"  # of one that waited and was claimed: its plan's name and memory
# One that waits begins when root's part has brought its secret: a swarm's own would stay mounted in it for good.
BEGINS = 'until [ -e /run/bdap/go ]; do sleep 0.05; done; rm /run/bdap/go; exec "$@"'
GRACE = 10
BILLION = 10**9
# every field of a plan; `cdi` is a single engine's way to the GPUs that `gpus` names
CARRIED_OUT = {
    "image",
    "name",
    "hostname",
    "uid",
    "gid",
    "groups",
    "working_dir",
    "mounts",
    "limits",
    "gpus",
    "network",
}
CARRIED_OUT |= {"environment", "labels", "cap_drop", "security_options", "umask", "cdi", "placement"}


def service(
    plan: SpawnPlan,
    image: str,
    node: tuple[str, str],
    command: Sequence[str],
    environment: Mapping[str, str],
    port: int,
    secrets: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Arguments of APIClient.create_service: one server, not running yet, pinned to `node` (id, name)."""
    return {
        "name": plan.name,
        "labels": {**plan.labels, NODE: node[1]},
        "mode": {"Replicated": {"Replicas": 0}},
        "endpoint_spec": {
            "Mode": "dnsrr",
            # at the node's own address: nothing of the swarm's stands between, and no network is shared
            "Ports": [{"Protocol": "tcp", "TargetPort": port, "PublishMode": "host"}],
        },
        "task_template": {
            "ContainerSpec": container(plan, image, command, environment, secrets),
            "Resources": resources(plan),
            "RestartPolicy": {"Condition": "none"},
            "Placement": {"Constraints": [f"node.id=={node[0]}"]},
            "LogDriver": {"Name": "json-file", "Options": {"max-size": "5m", "max-file": "2"}},
            "Networks": [{"Target": plan.network}],
        },
    }


def waiting(
    template: SpawnPlan, name: str, image: str, node: tuple[str, str], program: str, port: int, install: str
) -> dict[str, Any]:
    """The same for a container that waits: nobody's yet, and able to become somebody."""
    labels = {"bdap.hub": install, "bdap.kind": KIND}
    found = service(replace(template, name=name, labels=labels), image, node, [program], {}, port)
    inside = found["task_template"]["ContainerSpec"]
    inside["Args"] = ["sh", "-c", BEGINS, "waits", program]
    inside["CapabilityAdd"] = [f"CAP_{one}" for one in CAPABILITIES]
    inside["Init"] = False  # the program itself is, as the person
    return {**found, "mode": {"Replicated": {"Replicas": 1}}}


def container(
    plan: SpawnPlan,
    image: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    secrets: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The container of the service's one task."""
    variables = {**environment, **plan.environment, **gpu_variables(plan.gpus)}
    return {
        "Image": image,
        "Args": ["sh", "-c", f'umask {plan.umask}; exec "$@"', "server", *command],
        "Hostname": literal(plan.hostname),
        "Env": [f"{key}={literal(value)}" for key, value in variables.items()],
        "Labels": dict(plan.labels),
        "Dir": plan.working_dir,
        "User": f"{plan.uid}:{plan.gid}",
        "Groups": [str(gid) for gid in plan.groups],
        "Privileges": privileges(plan.security_options),
        "CapabilityDrop": list(plan.cap_drop),
        "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
        "Init": True,
        "Mounts": [mount(one) for one in plan.mounts],
        "StopGracePeriod": GRACE * BILLION,
        "Secrets": list(secrets),
    }


def resources(plan: SpawnPlan) -> dict[str, Any]:
    """Limits; and of each GPU one share, which the swarm refuses to promise twice."""
    kinds = [{"DiscreteResourceSpec": {"Kind": gpu, "Value": 1}} for gpu in plan.gpus]
    limits = plan.limits
    return {
        "Limits": {"MemoryBytes": limits.memory, "NanoCPUs": int(limits.cpus * BILLION), "Pids": limits.pids},
        "Reservations": {"GenericResources": kinds},
    }


def exact(limits: Limits) -> dict[str, int]:
    """As a swarm sets them; and no swap on top, which it cannot say: root's part sets these on the container itself."""
    return {
        "Memory": limits.memory,
        "MemorySwap": limits.memory,
        "NanoCpus": int(limits.cpus * BILLION),
        "PidsLimit": limits.pids,
    }


def gpu_variables(gpus: Sequence[str]) -> dict[str, str]:
    """What NVIDIA's runtime goes by. Always said: where that is the default, an image that asks for all gets all."""
    return {"NVIDIA_VISIBLE_DEVICES": ",".join(gpus) or "void", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}


def privileges(options: Sequence[str]) -> dict[str, Any]:
    """Docker's security options; BadSettings for one that services do not know."""
    found: dict[str, Any] = {}
    for option in options:
        name, value = re.match(r"([a-z-]*)[:=]?(.*)", option, re.DOTALL).groups()  # type: ignore[union-attr]
        if name == "no-new-privileges" and value in ("", "true"):
            found["NoNewPrivileges"] = True
        elif name == "seccomp" and value.startswith("{"):
            found["Seccomp"] = {"Mode": "custom", "Profile": base64.b64encode(value.encode()).decode()}
        else:
            raise BadSettings(
                f"a swarm has no words for the security option {option!r}", "set spawning.engine to docker"
            )
    return found


def mount(one: Mount) -> dict[str, Any]:
    """A folder that each node has at the same path."""
    return {
        "Type": "bind",
        "Source": literal(one.source),
        "Target": literal(one.target),
        "ReadOnly": one.read_only,
        "BindOptions": {"Propagation": one.propagation},
    }


def secret(file: File, identity: str, name: str) -> dict[str, Any]:
    """A file that the swarm keeps encrypted and gives to this service alone."""
    at = {"Name": file.path, "UID": str(file.uid), "GID": str(file.gid), "Mode": file.mode}
    return {"File": at, "SecretID": identity, "SecretName": name}


def literal(text: str) -> str:
    """Text as it is meant: the swarm takes {{ }} for a template.

    >>> literal("a{{b}}")
    'a{{"{{"}}b}}'
    """
    return text.replace("{{", '{{"{{"}}')
