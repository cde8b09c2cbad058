"""A hub behind TLS that nobody has logged in at yet: its cookies, and a provider that is not what it should be."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.attacks.cases import let_in, said
from tests.attacks.conftest import IDENTITY
from tests.attacks.hostile_provider import HostileProvider
from tests.attacks.platform import Browser, Platform
from tests.certificates import write_certificate
from tests.conftest import free_port, make_settings


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A second hub, with TLS at its proxy."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = write_certificate(folder, "localhost")
    settings = make_settings(
        folder / "var",
        hub={"public_url": f"https://localhost:{free_port()}"},
        identity=IDENTITY,
        spawning={"engine": "process", "idle_timeout": 0, "gpus": 0},
    )
    port = urlsplit(settings.identity.issuer).port or 0
    provider = HostileProvider(port, settings.identity.client_id, settings.secret("oidc-client-secret"))
    found = Platform(settings, folder, provider, ssl.create_default_context(cafile=str(certificate)))
    try:
        found.start("--ssl-cert", str(certificate), "--ssl-key", str(key))
        yield found
    finally:
        found.stop()
        provider.stop()


UNUSABLE: tuple[tuple[str, dict[str, Any], set[str], str], ...] = (
    ("does not answer", {}, {"/"}, "does not answer"),
    ("has no discovery document", {}, {"/.well-known/openid-configuration"}, "does not answer"),
    ("is another issuer", {"issuer": "https://evil.example"}, set(), "names the issuer"),
    ("has its keys nowhere", {"jwks_uri": None}, set(), "its jwks_uri is"),
    ("has its keys in a file", {"jwks_uri": "file:///etc/passwd"}, set(), "its jwks_uri is"),
    ("has its tokens at a script", {"token_endpoint": "javascript:alert(1)"}, set(), "its token_endpoint is"),
    ("signs with secrets", {"id_token_signing_alg_values_supported": ["HS256", "none"]}, set(), "HS256"),
)


@pytest.mark.parametrize(
    ("discovery", "down", "sentence"), [case[1:] for case in UNUSABLE], ids=[case[0] for case in UNUSABLE]
)
def test_nobody_gets_in_while_the_provider(
    cold: Platform, discovery: dict[str, Any], down: set[str], sentence: str
) -> None:
    browser = Browser(cold, "early")
    cold.provider.discovery, cold.provider.down = discovery, down
    try:
        time.sleep(0.25)  # then the hub asks again
        answer = browser.get("/hub/oauth_login")
        assert answer.status_code == 503 and sentence in said(answer)
        assert browser.whoami() == ""
    finally:
        cold.provider.discovery, cold.provider.down = {}, set()
        browser.close()


def test_without_keys_ever_seen_nobody_gets_in(cold: Platform) -> None:
    browser = Browser(cold, "keyless")
    cold.wait(lambda: browser.get("/hub/oauth_login").status_code == 302, 10, "a provider that is whole again")
    cold.provider.down = {"/jwks"}
    try:
        answer = browser.log_in()
        assert answer.status_code == 503 and not cold.known("keyless"), said(answer)
    finally:
        cold.provider.down = set()
    cold.wait(lambda: browser.log_in().status_code == 302, 10, "a login once the keys are there")  # the control
    assert browser.whoami() == "keyless"
    browser.close()


def set_cookies(browser: Browser) -> dict[str, Any]:
    """What the hub's answers of a visit, a login, a page and a logout say about each cookie it sets."""
    lines: list[str] = []
    browser.client.event_hooks["response"].append(lambda answer: lines.extend(answer.headers.get_list("set-cookie")))
    browser.get("/hub/login")
    let_in(browser.platform, browser, browser.person)
    browser.get("/hub/home")
    browser.get("/hub/step-up?level=mfa")
    jar: dict[str, Any] = {}
    for line in lines:
        for name, morsel in SimpleCookie(line).items():
            if morsel.value:  # an empty one removes
                jar[name.partition("bdap-login-")[0] + "bdap-login" if "bdap-login-" in name else name] = morsel
    return jar


def test_cookies_are_for_the_hub_alone(
    cold: Platform, platform: Platform, browser_of: Callable[[str], Browser]
) -> None:
    browser = Browser(cold, "baker")
    secure, plain = set_cookies(browser), set_cookies(browser_of("baker"))
    browser.close()
    assert set(secure) == {"jupyterhub-session-id", "__Host-jupyterhub-hub-login", "__Host-bdap-login", "_xsrf"}
    for name, cookie in secure.items():
        assert cookie["secure"], name
        assert cookie["httponly"] or name == "_xsrf", name
        assert cookie["samesite"].lower() in ("lax", "strict"), name
        assert not cookie["domain"], name
        assert cookie["path"] == "/" or cookie["path"].startswith("/hub/"), name
    assert not any(cookie["secure"] for cookie in plain.values())  # the control: without TLS they could not be used


def test_a_cookie_lives_no_longer_than_a_login(cold: Platform) -> None:
    browser = Browser(cold, "brief")
    jar = set_cookies(browser)
    browser.close()
    hours = cold.settings.identity.session_hours
    for name, cookie in jar.items():
        if cookie["expires"]:
            until = datetime.strptime(cookie["expires"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
            assert until <= datetime.now(UTC) + timedelta(hours=hours, minutes=1), name
