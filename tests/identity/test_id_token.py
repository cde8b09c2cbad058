"""The check of an id_token: each flaw alone is refused with a reason of its own; without the flaw it is let in."""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bdap_hub.access import Requirement
from bdap_hub.identity.assurance import Level, Levels
from bdap_hub.identity.id_token import Expected, IdToken, LoginRefused, key_id, validate

from .tokens import (
    ACCESS_TOKEN,
    CLIENT,
    EC_KEY,
    EXPECTED,
    ISSUER,
    KEYS,
    MFA,
    NONCE,
    RSA_KEY,
    STRANGER,
    at_hash,
    claims,
    public,
    raw,
    signed,
    signed_unchecked,
)


def hs256_with_the_public_key() -> str:
    """The classical confusion: the public key, which everybody has, taken as a shared secret."""
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header, body = {"alg": "HS256", "kid": "rsa"}, claims()
    signing_input = raw(header, body).rsplit(".", 1)[0].encode()
    return raw(header, body, hmac.new(pem, signing_input, hashlib.sha256).digest())


def check(token: Any, expected: Expected = EXPECTED, access_token: str | None = ACCESS_TOKEN) -> IdToken:
    return validate(token, KEYS, expected, nonce=NONCE, access_token=access_token)


@dataclass
class Case:
    name: str
    token: Callable[[], Any]
    reason: str


NOW = time.time
BACK_CHANNEL = "http://schemas.openid.net/event/backchannel-logout"
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)
KEYS = {**KEYS, "weak": public(WEAK, "weak")}


def with_header(**more: Any) -> str:
    """A right token but for its header."""
    header = {"alg": "RS256", "kid": "rsa", **more}
    signing_input = raw(header, claims()).rsplit(".", 1)[0].encode()
    return raw(header, claims(), jwt.get_algorithm_by_name("RS256").sign(signing_input, RSA_KEY))


