"""What a start tells the page that waits: the step it is at, how far that is, and how long it may take. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

Stage = Literal["queued", "pulling", "preparing", "starting"]
# (stage, what the page calls it, percent of the whole at which it begins); `ready` is JupyterHub's to say.
STEPS: tuple[tuple[str, str, int], ...] = (
    ("queued", "In line", 0),
    ("pulling", "Fetching the image", 10),
    ("preparing", "Preparing your folders", 60),
    ("starting", "Starting JupyterLab", 70),
    ("ready", "Ready", 100),
)
BEGINS = {stage: begins for stage, _, begins in STEPS}
ENDS = {stage: following[2] for (stage, _, _), following in pairwise(STEPS)}


@dataclass(frozen=True)
class Progress:
    """Where a start is. `percent` and `eta` (seconds) are of this step alone; None where nobody knows."""

    stage: Stage
    message: str
    percent: float | None = None
    eta: float | None = None

    def event(self) -> dict[str, Any]:
        """For JupyterHub's progress stream: its own `progress` and `message`, and ours for our page.

        >>> Progress("pulling", "Fetching the image lab", 43, 118).event()["message"]
        'Fetching the image lab: 43 % (2 min left)'
        """
        begins, ends = BEGINS[self.stage], ENDS[self.stage]
        part = min(100.0, max(0.0, self.percent or 0.0))
        found: dict[str, Any] = {
            "progress": min(99, round(begins + (ends - begins) * part / 100)),
            "message": self.sentence,
            "stage": self.stage,
        }
        found |= {} if self.percent is None else {"percent": round(part)}
        return found | ({} if self.eta is None else {"eta": round(max(0.0, self.eta))})

    @property
    def sentence(self) -> str:
        """The message with how far and how long."""
        far = "" if self.percent is None else f": {min(100.0, max(0.0, self.percent)):.0f} %"
        return f"{self.message}{far}{f' ({left(self.eta)})' if self.eta is not None else ''}"


def left(seconds: float) -> str:
    """`40 s left`, `2 min left`, `1 h 5 min left`.

    >>> left(38.2), left(118), left(3900)
    ('40 s left', '2 min left', '1 h 5 min left')
    """
    if seconds < 60:
        return f"{max(5, round(seconds / 5) * 5)} s left"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min left" if hours else f"{minutes} min left"
