"""`bdap people`: what the pages for leads and administrators do, for the operator at the command line.

Changes take effect within `identity.revocation_seconds`, when the hub's sweeper next looks at the person.
"""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import Any

import click

from .. import database, entitlements, settings
from ..errors import BadRequest, Conflict, NotFound


@click.group()
def people() -> None:
    """Accounts, requests to join projects, and members."""


UNTIL = click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day; registration.days from now by default."
)
ROLE = click.option("--role", type=click.Choice(["member", "lead"]), default="member", show_default=True)


@people.command("list")
@click.option("--standing", type=click.Choice(["approved", "pending", "rejected", "blocked"]), help="Only these.")
def people_list(standing: str | None) -> None:
    """All accounts: name, standing, end of the approval, projects."""
    from ..identity import people as room

    tree, store = _opened()
    for account in room.everybody(store):
        if standing in (None, account.standing):
            roles = _roles(tree, store, account)
            click.echo(f"{account.name:20} {account.standing:9} {_day(account.expires):11} {', '.join(roles)}".rstrip())


@people.command("show")
@click.argument("name")
def people_show(name: str) -> None:
    """All that is known of an account, and whether it may log in."""
    from ..identity import people as room
    from ..identity import requests

    tree, store = _opened()
    account = _account(store, name)
    refused = room.refusal_at_login(tree, account)
    rows: dict[str, Any] = {
        "name": f"{account.name} ({account.display_name or 'no display name'})",
        "e-mail": account.email or "none",
        "at the provider": f"{account.subject} at {account.issuer}",
        "standing": account.standing + (f": {account.reason}" if account.reason else ""),
        "approved until": _day(account.expires),
        "may log in": f"no: {refused.message}" if refused else "yes",
        "terms accepted": account.terms_version or "none",
        "last login": _day(account.logged_in),
        "groups": ", ".join(account.groups) or "none",
        "projects": ", ".join(_roles(tree, store, account)) or "none",
        "open requests": ", ".join(request.project for request in requests.open_of(store, name)) or "none",
    }
    for title, value in rows.items():
        click.echo(f"{title + ':':16} {value}")


@people.command("requests")
def people_requests() -> None:
    """The requests that wait for an answer, oldest first."""
    from ..identity import requests

    tree, store = _opened()
    for request in requests.open_in(store, [project.name for project in entitlements.projects(tree, store)]):
        click.echo(f"{request.id:5} {request.asked:%Y-%m-%d} {request.person} asks for {request.project}:")
        click.echo("\n".join(f"      {line}" for line in request.purpose.splitlines()))


@people.command("approve")
@click.argument("name")
@click.option("--project", help="Which of their requests; needed where there are several.")
@ROLE
@UNTIL
def people_approve(name: str, project: str | None, role: str, until: datetime | None) -> None:
    """Approve NAME's request; without one, their account alone."""
    desk, actor = _desk()
    end = until.date() if until else None
    if project is None and not _requests(desk.store, name):
        _finish(desk, desk.admit(actor, name, end), f"{name} is approved, without a project")
        return
    request = _request(desk.store, name, project)
    _finish(desk, desk.approve(actor, request.id, role, end), f"{name} is now a {role} of {request.project}")


@people.command("reject")
@click.argument("name")
@click.option("--project", help="Which of their requests; needed where there are several.")
@click.option("--comment", required=True, help="Why; the person reads it.")
def people_reject(name: str, project: str | None, comment: str) -> None:
    """Turn NAME's request down."""
    desk, actor = _desk()
    request = _request(desk.store, name, project)
    _finish(
        desk, desk.reject(actor, request.id, comment), f"the request of {name} for {request.project} is turned down"
    )


@people.command("block")
@click.argument("name")
@click.option("--comment", required=True, help="Why; the person reads it.")
def people_block(name: str, comment: str) -> None:
    """Keep NAME out: logins end now, servers and tokens when the hub next looks."""
    desk, actor = _desk()
    _finish(desk, desk.block(actor, name, comment), f"{name} is blocked")


@people.command("unblock")
@click.argument("name")
def people_unblock(name: str) -> None:
    """Let NAME in again, as far as they were approved before."""
    desk, actor = _desk()
    _finish(desk, desk.unblock(actor, name), f"{name} is no longer blocked")


@people.command("add")
@click.argument("name")
@click.argument("project")
@ROLE
@UNTIL
def people_add(name: str, project: str, role: str, until: datetime | None) -> None:
    """Put NAME, who has logged in before, into PROJECT, or change their role and end there."""
    desk, actor = _desk()
    done = desk.add(actor, name, project, role, until.date() if until else None)
    _finish(desk, done, f"{name} is now a {role} of {project}")


@people.command("remove")
@click.argument("name")
@click.argument("project")
def people_remove(name: str, project: str) -> None:
    """Take NAME, who was added here, out of PROJECT."""
    desk, actor = _desk()
    _finish(desk, desk.remove(actor, name, project), f"{name} is no longer in {project}")


@people.command("rebind")
@click.argument("name")
@click.option("--subject", required=True, help="What the provider calls them: the claim sub.")
@click.option("--issuer", help="The provider; identity.issuer by default.")
def people_rebind(name: str, subject: str, issuer: str | None) -> None:
    """Give NAME's account to SUBJECT at the provider, as after a change of identity.issuer. Its logins end."""
    from ..identity.rebind import rebind

    tree, store = _opened()
    issuer = issuer or tree.identity.issuer
    rebind(store, _operator(), name, issuer, subject)
    click.echo(f"{name} is now {subject} at {issuer}")


def _operator() -> str:
    return f"operator:{getpass.getuser()}"


def _opened() -> tuple[settings.Settings, Any]:
    from ..identity import tables  # noqa: F401  declares them

    tree = settings.load()
    return tree, database.connect(tree.database)


def _desk() -> tuple[Any, Any]:
    from ..identity.approvals import Actor, Approvals

    return Approvals(*_opened()), Actor(_operator())


def _finish(desk: Any, done: Any, sentence: str) -> None:
    from ..identity.mail import deliver

    sent = deliver(desk.settings, desk.store, done.letters)
    click.echo(sentence + ("" if sent == len(done.letters) else "; the letter to them could not be sent"))


def _account(store: Any, name: str) -> Any:
    from ..identity import people as room

    if (account := room.find(store, name)) is None:
        raise NotFound(f"there is no account {name!r}", "see `bdap people list`; one is made at the first login")
    return account


def _requests(store: Any, name: str) -> Any:
    from ..identity import requests

    _account(store, name)
    return requests.open_of(store, name)


def _request(store: Any, name: str, project: str | None) -> Any:
    found = [request for request in _requests(store, name) if project in (None, request.project)]
    if not found:
        raise BadRequest(
            f"{name!r} has no open request" + (f" for {project!r}" if project else ""), "see `bdap people requests`"
        )
    if len(found) > 1:
        raise Conflict(f"{name!r} asks for {', '.join(r.project for r in found)}", "name one with --project")
    return found[0]


def _roles(tree: settings.Settings, store: Any, account: Any) -> list[str]:
    from ..identity import people as room

    roles = {
        project.name: room.role_of(tree, store, account, project.name) for project in entitlements.projects(tree, store)
    }
    return [f"{name} ({role})" for name, role in roles.items() if role]


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "-"
