"""`bdap audit`: read the audit log, and hand it to other systems as JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from .. import audit as log
from .. import database, settings

PACE = 1.0  # seconds between two looks for new events
COLUMNS = ("person", "action", "subject", "outcome", "address", "reason")


@click.group()
def audit() -> None:
    """Who did what, when, and what was refused."""


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which events are wanted."""
    for option in reversed(
        (
            click.option("--since", default="", metavar="DATE", help="From here on: 2026-03-01, or with a time; UTC."),
            click.option("--until", default="", metavar="DATE", help="Up to here; a date includes its day."),
            click.option("--person", default="", help="Of this account."),
            click.option("--action", default="", help="Such as login, step-up or revoke."),
            click.option("--outcome", type=click.Choice(["allowed", "refused"]), default=None),
            click.option("--subject", default="", help="On exactly this: a project, a dashboard, a path."),
        )
    ):
        command = option(command)
    return command


def _wanted(since: str, until: str, outcome: str | None, **exact: str) -> log.Filter:
    return log.Filter(since=log.moment(since), until=log.moment(until, end=True), outcome=outcome or "", **exact)


@audit.command("export")
@_filters
@click.option("--after", type=int, default=0, help="Only events with a higher id: where the last export ended.")
@click.option("--follow", is_flag=True, help="Then go on with new events as they come, until stopped.")
def export(after: int, follow: bool, **options: Any) -> None:
    """Write events to standard output, oldest first, one JSON object a line."""
    wanted = _wanted(**options)
    store = database.connect(settings.load().database)
    try:
        while True:
            last = log.newest_id(store)
            for event in log.events(store, wanted, after=after, last=last):
                print(log.line(event))
            sys.stdout.flush()
            if not follow:
                return
            after = max(after, last)
            time.sleep(PACE)
    except KeyboardInterrupt:
        return


@audit.command("list")
@_filters
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
def list_events(limit: int, **options: Any) -> None:
    """The newest events as a table, newest first."""
    store = database.connect(settings.load().database)
    rows = [
        (f"{log.utc(event.at):%Y-%m-%d %H:%M:%S}", *(getattr(event, name) for name in COLUMNS))
        for event in log.query(store, _wanted(**options), limit=limit)
    ]
    titles = ("at (UTC)", *COLUMNS)
    widths = [min(40, max(map(len, column))) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        cells = (f"{_shown(value):{width}.{width}}" for value, width in zip(row[:-1], widths[:-1], strict=True))
        click.echo(f"{'  '.join(cells)}  {_shown(row[-1])}".rstrip())


def _shown(value: str) -> str:
    """One line without anything that moves a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "�" for letter in value)
