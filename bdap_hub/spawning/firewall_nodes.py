"""What people's servers reach on and from the other machines of a swarm. PURE: settings and addresses → rules.

A server is published at its node's address, for the hub. So each node lets only the hub in, and lets no server out to a
node: behind a node's address a neighbour's server is as near as that node's own.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..settings import SERVERS_USE, Settings
from .firewall import ANSWERS, LINK_LOCAL, Bridge, Rules, egress, ports_of

INTERFACE = "docker0"  # of each machine's own bridge
BRIDGES = ("docker_gwbridge", "br-+")


def servers(settings: Settings) -> Bridge:
    """The bridge that each node has, and the hub's address in the place of a gateway."""
    return Bridge(INTERFACE, settings.spawning.swarm.address)


def closed(settings: Settings, nodes: Sequence[str]) -> tuple[str, ...]:
    """No server opens a connection to a node."""
    interface = servers(settings).interface
    return tuple(f"-i {interface} -d {address} -j REJECT" for address in sorted(nodes))


def rules(settings: Settings, nodes: Sequence[str]) -> Rules:
    """For every machine of the swarm but the hub's own. `nodes`: the addresses of all."""
    interface, hub = servers(settings).interface, servers(settings).gateway
    listed = ",".join(str(port) for port in (settings.hub.api_port, *ports_of(settings, SERVERS_USE)))
    return Rules(
        input=(f"-i {interface} {ANSWERS} -j ACCEPT", f"-i {interface} -j REJECT"),
        forward=(
            *(f"-{way} {interface} {ANSWERS} -j RETURN" for way in "io"),
            f"-o {interface} -s {hub} -j RETURN",
            f"-o {interface} -j DROP",
            f"-i {interface} -d {hub} -p tcp -m multiport --dports {listed} -j RETURN",
            f"-i {interface} -d {hub} -j REJECT",
            *closed(settings, nodes),
            f"-i {interface} -d {LINK_LOCAL} -j REJECT",
            *(f"-i {interface} -o {bridge} -j REJECT" for bridge in BRIDGES),
            *egress(settings, interface),
        ),
    )
