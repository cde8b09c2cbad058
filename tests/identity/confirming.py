"""An authenticator that asks a provider again, and a provider to bend. Tokens are really signed and really checked."""

from __future__ import annotations

import asyncio
import copy
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from traitlets.config import Config

from bdap_hub import identity
from bdap_hub.errors import Unavailable
from bdap_hub.identity import EULoginAuthenticator, people, sessions
from bdap_hub.identity.id_token import IdToken
from bdap_hub.identity.tables import Account, Session, now
from bdap_hub.settings import Settings

from .tokens import CLIENT, EXPECTED, ISSUER, KEYS, NONCE, claims, signed

AT = 1_700_000_000
GROUPS = ["project-agriculture"]


class Person:
    """What is asked of JupyterHub's user."""

    name = "ana"

    def __init__(self, *logins: dict[str, Any]) -> None:
        self.state: Any = {**logins[0], "others": list(logins[1:])} if logins else None
        self.groups: Any = None

    async def get_auth_state(self) -> Any:
        await asyncio.sleep(0)
        return copy.deepcopy(self.state)

    async def save_auth_state(self, state: Any) -> None:
        await asyncio.sleep(0)
        self.state = state

    def sync_groups(self, groups: Any) -> None:
        self.groups = groups


class Provider:
    """Answers by token: `refresh` and `userinfo` map a token to what is said; None is an outage."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, made: EULoginAuthenticator) -> None:
        self.tokens: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.asked: list[str] = []
        for name, says in (("refresh", self.tokens), ("userinfo", self.claims)):
            monkeypatch.setattr(made.client, name, self._answering(name, says))
        monkeypatch.setattr(made.provider, "keys", self.keys)

    def _answering(self, name: str, says: dict[str, Any]) -> Any:
        async def answer(token: str) -> Any:
            self.asked.append(f"{name} {token}")
            await asyncio.sleep(0.01)
            if token in says and says[token] is None:
                raise Unavailable("down")
            return says.get(token, None if name == "refresh" else {})

        return answer

    async def keys(self, kid: str) -> Any:
        return KEYS


class World:
    """An authenticator with an account `ana` that was last confirmed long ago, and a provider to bend."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch, **section: Any) -> None:
        update = {"issuer": ISSUER, "client_id": CLIENT, "algorithms": tuple(EXPECTED.algorithms), **section}
        self.settings = settings.model_copy(update={"identity": settings.identity.model_copy(update=update)})
        config = Config()
        identity.configure(config, self.settings)
        self.made = EULoginAuthenticator(config=config)
        self.provider = Provider(monkeypatch, self.made)
        self.checked(200)

    def checked(self, seconds: float, name: str = "ana") -> None:
        row = {"name": name, "issuer": ISSUER, "subject": name, "standing": "approved", "groups": GROUPS}
        with self.made.store.begin() as session:
            session.merge(Account(**row, checked=now() - timedelta(seconds=seconds)))

    def silent_since(self, seconds: float) -> None:
        with self.made.store.begin() as session:
            session.get(Account, "ana").unanswered = now() - timedelta(seconds=seconds)

    def ended_since(self, seconds: float) -> None:
        with self.made.store.begin() as session:
            session.execute(update(Session).values(ended=now() - timedelta(seconds=seconds)))

    @property
    def account(self) -> Account:
        found = people.find(self.made.store, "ana")
        assert found
        return found

    async def confirm(self, person: Person) -> Any:
        return await self.made.confirm(person, self.account)  # type: ignore[arg-type]

    async def refresh(self, name: str, access_token: str) -> Any:
        """(whether their login stays, the groups that it brought)."""
        person = Person(login(access_token=access_token))
        person.name = name
        return await self.made.refresh_user(person), person.groups  # type: ignore[arg-type]

    def session(self, name: str) -> dict[str, Any]:
        """A login in another browser, with a refresh token of that name."""
        proven = IdToken("ana", "ana", "Ana", frozenset(), ("mfa",), AT, level="mfa")
        sessions.begin(self.made.store, name, "ana", proven, 12)
        return login(session=sessions.digest(name), refresh_token=name)


def login(**changes: Any) -> dict[str, Any]:
    right = {
        "session": "",
        "level": "mfa",
        "auth_time": AT,
        "nonce": NONCE,
        "groups_by_token": False,
        "access_token": "access",
        "access_until": None,
        "refresh_token": "",
    }
    return {**right, **changes}


def answer(refresh_token: str = "", **changes: Any) -> dict[str, Any]:
    """The token endpoint's answer to a refresh."""
    id_token = signed(claims(**{"nonce": None, "auth_time": AT, **changes}))
    return {"access_token": "access-2", "expires_in": 300, "refresh_token": refresh_token, "id_token": id_token}
