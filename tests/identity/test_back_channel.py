"""Back-channel logout: which logout tokens are refused, with which reason, and what a good one ends."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from bdap_hub import audit, database
from bdap_hub.identity import sessions
from bdap_hub.identity.assurance import Levels
from bdap_hub.identity.back_channel import EVENT, MAX_BYTES, LogoutToken, validate
from bdap_hub.identity.id_token import LoginRefused
from bdap_hub.identity.signed_token import Expected
from bdap_hub.identity.tables import Account, Session

from .conftest import Browser, Platform
from .test_revocation import OPTIONS, working

ISSUER, CLIENT = "https://login.example.eu", "hub"
EXPECTED = Expected(ISSUER, CLIENT, frozenset({"RS256"}), Levels(()))
KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
PUBLIC = {"k": {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "k"}}
EU_LOGIN = pytest.mark.parametrize("platform", ["eulogin-like"], indirect=True)
REMOVED = object()


@dataclass(frozen=True)
class FromNow:
    """A time so many seconds from when the token is made."""

    seconds: float


def logout_token(
    claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None, key: Any = KEY, **made: Any
) -> str:
    """A good logout token of the issuer, but for what is changed or REMOVED."""
    now = time.time()
    good = {"iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": f"{now}", "events": {EVENT: {}}}
    changed = {**good, "sub": "ana", "sid": "s1", **made, **(claims or {})}
    timed = {name: now + value.seconds if isinstance(value, FromNow) else value for name, value in changed.items()}
    stated = {name: value for name, value in timed.items() if value is not REMOVED}
    headers = {"kid": "k", "typ": "logout+jwt", **(header or {})}
    return jwt.encode(stated, key, algorithm="RS256", headers=headers)


GOOD: list[dict[str, Any]] = [
    {},
    {"sub": REMOVED},
    {"sid": REMOVED},
    {"aud": [CLIENT]},
    {"events": {EVENT: {}, "https://example.eu/another": {}}},
]
BAD: dict[str, list[dict[str, Any]]] = {
    "wrong-issuer": [{"iss": "https://evil.example"}],
    "missing-iss": [{"iss": REMOVED}],
    "wrong-audience": [{"aud": "another"}],
    "several-audiences": [{"aud": [CLIENT, "another"]}],
    "missing-aud": [{"aud": REMOVED}],
    "missing-iat": [{"iat": REMOVED}],
    "too-old": [{"iat": FromNow(-3600)}],
    "not-yet-valid": [{"iat": FromNow(3600)}],
    "missing-exp": [{"exp": REMOVED}],
    "expired": [{"exp": FromNow(-60)}],
    "missing-jti": [{"jti": REMOVED}, {"jti": ""}],
    "missing-events": [{"events": REMOVED}],
    "no-logout-event": [
        {"events": {}},
        {"events": EVENT},
        {"events": [EVENT]},
        {"events": {EVENT: True}},
        {"events": {"https://example.eu/another": {}}},
    ],
    "nonce-present": [{"nonce": "n"}, {"nonce": None}],
    "nobody-named": [{"sub": REMOVED, "sid": REMOVED}, {"sub": "", "sid": ""}],
    "bad-sid": [{"sid": ["s1"]}, {"sid": "s" * 256}],
}
CASES = [(reason, change) for reason, changes in BAD.items() for change in changes]


@pytest.mark.parametrize("claims", GOOD)
@pytest.mark.parametrize("kind", ["logout+jwt", "JWT", "application/logout+jwt", None])
def test_a_good_token_names_a_login(claims: dict[str, Any], kind: str | None) -> None:
    found = validate(logout_token(claims, {"typ": kind}), PUBLIC, EXPECTED)
    assert found.subject == ("" if claims.get("sub") is REMOVED else "ana")
    assert found.sid == ("" if claims.get("sid") is REMOVED else "s1") and found.jti


@pytest.mark.parametrize(("reason", "claims"), CASES)
def test_a_flawed_token_is_refused(reason: str, claims: dict[str, Any]) -> None:
    with pytest.raises(LoginRefused) as refusal:
        validate(logout_token(claims), PUBLIC, EXPECTED)
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: logout_token(key=OTHER_KEY), "bad-signature"),
        (lambda: logout_token(header={"kid": "other"}), "unknown-key"),
        (lambda: logout_token(header={"typ": "at+jwt"}), "wrong-type"),
        (lambda: jwt.encode({"sub": "ana"}, "", algorithm="none", headers={"kid": "k"}), "not-signed"),
        (lambda: jwt.encode({"sub": "ana"}, "s" * 64, algorithm="HS256", headers={"kid": "k"}), "shared-secret"),
        (lambda: logout_token()[:-8] + "AAAAAAAA", "bad-signature"),
        (lambda: "x", "malformed"),
        (lambda: "", "no-id-token"),
    ],
)
def test_a_token_that_the_provider_did_not_sign_is_refused(make: Callable[[], str], reason: str) -> None:
    assert isinstance(validate(logout_token(), PUBLIC, EXPECTED), LogoutToken)  # the control
    with pytest.raises(LoginRefused) as refusal:
        validate(make(), PUBLIC, EXPECTED)
    assert refusal.value.reason == reason


def test_an_id_token_is_no_logout_token() -> None:
    with pytest.raises(LoginRefused) as refusal:
        validate(logout_token(header={"typ": "JWT"}, events=REMOVED, jti=REMOVED, nonce="n"), PUBLIC, EXPECTED)
    assert refusal.value.reason.startswith("missing-")


class Sender:
    """Signs with the demo provider's key, and sends to the hub as the provider would."""

    def __init__(self, platform: Platform) -> None:
        self.platform, identity = platform, platform.settings.identity
        self.key = (platform.settings.var / "provider/signing-key.pem").read_bytes()
        jwks = httpx.get(f"{identity.issuer}/.well-known/jwks.json", trust_env=False).json()
        self.header = {"kid": jwks["keys"][0]["kid"]}
        self.claims = {"iss": identity.issuer, "aud": identity.client_id}

    def sign(self, subject: str, sid: Any = REMOVED, **claims: Any) -> str:
        return logout_token({**self.claims, "sub": subject, "sid": sid, **claims}, self.header, self.key)

    def post(self, *tokens: str, **more: Any) -> httpx.Response:
        url = f"{self.platform.url}/hub/backchannel_logout"
        return httpx.post(url, data={"logout_token": list(tokens)}, trust_env=False, timeout=20, **more)

    def reason(self) -> str:
        events = audit.latest(database.connect(self.platform.settings.database), 20)
        newest = next(event for event in events if event.action == "back-channel-logout")
        return str(newest.reason) if newest.outcome == "refused" else ""


