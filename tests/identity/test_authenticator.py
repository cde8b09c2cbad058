"""The authenticator by itself: its configuration, and a session through an outage of the provider."""

from __future__ import annotations

import copy
import sqlite3
import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm
from traitlets.config import Config

from bdap_hub import audit, database, identity
from bdap_hub.errors import BadSettings, Unavailable
from bdap_hub.identity import EULoginAuthenticator, people, sessions
from bdap_hub.identity.id_token import IdToken, LoginRefused, validate
from bdap_hub.identity.tables import Account, now
from bdap_hub.settings import IdentitySettings, Settings

from .tokens import EXPECTED, ISSUER, KEYS, NONCE, claims, signed


class Person:
    """What the authenticator needs of JupyterHub's user."""

    name = "ana"

    def __init__(self, state: dict[str, Any] | None) -> None:
        self.state, self.groups = state, list[str]()

    async def get_auth_state(self) -> dict[str, Any] | None:
        return copy.deepcopy(self.state)

    def sync_groups(self, groups: list[str]) -> None:
        self.groups = groups

    async def save_auth_state(self, state: dict[str, Any]) -> None:
        self.state = state


def authenticator(settings: Settings, **more: Any) -> EULoginAuthenticator:
    config = Config()
    identity.configure(config, settings)
    return EULoginAuthenticator(config=config, **more)


def known(made: EULoginAuthenticator, checked: float = 0, **more: Any) -> None:
    """An account that the provider confirmed `checked` seconds ago."""
    row = {"name": "ana", "issuer": "i", "subject": "ana", "standing": "approved", "groups": ["project-agriculture"]}
    with made.store.begin() as session:
        session.merge(Account(**{**row, "checked": now() - timedelta(seconds=checked), **more}))


STATE = {"level": "mfa", "auth_time": None, "access_token": "t", "access_until": None, "refresh_token": ""}


def answers(monkeypatch: pytest.MonkeyPatch, made: EULoginAuthenticator, claims: Any) -> None:
    """The provider's UserInfo says `claims`; Unavailable if they are None."""

    async def userinfo(token: str) -> Any:
        if claims is None:
            raise Unavailable("down")
        return claims

    monkeypatch.setattr(made.client, "userinfo", userinfo)


def test_configured_from_the_settings(settings: Settings) -> None:
    made = authenticator(settings)
    assert made.expected.issuer == settings.identity.issuer
    assert made.client_auth.secret == settings.secret("oidc-client-secret")
    assert made.oauth_callback_url == f"{settings.hub.public_url}/hub/oauth_callback"
    assert made.manage_groups and made.enable_auth_state and made.auth_refresh_strict and not made.allow_all


def test_without_the_secret_the_hub_does_not_start(settings: Settings) -> None:
    (settings.var / "secrets/oidc-client-secret").unlink()
    with pytest.raises(BadSettings, match="oidc-client-secret"):
        authenticator(settings)


@pytest.mark.parametrize(
    ("model", "account", "allowed"),
    [
        ({"auth_state": STATE}, {}, True),
        ({"auth_state": {**STATE, "level": ""}}, {}, False),
        ({"auth_state": {**STATE, "level": "other"}}, {}, False),
        ({"auth_state": STATE}, {"standing": "blocked"}, False),
        ({"auth_state": STATE}, {"name": "ben", "subject": "ben"}, False),
        ({"auth_state": None}, {}, False),
        ({}, {}, False),
        (None, {}, False),
    ],
)
async def test_allowed_with_the_lowest_level_and_a_good_standing(
    settings: Settings, model: Any, account: dict[str, Any], allowed: bool
) -> None:
    made = authenticator(settings)
    known(made, **account)
    assert await made.check_allowed("ana", model) is allowed


@pytest.mark.parametrize(
    ("checked", "silent", "kept", "stays"),
    [
        (200, None, STATE, True),
        (3700, None, STATE, True),  # the hub was down: it sees this outage now
        (3700, 3500, STATE, True),
        (3700, 3601, STATE, False),
        (200, None, None, False),
        (10, None, None, True),
    ],
)
async def test_a_session_outlives_an_outage_for_the_grace(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, checked: float, silent: float | None, kept: Any, stays: bool
) -> None:
    made = authenticator(settings)
    known(made, checked, unanswered=now() - timedelta(seconds=silent) if silent else None)
    answers(monkeypatch, made, None)
    assert await made.refresh_user(Person(kept)) is stays


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, "session-ended"),
        ({"sub": "ben"}, "other-person"),
        ({"sub": "ana", "groups": "bdap-admins"}, "bad-groups"),
    ],
)
async def test_a_session_ends_when_the_provider_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any], reason: str
) -> None:
    made = authenticator(settings)
    known(made, 200)
    answers(monkeypatch, made, claims)
    assert await made.refresh_user(Person(STATE)) is False
    event = audit.latest(database.connect(settings.database), 1)[0]
    assert (event.action, event.person, event.outcome, event.reason) == ("refresh", "ana", "refused", reason)


