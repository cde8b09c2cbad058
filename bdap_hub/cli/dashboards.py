"""`bdap dashboards`: what the operator does for projects' dashboards."""

from __future__ import annotations

import getpass
import sys
from typing import Any

import click

from .. import audit, database, entitlements, settings
from ..errors import NotFound
from .dashboards_git import git
from .dashboards_node import node


@click.group()
def dashboards() -> None:
    """Dashboards of projects: their secrets, where they are published from, where they run."""


dashboards.add_command(git)
dashboards.add_command(node)


@dashboards.group()
def secret() -> None:
    """Secrets that a project's dashboards may name: each is the file /run/secrets/NAME in their containers."""


@secret.command("set")
@click.argument("project")
@click.argument("name")
def secret_set(project: str, name: str) -> None:
    """Give PROJECT's secret NAME the value that stands on standard input, or that is asked for."""
    from ..dashboards.releases.vault import Vault

    tree, store = _known(project)
    asked = sys.stdin.isatty()
    value = click.prompt("Value", hide_input=True).encode() if asked else sys.stdin.buffer.read().removesuffix(b"\n")
    Vault(tree).keep(project, name, value)
    _noted(store, "dashboard.secret-set", f"{project}/{name}")
    click.echo(f"{project}/{name} is there; dashboards that start from now on read it")


@secret.command("list")
@click.argument("project")
def secret_list(project: str) -> None:
    """The names of PROJECT's secrets; their values are shown nowhere."""
    from ..dashboards.releases.vault import Vault

    for name in Vault(_known(project)[0]).names(project):
        click.echo(name)


@secret.command("remove")
@click.argument("project")
@click.argument("name")
def secret_remove(project: str, name: str) -> None:
    """Forget PROJECT's secret NAME; dashboards that name it do not start any more."""
    from ..dashboards.releases.vault import Vault

    tree, store = _known(project)
    Vault(tree).remove(project, name)
    _noted(store, "dashboard.secret-remove", f"{project}/{name}")
    click.echo(f"{project}/{name} is gone")


def _known(project: str) -> tuple[settings.Settings, Any]:
    tree = settings.load()
    store = database.shared(tree.database)
    if entitlements.policy(tree, store).project(project) is None:
        raise NotFound(f"there is no project {project!r:.80}", "see `bdap projects list`")
    return tree, store


def _noted(store: Any, action: str, subject: str) -> None:
    who = f"operator:{getpass.getuser()}"
    audit.record(store, person=who, action=action, subject=subject, allowed=True, reason="operator")
