"""The demo's provider: enrolment, guards of the authorisation, second start, and where it refuses to run."""

from __future__ import annotations

import re
import stat
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from bdap_hub.demo import provider
from bdap_hub.demo.people import PEOPLE
from bdap_hub.demo.provider import conf
from bdap_hub.errors import BadSettings
from bdap_hub.settings import Settings
from tests.conftest import make_settings

from .conftest import Browser, Platform, with_query


def test_first_login_enrols_once(platform: Platform, browser: Browser, other_browser: Browser) -> None:
    page = browser.submit(browser.to_password(), login="eva", password=platform.accounts["eva"]["password"])
    assert page.url.path == "/enrol/" and "data:image/svg+xml" in page.text
    assert browser.get(f"{platform.url}/hub/home").url.path == "/enrol/"  # no way round it
    page = browser.client.get(page.url)
    secret = re.search(r'<code class="secret">([A-Z2-7=]+)</code>', page.text)
    assert secret
    code = pyotp.TOTP(secret[1]).now()
    wrong = browser.submit(page, code=f"{(int(code) + 1) % 1_000_000:06}")
    assert wrong.url.path == "/enrol/" and "Incorrect code" in wrong.text
    assert browser.submit(wrong, code=code).url.path.startswith("/hub/home")
    assert browser.whoami()["name"] == "eva"
    # A second time the code is asked for, and the QR code is gone.
    page = other_browser.to_code("eva")
    assert page.url.path == "/second-factor/"
    assert "Incorrect code" in other_browser.submit(page, code=code).text  # used above
    assert browser.client.get(f"{platform.settings.identity.issuer}/enrol/").headers["location"] == "/"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"code_challenge": None}, "PKCE"),
        ({"code_challenge_method": "plain"}, "PKCE"),
        ({"code_challenge_method": None}, "PKCE"),
        ({"client_id": "other"}, "not known"),
        ({"redirect_uri": "http://127.0.0.1:1/hub/oauth_callback"}, "return address"),
        ({"redirect_uri": None}, "return address"),
    ],
)
def test_authorisation_is_refused(
    platform: Platform, browser: Browser, changes: dict[str, str | None], sentence: str
) -> None:
    sent = browser.get(f"{platform.url}/hub/home", until="/identity/o/authorize").headers["Location"]
    refused = browser.client.get(with_query(sent, **changes))
    assert refused.status_code == 400 and sentence in refused.text
    assert browser.client.get(sent).is_redirect  # the positive control: unchanged, it goes on to the login page


def test_prompt_login_asks_for_both_factors_again(platform: Platform, browser: Browser) -> None:
    browser.log_in("guest9")
    sent = browser.get(f"{platform.url}/hub/oauth_login", until="/identity/o/authorize").headers["Location"]
    assert "code" in parse_qs(urlsplit(browser.client.get(sent).headers["Location"]).query)
    again = browser.get(with_query(sent, prompt="login"))
    assert again.url.path == "/login/"
    assert browser.get(sent).url.path == "/login/"


def test_device_flow_and_sign_up_are_not_offered(platform: Platform, browser: Browser) -> None:
    issuer = platform.settings.identity.issuer
    for path in ("/signup/", "/identity/o/device", "/identity/o/api/device/code", "/2fa/totp/deactivate/"):
        assert browser.client.get(f"{issuer}{path}").status_code == 404
    assert browser.client.get(f"{issuer}/login/").status_code == 200


def test_log_out_ends_both_sessions(platform: Platform, browser: Browser) -> None:
    browser.log_in("guest10")
    page = browser.get(f"{platform.url}/hub/logout")
    assert page.url.host == "localhost" and "Log out here too?" in page.text
    assert browser.whoami() == {}
    out = browser.submit(page, action="logout")
    assert str(out.url).startswith(f"{platform.url}/hub/logout")
    assert browser.get(f"{platform.url}/hub/home").url.path == "/login/"
    assert (platform.last_event().action, platform.last_event().person) == ("logout", "guest10")


def test_a_group_taken_away_is_gone_within_the_refresh_age(platform: Platform, browser: Browser) -> None:
    browser.log_in("guest11")
    assert browser.whoami()["groups"] == ["project-agriculture"]
    platform.change_provider(
        "DELETE FROM auth_user_groups WHERE user_id = (SELECT id FROM auth_user WHERE username = ?)", "guest11"
    )
    time.sleep(2.1)  # the test hub asks the provider every 2 s
    browser.client.get(f"{platform.url}/hub/home")
    assert browser.whoami()["groups"] == []


def test_a_disabled_account_is_out_within_the_refresh_age(platform: Platform, browser: Browser) -> None:
    browser.log_in("guest12")
    assert browser.client.get(f"{platform.url}/hub/home").status_code == 200
    platform.change_provider("UPDATE auth_user SET is_active = 0 WHERE username = ?", "guest12")
    time.sleep(2.1)
    assert browser.client.get(f"{platform.url}/hub/home").is_redirect
    event = platform.last_event()
    assert (event.action, event.person, event.reason) == ("refresh", "guest12", "session-ended")
    assert "disabled" in browser.to_code("guest12").text


def test_provision_keeps_what_was_drawn(settings: Settings) -> None:
    first = provider.provision(settings, PEOPLE)
    moved = [replace(PEOPLE[0], groups=("project-forest",)), *PEOPLE[1:]]
    second = provider.provision(settings, moved)
    assert [(a["password"], a["totp_secret"]) for a in first] == [(a["password"], a["totp_secret"]) for a in second]
    assert second[0]["groups"] == ["project-forest"]
    assert len({a["password"] for a in first}) == len(PEOPLE)
    eva = next(a for a in first if a["name"] == "eva")
    assert eva["totp_secret"] == eva["otpauth"] == ""
    assert stat.S_IMODE((settings.var / "provider/accounts.json").stat().st_mode) == 0o600
    parsed = pyotp.parse_uri(first[0]["otpauth"])
    assert isinstance(parsed, pyotp.TOTP) and parsed.secret == first[0]["totp_secret"]


def test_refuses_production(settings: Settings) -> None:
    assert conf.check(settings)[0] == "localhost"
    with pytest.raises(BadSettings, match="production"):
        provider.main(settings.model_copy(update={"environment": "production"}))


@pytest.mark.parametrize("issuer", ["http://login.example:8010", "http://0.0.0.0:8010", "http://localhost:8010/x"])
def test_refuses_to_listen_beyond_loopback(tmp_path: Path, issuer: str) -> None:
    with pytest.raises(BadSettings, match="loopback"):
        provider.main(make_settings(tmp_path, identity={"issuer": issuer}))


def test_codes_cannot_be_guessed(platform: Platform, browser: Browser, other_browser: Browser) -> None:
    page = browser.to_code("guest16")
    right = int(platform.code("guest16"))
    for miss in range(1, 6):
        page = browser.submit(page, code=f"{(right + miss) % 1_000_000:06}")
        assert "Incorrect code" in page.text
    # Neither there nor in a fresh session does the right code help now.
    assert "Too many" in browser.submit(page, code=platform.code("guest16")).text
    fresh = other_browser.to_code("guest16")
    assert "Too many" in other_browser.submit(fresh, code=platform.code("guest16")).text
    assert browser.whoami() == other_browser.whoami() == {}
    other = Browser(platform)
    other.log_in("ben")
    assert other.whoami()["name"] == "ben"
    other.client.close()