REFUSED = (
    Case("none at all", lambda: None, "no-id-token"),
    Case("empty", lambda: "", "no-id-token"),
    Case("not a token", lambda: "a.b", "malformed"),
    Case("alg none", lambda: raw({"alg": "none", "kid": "rsa"}, claims()), "not-signed"),
    Case("alg None", lambda: raw({"alg": "None", "kid": "rsa"}, claims()), "not-signed"),
    Case("no alg", lambda: raw({"kid": "rsa"}, claims()), "not-signed"),
    Case("HS256 with the public key", hs256_with_the_public_key, "shared-secret"),
    Case("algorithm not in the list", lambda: signed(claims(), algorithm="RS512"), "wrong-algorithm"),
    Case("algorithm below the key's", lambda: signed(claims(), kid="only-ps512"), "wrong-key-use"),
    Case("key of another kind", lambda: signed(claims(), EC_KEY, "ES256", "rsa"), "wrong-key-use"),
    Case("key for encryption", lambda: signed(claims(), kid="for-encryption"), "wrong-key-use"),
    Case("unknown key", lambda: signed(claims(), STRANGER, kid="stranger"), "unknown-key"),
    Case("no key id", lambda: signed(claims(), kid=None), "no-key-id"),
    Case(
        "key in the token itself",
        lambda: jwt.encode(claims(), STRANGER, "RS256", headers={"kid": "rsa", "jwk": public(STRANGER, "rsa")}),
        "key-in-token",
    ),
    Case("key at an address in the token", lambda: with_header(jku="https://evil.example/keys"), "key-in-token"),
    Case("certificate at an address in the token", lambda: with_header(x5u="https://evil.example/x"), "key-in-token"),
    Case("an extension that must be understood", lambda: with_header(crit=["exp"], exp=1), "critical-header"),
    Case("payload apart", lambda: with_header(crit=["b64"], b64=False), "critical-header"),
    Case("logout token by type", lambda: with_header(typ="logout+jwt"), "wrong-type"),
    Case("access token by type", lambda: with_header(typ="application/at+jwt"), "wrong-type"),
    Case("type as a number", lambda: with_header(typ=7), "wrong-type"),
    Case("key id as a number", lambda: with_header(kid=7), "no-key-id"),
    Case("four parts", lambda: signed(claims()) + ".x", "malformed"),
    Case("header is a list", lambda: "W10." + signed(claims()).partition(".")[2], "malformed"),
    Case("logout token by its claims", lambda: signed(claims(events={BACK_CHANNEL: {}})), "logout-token"),
    Case("weak key", lambda: signed(claims(), WEAK, kid="weak"), "weak-key"),
    Case("bad signature", lambda: signed(claims(), STRANGER), "bad-signature"),
    Case("signature cut off", lambda: signed(claims()).rsplit(".", 1)[0] + ".", "bad-signature"),
    Case("claims exchanged", lambda: _with_other_claims(signed(claims())), "bad-signature"),
    Case("wrong iss", lambda: signed(claims(iss="https://evil.example")), "wrong-issuer"),
    Case("iss with a slash more", lambda: signed(claims(iss=ISSUER + "/")), "wrong-issuer"),
    Case("no iss", lambda: signed(claims(iss=None)), "missing-iss"),
    Case("wrong aud", lambda: signed(claims(aud="other")), "wrong-audience"),
    Case("no aud", lambda: signed(claims(aud=None)), "missing-aud"),
    Case("several aud", lambda: signed(claims(aud=[CLIENT, "other"])), "several-audiences"),
    Case("wrong azp", lambda: signed(claims(azp="other")), "wrong-azp"),
    Case("expired", lambda: signed(claims(exp=int(NOW()) - 60)), "expired"),
    Case("no exp", lambda: signed(claims(exp=None)), "missing-exp"),
    Case("iat in the future", lambda: signed(claims(iat=int(NOW()) + 300)), "not-yet-valid"),
    Case("iat long ago", lambda: signed(claims(iat=int(NOW()) - 7200)), "too-old"),
    Case("no iat", lambda: signed(claims(iat=None)), "missing-iat"),
    Case("wrong nonce", lambda: signed(claims(nonce="other")), "wrong-nonce"),
    Case("no nonce", lambda: signed(claims(nonce=None)), "missing-nonce"),
    Case("nonce as a list", lambda: signed(claims(nonce=[NONCE])), "missing-nonce"),
    Case("at_hash of another token", lambda: signed(claims(at_hash=at_hash("other"))), "wrong-at-hash"),
    Case("no sub", lambda: signed(claims(sub=None)), "missing-sub"),
    Case("empty sub", lambda: signed(claims(sub="")), "bad-subject"),
    Case("sub as a number", lambda: signed_unchecked(claims(sub=7)), "bad-subject"),
    Case("no amr", lambda: signed(claims(amr=None)), "mfa-not-stated"),
    Case("amr as a text", lambda: signed(claims(amr="mfa")), "amr-not-a-list"),
    Case("amr of numbers", lambda: signed(claims(amr=[1])), "amr-not-a-list"),
    Case("password alone", lambda: signed(claims(amr=["pwd"])), "mfa-not-proven"),
    Case("two factors of one kind", lambda: signed(claims(amr=["pwd", "kba"])), "mfa-not-proven"),
    Case("amr empty", lambda: signed(claims(amr=[])), "mfa-not-proven"),
    Case("acr basic", lambda: signed(claims(amr=None, acr="https://ecas.ec.europa.eu/loa/basic")), "mfa-not-proven"),
    Case("acr unknown", lambda: signed(claims(amr=None, acr="urn:unknown")), "mfa-not-proven"),
    Case("acr as a list", lambda: signed(claims(acr=["urn:mfa"])), "acr-not-a-text"),
    Case("acr as true", lambda: signed(claims(amr=None, acr=True)), "acr-not-a-text"),
    Case("auth_time in the future", lambda: signed(claims(auth_time=int(NOW()) + 300)), "auth-time-in-future"),
    Case("auth_time as true", lambda: signed(claims(auth_time=True)), "bad-auth-time"),
    Case("auth_time no number at all", lambda: signed(claims(auth_time=math.nan)), "bad-auth-time"),
    Case("auth_time endless", lambda: signed(claims(auth_time=math.inf)), "bad-auth-time"),
    Case("iat as true", lambda: signed_unchecked(claims(iat=True)), "bad-iat"),
    Case("sub too long", lambda: signed(claims(sub="a" * 256)), "bad-subject"),
    Case("auth_time as a text", lambda: signed(claims(auth_time="now")), "bad-auth-time"),
    Case("groups as a text", lambda: signed(claims(groups="bdap-admins")), "bad-groups"),
    Case("groups with a number", lambda: signed(claims(groups=["a", 1])), "bad-groups"),
)


NO_NAMES = ("", "Ana", "20001", ".ana", "../ana", "ana\n", "аna", "a" * 65, 7, ["ana"], None)


@pytest.mark.parametrize("stated", NO_NAMES)
def test_what_is_no_name_here_names_nobody(stated: Any) -> None:
    """It is refused where an account would be made, as those that exist keep their names: see test_authenticator."""
    named = replace(EXPECTED, username_claim="nick")
    assert check(signed(claims(nick=stated)), named).username == ""
    assert check(signed(claims(nick="ana-2")), named).username == "ana-2"


def _with_other_claims(token: str) -> str:
    header, _, signature = token.split(".")
    other = raw({}, claims(sub="olga")).split(".")[1]
    return f"{header}.{other}.{signature}"


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case: Case) -> None:
    with pytest.raises(LoginRefused) as refused:
        check(case.token())
    assert refused.value.reason == case.reason
    assert refused.value.status == 403 and len(refused.value.message) > 20


