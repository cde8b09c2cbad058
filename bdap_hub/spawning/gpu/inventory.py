"""The GPUs of this host: what the settings state, else what the driver says, asked again every minute."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from ...errors import BadSettings, Unavailable
from ...settings import Settings
from ...units import bytes_of
from ..engines.client import client
from . import nodes
from .placement import Device

log = logging.getLogger(__name__)
DEVICES = Path("/dev")
FRESH = 60.0  # seconds for which what the driver said is believed
QUERY = ("--query-gpu=index,uuid,name,memory.total,mig.mode.current", "--format=csv,noheader,nounits")
CDI_KIND = "nvidia.com/gpu"
MIB = 2**20

_MIG = re.compile(r"^\s+MIG\s+(?P<profile>\S+)\s+Device\s+(?P<number>\d+):\s+\(UUID: (?P<uuid>[^)]+)\)")
_GPU = re.compile(r"^GPU\s+(?P<number>\d+):.*\(UUID: (?P<uuid>GPU-[^)]+)\)")

Ask = Callable[[Sequence[str]], str]
Served = Collection[str] | None


def nvidia_smi(arguments: Sequence[str]) -> str:
    """What the driver's tool prints; OSError or SubprocessError where it fails."""
    return subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=20, check=True).stdout


def parse(listing: str, query: str, node: str, slots: int = 1) -> tuple[Device, ...]:
    """Devices from `nvidia-smi -L` and the answer to QUERY. Where a GPU is in MIG mode, its instances stand for it.

    >>> parse("GPU 0: NVIDIA T4 (UUID: GPU-1)", "0, GPU-1, NVIDIA T4, 15360, [N/A]", "a")[0].model
    'NVIDIA T4'
    """
    cards = {}
    for row in query.splitlines():
        fields = [field.strip() for field in row.split(",")]
        if len(fields) == 5:
            cards[fields[1]] = fields
    found, current = [], ""
    for text in listing.splitlines():
        if gpu := _GPU.match(text):
            current = gpu["uuid"]
            _, _, model, memory, mig = cards.get(current, ["", "", "", "", ""])
            if mig != "Enabled":
                size = int(memory) * MIB if memory.isdigit() else 0
                found.append(Device(node, current, model, size, slots, gpu["number"]))
        elif (mig_device := _MIG.match(text)) and current:
            index, _, model, _, _ = cards.get(current, ["", "", "", "", ""])
            profile = mig_device["profile"]
            gigabytes = re.search(r"\.(\d+)gb", profile)
            size = int(gigabytes[1]) * 2**30 if gigabytes else 0
            name = f"{model} MIG {profile}".strip()
            found.append(Device(node, mig_device["uuid"], name, size, slots, f"{index}:{mig_device['number']}"))
    return tuple(found)


def stated(settings: Settings) -> tuple[Device, ...] | None:
    """The devices that the settings name: so many by their index, or each by itself; None: the driver is asked."""
    given, node, slots = settings.spawning.gpus, settings.spawning.node, settings.spawning.gpu_shares
    if given is None:
        return None
    if isinstance(given, int):
        return tuple(Device(node, str(index), slots=slots, index=str(index)) for index in range(given))
    try:
        return tuple(
            Device(node, one.id, one.model, bytes_of(one.memory) if one.memory else 0, one.shares or slots)
            for one in given
        )
    except BadSettings as error:
        raise BadSettings(error.message.replace("spawning.memory", "spawning.gpus.memory"), error.remedy) from None


