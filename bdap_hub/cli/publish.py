"""`bdap publish`: a notebook or a folder becomes a dashboard, from a laptop or inside a notebook server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .. import settings
from ..errors import BadRequest


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--project", envvar="BDAP_PROJECT", required=True)
@click.option("--slug", default="", help="Last part of the address; from the file's name by default.")
@click.option("--title", default="")
@click.option("--description", default="")
@click.option(
    "--visibility", type=click.Choice(["project", "people", "public"]), help="project, unless said otherwise."
)
@click.option("--entry", default="", help="The notebook to show, where there are several.")
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What counts before the folder's bdap-dashboard.yaml; for a notebook alone, instead of it.",
)
@click.option("--draft", is_flag=True, help="Only its preview: submit it on its page.")
@click.option("--hub", envvar="BDAP_HUB_URL", default="", help="Address of the platform; from its settings by default.")
def publish(path: Path, manifest: Path | None, hub: str, draft: bool, **fields: str) -> None:
    """Publish a notebook (.ipynb, .zip or a folder) as a dashboard. Needs BDAP_TOKEN or a notebook server's token.

    A folder's bdap-dashboard.yaml says what it is called, who sees it and what it needs (`docs/reference`). Where it
    asks for more people than the project's, say --visibility yourself, or yes when asked. An upload that broke off goes
    on where it was. Prints the address and who may open it.
    """
    from ..dashboards.client import publish as send
    from ..dashboards.client import wanted_visibility

    token = os.environ.get("BDAP_TOKEN") or os.environ.get("JUPYTERHUB_API_TOKEN", "")
    if not token:
        raise BadRequest("there is no token", "make one at /hub/token and set BDAP_TOKEN")
    wanted = "" if fields["visibility"] or not sys.stdin.isatty() else wanted_visibility(path)
    if wanted and click.confirm(f"{path} asks for the visibility {wanted!r:.40}. Publish it so?"):
        fields["visibility"] = wanted
    if manifest:
        fields["manifest"] = manifest.read_text()
    if draft:
        fields["draft"] = "yes"
    made = send(_service(hub), token, path, tell=_told, **fields)
    if made["status"] == "live":
        click.echo(f"{made['url']} (visibility: {made['visibility']})")
    else:
        click.echo(f"version {made['version']} of {made['id']} is {made['status']}; its preview: {made['preview']}")


def _service(hub: str) -> str:
    if not hub and (told := os.environ.get("BDAP_DASHBOARDS_URL")):
        return told
    return f"{(hub or settings.load().hub.public_url).rstrip('/')}/services/dashboards"


def _told(step: str) -> None:
    """What goes on, for whoever waits at a terminal."""
    if sys.stderr.isatty():
        click.echo(f"  {step}", err=True)
