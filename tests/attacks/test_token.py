"""Bad id_tokens: each flaw is refused with a reason of its own, and the same login without it is let in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.attacks import forgery
from tests.attacks.cases import Case, each_flaw_has_its_own_reason, let_in, refused_then_let_in
from tests.attacks.hostile_provider import Bend, HostileProvider
from tests.attacks.platform import Browser, Platform


def later(seconds: float) -> Callable[[], int]:
    """A claim's value: the time so much later than when it is asked."""
    return lambda: int(time.time() + seconds)


def unsigned(alg: str | None, signature: bytes = b"") -> Bend:
    """A token whose header says `alg`."""
    header = {"alg": alg} if alg else {}
    return Bend(forge=lambda p, claims: forgery.unsigned(claims, {"typ": "JWT", "kid": p.kid, **header}, signature))


def stranger(**header: Any) -> Bend:
    """A token that the provider did not sign, its key named, or brought along, in the header."""

    def forge(provider: HostileProvider, claims: dict[str, Any]) -> str:
        values = {name: value(provider) if callable(value) else value for name, value in header.items()}
        return forgery.rs256(claims, provider.stranger, {"kid": provider.kid, **values})

    return Bend(forge=forge)


def shared(secret: Callable[[HostileProvider], bytes]) -> Bend:
    """A token signed with a secret that others may know."""
    return Bend(forge=lambda p, claims: forgery.hs256(claims, secret(p), {"kid": p.kid}))


def header(**values: Any) -> Bend:
    """A token that the provider signed, with an unusual header."""
    return Bend(forge=lambda p, claims: p.signed(claims, **values))


def own_key(provider: HostileProvider) -> dict[str, Any]:
    """The stranger's key, under the name of the provider's."""
    return forgery.public(provider.stranger, provider.kid)


def altered(token: str, claims: dict[str, Any]) -> str:
    """Other claims under a signature that was right."""
    header, _, signature = token.split(".")
    return ".".join((header, forgery.unsigned(claims, {}).split(".")[1], signature))


def claims(**changes: Any) -> Bend:
    """A token rightly signed, with claims changed."""
    return Bend(claims=changes)


SIGNATURE = (
    Case("not signed: none", "not-signed", unsigned("none")),
    Case("not signed: None, capital", "not-signed", unsigned("None")),
    Case("not signed: no alg", "not-signed", unsigned(None)),
    Case("not signed: nOnE with a signature", "not-signed", unsigned("nOnE", b"signed")),
    Case("shared secret: the public key", "shared-secret", shared(lambda p: forgery.pem(p.keys[p.kid]))),
    Case("shared secret: the client secret", "shared-secret", shared(lambda p: p.client_secret.encode())),
    Case("shared secret: empty", "shared-secret", shared(lambda p: b"")),
    Case("algorithm outside the list: RS512", "wrong-algorithm", header(alg="RS512")),
    Case("algorithm below the key's: a PS512 key", "wrong-key-use", header(kid="only-ps512")),
    Case("key in the token: jwk", "key-in-token", stranger(jwk=own_key)),
    Case("key in the token: jku", "key-in-token", stranger(jku=lambda p: f"{p.issuer}/evil-jwks")),
    Case("key in the token: x5u", "key-in-token", stranger(x5u="https://evil.example/cert.pem")),
    Case("unknown key: another name", "unknown-key", stranger(kid="stranger")),
    Case("unknown key: one for encryption", "unknown-key", header(kid="for-encryption")),
    Case("unknown key: a path", "unknown-key", stranger(kid="../../../dev/null")),
    Case("no key named: no kid", "no-key-id", stranger(kid=None)),
    Case("no key named: a list", "no-key-id", stranger(kid=["a"])),
    Case("bad signature: another key's", "bad-signature", stranger()),
    Case("bad signature: cut off", "bad-signature", unsigned("RS256")),
    Case("bad signature: claims exchanged", "bad-signature", Bend(
        forge=lambda p, c: altered(p.signed(c), {**c, "groups": ["bdap-admins"]}))),
    Case("critical header", "critical-header", header(crit=["b64"], b64=False)),
    Case("a token of another kind", "wrong-type", header(typ="logout+jwt")),
    Case("not a token: text", "malformed", Bend(forge=lambda p, c: "a.b")),
    Case("not a token: five parts", "malformed", Bend(forge=lambda p, c: f"{p.signed(c)}.a.b")),
    Case("not a token: claims are a list", "malformed", Bend(forge=lambda p, c: p.signed([c]))),
    Case("not a token: expires as text", "malformed", claims(exp="never")),
    Case("not a token: expires at infinity", "malformed", claims(exp=float("inf"))),
    Case("a logout token", "logout-token", claims(
        events={"http://schemas.openid.net/event/backchannel-logout": {}})),
    Case("no id_token: absent", "no-id-token", Bend(tokens={"id_token": None})),
    Case("no id_token: empty", "no-id-token", Bend(tokens={"id_token": ""})),
    Case("no id_token: an object", "no-id-token", Bend(tokens={"id_token": {"sub": "ana"}})),
)  # fmt: skip
CLAIMS = (
    Case("no issuer", "missing-iss", claims(iss=None)),
    Case("wrong issuer: another", "wrong-issuer", claims(iss="https://evil.example")),
    Case("wrong issuer: a slash more", "wrong-issuer", claims(iss=lambda: "http://localhost/")),
    Case("wrong issuer: a list", "wrong-issuer", claims(iss=["http://localhost"])),
    Case("no audience: absent", "missing-aud", claims(aud=None)),
    Case("no audience: an empty list", "missing-aud", claims(aud=[])),
    Case("wrong audience: another", "wrong-audience", claims(aud="other")),
    Case("wrong audience: a beginning", "wrong-audience", claims(aud="bdap-hu")),
    Case("several audiences: another too", "several-audiences", claims(aud=["bdap-hub", "other"])),
    Case("several audiences: with azp", "several-audiences", claims(aud=["bdap-hub", "other"], azp="bdap-hub")),
    Case("wrong azp: another", "wrong-azp", claims(azp="other")),
    Case("wrong azp: a list", "wrong-azp", claims(azp=["bdap-hub"])),
    Case("no expiry", "missing-exp", claims(exp=None)),
    Case("expired: a minute ago", "expired", claims(exp=later(-60))),
    Case("expired: in 1970", "expired", claims(exp=0)),
    Case("no issue time", "missing-iat", claims(iat=None)),
    Case("from the future: issued", "not-yet-valid", claims(iat=later(300))),
    Case("from the future: not before", "not-yet-valid", claims(nbf=later(300))),
    Case("issued long ago", "too-old", claims(iat=later(-7200), exp=later(7200))),
    Case("issue time is no time: text", "bad-iat", claims(iat="now")),
    Case("issue time is no time: not a number", "bad-iat", claims(iat=float("nan"))),
    Case("no nonce: absent", "missing-nonce", claims(nonce=None)),
    Case("no nonce: empty", "missing-nonce", claims(nonce="")),
    Case("no nonce: a list", "missing-nonce", claims(nonce=["n"])),
    Case("wrong nonce: another", "wrong-nonce", claims(nonce="another")),
    Case("wrong nonce: not ASCII", "wrong-nonce", claims(nonce="ñ")),
    Case("another's access token: at_hash", "wrong-at-hash", claims(at_hash=forgery.at_hash("other"))),
    Case("another's access token: at_hash empty", "wrong-at-hash", claims(at_hash="")),
    Case("another's access token: not ASCII", "wrong-at-hash", claims(at_hash="ñ")),
    Case("another's access token: none came", "wrong-at-hash", Bend(tokens={"access_token": None})),
    Case("no subject", "missing-sub", claims(sub=None)),
    Case("bad subject: empty", "bad-subject", claims(sub="")),
    Case("bad subject: a number", "bad-subject", claims(sub=7)),
    Case("bad subject: a list", "bad-subject", claims(sub=["a"])),
)
CASES = SIGNATURE + CLAIMS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(platform: Platform, browser_of: Callable[[str], Browser], case: Case) -> None:
    refused_then_let_in(platform, browser_of(case.person), case)


