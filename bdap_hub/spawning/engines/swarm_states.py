"""What a swarm says of its nodes, services and tasks, in the contract's words. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from .contract import Node, Phase, State, exited, for_people
from .swarm_arguments import NODE, STOPPED

Said = Mapping[str, Any]
FINISHED = ("complete", "shutdown", "failed", "rejected", "remove", "orphaned")
WAITS = {
    "preparing": "the image is being fetched on {node}",
    "ready": "{node} makes it ready",
    "starting": "it is starting on {node}",
}


def node_of(said: Said) -> Node:
    """A machine of the swarm. What the engine's own configuration labels it with counts; the operator's labels win."""
    description, spec = said["Description"], said["Spec"]
    engine, resources = description.get("Engine") or {}, description.get("Resources") or {}
    state: Literal["ready", "paused", "drained", "down"] = "ready"
    if said["Status"]["State"] != "ready":
        state = "down"
    elif spec["Availability"] != "active":
        state = "paused" if spec["Availability"] == "pause" else "drained"
    labels = {**(engine.get("Labels") or {}), **(spec.get("Labels") or {})}
    return Node(
        name=description["Hostname"],
        state=state,
        cpus=resources.get("NanoCPUs", 0) / 1e9,
        memory=resources.get("MemoryBytes", 0),
        address=labels.get("bdap.address") or _address(said),
        engine=engine.get("EngineVersion", ""),
        labels=labels,
        resources=dict(_countable(resources.get("GenericResources") or ())),
    )


def _address(said: Said) -> str:
    """A manager that listens everywhere says 0.0.0.0 of itself; what it advertises is elsewhere."""
    found = str(said["Status"].get("Addr", ""))
    manager = str((said.get("ManagerStatus") or {}).get("Addr", "")).rpartition(":")[0]
    return manager if found in ("", "0.0.0.0", "127.0.0.1") and manager else found  # noqa: S104


def _countable(resources: Iterable[Said]) -> Iterable[tuple[str, int]]:
    """Those that can be asked for by name. Of `NVIDIA-GPU=<id>` the swarm would pick one itself: they are no use."""
    for one in resources:
        if found := one.get("DiscreteResourceSpec"):
            yield found["Kind"], int(found["Value"])


def named(nodes: Iterable[Said]) -> list[str]:
    """Resources of nodes that name GPUs in the way that leaves the choice to the swarm."""
    found = []
    for node in nodes:
        for one in (node["Description"].get("Resources") or {}).get("GenericResources") or ():
            if spec := one.get("NamedResourceSpec"):
                found.append(f"{node['Description']['Hostname']}: {spec['Kind']}={spec['Value']}")
    return found


def created(said: Said) -> float:
    """When a service was made, in seconds since the epoch."""
    return datetime.fromisoformat(said["CreatedAt"]).timestamp()


def unfinished(tasks: Iterable[Said]) -> list[Said]:
    """Those that may still hold something on their node."""
    return [task for task in tasks if task["Status"]["State"] not in FINISHED]


def state_of(service: Said, tasks: Iterable[Said], nodes: Mapping[str, Node]) -> State:
    """What became of a server: `tasks` are its service's, `nodes` by their swarm's id."""
    labels = service["Spec"].get("Labels") or {}
    node = labels.get(NODE, "")
    last = max(tasks, key=lambda task: task["CreatedAt"], default=None)
    if last is None:
        if STOPPED in labels:
            return State("ended", "it was stopped", node=node)
        begun = service["Spec"]["Mode"]["Replicated"]["Replicas"] > 0
        return State("waiting", f"it waits for {node}", node=node) if begun else State("created", node=node)
    return _task_state(last, node, nodes.get(last.get("NodeID", "")))


def _task_state(task: Said, name: str, node: Node | None) -> State:
    status = task["Status"]
    state, error = status["State"], str(status.get("Err") or "")
    if state == "orphaned" or (state not in FINISHED and task["DesiredState"] != "running" and _down(node)):
        return State("lost", f"{name}, the machine that it ran on, does not answer any more", node=name, moved=True)
    if state in FINISHED:
        return _ended(state, status, error, name, node)
    if task["DesiredState"] != "running":
        return State("ending", _stopped(name, node), node=name, moved=_drained(node))
    if state == "running":
        return State("running", node=name)
    words = WAITS.get(state, "it waits for {node}").format(node=name)
    return State("waiting", f"{words}: {for_people(error)[:200]}" if error else words, node=name)


def _ended(state: str, status: Said, error: str, name: str, node: Node | None) -> State:
    code = (status.get("ContainerStatus") or {}).get("ExitCode")
    phase: Phase = "ended"
    if state == "rejected" and "No such image" in error:
        return State(phase, f"its image is not on {name}", node=name)
    if state == "rejected" or (state == "failed" and "non-zero exit" not in error):
        return State(phase, f"{name} could not start it: {for_people(error)[:200]}", code, node=name)
    if state in ("shutdown", "remove"):
        return State(phase, _stopped(name, node), code, node=name, moved=_drained(node))
    return State(phase, exited(code), code, node=name)


def _down(node: Node | None) -> bool:
    return node is None or node.state == "down"


def _drained(node: Node | None) -> bool:
    return node is not None and node.state == "drained"


def _stopped(name: str, node: Node | None) -> str:
    if _drained(node):
        return f"the operator is emptying {name}, the machine that it ran on"
    return "it was stopped"