class Inventory:
    """What this host has. `ask` is the driver's tool, `engine` says how Docker hands GPUs out (see `served`).

    A failure of either leaves what was known before.
    """

    def __init__(self, ask: Ask, has_tool: Callable[[], bool], engine: Callable[[], Served]) -> None:
        self._ask, self._has_tool, self._engine = ask, has_tool, engine
        self._known: tuple[Device, ...] | None = None
        self.served: Served = None
        self._asked = float("-inf")
        self._reading = threading.Lock()

    def devices(self, node: str = "local", slots: int = 1) -> tuple[Device, ...]:
        """Those known now. The first call asks the driver; later ones never wait: what is old is read beside them."""
        if self._known is None:
            self.read()
        elif time.monotonic() - self._asked > FRESH:
            self._asked = time.monotonic()
            threading.Thread(target=self.read, name="gpus", daemon=True).start()
        return tuple(replace(device, node=node, slots=slots) for device in self._known or ())

    def read(self) -> None:
        """Ask now."""
        with self._reading:
            before = self._known
            try:
                self._known = self._look()
                self.served = self._engine() if self._known else None
            except (OSError, subprocess.SubprocessError, Unavailable, DockerException, RequestException) as error:
                log.warning("The GPUs could not be read: %s", error)
                self._known = before if before is not None else self._known or ()
            self._asked = time.monotonic()
            if self._known != (before or ()):
                names = ", ".join(f"{one.id} ({one.model or 'unnamed'})" for one in self._known)
                log.info("GPUs of this host: %s", names or "none")

    def _look(self) -> tuple[Device, ...]:
        numbers = [path.name.removeprefix("nvidia") for path in DEVICES.glob("nvidia[0-9]*")]
        if not numbers:
            return ()
        if self._has_tool() and (found := parse(self._ask(["-L"]), self._ask(QUERY), "local")):
            return found
        return tuple(Device("local", number, index=number) for number in sorted(numbers, key=int))


def docker_serves() -> Served:
    """How the engine hands GPUs to containers, asked now."""
    return served(client().info(), shutil.which("nvidia-container-runtime-hook") is not None)


host = Inventory(nvidia_smi, lambda: shutil.which("nvidia-smi") is not None, docker_serves)


_swarms: dict[str, nodes.Swarm] = {}


def devices(settings: Settings, fresh: bool = False) -> tuple[Device, ...]:
    """The GPUs that people may use. With Docker: those that its engine can hand to a container.

    `fresh`: of a swarm, those that it has now; this waits for its answer.
    """
    if settings.spawning.engine == "swarm":
        return _swarms.setdefault(settings.install_id, nodes.Swarm(settings)).devices(fresh)
    known = stated(settings)
    if known is not None:
        return known
    found = host.devices(settings.spawning.node, settings.spawning.gpu_shares)
    return found if settings.spawning.engine == "process" or host.served is not None else ()


def count(settings: Settings) -> int:
    """How many there are: `access` decides by it."""
    return len(devices(settings))


def cdi_names(known: Collection[Device], given: Collection[str], engine: Served) -> tuple[str, ...]:
    """What an engine that hands out GPUs by CDI calls these devices; () where NVIDIA's own runtime hands them out.

    By their id, or by their index where the engine describes only that.
    """
    if not engine:
        return ()
    index = {device.id: device.index for device in known}
    by_index = {one: f"{CDI_KIND}={index[one]}" for one in given if index.get(one)}
    by_id = {one: f"{CDI_KIND}={one}" for one in given}
    return tuple(
        by_index[one] if by_id[one] not in engine and by_index.get(one) in engine else by_id[one] for one in given
    )


def served(info: Mapping[str, Any], hook: bool) -> Served:
    """From what the engine says of itself: () for NVIDIA's hook or runtime, CDI names, or None."""
    if hook or "nvidia" in (info.get("Runtimes") or {}):
        return ()
    named = [one.get("ID", "") for one in info.get("DiscoveredDevices") or ()]
    if names := frozenset(name for name in named if name.startswith(f"{CDI_KIND}=")):
        return names
    folders = [Path(folder) for folder in info.get("CDISpecDirs") or ()]
    if any((folder / f"nvidia.{kind}").exists() for folder in folders for kind in ("yaml", "json")):
        return frozenset({f"{CDI_KIND}=all"})
    return None
