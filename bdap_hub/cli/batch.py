"""`bdap batch`: whether the pool that runs batch jobs answers, and what is in it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import click

from .. import settings
from ..errors import BadRequest
from ..settings import Settings

PROGRAM = "import bdap_hub.processing.jobs.worker, os, platform; print(os.uname().nodename, platform.python_version())"


@click.group()
def batch() -> None:
    """The HTCondor pool that runs batch jobs."""


@batch.command("status")
def batch_status() -> None:
    """Whether the pool answers, its machines' slots by state, and the jobs of this platform."""
    from ..batch.pool import Pool
    from ..batch.states import Kind

    tree = _with_a_pool()
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


@batch.command("try")
@click.option("--seconds", default=300.0, show_default=True, help="How long it may take.")
def batch_try(seconds: float) -> None:
    """Run a small job: whether a machine takes it, has this platform's release, and writes on the same store."""
    from ..batch.trial import tried

    tree = _with_a_pool()
    python, package = tree.batch.python or sys.executable, str(Path(__file__).parents[2])
    machine, version = tried(tree, (python, "-c", PROGRAM), {"PYTHONPATH": package}, seconds).split()
    click.echo(f"a job ran on {machine}, with Python {version}")


def _with_a_pool() -> Settings:
    tree = settings.load()
    if not tree.batch.collector:
        raise BadRequest("batch.collector is empty: there is no pool", "name it in bdap.yaml; see docs/how-to/batch.md")
    return tree
