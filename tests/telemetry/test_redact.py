"""What is cut out of a log, and what stays: a log that says nothing helps nobody."""

from __future__ import annotations

import io
import json
import logging
import time
from typing import Any

import pytest

from bdap_hub import telemetry
from bdap_hub.telemetry import LONGEST, redact

S = "Zx81kQp0vLmN7rT2"  # stands for the secret
JWT = "eyJhbGciOiJQUzUxMiJ9.eyJzdWIiOiJhbmEiLCJpc3MiOiJ4In0.c2lnbmF0dXJl"
CLAIMS = {"iss": "https://idp.example", "sub": S, "aud": "bdap-hub", "exp": 1, "realm": {"roles": ["a"]}}

CUT = {
    # addresses
    "query": f"GET /hub/oauth_callback?code={S}&state=abcdef (ana@127.0.0.1)",
    "state in a query": f"/hub/oauth_callback?iss=https%3A%2F%2Fx&state={S}",
    "signed tile": f"GET /tiles/1?sig={S}",
    "ticket": f"GET /open?ticket={S} 302",
    "id_token_hint": f"https://idp/logout?client_id=x&id_token_hint={S}",
    "address within an address": f"/hub/error/503?url=%2Fhub%2Foauth_callback%3Fcode%3D{S}%26state%3Dx",
    "second of an address within": f"/hub/login?next=%2Foauth_callback%3Fa%3D1%26state%3D{S}",
    "encoded twice": f"/x?next=%252Fcb%253Fcode%253D{S}%2526a",
    "token in a query": f"http://127.0.0.1:8888/lab?token={S}",
    "database's password": f"postgresql+psycopg://bdap:{S}@db.example/bdap",
    "otpauth": f"otpauth://totp/BDAP:ana?secret={S}&issuer=BDAP",
    "otpauth encoded": f"/qr?data=otpauth%3A%2F%2Ftotp%2FBDAP%3Aana%3Fsecret%3D{S}",
    # headers
    "bearer": f"Authorization: Bearer {S}",
    "hub's token": f"headers Authorization: token {S}",
    "basic": f"authorization: Basic {S}=",
    "header of a dump": json.dumps({"Authorization": f"token {S}", "Accept": "*/*"}, indent=2),
    "unknown scheme": json.dumps({"Authorization": S}),
    "cookies of a dump": json.dumps({"Host": "x", "Cookie": f"a=1; jupyterhub-session-id={S}"}),
    "cookies of a dictionary": repr({"Cookie": f"b={S}; c=2"}),
    "cookies with quotes": json.dumps({"Cookie": f'jupyterhub-hub-login="2|1:0|{S}"; x={S}'}),
    "raw headers": repr([(b"host", b"x"), (b"cookie", f"a={S}".encode())]),
    "plain header": f"Cookie: a=1; b={S}",
    "set-cookie": f"Set-Cookie: jupyterhub-session-id={S}; HttpOnly",
    "set-cookie of a dump": json.dumps({"Set-Cookie": f"x={S}; Path=/"}),
    "xsrf header": f"X-XSRFToken: {S}",
    "csrf header of a dump": repr({"X-CSRFToken": S}),
    # cookies and form fields by name
    "session cookie": f"got jupyterhub-session-id={S}",
    "signed cookie": f"value 2|1:0|10:1790000000|4:user|8:{S}|0a1b",
    "JupyterHub's XSRF id": f"Setting new xsrf cookie for b'{'0a' * 16}:{S}' {{'path': '/'}}",
    "begun login": f"bdap-login-Ab3={S}",
    "xsrf field": f"_xsrf={S}&next=",
    "csrf field": f"csrfmiddlewaretoken={S}",
    "password field": f"login=ana&password={S}",
    # JSON, dictionaries, and their encoded forms
    "json": json.dumps({"access_token": S, "token_type": "bearer"}),
    "json in json": json.dumps(json.dumps({"refresh_token": S})),
    "json encoded": f"%7B%22access_token%22%3A%22{S}%22%7D",
    "dictionary": repr({"client_secret": S}),
    "arguments": repr({"code": [S.encode()], "state": [b"x"]}),
    "oauthlib": f"Created authorization code grant {{'code': '{S}', 'state': 'x'}} for request",
    "code_verifier": json.dumps({"code_verifier": S}),
    "client_assertion": f"client_assertion_type=jwt-bearer&client_assertion={S}",
    "logout_token": f"logout_token={S}",
    "logout_token of a form": repr({"logout_token": [S.encode()]}),
    "assertion": json.dumps({"assertion": S}),
    "saml": f"SAMLResponse={S}",
    "nonce": json.dumps({"nonce": S}),
    "second factor's secret": repr({"totp_secret": S}),
    "second factor's code": "login with code=492817 failed",
    "second factor's code of a form": "{'code': ['492817']}",
    "recovery code": f"recovery_codes={S}",
    "environment": f"JUPYTERHUB_API_TOKEN={S} PATH=/bin",
    "dump of the environment": repr({"CONFIGPROXY_AUTH_TOKEN": S}),
    "plain text": f"no such token: {S}",
    "unknown code": f"No such code: {S}",
    "what xsrf is bound to": f"Setting new xsrf cookie for b'{S}:4b3c' {{'path': '/hub/'}}",
    "what xsrf was bound to": f"xsrf id mismatch b'old:1' != b'{S}:4b3c'",
    # by shape
    "id_token": f"expired: {JWT}",
    "half a token": f"header {JWT.split('.')[0]}",
    "claims": f"claims {CLAIMS}",
    "claims as json": f"claims {json.dumps(CLAIMS)} refused",
    "private key": f"-----BEGIN PRIVATE KEY-----\n{S}\n-----END PRIVATE KEY-----",
    "private key cut off": f"-----BEGIN RSA PRIVATE KEY-----\n{S}",
}
SECRETS = (S, "492817", JWT.split(".")[0], JWT.split(".")[1])

