"""`bdap access`: the decision about a person and a thing, with the reason and the rule that gave it."""

from __future__ import annotations

from typing import Any

import click

from .. import database, entitlements, settings
from ..access import (
    Administer,
    Assurance,
    BuildImage,
    EditProject,
    ManageMembers,
    Person,
    ReadCollection,
    ReadPath,
    Request,
    UseDashboardImage,
    UseGpu,
    UseImage,
    UseProject,
    UseSize,
    ViewDashboard,
    WritePath,
    decide,
    step_up_path,
)
from ..errors import BadRequest, NotFound

KINDS = (
    "project:forest, image:forest/lab, image:forest/lab/large, size:forest/large, gpu:forest/A100, "
    "dashboard-image:forest/vois, path:/eos/projects/forest:write, collection:NAME, dashboard:forest/NAME, "
    "members:forest, edit:forest/title, build:forest, admin"
)


@click.group()
def access() -> None:
    """Who may do what, and why."""


@access.command("explain")
@click.argument("person")
@click.argument("thing")
@click.option("--group", "groups", multiple=True, help="A group of that person, instead of those known here; repeat.")
@click.option("--level", help="What their login proves, one of identity.levels.  [default: nothing, as a token's]")
@click.option("--age", type=float, default=0, show_default=True, help="Seconds since they entered their factors.")
@click.option("--gpus", type=int, default=None, help="Decide as on a host with so many GPUs.")
def access_explain(
    person: str, thing: str, groups: tuple[str, ...], level: str | None, age: float, gpus: int | None
) -> None:
    """Whether PERSON may use THING, such as image:forest/lab or path:/eos/data/x:write.

    Exit status 0: allowed, 1: refused.
    """
    tree = settings.load()
    store = database.shared(tree.database)
    assurance = None if level is None else Assurance(level, age)
    who = Person(person, frozenset(groups) or _groups(tree, store, person), assurance)
    decision = decide(entitlements.policy(tree, store, _gpus(tree, gpus)), who, _wanted(tree, store, thing))
    click.echo(f"{'allowed' if decision else 'refused'}: {decision.reason}")
    click.echo(f"rule: {decision.rule}")
    if decision.step_up:
        click.echo(f"a browser gets that login at {step_up_path(decision.step_up, '/hub/home')}")
    raise SystemExit(0 if decision else 1)


def _gpus(tree: settings.Settings, stated: int | None) -> int:
    if stated is not None:
        return stated
    from ..spawning.gpu import inventory as gpu_inventory

    return gpu_inventory.count(tree)


def _groups(tree: settings.Settings, store: Any, person: str) -> frozenset[str]:
    """Those of the account, from the provider and added here; none where nobody of that name was here."""
    from ..identity import people

    account = people.find(store, person)
    return people.groups_now(tree, store, account) if account else frozenset()


def _wanted(tree: settings.Settings, store: Any, thing: str) -> Request:
    kind, colon, rest = thing.partition(":")
    if not colon:
        kind, rest = ("admin", "") if thing == "admin" else ("image" if "/" in thing else "project", thing)
    project, _, name = rest.partition("/")
    match kind:
        case "admin":
            return Administer()
        case "project":
            return UseProject(rest)
        case "image":
            image, _, size = name.partition("/")
            return UseImage(project, image, size)
        case "dashboard-image":
            return UseDashboardImage(project, name)
        case "size":
            return UseSize(project, name)
        case "gpu":
            return UseGpu(project, name)
        case "members":
            return ManageMembers(rest)
        case "build":
            return BuildImage(rest)
        case "edit":
            return EditProject(project, name)
        case "path":
            return _path(tree, rest)
        case "collection":
            return ReadCollection(rest, *_collection(tree, rest))
        case "dashboard":
            return _dashboard(store, project, name)
    raise BadRequest(f"{thing!r} is of no kind known here", f"write one as {KINDS}")


def _path(tree: settings.Settings, rest: str) -> Request:
    path, _, mode = rest.rpartition(":")
    if mode not in ("read", "write"):
        path, mode = rest, "read"
    if mode == "write":
        return WritePath(path)
    data = f"{tree.store.mount.rstrip('/')}/data/"
    name = path.removeprefix(data).partition("/")[0] if path.startswith(data) else ""
    return ReadPath(path, "", *_collection(tree, name, otherwise=("people", "")))


def _collection(tree: settings.Settings, name: str, otherwise: tuple[Any, str] = ("project", "")) -> tuple[Any, str]:
    """(visibility, project) as the catalogue records them."""
    from ..spawning.store.folders import collections

    known = {key: (visibility, owner) for key, visibility, owner in collections(tree.var / "catalogue")}
    return known.get(name, otherwise)


def _dashboard(store: Any, project: str, name: str) -> Request:
    from ..dashboards.records import Records

    found = Records(store).find(project, name)
    if found is None or found.status != "live":
        raise NotFound(f"there is no dashboard {project}/{name}", "look in the gallery for its name")
    return ViewDashboard(found.name, found.visibility, found.project, found.granted)  # type: ignore[arg-type]
