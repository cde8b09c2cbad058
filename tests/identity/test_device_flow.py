"""A program on a laptop logs in at the demo's provider by device flow, and the hub says whose token it brings."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bdap_hub import database
from bdap_hub.identity import people

from .application import Application
from .conftest import Browser, Platform, eventually

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "openid profile email groups offline_access"


class Program:
    """As the openEO client does it: a public client, PKCE, and a person with a browser elsewhere."""

    def __init__(self, platform: Platform) -> None:
        self.platform, self.verifier = platform, secrets.token_urlsafe(48)
        self.http = httpx.Client(trust_env=False, timeout=20)
        self.client = platform.settings.identity.public_client_id
        issuer = platform.settings.identity.issuer
        self.metadata: dict[str, Any] = self.http.get(f"{issuer}/.well-known/openid-configuration").json()

    def begin(self, **changes: str | None) -> httpx.Response:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        fields = {
            "client_id": self.client,
            "scope": SCOPE,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **changes,
        }
        sent = {name: value for name, value in fields.items() if value is not None}
        return self.http.post(self.metadata["device_authorization_endpoint"], data=sent)

    def tokens(self, device_code: str, **changes: str | None) -> httpx.Response:
        fields = {"client_id": self.client, "grant_type": DEVICE, "device_code": device_code}
        sent = {**fields, "code_verifier": self.verifier, **changes}
        return self.token_request({name: value for name, value in sent.items() if value is not None})

    def token_request(self, fields: dict[str, str]) -> httpx.Response:
        return self.http.post(self.metadata["token_endpoint"], data=fields)

    def log_in(self, browser: Browser, name: str) -> dict[str, Any]:
        """Tokens after the person has entered both factors and agreed."""
        begun = self.begin().json()
        page = browser.get(begun["verification_uri_complete"])
        if page.url.path == "/login/":
            page = browser.log_in(name, begun["verification_uri_complete"])
        assert begun["user_code"] in page.text
        assert "is connected" in browser.submit(page, action="confirm").text
        found: dict[str, Any] = self.tokens(begun["device_code"]).json()
        return found


@pytest.fixture
def program(platform: Platform) -> Iterator[Program]:
    made = Program(platform)
    yield made
    made.http.close()


def asked(platform: Platform, token: Any, service: str = "processing") -> httpx.Response:
    """What the hub tells a service about an access token."""
    headers = {"Authorization": f"token {platform.settings.secret(f'service-{service}')}"}
    url = f"{platform.url}/hub/api/bdap/access-token"
    return httpx.post(url, json={"token": token}, headers=headers, timeout=30, trust_env=False)


def known(platform: Platform, browser: Browser, name: str) -> None:
    """Somebody who has logged in with a browser once."""
    if browser.get(f"{platform.url}/hub/home").url.path == "/login/":
        browser.log_in(name)
    assert browser.whoami()["name"] == name


def test_a_program_is_its_person(platform: Platform, program: Program, browser: Browser) -> None:
    name = platform.guest()
    known(platform, browser, name)
    tokens = program.log_in(browser, name)
    said = asked(platform, tokens["access_token"]).json()
    assert (said["name"], said["groups"]) == (name, ["project-agriculture"]) and said["display_name"]
    assert asked(platform, tokens["access_token"], "catalogue").json() == said
    assert platform.reasons(name, "access-token") == [""]  # recorded once
    again = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": program.client}
    for _ in range(2):  # openEO's client goes on with the refresh token that it began with
        renewed = program.token_request(again).json()
        assert asked(platform, renewed["access_token"]).json() == said


def test_nobody_else_may_ask_the_hub(platform: Platform, program: Program, browser: Browser) -> None:
    name = platform.guest()
    known(platform, browser, name)
    token = program.log_in(browser, name)["access_token"]
    assert asked(platform, token).status_code == 200
    assert asked(platform, token, "dashboards").status_code == 403
    url = f"{platform.url}/hub/api/bdap/access-token"
    assert httpx.post(url, json={"token": token}, trust_env=False).status_code == 403
    assert browser.client.post(url, json={"token": token}).status_code == 403


def test_other_tokens_are_refused(platform: Platform, program: Program, browser: Browser) -> None:
    name = platform.guest()
    known(platform, browser, name)
    tokens = program.log_in(browser, name)
    application = Application(platform)  # the hub's own client
    others = application.redeem(application.ask(browser)["code"]).json()
    wrong = [others["access_token"], others["refresh_token"], others["id_token"]]
    wrong += [tokens["refresh_token"], tokens["access_token"][:-1], "x" * 9000, "ä", "", None, 1]
    for token in wrong:
        assert set(asked(platform, token).json()) == {"refused", "remedy"}, token
    assert asked(platform, tokens["access_token"]).json()["name"] == name
    assert platform.reasons(name, "access-token") == [""]


@pytest.mark.parametrize("changes", [{"code_challenge": None}, {"code_challenge_method": "plain"}, {"client_id": "x"}])
def test_a_program_without_pkce_or_name_gets_no_code(program: Program, changes: dict[str, str | None]) -> None:
    assert program.begin(**changes).status_code in (400, 401)
    assert program.begin().status_code == 200


def test_a_device_code_is_worth_nothing_without_its_verifier(
    platform: Platform, program: Program, browser: Browser
) -> None:
    name = platform.guest()
    begun = program.begin().json()
    assert program.tokens(begun["device_code"]).json()["error"] == "authorization_pending"
    browser.submit(browser.log_in(name, begun["verification_uri_complete"]), action="confirm")
    for verifier in (None, "", secrets.token_urlsafe(48)):
        refused = program.tokens(begun["device_code"], code_verifier=verifier)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    time.sleep(5)  # the provider's interval
    assert "access_token" in program.tokens(begun["device_code"]).json()
    assert program.tokens(begun["device_code"]).json()["error"] == "invalid_grant"


def test_the_person_decides_in_their_own_browser(platform: Platform, program: Program, browser: Browser) -> None:
    begun = program.begin().json()
    page = browser.to_code(platform.guest(), begun["verification_uri_complete"])  # the password alone
    assert "Second factor" in page.text
    assert browser.get(begun["verification_uri_complete"]).url.path == "/login/"
    name = platform.guest()
    page = browser.log_in(name, begun["verification_uri"])
    wrong = browser.get(f"{begun['verification_uri']}?code=AAAA-AAAA")
    assert "Enter the code" in page.text and "not known" in wrong.text
    page = browser.get(begun["verification_uri_complete"])
    forged = browser.client.post(str(page.url), data={"action": "confirm"})  # another site's form: no token of ours
    assert forged.status_code == 403
    assert "refused" in browser.submit(page, action="deny").text
    assert program.tokens(begun["device_code"]).json()["error"] == "access_denied"


def test_who_never_logged_in_here_is_told_to(platform: Platform, program: Program, browser: Browser) -> None:
    name = platform.guest()
    token = program.log_in(browser, name)["access_token"]
    said = asked(platform, token).json()
    assert "no account" in said["refused"] and platform.url in said["remedy"]
    assert platform.reasons(name, "access-token")[0] == "unknown-person"
    known(platform, browser, name)
    assert asked(platform, token).json()["name"] == name


def test_what_is_taken_back_is_gone_soon(platform: Platform, program: Program, browser: Browser) -> None:
    name = platform.guest("project-agriculture", "project-forest")
    known(platform, browser, name)
    token = program.log_in(browser, name)["access_token"]
    assert asked(platform, token).json()["groups"] == ["project-agriculture", "project-forest"]
    platform.provider.set_groups(name, ["project-agriculture"])
    eventually(lambda: asked(platform, token).json()["groups"] == ["project-agriculture"], platform.bound)
    platform.provider.disable(name)
    eventually(lambda: "refused" in asked(platform, token).json(), platform.bound)


def test_a_session_that_ends_takes_its_programs_with_it(platform: Platform, program: Program, browser: Browser) -> None:
    name = platform.guest()
    known(platform, browser, name)
    token = program.log_in(browser, name)["access_token"]
    assert asked(platform, token).json()["name"] == name
    platform.provider.end_session(name)
    eventually(lambda: "refused" in asked(platform, token).json(), platform.bound)


@pytest.mark.parametrize("platform", ["registration"], indirect=True)
def test_registration_counts_for_programs_too(platform: Platform, program: Program, browser: Browser) -> None:
    name = platform.guest()
    page = browser.log_in(name)
    token = program.log_in(browser, name)["access_token"]
    assert "refused" in asked(platform, token).json(), page.text
    assert platform.reasons(name, "access-token")[0] == "terms-not-accepted"
    store = database.connect(platform.settings.database)
    people.accept_terms(store, name, platform.settings.registration.terms_version)
    known(platform, browser, name)
    assert asked(platform, token).json()["name"] == name
    people.set_standing(store, name, "blocked")
    assert "blocked" in asked(platform, token).json()["refused"]
