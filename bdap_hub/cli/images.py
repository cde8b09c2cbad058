"""`bdap images`: build, look into, and hand on the images of people's servers and dashboards."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import click

from .. import database, settings
from ..access import Person
from ..errors import NotFound


@click.group()
def images() -> None:
    """Build, list, verify and scan the notebook and dashboard images."""


@images.command("build")
@click.argument("names", nargs=-1)
@click.option("--base-image", envvar="BASE_IMAGE", help="Start from this image instead of bootstrapping Debian.")
@click.option("--build-arg", "arguments", multiple=True, help="NAME=VALUE for the recipe, e.g. VARIANT=cpu; repeat.")
@click.option("--refresh", is_flag=True, help="Build anew even what is up to date, with today's Debian packages.")
def images_build(names: tuple[str, ...], base_image: str | None, arguments: tuple[str, ...], refresh: bool) -> None:
    """Build NAMES (default: all that every install needs); what is up to date is skipped."""
    from ..spawning.images import platform as room

    room.build(names or None, base_image=base_image, progress=click.echo, arguments=arguments, refresh=refresh)


@images.command("list")
def images_list() -> None:
    """The platform's images on this host."""
    from ..spawning.images import platform as room

    for image in room.list_images():
        click.echo(image)


@images.command("verify")
@click.argument("name")
def images_verify(name: str) -> None:
    """Run the image's own check inside it, as an arbitrary person."""
    from ..spawning.images import platform as room

    click.echo(room.verify(name))


@images.command("push")
@click.argument("name")
def images_push(name: str) -> None:
    """Push NAME to spawning.registry, and print the reference by digest to offer: it stays what it is for good."""
    from ..spawning.images import push as image_push
    from ..spawning.images import recipes

    reference = image_push.push(settings.load(), recipes.recipe(name).reference, name, _told)
    click.echo(reference)


@images.command("scan")
@click.argument("image")
@click.option(
    "--advisories",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Known problems: a JSON file of OSV records, or pip-audit's output.",
)
@click.option("--json", "as_json", is_flag=True, help="The whole report with all packages, for programs.")
def images_scan(image: str, advisories: Path | None, as_json: bool) -> None:
    """List what IMAGE (a name such as lab, or a reference) holds, and what is wrong with it. Status 1: something is.

    Looks for programs that change their user, files everybody may write to, secrets and the site's certificates in
    any layer, leftovers, and packages that the given advisories name. It asks nobody, and runs nothing of the image.
    """
    from ..spawning.images import recipes
    from ..spawning.images import scan as image_scan

    reference = f"bdap/{image}" if image in recipes.names() else image
    report = image_scan.scan(reference, image_scan.read_advisories(advisories) if advisories else ())
    if as_json:
        click.echo(report.as_json())
    else:
        count = {system: sum(one.system == system for one in report.packages) for system in ("debian", "python")}
        click.echo(f"{reference}: {count['debian']} Debian packages, {count['python']} Python packages")
        for found in report.findings:
            click.echo(f"  {'problem' if found.serious else 'note':8} {found.kind:15} {found.where}: {found.what}")
        click.echo(f"{len(report.serious)} problems, {len(report.findings) - len(report.serious)} notes")
    raise SystemExit(1 if report.serious else 0)


FOR = click.option("--for", "person", default="", help="Act with this person's rights; by default the operator acts.")


@images.group("project")
def project() -> None:
    """Projects' own images, built by their recipes."""


@project.command("build")
@click.argument("project")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", default="", help="The image's name within the project; the folder's by default.")
@click.option("--title", default="", help="What people read; the name by default.")
@click.option("--base", default="", help="For lists of packages: the platform's image to start from, such as lab.")
@FOR
def project_build(project: str, folder: Path, name: str, title: str, base: str, person: str) -> None:
    """Build the recipe in FOLDER (Dockerfile, requirements.txt, apt.txt, postBuild) and offer it to PROJECT alone."""
    from ..spawning.images.building.room import Wanted

    room, actor = _project_images(person)
    image = room.build(actor, Wanted(project, folder, name, title, base), click.echo)
    click.echo(f"{image.project}.{image.name} is offered to project {image.project}: {image.reference}")


@project.command("list")
@click.argument("project", default="")
def project_list(project: str) -> None:
    """The images of PROJECT, or of all: title, size, base, who built it when, its content and its log."""
    from ..entitlements import project_images

    tree = settings.load()
    for image in project_images.listed(database.shared(tree.database), project):
        click.echo(f"{image.project}.{image.name}  {image.title}  {image.size / 1e6:.0f} MB on {image.base}")
        click.echo(f"    built {image.built:%Y-%m-%d %H:%M} by {image.built_by}: {image.reference}")
        click.echo(f"    recipe {image.recipe[:19]}…, log {image.log}")


@project.command("remove")
@click.argument("project")
@click.argument("name")
@FOR
def project_remove(project: str, name: str, person: str) -> None:
    """Offer PROJECT's image NAME no more; servers that run in it go on until they stop."""
    room, actor = _project_images(person)
    room.remove(actor, project, name)
    click.echo(f"{project}.{name} is no longer offered")


def _project_images(name: str) -> tuple[Any, Any]:
    from ..spawning.images.building.room import Actor, ProjectImages

    tree = settings.load()
    store = database.shared(tree.database)
    actor = Actor(name, _person(tree, store, name)) if name else Actor(f"operator:{getpass.getuser()}")
    return ProjectImages(tree, store), actor


def _person(tree: settings.Settings, store: Any, name: str) -> Person:
    """With the groups that count now; behind the command line there is no login of theirs."""
    from ..identity import people

    if (account := people.find(store, name)) is None:
        raise NotFound(f"there is no account {name!r}", "see `bdap people list`; one is made at the first login")
    return Person(name, people.groups_now(tree, store, account))


def _told(line: str) -> None:
    click.echo(line, err=True)
