"""What a swarm must be before servers run on it: a new enough manager, a network on each node, images by digest."""

from __future__ import annotations

import logging
from typing import Any

from docker.errors import ImageNotFound

from ... import errors
from ..plan import SWARMS_NETWORK
from .contract import ImageMissing
from .swarm_states import named

log = logging.getLogger(__name__)
ICC = "com.docker.network.bridge.enable_icc"
OLDEST_API = (1, 45)  # of Docker 26


def ready(client: Any) -> None:
    """BadSettings where this engine is no manager, is too old, or lets servers talk to each other.

    Servers are on each machine's own `bridge`. No network spans machines, so none is shared; and one of our own, made
    by the swarm from each machine's configuration, stops all starts there once Docker was killed (seen with 26.1).
    """
    version = client.version()
    if tuple(int(part) for part in version["ApiVersion"].split(".")) < OLDEST_API:
        raise errors.BadSettings(
            f"spawning.engine is swarm and Docker is {version['Version']}, older than 26",
            "upgrade it: older swarms end running servers whenever a node with GPUs changes",
        )
    swarm = client.info().get("Swarm") or {}
    if not swarm.get("ControlAvailable"):
        raise errors.BadSettings(
            "spawning.engine is swarm and this host's Docker engine is no manager of a swarm",
            "run `docker swarm init` here, or set DOCKER_HOST to a manager, or spawning.engine to docker",
        )
    for one in named(client.nodes()):
        log.warning("GPUs that are named %s are not given out: name each by itself, as <id>=1", one)
    found = client.inspect_network(SWARMS_NETWORK)
    if (found.get("Options") or {}).get(ICC, "true") != "false":
        raise errors.BadSettings(
            "spawning.engine is swarm and Docker's own bridge lets people's servers talk to each other",
            'set "icc": false in /etc/docker/daemon.json of every machine, and restart Docker there',
        )


def image_of(client: Any, reference: str) -> str:
    """The image as it is named to the nodes: by digest, so that no registry's tag is taken for it. ImageMissing.

    An image of the manager's own has its id for a name, which no node tries to pull; it must be loaded on each.
    """
    if "@sha256:" in reference:
        return reference
    try:
        found = client.inspect_image(reference)
    except ImageNotFound:
        raise ImageMissing(
            f"the image {reference} is not on the swarm's manager, which knows its digest",
            "pull or build it there, or name it by digest",
        ) from None
    repository = reference.rpartition(":")[0] if ":" in reference.rpartition("/")[2] else reference
    digests = [one for one in found.get("RepoDigests") or () if one.startswith(f"{repository}@")]
    return str(digests[0] if digests else found["Id"])