STAYS = (
    "200 GET /hub/home?next=%2Fhub%2Ftoken (ana@127.0.0.1) 12.31ms",
    "exit code: 137",
    "status code=404 state=running",
    '{"code": "NotAllowed", "message": "ana is not in group bdap-admins"}',
    "login refused (403): wrong-nonce",
    "state: ready, 3 tokens revoked, token authentication, basic authentication failed",
    "Setting cookie jupyterhub-session-id: {'httponly': True, 'path': '/'}",
    "https://idp.example/.well-known/openid-configuration answered 503",
    "image sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "sqlite:////srv/bdap/var/bdap.sqlite",
    "token_type=bearer scope=openid",
    '{"name": "ana", "groups": ["project-agriculture"], "admin": false}',
    "the secret 'oidc-client-secret' is missing: put it in /srv/bdap/var/secrets/oidc-client-secret with mode 600",
    "max_tokens=5 tokens: 12",
    "no token: log in first",
)


@pytest.mark.parametrize("text", CUT.values(), ids=CUT)
def test_secrets_are_cut(text: str) -> None:
    assert any(secret in text for secret in SECRETS)  # the table itself is right
    cleaned = redact(text)
    assert not [secret for secret in SECRETS if secret in cleaned], cleaned
    assert "redacted" in cleaned


@pytest.mark.parametrize("text", [*CUT.values(), f"GET /hub/oauth_callback?code={S}) 302 1234 state={S}"])
def test_what_is_cut_stays_as_it_is(text: str) -> None:
    once = redact(text)
    assert redact(once) == once and "]]" not in once and "[[" not in once


@pytest.mark.parametrize("text", STAYS)
def test_harmless_text_stays(text: str) -> None:
    assert redact(text) == text


def test_what_stands_beside_a_secret_stays() -> None:
    cleaned = redact(f"302 GET /hub/oauth_callback?code={S}&state={S} -> /hub/home (ana@::1)")
    assert cleaned == "302 GET /hub/oauth_callback?code=[redacted]&state=[redacted] -> /hub/home (ana@::1)"
    dump = json.dumps({"Host": "hub", "Cookie": f"a={S}", "Accept": "text/html"})
    assert json.loads(redact(dump)) == {"Host": "hub", "Cookie": "[redacted]", "Accept": "text/html"}


@pytest.mark.parametrize(
    "piece",
    [
        "a-",
        "token ",
        "code:",
        "{",
        "{a",
        "{a}",
        "%26",
        "://a:",
        "eyJ",
        "cookie: ",
        '"code":"',
        "\\",
        "2|1:0|",
        "token=",
    ],
)
def test_nobody_makes_redacting_slow(piece: str) -> None:
    hostile = piece * (LONGEST // len(piece) + 10)
    begun = time.thread_time()
    redact(hostile)
    assert time.thread_time() - begun < 1


def test_long_records_are_cut() -> None:
    assert len(redact("x" * 1_000_000)) < LONGEST + 100
    assert "[983616 more characters]" in redact("x" * 1_000_000)


@pytest.fixture
def written() -> Any:
    """A logger with our filter, and what it has written."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.addFilter(telemetry.Redact())
    logger = logging.Logger("redacted")
    logger.addHandler(handler)
    return logger, text


def test_arguments_of_a_record_are_redacted(written: Any) -> None:
    logger, text = written
    logger.info("sent %s to %s", {"refresh_token": S}, "the provider")
    assert text.getvalue() == "sent {'refresh_token': '[redacted]'} to the provider\n"


def test_tracebacks_are_redacted(written: Any) -> None:
    logger, text = written
    try:
        raise ValueError(f"cannot read {{'access_token': '{S}'}}")
    except ValueError:
        logger.exception("it failed")
    assert "Traceback" in text.getvalue() and "ValueError: cannot read" in text.getvalue()
    assert S not in text.getvalue()


def test_stacks_are_redacted(written: Any) -> None:
    logger, text = written
    logger.info("here", stack_info=True)
    assert "Stack (most recent call last)" in text.getvalue()
