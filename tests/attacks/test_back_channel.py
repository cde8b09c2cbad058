"""Logout tokens that end nobody's session: each flaw by its own reason; the same token without it ends the session."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.attacks import forgery
from tests.attacks.cases import each_flaw_has_its_own_reason, let_in, reasons
from tests.attacks.hostile_provider import HostileProvider, changed
from tests.attacks.platform import Browser, Platform
from tests.attacks.test_token import later

EVENT = "http://schemas.openid.net/event/backchannel-logout"
ADDRESS, ACTION = "/hub/backchannel_logout", "back-channel-logout"
Forge = Callable[[HostileProvider, dict[str, Any]], str]


def honest(provider: HostileProvider, claims: dict[str, Any]) -> str:
    """As the provider signs them."""
    return provider.signed(claims, typ="logout+jwt")


@dataclass(frozen=True)
class Case:
    """A logout token with one flaw: its claims are changed, or it is made otherwise."""

    name: str
    reason: str
    changes: dict[str, Any] = field(default_factory=dict)
    forge: Forge = honest

    @property
    def flaw(self) -> str:
        """What is wrong, however it is done."""
        return self.name.partition(":")[0]


def as_id_token(provider: HostileProvider, claims: dict[str, Any]) -> str:
    """What the person's login brought: signed by the right key, for us, just now."""
    kept = {name: value for name, value in claims.items() if name != "events"}
    return provider.signed({**kept, "nonce": "n", "amr": ["pwd", "otp", "mfa"], "auth_time": claims["iat"]})


CASES = (
    Case("not signed", "not-signed", forge=lambda p, c: forgery.unsigned(c, {"alg": "none", "kid": p.kid})),
    Case("shared secret", "shared-secret", forge=lambda p, c: forgery.hs256(
        c, forgery.pem(p.keys[p.kid]), {"kid": p.kid})),
    Case("bad signature", "bad-signature", forge=lambda p, c: forgery.rs256(c, p.stranger, {"kid": p.kid})),
    Case("unknown key", "unknown-key", forge=lambda p, c: forgery.rs256(c, p.stranger, {"kid": "stranger"})),
    Case("key in the token", "key-in-token", forge=lambda p, c: forgery.rs256(
        c, p.stranger, {"kid": p.kid, "jwk": forgery.public(p.stranger, p.kid)})),
    Case("a token of another kind", "wrong-type", forge=lambda p, c: p.signed(c, typ="at+jwt")),
    Case("not a token: text", "malformed", forge=lambda p, c: "a.b.c"),
    Case("not a token: jti is a number", "malformed", {"jti": 7}),
    Case("wrong issuer", "wrong-issuer", {"iss": "https://evil.example"}),
    Case("no issuer", "missing-iss", {"iss": None}),
    Case("wrong audience", "wrong-audience", {"aud": "other"}),
    Case("several audiences", "several-audiences", {"aud": ["bdap-hub", "other"]}),
    Case("no audience", "missing-aud", {"aud": None}),
    Case("issued long ago", "too-old", {"iat": later(-7200)}),
    Case("from the future", "not-yet-valid", {"iat": later(300)}),
    Case("no issue time", "missing-iat", {"iat": None}),
    Case("expired", "expired", {"exp": later(-60)}),
    Case("no expiry", "missing-exp", {"exp": None}),
    Case("no event: absent", "missing-events", {"events": None}),
    Case("no event: an id_token", "missing-events", forge=as_id_token),
    Case("another event: another", "no-logout-event", {"events": {"https://evil.example/event": {}}}),
    Case("another event: a text", "no-logout-event", {"events": EVENT}),
    Case("another event: a list", "no-logout-event", {"events": [EVENT]}),
    Case("another event: not an object", "no-logout-event", {"events": {EVENT: True}}),
    Case("a nonce: text", "nonce-present", {"nonce": "n"}),
    Case("a nonce: empty", "nonce-present", {"nonce": ""}),
    Case("no jti: absent", "missing-jti", {"jti": None}),
    Case("no jti: empty", "missing-jti", {"jti": ""}),
    Case("jti too long", "bad-jti", {"jti": "j" * 256}),
    Case("nobody named", "nobody-named", {"sub": None, "sid": None}),
    Case("sid is no text", "bad-sid", {"sid": ["s"]}),
)  # fmt: skip


def token(platform: Platform, person: str, case: Case) -> str:
    """A logout token about that person."""
    provider = platform.provider
    right = {
        "iss": provider.issuer,
        "aud": provider.client_id,
        "iat": int(time.time()),
        "exp": int(time.time()) + 120,
        "jti": secrets.token_hex(8),
        "events": {EVENT: {}},
        "sub": provider.subject(person),
        "sid": provider.sid_of(person),
    }
    made = case.forge(provider, changed(right, case.changes))
    provider.remember("logout token", made)
    return made


def send(platform: Platform, *tokens: str) -> httpx.Response:
    """As the provider would."""
    return platform.client.post(f"{platform.url}{ADDRESS}", data={"logout_token": list(tokens)})


@pytest.fixture(scope="module")
def stays(platform: Platform) -> Browser:
    """Somebody whom no bad token logs out."""
    browser = Browser(platform, "stays")
    let_in(platform, browser, "stays")
    return browser


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(platform: Platform, stays: Browser, case: Case) -> None:
    if not stays.whoami():  # an earlier case failed: it shall not fail the others
        let_in(platform, stays, "stays")
    before = platform.mark()
    answer = send(platform, token(platform, "stays", case))
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_request", answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert reasons(platform, before, ACTION) == [case.reason]
    assert stays.whoami() == "stays"


def test_each_flaw_has_its_own_reason() -> None:
    each_flaw_has_its_own_reason(CASES)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{}, {"sid": None}, {"sub": None}, {"aud": ["bdap-hub"]}], ids=str)
def test_without_a_flaw_it_ends_the_session(
    platform: Platform, browser_of: Callable[[str], Browser], changes: dict[str, Any]
) -> None:
    """The control; and the same token again, when the person is back, is a replay."""
    browser = browser_of("leaver")
    let_in(platform, browser, "leaver")
    copy = browser.cookies()
    right = token(platform, "leaver", Case("right", "", changes))
    assert send(platform, right).status_code == 200
    assert browser.whoami() == "" and browser.whoami(copy) == ""
    let_in(platform, browser, "leaver")
    before = platform.mark()
    assert send(platform, right).status_code == 400
    assert reasons(platform, before, ACTION) == ["replayed"]
    assert browser.whoami() == "leaver"


def test_a_session_of_somebody_else_is_not_ended(platform: Platform, stays: Browser) -> None:
    for changes in ({"sub": "sub-another"}, {"sub": "SUB-STAYS"}, {"sub": None, "sid": "another"}):
        assert send(platform, token(platform, "stays", Case("about another", "", changes))).status_code == 200
    assert stays.whoami() == "stays"


def test_only_a_form_with_one_token(platform: Platform, stays: Browser) -> None:
    right = token(platform, "stays", Case("right", ""))
    url, before = f"{platform.url}{ADDRESS}", platform.mark()
    client = platform.client
    assert client.get(url, params={"logout_token": right}).status_code == 405
    assert client.post(url, params={"logout_token": right}).status_code == 400
    assert client.post(url, json={"logout_token": right}).status_code == 400
    assert send(platform, right, right).status_code == 400
    assert send(platform, "x" * 20_000).status_code == 400
    assert reasons(platform, before, ACTION) == ["no-logout-token"] * 3 + ["too-large"]
    assert stays.whoami() == "stays"
