"""What a release gets of what its manifest asks for: decided by `access` at publication and again at each start."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...access import Decision, Person, Policy, ReadPath, UseDashboardImage, decide, problem_of
from ...errors import BadRequest, NotAllowed
from ...settings import Settings
from ...units import bytes_of
from ..bundles.manifest import Manifest
from ..steps import Tell
from .vault import Vault

SECRETS = "/run/secrets"
SHORTEST = 6  # of what is looked for in pages: a shorter one stands there by chance


@dataclass(frozen=True)
class Means:
    """The image, memory and CPUs of a release, what is mounted in it (source on the host, path in it), always
    read-only, and the groups it needs to read it."""

    image: str
    memory: str
    cpus: float
    mounts: tuple[tuple[Path, str], ...] = ()
    groups: tuple[int, ...] = ()


def means(settings: Settings, policy: Policy, dashboard: str, manifest: Manifest) -> Means:
    """BadRequest, NotFound or NotAllowed, with the field and its value, where it may not have something.

    A release acts as a member of its project. Whoever published it had the login that the project demands.
    """
    project = dashboard.partition("/")[0]
    found = policy.project(project)
    release = Person(f"dashboard {dashboard}", frozenset({found.group}) if found else frozenset())
    data = [_data(settings, policy, release, project, path) for path in manifest.data]
    vault = Vault(settings)
    secrets = [(vault.path(project, name), f"{SECRETS}/{name}") for name in manifest.secrets]
    return Means(
        image=_image(settings, policy, release, project, manifest.image),
        memory=_memory(settings, manifest),
        cpus=_cpus(settings, manifest),
        mounts=(*data, *secrets),
        groups=tuple(sorted({group for path in manifest.data for group in groups_of(settings, path)})),
    )


Layers = Callable[[Settings, str, tuple[str, ...], Tell], str]
"""Makes an image with further packages of the one of that reference, and tells what goes on; the new one's id."""


def without_packages(_settings: Settings, _reference: str, requirements: tuple[str, ...], _tell: Tell) -> str:
    """Where nothing builds."""
    raise BadRequest(
        f"requirements: {requirements[0]!r:.80}: packages beyond the image's are not installed here",
        "ask the operator for an image that has them (dashboards.images), and name it as image",
    )


def secret_shown(means: Means, page: str) -> str:
    """The name of a secret whose value stands in a page, as it is or escaped; '' for none."""
    for source, target in means.mounts:
        value = source.read_text(errors="replace").strip() if target.startswith(f"{SECRETS}/") else ""
        forms = {value, html.escape(value), json.dumps(value)[1:-1]}
        if len(value) >= SHORTEST and any(form in page for form in forms):
            return target.removeprefix(f"{SECRETS}/")
    return ""


def _image(settings: Settings, policy: Policy, release: Person, project: str, name: str | None) -> str:
    if name is None:
        return settings.dashboards.image
    decision = decide(policy, release, UseDashboardImage(project, name))
    image = policy.dashboard_image(name)
    if not decision.entitled or image is None:
        raise NotAllowed(f"image: {decision.reason}", _offered(policy, project))
    return image.reference


def _offered(policy: Policy, project: str) -> str:
    names = [one.name for one in policy.dashboard_images if not one.projects or project in one.projects]
    return f"name one of {', '.join(names)}, or none" if names else "leave it out: there is the platform's own alone"


def _memory(settings: Settings, manifest: Manifest) -> str:
    wanted, most = manifest.resources.memory, settings.dashboards.most_memory
    if wanted is not None and bytes_of(wanted) > bytes_of(most):
        raise BadRequest(f"resources.memory: {wanted} is more than {most}", f"ask for at most {most}")
    return wanted or settings.dashboards.memory


def _cpus(settings: Settings, manifest: Manifest) -> float:
    wanted, most = manifest.resources.cpus, settings.dashboards.most_cpus
    if wanted is not None and wanted > most:
        raise BadRequest(f"resources.cpus: {wanted:g} is more than {most:g}", f"ask for at most {most:g}")
    return wanted or settings.dashboards.cpus


def _data(settings: Settings, policy: Policy, release: Person, project: str, path: str) -> tuple[Path, str]:
    """Where it lies on this host, and its path for people."""
    mount = settings.store.mount.rstrip("/")
    problem = problem_of(path, settings.store.mount)
    if problem or path == f"{mount}/data":
        raise BadRequest(
            f"data: {path!r:.200} {problem or 'is all there is'}",
            f"name folders below {mount}/data or {mount}/projects",
        )
    decision = _may_read(settings, policy, release, project, path)
    if not decision.entitled:
        raise NotAllowed(f"data: {decision.reason}", f"name what project {project} may read, or ask its owner")
    try:
        source = settings.store.path_of(path, links=False)
    except ValueError as error:
        raise BadRequest(f"data: {error}", "name the folder itself") from None
    if not source.is_dir() and not source.is_file():
        raise BadRequest(f"data: there is no {path!r:.200} in the store", "look at its spelling")
    return source, path


def _may_read(settings: Settings, policy: Policy, release: Person, project: str, path: str) -> Decision:
    """By the rule of the collection that lies there, as the catalogue records it; an unreadable one is nobody's."""
    data = f"{settings.store.mount.rstrip('/')}/data/"
    name = path.removeprefix(data).partition("/")[0] if path.startswith(data) else ""
    record = settings.var / "catalogue" / name / "collection.json"
    if not name or not record.exists():
        return decide(policy, release, ReadPath(path, project))
    try:
        said = json.loads(record.read_text())
        visibility, owner = said.get("bdap:visibility", "project"), str(said.get("bdap:project") or "")
    except (OSError, ValueError, AttributeError):
        visibility, owner = "project", ""
    return decide(policy, release, ReadPath(path, project, visibility, owner))


def groups_of(settings: Settings, path: str) -> tuple[int, ...]:
    """A project's folder is its group's alone."""
    inside = f"{settings.store.mount.rstrip('/')}/projects/"
    if not path.startswith(inside):
        return ()
    group = (settings.store.projects / path.removeprefix(inside).partition("/")[0]).stat().st_gid
    return (group,) if group else ()
