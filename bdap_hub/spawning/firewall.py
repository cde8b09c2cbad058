"""What people's servers and dashboards reach: of this host only the platform's own ports, of the world what is allowed.

`ipv4` and `ipv6` are PURE: settings → rules. `apply` and `remove` hand them to iptables, all at once or not at all.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from docker.errors import NotFound

from ..errors import BadSettings, Unavailable
from ..settings import DASHBOARDS_USE, SERVERS_USE, Settings
from .engines import engine_of, now
from .engines.client import client
from .images import debian
from .network import INTERFACE

RISK = (
    "people's servers and dashboards reach every port that listens on this host, and servers the metadata address "
    "of a cloud and the whole network that this host is in"
)
LINK_LOCAL = "169.254.0.0/16"  # clouds give out a machine's credentials there
BRIDGES = ("docker0", "br-+")
ANSWERS = "-m conntrack --ctstate ESTABLISHED,RELATED"
TOOLS = ("iptables", "iptables-legacy", "iptables-nft")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Bridge:
    """A Docker network as the host sees it."""

    interface: str
    gateway: str


@dataclass(frozen=True)
class Rules:
    """What our two chains hold, in iptables' words: `input` for this host, `forward` for everything behind it."""

    input: tuple[str, ...]
    forward: tuple[str, ...]


def ipv4(settings: Settings, servers: Bridge, dashboards: Bridge, closed: tuple[str, ...] = ()) -> Rules:
    """Servers reach the hub's API and the services, dashboards their services; `spawning.egress` rules the rest.

    Nothing but this host opens a connection to them. `closed`: rules about what else servers must not reach.
    """
    return Rules(
        input=(
            *_host(servers, [settings.hub.api_port, *ports_of(settings, SERVERS_USE)]),
            *_host(dashboards, ports_of(settings, DASHBOARDS_USE)),
        ),
        forward=(
            *(f"-{way} {b.interface} {ANSWERS} -j RETURN" for b in (servers, dashboards) for way in "io"),
            *(f"-o {b.interface} -j DROP" for b in (servers, dashboards)),
            f"-i {dashboards.interface} -j REJECT",
            *closed,
            f"-i {servers.interface} -d {LINK_LOCAL} -j REJECT",
            *(f"-i {servers.interface} -o {bridge} -j REJECT" for bridge in BRIDGES),
            *egress(settings, servers.interface),
        ),
    )


def ipv6(servers: Bridge, dashboards: Bridge) -> Rules:
    """Nothing: the bridges have IPv4 addresses only."""
    both = (servers.interface, dashboards.interface)
    return Rules(
        input=tuple(f"-i {interface} -j DROP" for interface in both),
        forward=tuple(f"-{way} {interface} -j DROP" for interface in both for way in "io"),
    )


def _host(bridge: Bridge, ports: list[int]) -> tuple[str, ...]:
    listed = ",".join(str(port) for port in ports)
    return (
        f"-i {bridge.interface} {ANSWERS} -j ACCEPT",
        f"-i {bridge.interface} -d {bridge.gateway} -p tcp -m multiport --dports {listed} -j ACCEPT",
        f"-i {bridge.interface} -j REJECT",
    )


def ports_of(settings: Settings, names: tuple[str, ...]) -> list[int]:
    """The ports of these services."""
    return [getattr(settings, name).port for name in names]


def egress(settings: Settings, interface: str) -> tuple[str, ...]:
    """What servers reach of the world. RETURN, not ACCEPT: what the engine and the operator rule counts too."""
    allowed = settings.spawning.egress
    if allowed == "all":
        return ()
    networks = () if allowed == "none" else allowed
    return (*(f"-i {interface} -d {network} -j RETURN" for network in networks), f"-i {interface} -j REJECT")


