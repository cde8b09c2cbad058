"""The GPUs of many nodes, as the nodes name them to the swarm: `"node-generic-resources": ["GPU-…=1"]` in daemon.json.

Each GPU is a resource of its own, so that a server asks for exactly the one that the pool gave it, and the swarm itself
refuses to promise it twice. With `=4` four servers may share it.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable

from ...errors import BdapError
from ...settings import Settings
from ...units import bytes_of
from ..engines import Node, engine_of, now
from .placement import Device

log = logging.getLogger(__name__)
GPU = re.compile(r"(GPU|MIG)-[A-Za-z0-9-]+(/[0-9]+/[0-9]+)?")
MODEL, MEMORY = "bdap.gpu.model", "bdap.gpu.memory"  # labels of a node, for what the settings do not describe
FRESH = 5.0  # seconds for which what the swarm said is believed where nobody may wait


def devices_of(nodes: Iterable[Node], settings: Settings) -> tuple[Device, ...]:
    """What may be given out now: of nodes that are ready and prepared. PURE."""
    key, _, value = settings.spawning.swarm.label.partition("=")
    ready = [node for node in nodes if node.state == "ready" and node.labels.get(key) == value]
    return tuple(
        _device(node, gpu, slots, settings)
        for node in ready
        for gpu, slots in sorted(node.resources.items())
        if GPU.fullmatch(gpu)
    )


def _device(node: Node, gpu: str, slots: int, settings: Settings) -> Device:
    """Model and memory by the settings, else by the node's labels."""
    given = settings.spawning.gpus if isinstance(settings.spawning.gpus, tuple) else ()
    stated = next((one for one in given if one.id == gpu), None)
    model = stated.model if stated else node.labels.get(MODEL, "")
    memory = stated.memory if stated else node.labels.get(MEMORY, "")
    return Device(node.name, gpu, model, bytes_of(memory) if memory else 0, slots)


class Swarm:
    """What the nodes have; asked beside those who look."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: tuple[Device, ...] | None = None
        self._asked = float("-inf")
        self._reading = threading.Lock()

    def devices(self, fresh: bool = False) -> tuple[Device, ...]:
        """Those known now; with `fresh`, and at the first call, asked now. As before where nobody answers."""
        if fresh or self._known is None:
            self._read()
        elif time.monotonic() - self._asked > FRESH:
            self._asked = time.monotonic()
            threading.Thread(target=self._read, name="gpus", daemon=True).start()
        return self._known or ()

    def _read(self) -> None:
        with self._reading:
            try:
                self._known = devices_of(now(lambda: engine_of(self._settings).nodes()), self._settings)
            except BdapError as error:
                log.warning("The nodes' GPUs could not be read: %s", error)
            self._asked = time.monotonic()