@pytest.mark.parametrize(
    ("meanwhile", "through", "stays"),
    [
        ("", "nobody", True),
        ("", "browser", True),
        ("blocked", "nobody", False),
        ("blocked", "browser", False),
        ("logged out everywhere", "nobody", False),
        ("logged out", "browser", False),
        ("logged out", "nobody", True),  # of one browser: what is of no login goes on
    ],
)
async def test_what_is_taken_back_while_the_provider_is_asked_stays_away(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, meanwhile: str, through: str, stays: bool
) -> None:
    made = authenticator(settings)
    known(made, 200)
    sessions.begin(made.store, "desk", "ana", IdToken("ana", "ana", "Ana", frozenset(), (), 0, level="mfa"), 12)
    acts = {
        "blocked": lambda: people.set_standing(made.store, "ana", "blocked"),
        "logged out": lambda: sessions.end_all(made.store, "ana", "logged out"),
        "logged out everywhere": lambda: made.revoker(hub_of()).revoke("ana", "asked by its owner"),
    }

    async def userinfo(token: str) -> dict[str, Any]:
        acts.get(meanwhile, lambda: None)()
        return {"sub": "ana", "groups": ["bdap-admins"]}

    monkeypatch.setattr(made.client, "userinfo", userinfo)
    person, browser = Person(STATE), SimpleNamespace(get_token=lambda: None, get_session_cookie=lambda: "desk")
    assert await made.refresh_user(person, browser if through == "browser" else None) is stays
    assert person.groups == (["bdap-admins"] if stays else [])


def hub_of() -> Any:
    """A hub in which nobody has anything."""
    return SimpleNamespace(db=orm.new_session_factory("sqlite:///:memory:")(), users={})


async def test_groups_follow_the_provider(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made = authenticator(settings)
    known(made, 200)
    answers(monkeypatch, made, {"sub": "ana", "name": "Ana", "groups": ["bdap-admins"]})
    person = Person(STATE)
    assert await made.refresh_user(person) is True and person.groups == ["bdap-admins"]
    later = Person(STATE)
    assert await made.refresh_user(later) is True and later.groups == []  # not asked again so soon


KEYCLOAK_SUBS = ("0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7")


def log_in(made: EULoginAuthenticator, sub: str, name: str) -> Account:
    """What a login does with a valid id_token of Keycloak's: its sub is a UUID, and people may change their name."""
    token = signed(claims(sub=sub, preferred_username=name))
    expected = replace(made.expected, issuer=ISSUER, algorithms=EXPECTED.algorithms)
    proven = validate(token, KEYS, expected, nonce=NONCE)
    return people.recognise(made.store, ISSUER, proven, standing="approved")


def keycloak(settings: Settings, **more: Any) -> EULoginAuthenticator:
    section = settings.identity.model_dump(exclude_unset=True) | {"preset": "keycloak", **more}
    return authenticator(settings.model_copy(update={"identity": IdentitySettings(**section)}))


def test_a_name_that_changes_hands_opens_nobody_elses_account(settings: Settings) -> None:
    made, (ana, mallory) = keycloak(settings), KEYCLOAK_SUBS
    assert log_in(made, ana, "ana").name == "ana"
    with pytest.raises(LoginRefused) as refused:
        log_in(made, mallory, "ana")
    assert refused.value.reason == "name-taken"
    # ana is called anna now; mallory took the name that was set free
    assert log_in(made, ana, "anna").name == "ana"
    with pytest.raises(LoginRefused):
        log_in(made, mallory, "ana")
    assert log_in(made, mallory, "mallory").name == "mallory"
    assert log_in(made, mallory, "ana").name == "mallory"  # whatever they call themselves later


def test_a_uuid_names_an_account_where_nothing_better_is_stated(settings: Settings) -> None:
    made = keycloak(settings, username_claim="sub")
    assert log_in(made, KEYCLOAK_SUBS[0], "ana").name == KEYCLOAK_SUBS[0]
    with pytest.raises(LoginRefused) as refused:
        log_in(made, "20001", "ana")
    assert refused.value.reason == "bad-username"


def test_an_account_keeps_its_name_whatever_the_provider_calls_it_later(settings: Settings) -> None:
    made, (ana, ben) = keycloak(settings), KEYCLOAK_SUBS
    assert log_in(made, ana, "ana").name == "ana"
    for renamed in ("Ana Maria", "20001", ""):
        assert log_in(made, ana, renamed).name == "ana"
        with pytest.raises(LoginRefused) as refused:
            log_in(made, ben, renamed)
        assert refused.value.reason == "bad-username"


def test_a_locked_database_holds_up_the_hub_for_a_moment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The event is in the log then."""
    monkeypatch.setattr("bdap_hub.identity.authenticator.AUDIT_WAIT", 0.2)
    made = authenticator(settings)
    made.record(None, "revoke", "ana", None, reason="blocked")
    with sqlite3.connect(settings.var / "bdap.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        made.record(None, "revoke", "ben", None, reason="blocked")
        assert 0.1 < time.monotonic() - begun < 5
        other.execute("ROLLBACK")
    assert '"action": "revoke"' in caplog.text and '"person": "ben"' in caplog.text and '"ana"' not in caplog.text
    made.record(None, "revoke", "cleo", None, reason="blocked")
    assert [event.person for event in audit.latest(made.store)] == ["cleo", "ana"]
