"""`bdap`: thin commands over the rooms' own functions. Errors are one line with their remedy."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import click

from .. import __version__, proxy, settings, telemetry
from ..errors import BadRequest, BdapError
from ..settings import reference
from ..settings.hub import ANYWHERE
from . import access, audit, batch, dashboards, demo, firewall, gpus, images, node, people, projects, publish, store

SERVICES = ("proxy", "processing", "catalogue", "dashboards", "gateway", "admin", "provider")


class Commands(click.Group):
    """A group that turns our errors into one readable line and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BdapError as error:
            remedy = f"\n  What you can do: {error.remedy}" if error.remedy else ""
            raise click.ClickException(f"{error.message}{remedy}") from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """BDAP Hub: brings people to big data."""


main.add_command(access.access)
main.add_command(audit.audit)
main.add_command(batch.batch)
main.add_command(dashboards.dashboards)
main.add_command(firewall.firewall)
main.add_command(gpus.gpus)
main.add_command(node.node)
main.add_command(store.store)
main.add_command(images.images)
main.add_command(people.people)
main.add_command(projects.projects)
main.add_command(publish.publish)
main.add_command(demo.demo)


@main.command()
@click.argument("name", type=click.Choice(SERVICES))
def serve(name: str) -> None:
    """Run the proxy or one of the platform's services in the foreground."""
    import uvicorn

    if name == "proxy":
        proxy.run(settings.load())
    telemetry.set_up()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # an orderly end: what is still to be written is written
    tree = settings.load()
    if name == "provider":
        from ..demo import provider

        provider.main(tree)
        return
    app, binds, port = _service(tree, name)
    quiet: Any = {"log_config": None, "access_log": False, "timeout_keep_alive": proxy.IDLE_SECONDS}
    configs = [uvicorn.Config(app, host=bind, port=port, **quiet) for bind in binds]
    uvicorn.Server(configs[0]).run(sockets=[config.bind_socket() for config in configs])


def _service(tree: settings.Settings, name: str) -> tuple[Any, list[str], int]:
    if name == "gateway":
        from ..dashboards.gateway.serving import create_gateway

        return create_gateway(tree), [tree.dashboards.gateway_bind], tree.dashboards.gateway_port
    from importlib import import_module

    section = getattr(tree, name)
    given: dict[str, Any] = {}
    if name == "dashboards":
        from ..spawning.images.building.packages import with_packages

        given["layers"] = with_packages
    return import_module(f"bdap_hub.{name}.app").create_app(tree, **given), listens(tree, name), section.port


def listens(tree: settings.Settings, name: str) -> list[str]:
    """The addresses of a service; those that dashboards use are there for the dashboards' further machines, too."""
    section, own = getattr(tree, name), tree.dashboards
    far = own.node_hub if own.nodes and name in settings.DASHBOARDS_USE and section.bind not in ANYWHERE else ""
    return list(dict.fromkeys(filter(None, (section.bind, section.also_bind, far))))


@main.group()
def catalogue() -> None:
    """The STAC catalogue."""


@catalogue.command("ingest")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--collection", required=True, help="Identifier, such as sentinel-2-l2a.")
@click.option("--title", default="", help="What people read; the identifier by default.")
@click.option("--visibility", type=click.Choice(["project", "people", "public"]), default="people", show_default=True)
@click.option("--project", default="", help="The project that owns it; needed with --visibility project.")
@click.option("--datetime", default=None, help="Date of files that name none, e.g. 2025-06-01.")
@click.option("--scale", type=float, default=None, help="Factor from stored to physical values, where no header says.")
@click.option("--offset", type=float, default=None, help="What is added after the factor, where no header says.")
@click.option("--nodata", type=float, default=None, help="Value without data of bands that declare none, e.g. 65535.")
@click.option("--pattern", default="", help="Regular expression with the groups `date` and `band` for file names.")
@click.option("--checksum", is_flag=True, help="Read each file whole for its SHA-256 (file:checksum).")
@click.option("--prune", is_flag=True, help="Drop items whose files are gone.")
def catalogue_ingest(folder: Path, collection: str, title: str, **options: Any) -> None:
    """Describe the rasters below FOLDER (which must lie in the store) as a STAC collection."""
    from ..catalogue.ingest import ingest

    report = ingest(
        settings.load(),
        folder,
        collection,
        title=title or collection,
        progress=click.echo,
        **options,
    )
    click.echo(report)


@catalogue.command("watch")
@click.argument("names", nargs=-1)
@click.option("--every", type=click.FloatRange(min=1), default=60, show_default=True, help="Seconds between two looks.")
@click.option("--prune", is_flag=True, help="Drop items whose files are gone.")
@click.option("--once", is_flag=True, help="Look once and end, as for a timer of the system.")
def catalogue_watch(names: tuple[str, ...], every: float, prune: bool, once: bool) -> None:
    """Keep collections (all, or those NAMED) in step with the folders they were ingested from."""
    import threading

    from ..catalogue.watch import look_once, watch

    tree = settings.load()
    if once:
        look_once(tree, names, click.echo, prune=prune)
    else:
        watch(tree, names, click.echo, seconds=every, prune=prune, stop=threading.Event())


@main.command("settings")
def show_settings() -> None:
    """Check the settings and print the whole tree (secrets are files and not in it)."""
    click.echo(json.dumps(settings.load().model_dump(mode="json"), indent=2))


@main.command()
@click.option("--check", is_flag=True, help="Only say whether the pages are up to date.")
def docs(check: bool) -> None:
    """Write the generated files of docs/reference: settings, processes, and the dashboards' manifest."""
    from ..dashboards.bundles import manifest_page
    from ..processing.service import process_page

    for name, render in (
        ("settings.md", reference.render),
        ("processes.md", process_page.render),
        ("bdap-dashboard.md", manifest_page.render),
        ("bdap-dashboard.schema.json", manifest_page.render_schema),
    ):
        page, text = Path(f"docs/reference/{name}"), render()
        if not check:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text)
        elif not page.exists() or page.read_text() != text:
            raise BadRequest(f"{page} is not what the code says", "run `make docs`")
