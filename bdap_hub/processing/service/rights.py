"""Who asks for a plan's pixels, and whether they may: the collections' rules are asked again each time."""

from __future__ import annotations

import json
from typing import Any

from ... import entitlements
from ...access import Person, ReadCollection, decide
from ...database import shared
from ...errors import NotAllowed
from ...settings import Settings
from ...web import HubLogin, Principal, read_token, sign_token
from ..graphs.plan import Owned, Plan

PURPOSE = "tile"


class Rights:
    """Signs tile URLs for principals and finds out later what these principals may read now."""

    def __init__(self, settings: Settings, login: HubLogin) -> None:
        self.settings, self.login = settings, login
        self._key = settings.secret("signing")
        self._rules: dict[str, tuple[int, Owned]] = {}

    def sign(self, plan: str, principal: Principal) -> str:
        """The signature of a tile URL, bound to one plan and one principal."""
        group = next(iter(principal.person.groups), "") if principal.kind == "release" else ""
        seconds = self.settings.processing.tile_url_hours * 3600
        return sign_token(
            self._key, PURPOSE, seconds, plan=plan, name=principal.person.name, kind=principal.kind, group=group
        )

    async def signed_person(self, plan: str, signature: str) -> Person:
        """The person for whom a tile URL was signed, with their groups of now; refused for any other plan."""
        claims = read_token(self._key, PURPOSE, signature)
        if claims.get("plan") != plan:
            raise NotAllowed("this address was signed for another service", "take the address from the service's `url`")
        name = str(claims["name"])
        if claims.get("kind") == "release":
            return Person(name, frozenset({str(claims["group"])}))
        groups = await self.login.groups_of(name)
        if groups is None:
            raise NotAllowed(f"{name} has no account any more", "log in again")
        return Person(name, groups)

    def check(self, plan: Plan, person: Person) -> bool:
        """Whether everybody may read the plan's collections now; NotAllowed unless at least the person may."""
        policy = entitlements.policy(self.settings, shared(self.settings.database))
        everybody = True
        for owned in map(self._now, plan.collections):
            wanted = ReadCollection(owned.id, owned.visibility, owned.project)
            decision = decide(policy, person, wanted)
            if not decision:
                raise NotAllowed(decision.reason, "ask the project's owner for access")
            everybody = everybody and bool(decide(policy, None, wanted))
        return everybody

    def _now(self, owned: Owned) -> Owned:
        """The collection's rule as the catalogue records it at this moment; as it was planned where it has none."""
        path = self.settings.var / "catalogue" / owned.id / "collection.json"
        try:
            stamp = path.stat().st_mtime_ns
        except OSError:
            return owned
        known = self._rules.get(owned.id)
        if known is None or known[0] != stamp:
            found = json.loads(path.read_text())
            rule = Owned(owned.id, found.get("bdap:visibility", "project"), str(found.get("bdap:project") or ""))
            known = self._rules[owned.id] = (stamp, rule)
        return known[1]


def caller_token(request: Any, login: HubLogin) -> str:
    """The token with which the caller came, for asking the catalogue in their name."""
    header: str = request.headers.get("authorization", "")
    return header.partition(" ")[2].strip() if header else str(request.cookies.get(login.cookie, ""))
