"""The groups that an access token's introspection names, beside what the provider says of the same person elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bdap_hub.identity import people
from bdap_hub.identity.id_token import IdToken
from bdap_hub.identity.tables import Account
from bdap_hub.settings import Settings

from .confirming import World
from .test_introspection import PROGRAMS, stated
from .tokens import ISSUER


class Programs(World):
    """People's programs, whose tokens the provider says `groups` of; `meanwhile` happens before it answers."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(settings, monkeypatch, public_client_id=PROGRAMS, claims_from="id_token")
        self.groups, self.meanwhile, self.asked = ["before"], nothing, list[str]()
        monkeypatch.setattr(self.made.client, "introspect", self.introspect)

    async def introspect(self, token: str) -> dict[str, Any]:
        self.asked.append(token)
        self.meanwhile()
        return stated(iss=ISSUER, sub="ana", groups=self.groups)

    async def groups_of(self, token: str) -> list[str]:
        """What a service is told, which is what the account has."""
        told = sorted((await self.made.bearer.caller(token)).groups)
        assert told == self.account.groups
        return told

    def log_in(self) -> Account:
        proven = IdToken("ana", "ana", "Ana", frozenset({"login"}), ("mfa",), 0, level="mfa")
        return people.recognise(self.made.store, ISSUER, proven, standing="approved")


def nothing() -> None:
    """Nothing happens."""


def refresh(programs: Programs) -> object:
    return people.confirmed(programs.made.store, programs.account, ["login"])


@pytest.mark.parametrize("newer", [Programs.log_in, refresh])
async def test_an_answer_that_is_kept_undoes_none_that_came_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, newer: Callable[[Programs], object]
) -> None:
    programs = Programs(settings, monkeypatch)
    assert await programs.groups_of("laptop") == ["before"]
    newer(programs)
    assert await programs.groups_of("laptop") == ["login"] and programs.asked == ["laptop"]
    programs.groups = ["after"]
    assert await programs.groups_of("desktop") == ["after"]
    assert await programs.groups_of("laptop") == ["after"] and programs.asked == ["laptop", "desktop"]


async def test_an_answer_that_was_asked_for_before_a_login_does_not_undo_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = Programs(settings, monkeypatch)
    programs.meanwhile = programs.log_in
    assert await programs.groups_of("laptop") == ["login"]
    programs.meanwhile = nothing
    assert await programs.groups_of("desktop") == ["before"]