@pytest.mark.parametrize(
    "token",
    [
        lambda: signed(claims()),
        lambda: signed(claims(), algorithm="PS512"),
        lambda: signed(claims(), algorithm="PS512", kid="only-ps512"),
        lambda: signed(claims(), EC_KEY, "ES256", "ec"),
        lambda: signed(claims(aud=[CLIENT])),
        lambda: signed(claims(azp=CLIENT, auth_time=int(time.time()))),
        lambda: signed(claims(at_hash=at_hash(ACCESS_TOKEN))),
        lambda: signed(claims(at_hash=at_hash(ACCESS_TOKEN, "PS512")), algorithm="PS512"),
        lambda: signed(claims(exp=int(time.time()) - 5)),  # within the accepted clock difference
        lambda: with_header(typ="JWT"),
        lambda: with_header(typ="application/jwt"),
        lambda: with_header(x5t="fingerprint-of-a-certificate"),
    ],
)
def test_let_in(token: Callable[[], str]) -> None:
    proven = check(token())
    assert (proven.subject, proven.username, proven.display_name) == ("ana", "ana", "Ana Analyst")
    assert proven.groups == {"project-agriculture"} and "mfa" in proven.amr


def test_at_hash_needs_its_access_token() -> None:
    with pytest.raises(LoginRefused, match="access token"):
        check(signed(claims(at_hash=at_hash(ACCESS_TOKEN))), access_token=None)


def test_every_required_method_has_to_be_there() -> None:
    strict = Expected(ISSUER, CLIENT, EXPECTED.algorithms, Levels((Level("k", amr=(frozenset({"mfa", "hwk"}),)),)))
    with pytest.raises(LoginRefused) as refused:
        check(signed(claims()), strict)
    assert refused.value.reason == "mfa-not-proven"
    assert check(signed(claims(amr=["hwk", "pin", "mfa"])), strict).username == "ana"


def test_an_empty_policy_lets_nobody_in() -> None:
    with pytest.raises(LoginRefused):
        check(signed(claims()), Expected(ISSUER, CLIENT, EXPECTED.algorithms, Levels(())))


def test_absent_groups_and_name() -> None:
    proven = check(signed(claims(groups=None, name=None)))
    assert proven.groups == frozenset() and proven.display_name == "ana"


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ({"name": "Ana  Analyst\n"}, "Ana Analyst"),
        ({"name": None, "given_name": "Ana", "family_name": "Analyst"}, "Ana Analyst"),
        ({"name": None, "family_name": "Analyst"}, "Analyst"),
        ({"name": ["Ana"], "given_name": "x"}, "ana"),
        ({"name": "a\u202eb"}, "ana"),  # turns the direction of writing
        ({"name": "x" * 500}, "x" * 200),
    ],
)
def test_the_name_to_show(stated: dict[str, Any], shown: str) -> None:
    assert check(signed(claims(**stated))).display_name == shown


def test_key_id() -> None:
    assert key_id(signed(claims())) == "rsa"


def test_level_by_acr_alone() -> None:
    proven = check(signed(claims(amr=None, acr="urn:mfa")))
    assert (proven.level, proven.acr, proven.amr) == ("mfa", "urn:mfa", ())


def test_without_a_key_id_only_the_only_key_will_do() -> None:
    nameless = signed(claims(), kid=None)
    assert key_id(nameless) == ""
    for keys in ({"rsa": KEYS["rsa"]}, {"#0": {k: v for k, v in KEYS["rsa"].items() if k != "kid"}}):
        assert validate(nameless, keys, EXPECTED, nonce=NONCE).username == "ana"
        with pytest.raises(LoginRefused) as refused:
            validate(signed(claims(), STRANGER, kid=None), keys, EXPECTED, nonce=NONCE)
        assert refused.value.reason == "bad-signature"
    for keys in ({}, KEYS):
        with pytest.raises(LoginRefused) as refused:
            validate(nameless, keys, EXPECTED, nonce=NONCE)
        assert refused.value.reason == "no-key-id"


TWO = replace(EXPECTED, levels=Levels((*MFA.levels, Level("high", frozenset({"urn:high"})))))


@pytest.mark.parametrize(
    ("demand", "changes", "reason"),
    [
        (Requirement("high"), {}, "level-too-low"),
        (Requirement("high"), {"acr": "urn:mfa"}, "level-too-low"),
        (Requirement("unknown"), {"acr": "urn:high"}, "level-too-low"),
        (Requirement("high"), {"acr": "urn:high"}, ""),
        (Requirement("mfa"), {"acr": "urn:high"}, ""),
        (Requirement(max_age=60), {}, "auth-time-missing"),
        (Requirement(max_age=60), {"auth_time": -100}, "auth-time-stale"),
        (Requirement(max_age=60), {"auth_time": -80}, ""),  # within the accepted clock difference
        (Requirement(max_age=60), {"auth_time": 0}, ""),
        (Requirement("high", 60), {"auth_time": 0}, "level-too-low"),
        (Requirement("high", 60), {"acr": "urn:high", "auth_time": -100}, "auth-time-stale"),
        (Requirement("high", 60), {"acr": "urn:high", "auth_time": 0}, ""),
    ],
)
def test_step_up(demand: Requirement, changes: dict[str, Any], reason: str) -> None:
    if "auth_time" in changes:
        changes = {**changes, "auth_time": int(NOW()) + changes["auth_time"]}
    token = signed(claims(**changes))
    if not reason:
        assert validate(token, KEYS, TWO, nonce=NONCE, demand=demand).subject == "ana"
        return
    with pytest.raises(LoginRefused) as refused:
        validate(token, KEYS, TWO, nonce=NONCE, demand=demand)
    assert refused.value.reason == reason
