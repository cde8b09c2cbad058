"""Who asks, and the collections they may read: the only place of the catalogue that asks access."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from .. import entitlements
from ..access import Administer, Person, Policy, ReadCollection, decide, decides_on_members
from ..database import shared
from ..errors import NotFound, NotLoggedIn
from ..settings import Settings
from ..web import HubLogin, Principal
from .store import Catalogue, Collection

HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9a-fA-F:]+\]:\d{1,5}")


@dataclass(frozen=True)
class Caller:
    """Who asks (None: nobody is logged in) and the collections they may read."""

    principal: Principal | None
    readable: dict[str, Collection]

    @property
    def person(self) -> Person | None:
        """The person of the request."""
        return self.principal.person if self.principal else None


class Readers:
    """Finds out who asks. Collections that they may not read do not exist in what they are answered."""

    def __init__(self, settings: Settings, login: HubLogin, catalogue: Catalogue) -> None:
        self.settings, self.login, self.catalogue = settings, login, catalogue

    @property
    def policy(self) -> Policy:
        """What access decides by."""
        return entitlements.policy(self.settings, shared(self.settings.database))

    async def caller(self, request: Request) -> Caller:
        """A token that is wrong or has expired is told so, never quietly taken for nobody."""
        principal = await self.login.principal(request)
        if principal is None and request.headers.get("authorization"):
            raise NotLoggedIn("this token is not valid", "make a new one on the hub's token page")
        everything, policy = await run_in_threadpool(lambda: (self.catalogue.collections(), self.policy))
        person = principal.person if principal else None
        readable = {name: c for name, c in everything.items() if decide(policy, person, reading(c))}
        return Caller(principal, readable)

    def named(self, caller: Caller, name: str) -> Collection:
        """The collection somebody asks for by name. Whether there is one that they may not read nobody learns."""
        if found := caller.readable.get(name):
            return found
        if caller.person is None:
            raise NotLoggedIn(f"there is no public collection {name!r}", "log in to see those for members")
        raise NotFound(
            f"there is no collection {name!r} that you may read",
            "look at the list of collections; what is missing there, the lead of its project opens to you",
        )

    async def item(self, collected: Collection, identifier: str) -> dict[str, Any]:
        """One of a collection's items; NotFound where it has none of that id."""
        return await run_in_threadpool(self.item_now, collected.id, identifier)

    def item_now(self, collection: str, identifier: str) -> dict[str, Any]:
        """The same for who is in a thread already."""
        found = self.catalogue.items.get(collection, identifier)
        if found is None:
            raise NotFound(
                f"there is no item {identifier!r} in the collection {collection}", "look at its list of items"
            )
        return found

    def group_of(self, collection: Collection) -> str:
        """The group of the project's members, who may read it; '' where nobody's membership is needed."""
        if collection.stac.get("bdap:visibility") in ("public", "people"):
            return ""
        project = self.policy.project(str(collection.stac.get("bdap:project", "")))
        return project.group if project else ""

    def base(self, request: Request) -> str:
        """Prefix of links: the address the caller used if it is this service's own port, else the public one."""
        host = request.headers.get("host", "")
        own = host.rpartition(":")[2] == str(self.settings.catalogue.port) and HOST.fullmatch(host)
        root = f"http://{host}" if own else self.settings.hub.public_url
        return f"{root}{self.login.prefix.rstrip('/')}"

    def who(self, caller: Caller) -> dict[str, Any] | None:
        """The person as pages show them."""
        if caller.principal is None:
            return None
        person, policy = caller.principal.person, self.policy
        return {
            "display_name": caller.principal.display_name,
            "admin": decide(policy, person, Administer()).entitled,
            "decides": decides_on_members(policy, person),
        }


def reading(collection: Collection) -> ReadCollection:
    """The question to access; what collection.json does not say counts as most private."""
    return ReadCollection(
        collection.id,
        collection.stac.get("bdap:visibility", "project"),
        str(collection.stac.get("bdap:project", "")),
    )
