"""`bdap publish`: a notebook or a folder becomes a dashboard, from a laptop or inside a notebook server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from .. import settings
from ..errors import BadRequest


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--project", envvar="BDAP_PROJECT", required=True)
@click.option("--slug", default="", help="Last part of the address; from the file's name by default.")
@click.option("--title", default="")
@click.option("--description", default="")
@click.option(
    "--visibility",
    type=click.Choice(["project", "people", "public"]),
    help="Who may open it; by default who may now, of a new one the project's members.",
)
@click.option("--entry", default="", help="The notebook, page or app to show, where there are several.")
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What counts before the folder's bdap-dashboard.yaml; for a notebook alone, instead of it.",
)
@click.option("--git", "repository", default="", help="Address of a git repository; PATH is a path in it.")
@click.option("--ref", default="main", show_default=True, help="With --git: its branch, tag or commit.")
@click.option("--draft", is_flag=True, help="Only its preview: submit it on its page.")
@click.option("--hub", default="", help="Address of the platform; by default BDAP_HUB_URL, or that of its settings.")
def publish(path: Path, manifest: Path | None, hub: str, repository: str, ref: str, draft: bool, **fields: str) -> None:
    """Publish a notebook, a page or an app (a file, .zip or a folder) as a dashboard.

    Needs BDAP_TOKEN or a notebook server's token.

    A folder's bdap-dashboard.yaml says what it is called, who sees it and what it needs (`docs/reference`). Where it
    asks for more people than the project's, say --visibility yourself, or yes when asked. An upload that broke off goes
    on where it was. Prints the address and who may open it.
    """
    from ..dashboards.bundles.source import checked_out

    token = os.environ.get("BDAP_TOKEN") or os.environ.get("JUPYTERHUB_API_TOKEN", "")
    if not token:
        raise BadRequest("there is no token", "make one at /hub/token and set BDAP_TOKEN")
    if manifest:
        fields["manifest"] = manifest.read_text()
    if draft:
        fields["draft"] = "yes"
    if repository:
        with checked_out(repository, ref, str(path), _told) as folder:
            made = _sent(hub, token, folder, fields)
    elif path.exists():
        made = _sent(hub, token, path, fields)
    else:
        raise BadRequest(f"there is no {path}", "name a notebook, a zip archive or a folder")
    if made["status"] == "live":
        click.echo(f"{made['url']} (visibility: {made['visibility']})")
    else:
        click.echo(f"version {made['version']} of {made['id']} is {made['status']}; its preview: {made['preview']}")


def _sent(hub: str, token: str, path: Path, fields: dict[str, str]) -> dict[str, Any]:
    from ..dashboards.bundles.client import publish as send
    from ..dashboards.bundles.client import wanted_visibility

    wanted = "" if fields["visibility"] or not sys.stdin.isatty() else wanted_visibility(path)
    if wanted and click.confirm(f"{path} asks for the visibility {wanted!r:.40}. Publish it so?"):
        fields["visibility"] = wanted
    return send(_service(hub), token, path, tell=_told, **fields)


def _service(hub: str) -> str:
    if not hub and (told := os.environ.get("BDAP_DASHBOARDS_URL")):
        return told
    hub = hub or os.environ.get("BDAP_HUB_URL", "")
    return f"{(hub or settings.load().hub.public_url).rstrip('/')}/services/dashboards"


def _told(step: str) -> None:
    """What goes on, for whoever waits at a terminal."""
    if sys.stderr.isatty():
        click.echo(f"  {step}", err=True)
