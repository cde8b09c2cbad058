"""Where a piece of work stands, from what HTCondor says about it. PURE: plain data.

HTCondor's own reasons name machines and paths; people read the sentences here instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .description import RUN

ATTRIBUTES = (
    RUN, "ClusterId", "JobStatus", "HoldReason", "HoldReasonCode", "HoldReasonSubCode", "ExitCode", "ExitBySignal",
    "ExitSignal", "JobCurrentStartDate", "ServerTime", "Iwd",
)  # fmt: skip


class Kind(Enum):
    """Whether it waits for a machine, runs, was stopped to wait for a person, or is over."""

    WAITING = "waiting"
    RUNNING = "running"
    HELD = "held"
    DONE = "done"
    REMOVED = "removed"


STATES = {1: Kind.WAITING, 3: Kind.REMOVED, 4: Kind.DONE, 5: Kind.HELD}
"""HTCondor's numbers; all others are a kind of running."""


@dataclass(frozen=True)
class Standing:
    """One piece of work now. `ahead`: how many of ours wait before it; `start`: when it came to a machine, in seconds.

    `seconds`: how long it has been there; `code`: how it ended, negative for a signal; `hold`: HTCondor's reason.
    """

    kind: Kind
    cluster: int
    folder: str = ""
    ahead: int = 0
    start: int = 0
    seconds: float = 0
    code: int = 0
    hold: tuple[int, int] = (0, 0)
    reason: str = ""


def standings(ads: Iterable[Mapping[str, Any]]) -> dict[str, Standing]:
    """Where each run stands, from the pool's advertisements of them (`ATTRIBUTES`)."""
    ordered = sorted(ads, key=lambda ad: ad["ClusterId"])
    found, waiting = dict[str, Standing](), 0
    for ad in ordered:
        found[ad[RUN]] = standing = _standing(ad, waiting)
        waiting += standing.kind is Kind.WAITING
    return found


def _standing(ad: Mapping[str, Any], ahead: int) -> Standing:
    kind = STATES.get(ad["JobStatus"], Kind.RUNNING)
    start = int(ad.get("JobCurrentStartDate") or 0)
    return Standing(
        kind,
        ad["ClusterId"],
        folder=str(ad.get("Iwd") or ""),
        ahead=ahead if kind is Kind.WAITING else 0,
        start=start,
        seconds=int(ad["ServerTime"]) - start if kind is Kind.RUNNING and start else 0,
        code=-int(ad.get("ExitSignal") or 0) if ad.get("ExitBySignal") else int(ad.get("ExitCode") or 0),
        hold=(int(ad.get("HoldReasonCode") or 0), int(ad.get("HoldReasonSubCode") or 0)),
        reason=str(ad.get("HoldReason") or ""),
    )


MEMORY = 34
"""HTCondor's code of a job that took more memory than it asked for."""
POLICY_MEMORY = 102
"""The sub-code by which the policy HOLD_IF_MEMORY_EXCEEDED tells the same."""
DURATION = (46, 47)
CAUSES = {
    (1, 15): "an operator of the batch system stopped the job",
    (6, 7, 8, 9, 10, 14, 23, 24): "a machine of the batch system could not start the job",
    (3, 5, 21, 26, 27): "the rules of the batch system stopped the job",
}


def too_large(standing: Standing) -> bool:
    """Whether it is held since it took more memory than it asked for."""
    code, subcode = standing.hold
    return code == MEMORY or (code in (21, 26) and subcode == POLICY_MEMORY)


def too_long(standing: Standing) -> bool:
    """Whether it is held since it ran longer than it may."""
    return standing.hold[0] in DURATION


def sentence(standing: Standing) -> str:
    """Why it is held, in words that name no machine and no path."""
    code = standing.hold[0]
    known = next((words for codes, words in CAUSES.items() if code in codes), "the batch system stopped the job")
    return f"{known} (reason {code}): tell the operators, then start it again"
