"""`bdap batch`: whether the pool that runs batch jobs answers, and what is in it."""

from __future__ import annotations

from collections import Counter

import click

from .. import settings
from ..errors import BadRequest


@click.group()
def batch() -> None:
    """The HTCondor pool that runs batch jobs."""


@batch.command("status")
def batch_status() -> None:
    """Whether the pool answers, its machines' slots by state, and the jobs of this platform."""
    from ..batch.pool import Pool
    from ..batch.states import Kind

    tree = settings.load()
    if not tree.batch.collector:
        raise BadRequest("batch.collector is empty: there is no pool", "name it in bdap.yaml; see docs/how-to/batch.md")
    pool = Pool(tree)
    try:
        slots = Counter(str(slot.get("State")) for slot in pool.machines())
        jobs = Counter(standing.kind for standing in pool.standings().values())
    finally:
        pool.close()
    states = ", ".join(f"{count} {state}" for state, count in sorted(slots.items()))
    click.echo(f"machines   {slots.total()} slots{': ' if states else ''}{states}")
    shown = (Kind.WAITING, Kind.RUNNING, Kind.HELD, Kind.DONE)
    click.echo("jobs       " + ", ".join(f"{jobs[kind]} {kind.value}" for kind in shown))
