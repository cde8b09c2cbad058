"""The demo's provider: enrolment, guards of the authorisation, second start, and where it refuses to run."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
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
from tests.conftest import ROOT, make_settings
from tests.totp import code_of

from .conftest import Browser, Platform, eventually, with_query


def test_first_login_enrols_once(platform: Platform, browser: Browser, other_browser: Browser) -> None:
    page = browser.submit(browser.to_password(), login="eva", password=platform.accounts["eva"]["password"])
    assert page.url.path == "/enrol/" and "data:image/svg+xml" in page.text
    assert browser.get(f"{platform.url}/hub/home").url.path == "/enrol/"  # no way round it
    page = browser.client.get(page.url)
    secret = re.search(r'<code class="secret">([A-Z2-7=]+)</code>', page.text)
    assert secret
    code = code_of(secret[1])
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
        ({"redirect_uri": "http://localhost:8000/hub/oauth_callback"}, "return address"),
        ({"redirect_uri": "https://evil.example/hub/oauth_callback"}, "return address"),
        ({"redirect_uri": "{registered}/"}, "return address"),
        ({"redirect_uri": "{registered}?x=1"}, "return address"),
        ({"code_challenge": "short"}, "PKCE"),
    ],
)
def test_authorisation_is_refused(
    platform: Platform, browser: Browser, changes: dict[str, str | None], sentence: str
) -> None:
    sent = browser.get(f"{platform.url}/hub/home", until="/identity/o/authorize").headers["Location"]
    registered = f"{platform.url}/hub/oauth_callback"
    changes = {name: value and value.replace("{registered}", registered) for name, value in changes.items()}
    refused = browser.client.get(with_query(sent, **changes))
    assert refused.status_code == 400 and sentence in refused.text
    assert browser.client.get(sent).is_redirect  # the positive control: unchanged, it goes on to the login page


def test_prompt_login_asks_for_both_factors_again(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    sent = browser.get(f"{platform.url}/hub/oauth_login", until="/identity/o/authorize").headers["Location"]
    assert "code" in parse_qs(urlsplit(browser.client.get(sent).headers["Location"]).query)
    again = browser.get(with_query(sent, prompt="login"))
    assert again.url.path == "/login/"
    assert browser.get(sent).url.path == "/login/"


# allauth has them below several prefixes; its own is /accounts.
NOT_OFFERED = (
    *("signup", "password/change", "password/set", "password/reset", "email", "reauthenticate", "login/code/confirm"),
    *("2fa", "2fa/authenticate", "2fa/reauthenticate", "2fa/totp/activate", "2fa/totp/deactivate"),
    *("2fa/recovery-codes", "2fa/recovery-codes/generate", "2fa/recovery-codes/download", "2fa/webauthn/add"),
    "identity/o/api/clients",
)


def test_no_address_weakens_an_account(platform: Platform, browser: Browser) -> None:
    """No sign-up, no other factor than TOTP, no removal of it, no recovery codes, no change of password."""
    issuer = platform.settings.identity.issuer
    browser.log_in(platform.guest())
    for path in NOT_OFFERED:
        for url in (f"{issuer}/{path}", f"{issuer}/{path}/", f"{issuer}/accounts/{path}/"):
            assert browser.client.get(url).status_code == browser.client.post(url).status_code == 404, url
    assert browser.client.get(f"{issuer}/logout/").status_code == 200  # the positive control
    assert platform.kinds_of_factor() == {"totp"}


def test_log_out_ends_both_sessions(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    page = browser.to_provider_logout()
    assert page.url.host == "localhost" and "Log out here too?" in page.text
    assert browser.whoami() == {}
    out = browser.submit(page, action="logout")
    assert str(out.url).startswith(f"{platform.url}/hub/logout")
    assert browser.get(f"{platform.url}/hub/home").url.path == "/login/"
    assert platform.reasons(name, "logout") == [""]


def test_a_group_taken_away_is_gone_soon(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    assert browser.whoami()["groups"] == ["project-agriculture"]
    platform.change_provider(
        "DELETE FROM auth_user_groups WHERE user_id = (SELECT id FROM auth_user WHERE username = ?)", name
    )
    eventually(lambda: browser.whoami()["groups"] == [])


def test_a_disabled_account_is_out_soon(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    assert browser.client.get(f"{platform.url}/hub/home").status_code == 200
    platform.change_provider("UPDATE auth_user SET is_active = 0 WHERE username = ?", name)
    eventually(lambda: browser.client.get(f"{platform.url}/hub/home").is_redirect)
    # A request of theirs finds out, or the sweeper.
    eventually(lambda: "session-ended" in platform.reasons(name, "refresh") + platform.reasons(name, "revoke"))
    assert "disabled" in browser.to_code(name).text


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
    guest = platform.guest()
    page = browser.to_code(guest)
    right = int(platform.code(guest))
    for miss in range(1, 6):
        page = browser.submit(page, code=f"{(right + miss) % 1_000_000:06}")
        assert "Incorrect code" in page.text
    # Neither there nor in a fresh session does the right code help now.
    assert "Too many" in browser.submit(page, code=platform.code(guest)).text
    fresh = other_browser.to_code(guest)
    assert "Too many" in other_browser.submit(fresh, code=platform.code(guest)).text
    assert browser.whoami() == other_browser.whoami() == {}
    other = Browser(platform)
    other.log_in("ben")
    assert other.whoami()["name"] == "ben"
    other.client.close()


@pytest.mark.parametrize("factor", ["code", "password"])
def test_guesses_of_several_browsers_count_together(platform: Platform, factor: str) -> None:
    name = platform.guest()
    for _ in range(5):
        guesser = Browser(platform)
        page = guesser.to_code(name) if factor == "code" else guesser.to_password()
        wrong = f"{(int(platform.code(name)) + 1) % 1_000_000:06}"
        fields = {"code": wrong} if factor == "code" else {"login": name, "password": wrong}
        assert "correct" in guesser.submit(page, **fields).text
    owner = Browser(platform)
    page = owner.log_in(name) if factor == "code" else owner.to_code(name)
    assert "Too many" in page.text
    assert owner.whoami() == {}
    other = Browser(platform)
    other.log_in(platform.guest())  # the positive control: others are not kept out
    assert other.whoami()


def test_operators_commands(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    assert "unknown" not in bdap(platform, "group", name, "+bdap-admins", "-project-agriculture").stdout
    assert bdap(platform, "group", name, "+other").stdout.startswith(f"{name}: bdap-admins, other.")
    refused = bdap(platform, "group", name, "bdap-admins")
    assert refused.returncode == 1 and "+GROUP" in refused.stderr
    assert "knows no 'nobody'" in bdap(platform, "disable", "nobody").stderr
    assert browser.whoami()["name"] == name
    assert "The hub has been told" in bdap(platform, "disable", name).stdout
    assert browser.whoami() == {}  # at once, by back-channel logout
    assert "disabled" in Browser(platform).to_code(name).text
    assert bdap(platform, "enable", name).returncode == 0
    fresh = Browser(platform)
    fresh.log_in(name)
    assert set(fresh.whoami()["groups"]) == {"bdap-admins", "other"}


def bdap(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`bdap demo ...` for this platform."""
    config = platform.settings.var / "bdap.yaml"
    config.write_text(platform.settings.model_dump_json())  # JSON is YAML
    environment = {"PATH": os.environ["PATH"], "BDAP_CONFIG": str(config), "PYTHONPATH": str(ROOT)}
    command = [str(Path(sys.executable).parent / "bdap"), "demo", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
