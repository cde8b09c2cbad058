"""Nothing secret is written: not in the logs of this whole run, not in the audit log, not in our own database.

The name puts this file last, so that it reads what all the others have caused to be written.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.attacks.cases import let_in
from tests.attacks.hostile_provider import Bend
from tests.attacks.platform import Browser, Platform, query, with_query


@pytest.fixture(scope="module", autouse=True)
def everything_happened(platform: Platform) -> None:
    """Should this file run alone: a login, refusals of each kind, a failure of the provider, pages, a logout."""
    browser = Browser(platform, "writer")
    for bend in (
        Bend(forge=lambda p, c: p.signed({**c, "exp": 1})),
        Bend(claims={"sub": None}),
        Bend(token_status=500),
    ):
        with platform.provider.bent("writer", bend):
            browser.log_in()
    address = browser.authorise(browser.begin())
    browser.get(with_query(address, iss="https://evil.example"))
    browser.get(address)
    browser.get(f"/hub/nowhere?{address.partition('?')[2]}")
    browser.client.post(address)
    let_in(platform, browser, "writer")
    token = platform.api("POST", "/users/writer/tokens", json={"note": "test"}).json()["token"]
    platform.provider.remember("API token", token)
    platform.api("GET", "/user", token)
    browser.get(f"/hub/api/user?token={token}")
    browser.get("/hub/logout", headers={"Sec-Fetch-Site": "same-origin"})
    time.sleep(0.5)


def test_the_provider_remembers_what_to_look_for(platform: Platform) -> None:
    """The control: each kind of secret was there to be leaked, and the logs were written at their most talkative."""
    kinds = {what.partition(" ")[0] for what in platform.provider.seen.values()}
    assert kinds >= {"code", "state", "nonce", "access", "refresh", "id_token", "claim", "client", "cookie", "API"}
    assert platform.logs.count("/hub/oauth_callback") > 5 and "[D " in platform.logs
    assert "writer" in platform.logs


def found_in(platform: Platform, text: str) -> set[str]:
    """Which kinds of secret stand in `text`, whole or by their first 24 characters."""
    return {what for value, what in list(platform.provider.seen.items()) if value[: max(24, len(value) // 2)] in text}


def test_a_leak_would_be_seen(platform: Platform) -> None:
    value, what = next(iter(platform.provider.seen.items()))
    assert found_in(platform, f"GET /x?y={value}") == {what}


def test_no_secret_in_the_logs(platform: Platform) -> None:
    assert found_in(platform, platform.logs) == set()
    for name in ("oidc-client-secret", "hub-crypt-key", "proxy-auth-token", "hub-cookie-secret", "signing"):
        assert platform.settings.secret(name) not in platform.logs, name


def test_no_secret_in_the_audit_log(platform: Platform) -> None:
    text = "\n".join(json.dumps([e.person, e.subject, e.reason, e.address]) for e in platform.events())
    assert "writer" in text and found_in(platform, text) == set()


def test_no_secret_in_our_database(platform: Platform) -> None:
    text = dump(platform.settings.var / "bdap.sqlite")
    assert "identity_sessions" in text and "writer" in text and found_in(platform, text) == set()


def test_no_token_in_the_hubs_database(platform: Platform) -> None:
    """What is kept to ask the provider again is encrypted; tokens and cookies are kept as digests."""
    text = dump(platform.settings.var / "hub.sqlite")
    assert "encrypted_auth_state" in text and "writer" in text and found_in(platform, text) == set()


def dump(database: Path) -> str:
    """All that stands in it, as SQL."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return "\n".join(connection.iterdump())


def test_no_secret_comes_back_on_a_page(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    browser = browser_of("looker")
    address = browser.authorise(browser.begin())
    refused = browser.get(with_query(address, iss="https://evil.example"))
    assert refused.status_code == 403
    assert not any(value in refused.text for value in (query(address)["code"], query(address)["state"]))
