"""What a node is told to start: as JSON, and back with everything checked that it may start. PURE but for the store.

A node believes nothing that could reach beyond a dashboard's sandbox: it makes the container by its own settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import BadRequest, BadSettings, Unavailable
from ...settings import Settings
from ...units import bytes_of
from ..bundles.bundle import bundles_of
from ..bundles.kinds import KINDS, STATIC
from ..releases.means import SECRETS, Means, groups_of
from ..running.runtime import FIRST_UID, UIDS, Launch
from ..running.told import KEY

NAME = re.compile(r"[a-z][a-z0-9-]{0,120}--v[0-9]{1,9}(-r[2-9])?")
DIGEST = re.compile(r"[0-9a-f]{64}")
ENTRY = re.compile(r"(?!.*(^|/)\.\.?(/|$))[^/\\\x00-\x1f\x7f][^\\\x00-\x1f\x7f]{0,500}")
TOLD = frozenset({"BDAP_TOKEN", "BDAP_PROJECT", "BDAP_DASHBOARD", "BDAP_TITLE", KEY})
"""Variables of a release's environment that come from the hub's side."""
REPOSITORY = "bdap-release"
"""What images are called that came from the hub's host: this, and what they are there."""


def can_travel(launch: Launch) -> bool:
    """Secrets stay on the host where they were put."""
    return launch.means is not None and not any(target.startswith(SECRETS) for _, target in launch.means.mounts)


def written(launch: Launch, image: str) -> dict[str, Any]:
    """The order of that launch; `image`: the digest by which the node knows it, '' for the node's own."""
    assert launch.means is not None
    return {
        "name": launch.name,
        "bundle": launch.bundle.name,
        "entry": launch.entry,
        "uid": launch.uid,
        "kind": launch.kind,
        "environment": dict(launch.environment),
        "image": image,
        "memory": launch.means.memory,
        "cpus": launch.means.cpus,
        "data": [target for _, target in launch.means.mounts],
    }


def read(order: Mapping[str, Any], settings: Settings) -> Launch:
    """The launch of that order on this machine; BadRequest names what of it no dashboard may have."""
    name, uid, environment = named(order.get("name")), order.get("uid"), order.get("environment")
    own = settings.dashboards
    _check("uid", uid, isinstance(uid, int) and FIRST_UID <= uid < FIRST_UID + UIDS)
    _check("kind", order.get("kind"), order.get("kind") in KINDS and order.get("kind") != STATIC)
    _check("entry", order.get("entry"), _is(ENTRY, order.get("entry")))
    _check("environment", environment, isinstance(environment, dict))
    assert isinstance(environment, dict) and isinstance(uid, int)
    for key, value in environment.items():
        _check("environment", key, key in TOLD and isinstance(value, str) and "\0" not in value)
    cpus = order.get("cpus")
    _check("cpus", cpus, isinstance(cpus, (int, float)) and 0 < cpus <= max(own.most_cpus, own.cpus))
    data = order.get("data")
    _check("data", data, isinstance(data, list) and all(isinstance(path, str) for path in data))
    assert isinstance(cpus, (int, float)) and isinstance(data, list)
    return Launch(
        name=name,
        bundle=bundles_of(settings).resolve() / digest(order.get("bundle")),
        entry=str(order["entry"]),
        uid=uid,
        kind=str(order["kind"]),
        environment=environment,
        means=Means(
            image=f"{REPOSITORY}:{digest(order['image'])}" if order.get("image") else own.image,
            memory=_memory(order.get("memory"), max(bytes_of(own.most_memory), bytes_of(own.memory))),
            cpus=float(cpus),
            mounts=tuple((_source(settings, path), path) for path in data),
            groups=tuple(sorted({group for path in data for group in groups_of(settings, path)})),
        ),
    )


def named(name: Any) -> str:
    """The name of a release."""
    _check("name", name, _is(NAME, name))
    return str(name)


def digest(value: Any) -> str:
    """64 hex digits."""
    _check("digest", value, _is(DIGEST, value))
    return str(value)


def _memory(value: Any, most: int) -> str:
    try:
        fits = isinstance(value, str) and 0 < bytes_of(value) <= most
    except BadSettings:
        fits = False
    _check("memory", value, fits)
    return str(value)


def _source(settings: Settings, path: str) -> Path:
    """Of the store's data and projects alone, as this machine has them, and over no link."""
    mount = settings.store.mount.rstrip("/")
    _check("data", path, path.startswith((f"{mount}/data/", f"{mount}/projects/")))
    try:
        source = settings.store.path_of(path, links=False)
    except ValueError as error:
        raise BadRequest(f"data: {error}", "look at the order") from None
    if not source.is_dir() and not source.is_file():
        raise Unavailable(f"data: there is no {path!r:.200} on this machine", "is the store mounted there?")
    return source


def _is(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and bool(pattern.fullmatch(value))


def _check(what: str, value: Any, fits: bool) -> None:
    if not fits:
        raise BadRequest(f"{what}: {value!r:.200} is nothing that a dashboard may have here", "look at the order")