def transaction(settings: Settings, rules: Rules | None, listing: str, forward: str = "DOCKER-USER") -> str:
    """Input of `iptables-restore --noflush`: our chains with these rules, first in their parents; None: no chains.

    `listing` is what `iptables -S` printed. PURE; the same again changes nothing.
    """
    suffix = settings.install_id[:8]
    chains = {
        f"BDAP-INPUT-{suffix}": ("INPUT", rules.input if rules else ()),
        f"BDAP-FORWARD-{suffix}": (forward, rules.forward if rules else ()),
    }
    lines = ["*filter", *(f":{chain} - [0:0]" for chain in chains)]
    for chain, (parent, specifications) in chains.items():
        lines += [f"-D {parent} -j {chain}"] * listing.splitlines().count(f"-A {parent} -j {chain}")
        lines += [f"-A {chain} {specification}" for specification in specifications]
        lines.append(f"-I {parent} 1 -j {chain}" if rules else f"-X {chain}")
    return "\n".join([*lines, "COMMIT", ""])


def bridge(name: str) -> Bridge:
    """The Docker network of that name; BadSettings where there is none."""
    try:
        found = client().inspect_network(name)
    except NotFound:
        raise BadSettings(f"there is no Docker network {name!r}", "start the platform once: it makes it") from None
    gateway = next((c["Gateway"] for c in found["IPAM"]["Config"] if c.get("Gateway")), "")
    interface = (found.get("Options") or {}).get(INTERFACE) or f"br-{found['Id'][:12]}"
    return Bridge(interface, str(gateway).split("/")[0])


def bridges(settings: Settings) -> tuple[Bridge, Bridge]:
    """Those of people's servers and of dashboards."""
    return bridge(settings.spawning.network), bridge(settings.dashboards.network)


def here(settings: Settings) -> tuple[Rules, tuple[Bridge, Bridge]]:
    """The rules of this host, and the bridges that they are about."""
    if settings.spawning.engine != "swarm":
        both = bridges(settings)
        return ipv4(settings, *both), both
    from . import firewall_nodes

    both = firewall_nodes.servers(settings), bridge(settings.dashboards.network)
    return ipv4(settings, *both, firewall_nodes.closed(settings, node_addresses(settings))), both


def node_addresses(settings: Settings) -> list[str]:
    """Where the machines of the swarm are."""
    return [node.address for node in now(lambda: engine_of(settings).nodes())]


def apply(settings: Settings) -> None:
    """Put the rules in place, instead of those that stood there. Unavailable, naming the risk, where we may not."""
    _carry_out(settings, *here(settings))


def remove(settings: Settings) -> None:
    """Take our chains away; where there are none, nothing happens."""
    _carry_out(settings, None, ())


def _carry_out(settings: Settings, rules: Rules | None, both: tuple[Bridge, ...]) -> None:
    root = debian.as_root()
    if root is None:
        raise _refused("this account may not set rules")
    tool = _tool(root)
    _restore(root, tool, transaction(settings, rules, _run(root, tool, "-S").stdout))
    six = tool.replace("iptables", "ip6tables")
    listing = _run(root, six, "-S")
    if listing.returncode == 0:  # else this kernel has no IPv6, or no rules for it: there is nothing to close
        # the engine makes no chain of the operator's for IPv6
        found = transaction(settings, ipv6(*both) if both else None, listing.stdout, "FORWARD")
        _restore(root, six, found)


def _tool(root: list[str]) -> str:
    """The iptables that the engine uses: there are two sets of tables, and its chain stands in one of them."""
    complaint = "iptables is not installed"
    for tool in TOOLS:
        if shutil.which(tool, path=PATH):
            done = _run(root, tool, "-S", "DOCKER-USER")
            if done.returncode == 0:
                return tool
            complaint = done.stderr.strip().splitlines()[0] if done.stderr.strip() else complaint
    raise _refused(complaint)


def _restore(root: list[str], tool: str, text: str) -> None:
    done = _run(root, f"{tool}-restore", "--noflush", text=text)
    if done.returncode:
        raise _refused(done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"{tool}-restore failed")


def _run(root: list[str], tool: str, *arguments: str, text: str = "") -> Any:
    command = [*root, shutil.which(tool, path=PATH) or tool, "-w", "10", *arguments]
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _refused(why: str) -> Unavailable:
    return Unavailable(
        f"no firewall stands before this host ({why}): {RISK}",
        "run `bdap firewall apply` as root, or keep them away with a firewall of your own",
    )
