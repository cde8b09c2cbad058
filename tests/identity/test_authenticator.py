"""The authenticator by itself: its configuration, and a session through an outage of the provider."""

from __future__ import annotations

import time
from typing import Any

import pytest
from traitlets import TraitError
from traitlets.config import Config

from bdap_hub import audit, database, identity
from bdap_hub.errors import BadSettings
from bdap_hub.identity import EULoginAuthenticator
from bdap_hub.settings import Settings
from tests.conftest import free_port


class Person:
    """What the authenticator needs of JupyterHub's user."""

    name = "ana"

    def __init__(self, state: dict[str, Any] | None) -> None:
        self.state = state

    async def get_auth_state(self) -> dict[str, Any] | None:
        return self.state


def authenticator(settings: Settings, **more: Any) -> EULoginAuthenticator:
    config = Config()
    identity.configure(config, settings)
    return EULoginAuthenticator(config=config, **more)


def state(checked: float = 0, **more: Any) -> dict[str, Any]:
    """As kept after a login `checked` seconds ago."""
    known = {"subject": "ana", "amr": ["pwd", "otp", "mfa"], "auth_time": None, "access_token": "t"}
    return {**known, "checked_at": time.time() - checked, **more}


def test_configured_from_the_settings(settings: Settings) -> None:
    made = authenticator(settings)
    assert made.issuer == settings.identity.issuer
    assert made.client_secret == settings.secret("oidc-client-secret")
    assert made.oauth_callback_url == f"{settings.hub.public_url}/hub/oauth_callback"
    assert made.manage_groups and made.enable_auth_state and not made.allow_all
    assert made.expected.required_amr == {"mfa"}


def test_without_the_secret_the_hub_does_not_start(settings: Settings) -> None:
    (settings.var / "secrets/oidc-client-secret").unlink()
    with pytest.raises(BadSettings, match="oidc-client-secret"):
        authenticator(settings)


@pytest.mark.parametrize("wrong", [{"algorithms": ["none"]}, {"algorithms": ["HS256"]}, {"required_amr": []}])
def test_unsafe_settings_stop_the_start(settings: Settings, wrong: dict[str, Any]) -> None:
    with pytest.raises(TraitError):
        authenticator(settings, **wrong)


@pytest.mark.parametrize(
    ("model", "allowed"),
    [
        ({"auth_state": state()}, True),
        ({"auth_state": state(amr=["pwd"])}, False),
        ({"auth_state": None}, False),
        ({}, False),
        (None, False),
    ],
)
async def test_allowed_with_proven_mfa_only(settings: Settings, model: Any, allowed: bool) -> None:
    assert await authenticator(settings).check_allowed("ana", model) is allowed


@pytest.mark.parametrize(
    ("kept", "stays"),
    [(state(10), True), (state(3700), False), (state(10, amr=["pwd"]), False), (None, False)],
)
async def test_a_session_outlives_an_outage_for_an_hour(settings: Settings, kept: Any, stays: bool) -> None:
    made = authenticator(settings, issuer=f"http://127.0.0.1:{free_port()}")  # nobody listens there
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

    async def answer(token: str) -> dict[str, Any]:
        return claims

    monkeypatch.setattr(made, "_userinfo", answer)
    assert await made.refresh_user(Person(state())) is False
    event = audit.latest(database.connect(settings.database), 1)[0]
    assert (event.action, event.person, event.outcome, event.reason) == ("refresh", "ana", "refused", reason)


async def test_groups_and_admin_follow_the_provider(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made = authenticator(settings)

    async def answer(token: str) -> dict[str, Any]:
        return {"sub": "ana", "name": "Ana", "groups": ["bdap-admins"]}

    monkeypatch.setattr(made, "_userinfo", answer)
    model = await made.refresh_user(Person(state(100)))
    assert model["admin"] is True and model["groups"] == ["bdap-admins"]
    assert model["auth_state"]["checked_at"] > time.time() - 10 and "mfa" in model["auth_state"]["amr"]
