"""Gives each worker a folder of tests, and the next one when it is through with that."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import NodeManager

from tests.side_by_side import folder_of

NodeManager.EXIT_TIMEOUT = 20  # seconds for a worker's fixtures to end after Ctrl-C


class ByFolder(LoadScopeScheduling):
    """xdist's way to keep a module's tests together, for folders."""

    def _split_scope(self, nodeid: str) -> str:
        return folder_of(nodeid)
