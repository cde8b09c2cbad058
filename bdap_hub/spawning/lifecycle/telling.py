"""Mixin of the spawners: a server's person is told why it ended, on its page and until its next start."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ...database import shared
from . import ends

log = logging.getLogger(__name__)


class TellsEnds:
    """`tell_end` keeps the first reason of an end: what follows from it is no other one."""

    _told = False
    _began = False

    @property
    def last_ends(self: Any) -> dict[str, ends.End]:
        """For the pages: how servers of this person ended that they did not end themselves, by name."""
        return ends.last(shared(self.settings.database), self.user.name)

    @property
    def last_end(self: Any) -> ends.End | None:
        """The same of this server."""
        return self.last_ends.get(self.name)

    async def tell_end(self: Any, words: str) -> None:
        """Remember `words`, whole sentences. A database that does not take them stops nothing."""
        if self._told:
            return
        self._told = True
        try:
            await asyncio.to_thread(ends.note, shared(self.settings.database), self.user.name, self.name, words)
        except Exception:
            log.exception("why %s ended is not written down: %s", self._log_name, words)

    def begun(self) -> None:
        """This hub sees a start, whatever comes of it: a refusal ends nothing, so what is known of an end stays."""
        self._told, self._began = False, True

    async def begin(self: Any) -> None:
        """It was allowed: how the one before ended is of no interest any more."""
        await asyncio.to_thread(ends.forget, shared(self.settings.database), self.user.name, self.name)