@pytest.fixture(scope="module")
def sender(platforms: Callable[[str], Platform]) -> Sender:
    return Sender(platforms("demo"))


def subject_of(platform: Platform, name: str) -> str:
    with database.connect(platform.settings.database)() as session:
        return str(session.get(Account, name).subject)


def test_refused_tokens_end_nothing_and_each_says_why(sender: Sender, browser: Browser) -> None:
    name = sender.platform.guest()
    browser.log_in(name)
    subject = subject_of(sender.platform, name)
    for reason, change in (
        ("wrong-audience", {"aud": "another"}),
        ("wrong-issuer", {"iss": "https://evil.example"}),
        ("no-logout-event", {"events": {}}),
        ("nonce-present", {"nonce": "n"}),
        ("too-old", {"iat": FromNow(-3600)}),
        ("missing-jti", {"jti": REMOVED}),
    ):
        answer = sender.post(sender.sign(subject, **change))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert answer.headers["cache-control"] == "no-store" and sender.reason() == reason
    assert sender.post().status_code == 400 and sender.reason() == "no-logout-token"
    good = sender.sign(subject)
    assert sender.post(good, good).status_code == 400 and sender.reason() == "no-logout-token"
    assert sender.post("x" * MAX_BYTES).status_code == 400 and sender.reason() == "too-large"
    assert browser.client.get(f"{sender.platform.url}/hub/backchannel_logout").status_code == 405
    assert browser.whoami()["name"] == name
    accepted = sender.post(good)
    assert (accepted.status_code, accepted.headers["cache-control"]) == (200, "no-store")
    assert browser.whoami() == {}


