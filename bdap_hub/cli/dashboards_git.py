"""`bdap dashboards git`: where a dashboard is published from at every push. For those who edit it, with their token."""

from __future__ import annotations

import os
from typing import Any

import click
import httpx

from .. import settings
from ..errors import BadRequest, BdapError, Unavailable

SECONDS = 60


@click.group("git")
def git() -> None:
    """Where a dashboard (PROJECT/SLUG) is published from at every push. Needs BDAP_TOKEN (BDAP_HUB_URL)."""


@git.command("set")
@click.argument("dashboard")
@click.argument("url")
@click.option("--ref", default="main", show_default=True, help="A branch or tag.")
@click.option("--folder", default=".", help="A folder or notebook in it.")
@click.option("--secret", default="", help="The project's secret that holds a token to read it.")
def git_set(dashboard: str, url: str, **place: str) -> None:
    """Publish DASHBOARD from the repository at URL, in your name. Prints the webhook's address and, once, its token."""
    _shown(_asked("PUT", dashboard, "", json={"url": url, **place}))


@git.command("show")
@click.argument("dashboard")
def git_show(dashboard: str) -> None:
    """Where DASHBOARD is published from, and what came of the last push."""
    found = _asked("GET", dashboard)
    for name in ("url", "ref", "folder", "secret", "person", "state", "told", "commit"):
        if found[name]:
            click.echo(f"{name}: {found[name]}")
    _shown(found)


@git.command("publish")
@click.argument("dashboard")
def git_publish(dashboard: str) -> None:
    """Publish DASHBOARD now, as a push would."""
    _asked("POST", dashboard, "/publish")
    click.echo(f"{dashboard} is published soon: see `bdap dashboards git show {dashboard}`")


@git.command("token")
@click.argument("dashboard")
def git_token(dashboard: str) -> None:
    """A new token for the webhook of DASHBOARD; the old one is refused from now on."""
    _shown(_asked("POST", dashboard, "/token"))


@git.command("remove")
@click.argument("dashboard")
def git_remove(dashboard: str) -> None:
    """No push publishes DASHBOARD any more."""
    _asked("DELETE", dashboard)
    click.echo(f"pushes do not publish {dashboard} any more")


def _shown(found: dict[str, Any]) -> None:
    click.echo(f"webhook: {found['hook']}")
    if "token" in found:
        click.echo(f"secret token, shown only now: {found['token']}")


def _asked(method: str, dashboard: str, path: str = "", **options: Any) -> dict[str, Any]:
    """The service's answer; its refusal as BdapError."""
    token = os.environ.get("BDAP_TOKEN") or os.environ.get("JUPYTERHUB_API_TOKEN", "")
    if not token:
        raise BadRequest("there is no token", "make one at /hub/token and set BDAP_TOKEN")
    project, slash, slug = dashboard.partition("/")
    if not slash or "/" in slug:
        raise BadRequest(f"{dashboard!r:.80} is no dashboard", "write PROJECT/SLUG")
    hub = os.environ.get("BDAP_HUB_URL") or settings.load().hub.public_url
    base = os.environ.get("BDAP_DASHBOARDS_URL") or f"{hub.rstrip('/')}/services/dashboards"
    address, headers = f"{base}/api/dashboards/{project}/{slug}/git{path}", {"Authorization": f"Bearer {token}"}
    try:
        with httpx.Client(timeout=SECONDS, trust_env=base.startswith("https:")) as client:
            answer = client.request(method, address, headers=headers, **options)
        said = answer.json() if answer.content else {}
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable(f"the dashboards service does not answer: {type(error).__name__}", f"check {base}") from None
    if not answer.is_success:
        raise BdapError(str(said.get("message", answer.status_code)), str(said.get("remedy", "")))
    return dict(said)
