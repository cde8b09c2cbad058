"""The bridge of people's servers: a server reaches the platform and the world, never its neighbour."""

from __future__ import annotations

from typing import Any

from docker.errors import APIError, NotFound

from ..errors import BadSettings
from ..settings import bridge_interface
from .engines.client import client

ICC = "com.docker.network.bridge.enable_icc"
INTERFACE = "com.docker.network.bridge.name"


def ensure_network(name: str, icc: bool = False, labels: dict[str, str] | None = None) -> str:
    """Make the bridge unless it exists; the gateway's address, which is this host as servers see it.

    BadSettings when a bridge of that name lets its containers talk to each other and `icc` is False.
    """
    engine = client()
    try:
        found = engine.inspect_network(name)
    except NotFound:
        found = _create(name, icc, labels or {})
    open_to_neighbours = (found.get("Options") or {}).get(ICC, "true") != "false"
    if open_to_neighbours and not icc:
        raise BadSettings(
            f"the Docker network {name!r} lets people's servers talk to each other",
            f"remove it with `docker network rm {name}`; it is made again without that",
        )
    gateway = next((c["Gateway"] for c in found["IPAM"]["Config"] if c.get("Gateway")), "")
    if not gateway:
        raise BadSettings(f"the Docker network {name!r} has no gateway", "use a network of the bridge driver")
    return str(gateway).split("/")[0]


def _create(name: str, icc: bool, labels: dict[str, str]) -> Any:
    engine = client()
    try:
        engine.create_network(
            name,
            driver="bridge",
            options={ICC: str(icc).lower(), INTERFACE: bridge_interface(name)},
            labels=labels,
            check_duplicate=True,
        )
    except APIError as error:
        if error.status_code != 409:  # 409: another process made it between our look and our act
            raise
    return engine.inspect_network(name)
