"""Searches: what one costs is only known once it was tried, so few look at once, and all else is still answered."""

from __future__ import annotations

from ..errors import Busy
from ..web.places import Places


class Searches(Places):
    """Of those who are logged in, or of all others."""

    at_once, each = 8, 4
    waiting, waiting_each = 64, 16
    patience = 10.0

    def busy(self, own: int) -> Busy:
        """Whether it is theirs or everybody's."""
        if own >= self.each:
            return Busy(f"{own} searches of yours are under way", "search again when one has ended", 5)
        return Busy("too many searches are under way", "try again in a moment", 5)
