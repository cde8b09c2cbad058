"""On which node a server is to run. PURE: from the nodes, what runs and the plan to a node, or the reasons why none.

The choice is ours and not the swarm's: a service that names a label is thrown out when the label changes, one that
names its node is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...errors import Unavailable
from ..plan import SpawnPlan
from .contract import Node

OLDEST = 26  # Docker's major version: older swarms end running servers whenever a node with GPUs changes
STATES = {"paused": "takes no new servers", "drained": "is being emptied", "down": "does not answer"}


def choose(nodes: Sequence[Node], used: Mapping[str, int], plan: SpawnPlan) -> Node:
    """The first of `ranked`. Unavailable says of each node why it does not fit."""
    found = ranked(nodes, used, plan)
    if not found:
        reasons = {node.name: unfit(node, plan) for node in nodes}
        listed = "; ".join(f"{name} {reason}" for name, reason in sorted(reasons.items())) or "the swarm has none"
        raise Unavailable(f"no node can run this server now: {listed}", "try again later, or ask the operator")
    return found[0]


def ranked(nodes: Iterable[Node], used: Mapping[str, int], plan: SpawnPlan) -> list[Node]:
    """The fitting nodes, the one with most memory to spare first, those with GPUs last for who needs none.

    `used`: bytes of memory promised to servers, by node.
    """

    def wasted(node: Node) -> bool:
        return bool(node.resources) and not plan.gpus

    fitting = [node for node in nodes if not unfit(node, plan)]
    return sorted(fitting, key=lambda one: (wasted(one), used.get(one.name, 0) - one.memory, one.name))


def unfit(node: Node, plan: SpawnPlan) -> str:
    """Why this server may not run there, for people; '' where it may."""
    if plan.placement.node not in ("", node.name):
        return f"is not {plan.placement.node}, where its GPU is"
    if node.state != "ready":
        return STATES[node.state]
    if (major := node.engine.split(".")[0]).isdigit() and int(major) < OLDEST:
        return f"has Docker {node.engine}, older than {OLDEST}"
    for key, value in sorted(plan.placement.labels.items()):
        if node.labels.get(key) != value:
            return f"lacks the label {key}={value}"
    if missing := [gpu for gpu in plan.gpus if not node.resources.get(gpu)]:
        return f"does not name the GPU {missing[0]} to the swarm"
    if plan.limits.memory > node.memory or plan.limits.cpus > node.cpus:
        return "is too small"
    return ""
