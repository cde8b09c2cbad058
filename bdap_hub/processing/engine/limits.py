"""What processes that evaluate are told of the settings, and how they share what is set for all. PURE."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ...settings import ProcessingSettings, StoreSettings


@dataclass(frozen=True)
class Limits:
    """The sections of the settings that an evaluation needs. They hold no secret."""

    store: StoreSettings
    processing: ProcessingSettings


FRONT_MB = 64
"""Decoded blocks that the service keeps itself, for single values, where others draw the tiles."""


def workers() -> int:
    """How many evaluations run at once: one for each processor."""
    return len(os.sched_getaffinity(0))


def processes(processing: ProcessingSettings) -> int:
    """How many processes draw tiles."""
    given = processing.processes
    return workers() if given is None else max(1, given)


def shares(processing: ProcessingSettings) -> tuple[ProcessingSettings, ProcessingSettings]:
    """The settings of the service itself, and of each process that draws for it: together they keep what is set."""
    count, whole = processes(processing), processing.block_cache_mb
    if count == 1:
        return processing, processing
    front = min(FRONT_MB, whole // (count + 1))
    each = (whole - front) // count
    return (
        processing.model_copy(update={"block_cache_mb": front}),
        processing.model_copy(update={"block_cache_mb": each}),
    )
