"""The part of a start that asks the store: its folders are made, what may be seen is found; or it starts without it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ...access import Person, Policy
from .. import grants
from ..host import propagation_of
from ..plan import Choice
from . import folders
from .mounts import Mount, Propagation
from .watch import StoreWatch, watch_of

# Of their own: those that a dying store holds up are missing nowhere else.
THREADS = ThreadPoolExecutor(16, thread_name_prefix="store")


@dataclass(frozen=True)
class StoreFacts:
    """What a Site says of the store; `projects`: those whose groups the granted folders need."""

    propagation: Propagation = "rprivate"
    hidden: tuple[str, ...] = ()
    granted: tuple[Mount, ...] = ()
    projects: tuple[str, ...] = ()
    lost: bool = False


class UsesStore:
    """Mixin of the spawner. `store_line` is what the waiting page says where the store is lost."""

    settings: Any
    store_line = ""

    @property
    def store_watch(self) -> StoreWatch:
        """What is known of the store."""
        return watch_of(self.settings)

    async def store_facts(
        self, choice: Choice, person: Person, policy: Policy, projects: Mapping[str, int]
    ) -> StoreFacts:
        """A lost store is no reason not to start: people's notebooks are in their homes.

        The server then gets it as soon as it is back, but for what is granted beyond its projects.
        """
        self.store_line = ""
        arguments = (self.settings, choice, person, policy, dict(projects))
        if await self.store_watch.there():
            work = asyncio.get_running_loop().run_in_executor(THREADS, facts, *arguments)
            try:
                return await asyncio.wait_for(work, self.settings.store.patience)
            except TimeoutError:  # it has died since
                pass
            except OSError:
                if await self.store_watch.there(again=True):
                    raise
        self.store_line = f"The data store does not answer: {self.settings.store.mount} follows when it is back"
        return await asyncio.to_thread(facts_without, *arguments[:4])

    def store_settled(self) -> None:
        """The server runs: one that has started without the store is given it as soon as it is back."""
        if self.store_line:
            self.store_watch.heal_again()
        self.store_line = ""


def facts(settings: Any, choice: Choice, person: Person, policy: Policy, projects: dict[str, int]) -> StoreFacts:
    """What the store itself says; its projects' folders are made. Runs in a thread, which may hang."""
    propagation = propagation_of(settings.store.data)
    more = grants.granted(settings, policy, person, choice.project, propagation)
    folders.ensure_store(settings, projects)
    hidden = folders.hidden_collections(settings, policy, person, choice.project.name)
    return StoreFacts(propagation, hidden, more.mounts, more.projects)


def facts_without(settings: Any, choice: Choice, person: Person, policy: Policy) -> StoreFacts:
    """The same where it does not answer: nothing in it is touched."""
    hidden = folders.hidden_collections(settings, policy, person, choice.project.name, store_lost=True)
    return StoreFacts(propagation_of(settings.store.data), hidden, lost=True)