def test_each_flaw_has_its_own_reason() -> None:
    each_flaw_has_its_own_reason(CASES)


@pytest.mark.parametrize(
    ("person", "bend"),
    [
        ("aud-as-a-list", claims(aud=["bdap-hub"])),
        ("azp-stated", claims(azp="bdap-hub")),
        ("within-the-clock-difference", claims(exp=later(-5), iat=later(5))),
        ("without-at-hash", claims(at_hash=None)),
        ("ps512", replace(header(alg="PS512", kid="only-ps512"), claims={"at_hash": None})),
    ],
)
def test_let_in_where_the_standard_allows_it(
    platform: Platform, browser_of: Callable[[str], Browser], person: str, bend: Bend
) -> None:
    with platform.provider.bent(person, bend):
        let_in(platform, browser_of(person), person)


def test_a_new_key_serves_without_a_restart(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    provider = platform.provider
    let_in(platform, browser_of("before-rotation"), "before-rotation")
    old = provider.kid
    provider.rotate()
    platform.wait(lambda: browser_of("after-rotation").log_in().status_code == 302, 5, "a login with the new key")
    with platform.provider.bent("old-key", Bend(forge=lambda p, c: forgery.rs256(c, p.keys[old], {"kid": old}))):
        let_in(platform, browser_of("old-key"), "old-key")  # both are published


def test_a_withdrawn_key_serves_no_more(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    provider = platform.provider
    old, key = provider.kid, provider.keys[provider.kid]
    provider.rotate(keep=False)
    platform.wait(lambda: browser_of("new-key").log_in().status_code == 302, 5, "a login with the new key")
    case = Case("withdrawn key", "unknown-key", Bend(forge=lambda p, c: forgery.rs256(c, key, {"kid": old})))
    refused_then_let_in(platform, browser_of(case.person), case)


def test_the_keys_are_not_to_be_had(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    """With the last good copy logins go on; a key that is not in it is not believed, and works when they are back."""
    provider = platform.provider
    provider.down = {"/jwks"}
    try:
        let_in(platform, browser_of("outage"), "outage")
        provider.rotate()
        answer = browser_of("outage-new-key").log_in()
        assert answer.status_code == 403 and not platform.known("outage-new-key")
    finally:
        provider.down = set()
    platform.wait(lambda: browser_of("outage-new-key").log_in().status_code == 302, 10, "a login after the outage")
