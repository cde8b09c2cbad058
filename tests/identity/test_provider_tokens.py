"""What the demo's provider answers to an application: what was asked of the login, its tokens, and their end."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from .application import Application, claims
from .conftest import Browser, Platform

MFA = "https://refeds.org/profile/mfa"


@pytest.fixture
def application(platform: Platform) -> Application:
    """Another one for each test."""
    return Application(platform)


def essential(acr: Any) -> str:
    """The parameter `claims` for an essential acr."""
    return json.dumps({"id_token": {"acr": {"essential": True, **acr}}})


def test_discovery_says_what_is_true(application: Application) -> None:
    stated = application.metadata
    assert stated["scopes_supported"] == ["openid", "profile", "email", "groups", "offline_access"]
    device = "urn:ietf:params:oauth:grant-type:device_code"
    assert stated["grant_types_supported"] == ["authorization_code", "refresh_token", device]
    assert stated["acr_values_supported"] == [MFA] and stated["claims_parameter_supported"] is True
    assert stated["authorization_response_iss_parameter_supported"] is True
    assert stated["backchannel_logout_supported"] is stated["backchannel_logout_session_supported"] is True
    assert stated["response_types_supported"] == ["code"] and stated["code_challenge_methods_supported"] == ["S256"]
    assert stated["device_authorization_endpoint"].endswith("/device/code") and "registration_endpoint" not in stated


def test_a_login_with_both_factors_says_so(platform: Platform, application: Application, browser: Browser) -> None:
    begun = int(time.time())
    answer = application.log_in(browser, platform.guest())
    assert (answer["state"], answer["iss"]) == ("a-state", platform.settings.identity.issuer)
    proven = claims(application.redeem(answer["code"]).json()["id_token"])
    assert (proven["acr"], proven["amr"], proven["nonce"]) == (MFA, ["pwd", "otp", "mfa"], "a-nonce")
    assert begun <= proven["auth_time"] <= time.time() and proven["sid"]
    # Single sign-on keeps both, and a login asked for anew keeps the session's name and moves the time.
    again = claims(application.redeem(application.ask(browser)["code"]).json()["id_token"])
    assert (again["sid"], again["auth_time"]) == (proven["sid"], proven["auth_time"])


@pytest.mark.parametrize(
    "asked",
    [
        {"acr_values": MFA},
        {"acr_values": f"other {MFA}"},
        {"claims": essential({"value": MFA})},
        {"claims": essential({"values": ["other", MFA]})},
        {"claims": essential({})},
        {"max_age": "3600"},
        {"prompt": "none"},
    ],
)
def test_what_can_be_met_is(sso: Browser, application: Application, asked: dict[str, str]) -> None:
    assert application.ask(sso, **asked).get("code")


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"acr_values": "https://refeds.org/profile/sfa"}, "unmet_authentication_requirements"),
        ({"claims": essential({"value": "urn:other"})}, "unmet_authentication_requirements"),
        ({"claims": essential({"values": ["urn:other"]})}, "unmet_authentication_requirements"),
        ({"prompt": "none", "claims": json.dumps({"id_token": {"sub": {"value": "ben"}}})}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://evil.example/r"}, "request_uri_not_supported"),
    ],
)
def test_what_cannot_be_met_is_told(
    platform: Platform, sso: Browser, application: Application, asked: dict[str, str], error: str
) -> None:
    answer = application.ask(sso, **asked)
    assert answer["error"] == error and "code" not in answer
    assert (answer["state"], answer["iss"]) == ("a-state", platform.settings.identity.issuer)
    assert application.ask(sso).get("code")  # the positive control


def test_prompt_none_shows_no_page(platform: Platform, application: Application, browser: Browser) -> None:
    assert application.ask(browser, prompt="none")["error"] == "login_required"
    name = platform.guest()
    browser.to_code(name)  # the password alone changes nothing
    assert application.ask(browser, prompt="none")["error"] == "login_required"


def test_an_old_login_is_renewed_where_asked(platform: Platform, application: Application, browser: Browser) -> None:
    name = platform.guest()
    first = claims(application.redeem(application.log_in(browser, name)["code"]).json()["id_token"])
    time.sleep(1)  # auth_time is in whole seconds
    page = browser.get(application.address(prompt="login"))
    assert page.url.path == "/login/"
    assert application.ask(browser, prompt="none")["error"] == "login_required"
    second = claims(application.redeem(application.log_in(browser, name)["code"]).json()["id_token"])
    assert second["sid"] == first["sid"] and second["auth_time"] > first["auth_time"]
    time.sleep(max(0.0, second["auth_time"] + 3 - time.time()))
    assert application.ask(browser, max_age="1", prompt="none")["error"] == "login_required"
    assert application.ask(browser, max_age="60", prompt="none").get("code")


def test_another_person_gets_another_session(platform: Platform, application: Application, browser: Browser) -> None:
    first = claims(application.redeem(application.log_in(browser, platform.guest())["code"]).json()["id_token"])
    browser.get(application.address(prompt="select_account"))
    other = platform.guest()
    second = claims(application.redeem(application.log_in(browser, other)["code"]).json()["id_token"])
    assert second["sub"] == other and second["sid"] != first["sid"]


def test_refreshing_keeps_the_proof_and_renews_the_rest(
    platform: Platform, application: Application, browser: Browser
) -> None:
    name = platform.guest("project-agriculture")
    tokens = application.redeem(application.log_in(browser, name)["code"]).json()
    platform.provider.set_groups(name, ["project-forest"])
    renewed = application.refresh(tokens["refresh_token"]).json()
    before, after = claims(tokens["id_token"]), claims(renewed["id_token"])
    for claim in ("iss", "sub", "aud", "acr", "amr", "auth_time", "sid"):
        assert after[claim] == before[claim]
    assert (before["groups"], after["groups"]) == (["project-agriculture"], ["project-forest"])
    assert application.userinfo(renewed["access_token"]).json()["groups"] == ["project-forest"]
    # Rotated: the old one is spent, the new one works once more.
    assert application.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert claims(application.refresh(renewed["refresh_token"]).json()["id_token"])["acr"] == MFA


def test_no_refresh_token_unless_asked_for(platform: Platform, application: Application, sso: Browser) -> None:
    application.scope = "openid groups"
    tokens = application.redeem(application.ask(sso)["code"]).json()
    assert "refresh_token" not in tokens and tokens["id_token"]


def test_a_disabled_account_gets_nothing_more(platform: Platform, application: Application, browser: Browser) -> None:
    name = platform.guest()
    tokens = application.redeem(application.log_in(browser, name)["code"]).json()
    assert application.userinfo(tokens["access_token"]).status_code == 200
    platform.provider.disable(name)
    refused = application.refresh(tokens["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert application.userinfo(tokens["access_token"]).status_code == 401
    assert application.ask(browser, prompt="none")["error"] == "login_required"


def test_a_code_serves_once_and_its_replay_takes_the_tokens_back(
    platform: Platform, application: Application, browser: Browser
) -> None:
    code = application.log_in(browser, platform.guest())["code"]
    tokens = application.redeem(code).json()
    kept = application.redeem(application.ask(browser)["code"]).json()
    assert application.redeem(code).json()["error"] == "invalid_grant"
    assert application.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert application.userinfo(tokens["access_token"]).status_code == 401
    assert application.userinfo(kept["access_token"]).status_code == 200  # those of another code stay


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "A" * 43},
        {"code_verifier": ""},
        {"redirect_uri": "http://127.0.0.1:1/hub/oauth_callback"},
        {"code": "another"},
    ],
)
def test_a_code_needs_its_verifier_and_address(application: Application, sso: Browser, changes: dict[str, str]) -> None:
    code = application.ask(sso)["code"]
    assert application.redeem(**{"code": code, **changes}).status_code == 400
    assert application.redeem(code).status_code == 200


def test_logging_out_ends_that_session_alone(
    platform: Platform, application: Application, browser: Browser, other_browser: Browser
) -> None:
    name = platform.guest()
    mine = application.redeem(application.log_in(browser, name)["code"]).json()
    others = application.redeem(application.log_in(other_browser, name)["code"]).json()
    page = browser.get(f"{application.metadata['end_session_endpoint']}?id_token_hint={mine['id_token']}")
    browser.submit(page, action="logout")
    assert application.refresh(mine["refresh_token"]).json()["error"] == "invalid_grant"
    assert application.ask(browser, prompt="none")["error"] == "login_required"
    assert application.refresh(others["refresh_token"]).status_code == 200
    assert application.ask(other_browser, prompt="none").get("code")


@pytest.fixture(scope="module")
def sso(platform: Platform) -> Browser:
    """The browser of somebody who is logged in at the provider."""
    fresh = Browser(platform)
    Application(platform).log_in(fresh, platform.guest())
    return fresh
