"""`bdap projects`: the projects of the database, for the operator at the command line.

An edit counts for new requests within a second, and for running servers when the hub's sweeper next looks.
"""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import click
import yaml

from .. import database, settings
from ..entitlements import edit
from ..errors import BadRequest, BdapError, NotFound

TEXTS = ("title", "description", "group", "lead_group", "membership")


@click.group()
def projects() -> None:
    """Projects and what they may use: images, sizes, GPUs, folders of the store, quotas, a last day."""


@projects.command("list")
@click.option("--all", "everything", is_flag=True, help="Archived ones, too.")
def projects_list(everything: bool) -> None:
    """All projects: name, where they stand, last day, title."""
    for one in edit.listed(*_opened()):
        if everything or not one.fields.get("archived"):
            where = "database" if one.editable else "settings"
            click.echo(f"{one.name:32} {where:9} {one.fields.get('ends') or '-':11} {one.fields['title']}")


@projects.command("show")
@click.argument("name")
def projects_show(name: str) -> None:
    """A project's fields, as `set` and `import` take them."""
    found = next((one for one in edit.listed(*_opened()) if one.name == name), None)
    if found is None:
        raise NotFound(f"there is no project {name!r}", "see `bdap projects list --all`")
    click.echo(_yaml(dict(found.fields)).rstrip())


@projects.command("create")
@click.argument("name")
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
def projects_create(name: str, fields: tuple[str, ...]) -> None:
    """A new project, such as: create woods title=Woods 'images=[lab]' ends=2027-12-31"""
    edit.create(*_opened(), _operator(), name, {"title": name.capitalize(), **_fields(fields)})
    click.echo(f"project {name} is there")


@projects.command("set")
@click.argument("name")
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
def projects_set(name: str, fields: tuple[str, ...]) -> None:
    """Give fields of NAME other values, in YAML: set woods 'quota={cpus: 8}' archived=true"""
    _tell(edit.change(*_opened(), _operator(), name, _fields(fields)))


@projects.command("end")
@click.argument("name")
@click.argument("day", metavar="YYYY-MM-DD|never")
def projects_end(name: str, day: str) -> None:
    """Let DAY be NAME's last, also to extend it."""
    _tell(edit.change(*_opened(), _operator(), name, {"ends": None if day == "never" else day}))


@projects.command("rename")
@click.argument("name")
@click.argument("new")
def projects_rename(name: str, new: str) -> None:
    """Give NAME another name, with its members, requests, number, dashboards and folder on the store.

    Servers that run by the former name are stopped. Collections must be ingested anew.
    """
    from .. import renaming

    left = renaming.rename(*_opened(), _operator(), name, new)
    click.echo(f"project {name} is now {new}; the former name grants nothing")
    for collection in left:
        click.echo(f"  nobody reads the collection {collection} until it is ingested anew with --project {new}")


@projects.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would become different.")
def projects_import(file: Path, dry_run: bool) -> None:
    """Let the projects of a YAML file be exactly so, all or none. Projects that it does not name stay as they are."""
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadRequest(f"{file} cannot be read: {' '.join(str(error).split())}", "write YAML in UTF-8") from None
    wanted = edit.in_file(given, str(file))
    try:
        told = edit.put(*_opened(), _operator(), wanted, dry=dry_run)
    except BdapError as error:
        error.message = f"{file}: {error.message}"
        raise
    _tell(told)


@projects.command("export")
def projects_export() -> None:
    """The database's projects as YAML, as `import` takes them."""
    found = [dict(one.fields) for one in edit.listed(*_opened()) if one.editable]
    click.echo(_yaml({"projects": found}).rstrip())


def _opened() -> tuple[settings.Settings, Any]:
    tree = settings.load()
    return tree, database.connect(tree.database)


def _operator() -> edit.Editor:
    return edit.Editor(f"operator:{getpass.getuser()}")


def _fields(pairs: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or key in found:
            raise BadRequest(f"{pair!r} is no FIELD=VALUE, or comes twice", "write ends=2027-12-31, say")
        try:
            found[key] = text if key in TEXTS else yaml.safe_load(text)
        except yaml.YAMLError:
            raise BadRequest(f"{key}: {text!r} is no YAML", "write 'images=[lab, gpu]', say") from None
    return found


def _tell(told: list[edit.Difference]) -> None:
    for one in told:
        click.echo(str(one))
    if not told:
        click.echo("nothing is different")


def _yaml(found: Any) -> str:
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True)