def test_a_token_serves_once_also_for_many_at_the_same_time(sender: Sender, browser: Browser) -> None:
    name = sender.platform.guest()
    browser.log_in(name)
    token = sender.sign(subject_of(sender.platform, name), jti=f"once-{time.time()}")
    with ThreadPoolExecutor(6) as threads:
        answers = sorted(answer.status_code for answer in threads.map(lambda _: sender.post(token), range(6)))
    assert answers == [200, 400, 400, 400, 400, 400] and sender.reason() == "replayed"


def test_a_token_whose_logout_failed_may_come_again(sender: Sender, browser: Browser) -> None:
    name = sender.platform.guest()
    browser.log_in(name)
    token = sender.sign(subject_of(sender.platform, name), jti=f"again-{time.time()}")
    with sqlite3.connect(sender.platform.settings.var / "bdap.sqlite", timeout=10) as ours:
        ours.execute(
            f"CREATE TRIGGER hindrance BEFORE UPDATE ON identity_sessions WHEN NEW.person = '{name}' "
            "BEGIN SELECT RAISE(ABORT, 'it will not'); END"
        )
        ours.commit()
        assert sender.post(token).status_code == 500 and browser.whoami()["name"] == name
        ours.execute("DROP TRIGGER hindrance")
    assert sender.post(token).status_code == 200 and browser.whoami() == {}
    assert sender.post(token).status_code == 400 and sender.reason() == "replayed"


def test_strangers_are_none_of_our_business(sender: Sender) -> None:
    assert sender.post(sender.sign("nobody-we-know")).status_code == 200
    assert sender.post(sender.sign("", sid="unknown")).status_code == 200


def test_a_session_of_somebody_else_is_not_ended(sender: Sender, browser: Browser, other_browser: Browser) -> None:
    """The provider's name for a session belongs to its person: a token for ana with ben's session ends neither."""
    ana, ben = sender.platform.guest(), sender.platform.guest()
    for who, name, sid in ((browser, ana, "sid-of-ana"), (other_browser, ben, "sid-of-ben")):
        who.log_in(name)
        rename(sender.platform, name, sid)
    assert sender.post(sender.sign(subject_of(sender.platform, ana), "sid-of-ben")).status_code == 200
    assert browser.whoami()["name"] == ana and other_browser.whoami()["name"] == ben
    assert sender.post(sender.sign(REMOVED, "sid-of-ben")).status_code == 200  # the control
    assert browser.whoami()["name"] == ana and other_browser.whoami() == {}


def rename(platform: Platform, name: str, sid: str) -> None:
    """Give somebody's logins the provider's name `sid`."""
    with database.connect(platform.settings.database).begin() as session:
        for row in session.query(Session).filter_by(person=name):
            row.sid = sid


@EU_LOGIN
def test_what_the_provider_says_of_a_login_that_has_ended_is_no_news(
    platform: Platform, browser: Browser, other_browser: Browser
) -> None:
    name = platform.guest()
    other_browser.log_in(name)
    with working(platform, name, OPTIONS) as person:
        rows = sessions.live_of(database.connect(platform.settings.database), name)
        assert len({row.sid for row in rows}) == 2 and all(row.sid for row in rows)
        leave(other_browser)  # here only: what the provider then says of it is no news
        time.sleep(0.5)
        assert all(person.holds().values())
        assert platform.reasons(name, "back-channel-logout") == []


@EU_LOGIN
def test_the_provider_ends_all_logins_and_with_the_last_everything(platform: Platform, other_browser: Browser) -> None:
    name = platform.guest()
    other_browser.log_in(name)
    with working(platform, name, OPTIONS) as person:
        since = time.monotonic()
        platform.provider.end_session(name)
        ended = person.until_nothing(since)
        assert max(ended.values()) <= platform.bound
        assert other_browser.whoami() == {}
    assert platform.reasons(name, "back-channel-logout") == ["logged out at the provider", "one of several logins"]


def leave(browser: Browser) -> None:
    """Log out here and at the provider."""
    browser.log_out()
