"""`bdap node`: root's part on each machine that runs servers, for hubs that are not root or not there."""

from __future__ import annotations

import grp
import json
import os
import pwd
import sys
from pathlib import Path

import click

from .. import settings
from ..errors import BadSettings, NotAllowed
from .private import write_changed, write_private


@click.group()
def node() -> None:
    """Root's part on each machine that runs servers: it gives running containers folders and files."""


@node.command("serve")
@click.option("--account", required=True, help="The account that the hub runs as.")
@click.option("--group", required=True, help="The group that may open the socket: one that the hub alone is in.")
def serve(account: str, group: str) -> None:
    """Serve this host's hub, as root, at spawning.node_socket. It does what docs/explanation/security.md lists."""
    from ..spawning.engines import links

    if os.geteuid() != 0:
        raise NotAllowed("only root may give a running container folders", "run it by systemd, or with sudo")
    tree = settings.load()
    path = tree.spawning.node_socket
    try:
        who = {"account": pwd.getpwnam(account).pw_uid, "group": grp.getgrnam(group).gr_gid}
    except KeyError as error:
        raise BadSettings(f"this host has no such account or group: {error}", "name the hub's") from None
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    config = path.parent / "config.json"
    write_private(config, json.dumps({**links.rules(tree), **who, "socket": str(path)}))
    os.execv(sys.executable, [*links.COMMAND, str(config)])  # noqa: S606  no shell is wanted


@node.command("files")
@click.argument("address")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def files(address: str, folder: Path) -> None:
    """Write into FOLDER what root's part needs on the machine of the swarm at ADDRESS: its rules and certificate.

    Bring it there as /etc/bdap-node, with `bdap_hub/spawning/node` as /opt/bdap-node/node. A certificate that is good
    for two more years stays.
    """
    changed = write_files(settings.load(), address, folder)
    click.echo(f"{', '.join(changed)} written" if changed else "all is up to date")


def write_files(tree: settings.Settings, address: str, folder: Path, there: str = "/etc/bdap-node") -> list[str]:
    """What `files` does: the names of what is new; `there`: the folder's place on that machine."""
    from .. import certificates
    from ..spawning.engines import links

    wanted = {"config.json": json.dumps(links.far_config(tree, address, there), indent=1)}
    if not certificates.serves_node(tree, address, folder / "certificate.pem"):
        pair = certificates.for_node(tree, address)
        found = {"key.pem": pair.key, "certificate.pem": pair.certificate, "hub.pem": pair.trusted}
        wanted |= {name: content.decode() for name, content in found.items()}
    return write_changed(folder, wanted)
