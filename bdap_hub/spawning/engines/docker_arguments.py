"""A SpawnPlan in docker-py's words. Nothing is decided here: each value comes from the plan."""

from __future__ import annotations

from typing import Any

from docker.types import DeviceRequest, Ulimit
from docker.types import Mount as DockerMount

from ..plan import SpawnPlan

PERIOD = 100_000
# No memory dumps: they would hold people's tokens. Open files are the engine's limit: it may not be able to raise it.
ULIMITS = [Ulimit(name="core", soft=0, hard=0)]
# Our images begin the same server in half the time; images of other origin have only JupyterHub's own program.
# What a server needs that depends on its address comes after its start: it waits for the last of these files.
BEGIN = """
while [ -n "$BDAP_WAIT_FOR" ] && [ ! -e "$BDAP_WAIT_FOR" ]; do sleep 0.02; done; unset BDAP_WAIT_FOR
if [ "$1" = jupyterhub-singleuser ] && command -v bdap-server >/dev/null; then shift; set -- bdap-server "$@"; fi
exec "$@"
"""
FIRST_TO_END = 500  # where the host's memory runs out, the kernel takes a server before the platform


def host_config(plan: SpawnPlan) -> dict[str, Any]:
    """Arguments of APIClient.create_host_config."""
    found: dict[str, Any] = {
        "mounts": [
            DockerMount(m.target, m.source, type="bind", read_only=m.read_only, propagation=m.propagation)
            for m in plan.mounts
        ],
        "mem_limit": plan.limits.memory,
        "memswap_limit": plan.limits.memory,
        "cpu_period": PERIOD,
        "cpu_quota": int(plan.limits.cpus * PERIOD),
        "pids_limit": plan.limits.pids,
        "cap_drop": list(plan.cap_drop),
        "security_opt": list(plan.security_options),
        "group_add": [str(gid) for gid in plan.groups],
        "network_mode": plan.network,
        "ulimits": ULIMITS,
        "oom_score_adj": FIRST_TO_END,
        "init": True,  # collects the processes that kernels and terminals leave behind
        "log_config": {"type": "json-file", "config": {"max-size": "5m", "max-file": "2"}},
    }
    if plan.cdi:
        found["device_requests"] = [DeviceRequest(driver="cdi", device_ids=list(plan.cdi))]
    elif plan.gpus:
        found["device_requests"] = [DeviceRequest(device_ids=list(plan.gpus), capabilities=[["gpu"]])]
    return found


def create(plan: SpawnPlan, command: list[str], environment: dict[str, str], port: int) -> dict[str, Any]:
    """Arguments of APIClient.create_container, but for the host configuration."""
    return {
        "image": plan.image,
        "name": plan.name,
        "hostname": plan.hostname,
        "user": f"{plan.uid}:{plan.gid}",
        "working_dir": plan.working_dir,
        "labels": dict(plan.labels),
        "environment": {**environment, **plan.environment},
        # members of a project write files that the other members can change
        "command": ["sh", "-c", f"umask {plan.umask}{BEGIN}", "server", *command],
        "ports": [port],
    }
