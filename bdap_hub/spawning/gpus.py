"""The GPUs of this host: how many there are, and which no server holds."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from ..errors import Busy
from ..settings import Settings
from .engine import client

DEVICES = Path("/dev")
HELD = "bdap.gpus"


def count(settings: Settings) -> int:
    """How many GPUs people may use: what the settings say, else what is found."""
    return len(ids(settings))


def ids(settings: Settings) -> tuple[str, ...]:
    """The GPUs' ids as Docker names them: indices `0`.. when set by hand, else the UUIDs that the driver reports."""
    if settings.spawning.gpus is not None:
        return tuple(str(index) for index in range(settings.spawning.gpus))
    if settings.spawning.engine == "process":
        return _found()
    return _found() if _found() and _docker_has_gpus() else ()


@lru_cache
def _found() -> tuple[str, ...]:
    """UUIDs by `nvidia-smi -L`; indices of /dev/nvidia<n> where the tool is missing; () without a GPU."""
    devices = [path.name for path in DEVICES.glob("nvidia[0-9]*")]
    tool = shutil.which("nvidia-smi")
    if not devices:
        return ()
    if tool:
        try:
            answer = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            answer = ""
        if uuids := parse_list(answer):
            return uuids
    return tuple(sorted((name.removeprefix("nvidia") for name in devices), key=int))


def parse_list(answer: str) -> tuple[str, ...]:
    """The UUIDs in what `nvidia-smi -L` prints: `GPU 0: NVIDIA H100 (UUID: GPU-5e3c…)`."""
    return tuple(line.split("(UUID: ")[1].rstrip(") ") for line in answer.splitlines() if "(UUID: GPU-" in line)


@lru_cache
def _docker_has_gpus() -> bool:
    """Whether the engine can hand a GPU to a container: NVIDIA's runtime hook, its runtime, or a CDI description."""
    if shutil.which("nvidia-container-runtime-hook"):
        return True
    info = client().info()
    if "nvidia" in (info.get("Runtimes") or {}):
        return True
    return any((Path(folder) / "nvidia.yaml").exists() for folder in info.get("CDISpecDirs") or ())


def free(settings: Settings, taken: Iterable[str]) -> tuple[str]:
    """One GPU that no server holds; Busy when all are taken."""
    held = set(taken)
    for gpu in ids(settings):
        if gpu not in held:
            return (gpu,)
    raise Busy("all GPUs are in use", "start an image without GPU, or try again later", retry_after=300)


def held(label: str) -> tuple[str, ...]:
    """The GPUs that running servers hold, read from their containers' labels; `label` narrows to this install."""
    found = client().containers(filters={"label": [label, "bdap.kind=server"]})
    return tuple(gpu for one in found for gpu in one["Labels"].get(HELD, "").split(",") if gpu)
