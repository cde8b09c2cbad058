"""How the service starts processes of its own: without its secrets, and none outlives who started it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2]
KEPT = ("PATH", "LANG", "TMPDIR", "PROJ_DATA", "GDAL_DATA", "NUMBA_CACHE_DIR")
SET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "GDAL_CACHEMAX": "64",  # else a twentieth of all memory
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),  # else the memory of each array is given back, and asked for anew
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
}
PR_SET_PDEATHSIG = 1


def environment() -> dict[str, str]:
    """What such a process sees of ours: where programs are, and our code; no settings, tokens or proxies."""
    kept = {key: os.environ[key] for key in KEPT if key in os.environ}
    return {**kept, **SET, "PYTHONPATH": str(PACKAGE)}


def end_with_parent(parent: int) -> None:
    """From now on the kernel ends this process once the thread that started it ends. No memory of it is dumped."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
