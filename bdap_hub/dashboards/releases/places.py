"""Publications: each takes minutes, so few run at once, and all else of the service is still answered."""

from __future__ import annotations

from ...errors import Busy
from ...web.places import Places

LATER = 60
"""Seconds after which who was sent away may ask again."""


class Publications(Places):
    """Who finds none may wait two minutes."""

    at_once, each = 8, 2
    waiting, waiting_each = 24, 4
    patience = 120.0

    def busy(self, own: int) -> Busy:
        """Whether it is theirs or everybody's."""
        if own >= self.each:
            return Busy(f"{own} publications of yours are under way", "publish again when one has ended", LATER)
        return Busy("too many dashboards are being published just now", "publish again in a minute", LATER)
