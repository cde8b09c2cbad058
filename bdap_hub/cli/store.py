"""`bdap store`: whether the store answers, and the watch that heals it on a host whose hub may not."""

from __future__ import annotations

import asyncio
import os

import click

from .. import settings
from ..errors import BdapError, NotAllowed


@click.group()
def store() -> None:
    """The mounted store: look at it, watch it."""


@store.command("look")
def store_look() -> None:
    """Ask the store once; the status is 1 where it does not answer within `store.patience`."""
    from ..spawning.store.watch import StoreWatch

    watch = StoreWatch(settings.load(), records=False)
    try:
        asyncio.run(watch.look())
    except BdapError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"{watch.settings.store.root} answers")


@store.command("watch")
def store_watch() -> None:
    """Watch the store as root, on each host that runs servers: mount it again, give it back to running servers."""
    from ..spawning.store.watch import StoreWatch

    if os.geteuid() != 0:
        raise NotAllowed("only root may change the mounts of a running container", "run it by systemd, or with sudo")
    asyncio.run(StoreWatch(settings.load(), records=False).run())
