"""`bdap dashboards node`: further machines that run dashboards."""

from __future__ import annotations

import asyncio
import json
import logging
from ipaddress import ip_address
from pathlib import Path

import click

from .. import settings
from ..errors import BadSettings
from .private import write_changed

FOLDER = click.Path(file_okay=False, path_type=Path)
PORT = 7430


@click.group()
def node() -> None:
    """Further machines that run dashboards: see docs/how-to/dashboards-on-many-nodes.md."""


@node.command("files")
@click.argument("address")
@click.argument("folder", type=FOLDER)
@click.option("--port", default=PORT, show_default=True, help="Where it shall listen.")
def files(address: str, folder: Path, port: int) -> None:
    """On the hub's host: write into FOLDER what the machine at ADDRESS needs (for root alone: it holds a key).

    A certificate that is good for two more years stays.
    """
    from .. import certificates

    tree = settings.load()
    if not tree.dashboards.node_hub:
        raise BadSettings("dashboards.node_hub is not set", "say this host's address, as those machines see it")
    try:
        ip_address(address)
    except ValueError:
        raise BadSettings(f"{address!r:.80} is no IP address", "write 192.0.2.11, or an address of IPv6") from None
    said = {"address": address, "port": port, "hub": tree.dashboards.node_hub}
    certificates.ensure(tree)
    believes = Path(certificates.files(tree, "services-ca")[1]).read_text()
    wanted = {"node.json": json.dumps(said, indent=1), "hub.pem": believes}
    if not certificates.serves_node(tree, address, folder / "certificate.pem"):
        pair = certificates.for_node(tree, address, "services-ca")
        found = {"key.pem": pair.key, "certificate.pem": pair.certificate}
        wanted |= {name: content.decode() for name, content in found.items()}
    changed = write_changed(folder, wanted)
    click.echo(f"{', '.join(changed)} written" if changed else "all is up to date")
    click.echo(f"dashboards.nodes is to name {f'[{address}]' if ':' in address else address}:{port}")


@node.command("serve")
@click.argument("folder", type=FOLDER)
def serve(folder: Path) -> None:
    """On such a machine: run dashboards for the hub that FOLDER, which `files` wrote, is of."""
    from ..dashboards.nodes import serve as part

    tree = settings.load()
    if not (folder / "node.json").is_file():
        raise BadSettings(f"there is no {folder}/node.json", "write it on the hub's host: bdap dashboards node files")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(part.serve(tree, folder))
