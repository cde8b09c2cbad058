"""`bdap gpus`: which GPUs there are, who holds them, and how much each project used."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import click

from .. import audit, database, settings


@click.group()
def gpus() -> None:
    """The GPUs of the platform: who holds them, and GPU-hours by project."""


@gpus.command("list")
def gpus_list() -> None:
    """Each GPU or MIG instance with its model, memory and who holds it until when (UTC)."""
    from ..spawning.gpu import inventory as gpu_inventory
    from ..spawning.gpu import tables as gpu_tables

    tree = settings.load()
    rows = gpu_tables.allocations(database.connect(tree.database))
    devices = gpu_inventory.devices(tree)
    known = {(device.node, device.id) for device in devices}
    for device in devices:
        size = f"{device.memory / 2**30:.0f} GiB" if device.memory else "-"
        mine = [row for row in rows if (row.node, row.device) == (device.node, device.id)]
        free = max(0, device.slots - len(mine))
        click.echo(f"{device.node}  {device.id}  {device.model or '-'}  {size}  {free} of {device.slots} free")
        for row in mine:
            click.echo(f"    {_held(row)}")
    for row in rows:
        if (row.node, row.device) not in known:
            click.echo(f"{row.node}  {row.device}  not found on this host\n    {_held(row)}")
    if not devices and not rows:
        click.echo("There are no GPUs.")


@gpus.command("usage")
@click.option("--since", default="", metavar="DATE", help="From here on: 2026-03-01; UTC. Thirty days by default.")
@click.option("--until", default="", metavar="DATE", help="Up to here; a date includes its day.")
def gpus_usage(since: str, until: str) -> None:
    """GPU-hours by project, those of running servers included; a GPU that n servers may share counts 1/n."""
    from ..spawning.gpu import tables as gpu_tables

    store = database.connect(settings.load().database)
    end = audit.moment(until, end=True)
    last = min(time.time(), end.timestamp()) if end else time.time()
    begin = audit.moment(since)
    first = begin.timestamp() if begin else last - 30 * 86400
    for project, uses, hours in gpu_tables.hours(store, first, last):
        click.echo(f"{project:32}  {hours:10.2f} h  {uses} uses")


def _held(row: Any) -> str:
    since, until = (_time(moment) if moment else "no end" for moment in (row.since, row.until))
    return f"{row.person} in {row.project}/{row.image} since {since}, until {until}"


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}"
