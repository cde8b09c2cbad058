"""`bdap firewall`: what people's servers and dashboards reach of this host. The demo does it by itself."""

from __future__ import annotations

from typing import Any

import click

from .. import settings


@click.group()
def firewall() -> None:
    """Close this host's ports to people's servers and dashboards, but for the platform's own. As root."""


@firewall.command("apply")
def apply() -> None:
    """Make the bridges where they are missing, and put the rules in place; again after a change of the settings."""
    from ..dashboards.running.runtime_docker import DockerRuntime
    from ..spawning import firewall as room
    from ..spawning.network import ensure_network

    tree = settings.load()
    if tree.spawning.engine != "swarm":
        ensure_network(tree.spawning.network)
    DockerRuntime(tree).host_address()
    room.apply(tree)


@firewall.command("show")
def show() -> None:
    """Print the rules for IPv4 as `iptables-restore --noflush` reads them; nothing is changed."""
    from ..spawning import firewall as room

    tree = settings.load()
    click.echo(room.transaction(tree, room.here(tree)[0], ""), nl=False)


@firewall.command("node")
@click.argument("listing", type=click.File(), default="-")
def node(listing: Any) -> None:
    """Print the rules of another machine of the swarm; LISTING is what `iptables -S` prints there.

    ssh NODE iptables -S | bdap firewall node | ssh NODE iptables-restore --noflush
    """
    from ..spawning import firewall as room
    from ..spawning import firewall_nodes

    tree = settings.load()
    rules = firewall_nodes.rules(tree, room.node_addresses(tree))
    click.echo(room.transaction(tree, rules, listing.read()), nl=False)


@firewall.command("remove")
def remove() -> None:
    """Take the rules away."""
    from ..spawning import firewall as room

    room.remove(settings.load())
