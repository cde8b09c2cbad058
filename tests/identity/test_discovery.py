"""Discovery document and keys: checked, cached, rotated, and kept through an outage, also of a restarted hub."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.errors import Unavailable
from bdap_hub.identity import discovery
from bdap_hub.identity.discovery import Provider, read_metadata
from bdap_hub.identity.metadata import public_keys

ISSUER = "https://login.example"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
    "code_challenge_methods_supported": ["plain", "S256"],
    "id_token_signing_alg_values_supported": ["RS256", "PS512"],
    "acr_values_supported": ["urn:mfa", 7],
    "backchannel_logout_supported": True,
}


class Net:
    """Answers as a provider would; `down`, `keys` and `document` change under way, `asked` counts."""

    def __init__(self) -> None:
        self.document: Any = dict(DOCUMENT)
        self.keys: list[Any] = ["a"]
        self.down, self.asked = False, [0, 0]

    async def fetch(self, url: str) -> bytes:
        self.asked[url.endswith("/keys")] += 1
        if self.down:
            raise Unavailable("down")
        keys = {
            "keys": [{"kid": k, "kty": "RSA", "n": "x", "e": "AQAB"} if isinstance(k, str) else k for k in self.keys]
        }
        return json.dumps(keys if url.endswith("/keys") else self.document).encode()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time flies: every copy is old at once, and may be asked for again."""
    for name in ("METADATA_SECONDS", "KEYS_SECONDS", "KEYS_AGAIN_SECONDS", "FAILED_AGAIN_SECONDS"):
        monkeypatch.setattr(discovery, name, -1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"issuer": "https://evil.example"}, "names the issuer 'https://evil.example'"),
        ({"issuer": ISSUER + "/"}, "names the issuer"),
        ({"token_endpoint": None}, "token_endpoint"),
        ({"jwks_uri": "http://login.example/keys"}, "not an https address"),
        ({"token_endpoint": "https://user@login.example/token"}, "token_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
        ({"userinfo_endpoint": 7}, "userinfo_endpoint"),
        ({"end_session_endpoint": "http://login.example/out"}, "end_session_endpoint"),
        ({"code_challenge_methods_supported": ["plain"]}, "we need S256"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "signs id_tokens with HS256, none"),
    ],
)
def test_unusable_documents(change: dict[str, Any], why: str) -> None:
    with pytest.raises(Unavailable, match=why):
        read_metadata({**DOCUMENT, **change}, ISSUER, ["PS512"])
    assert read_metadata(DOCUMENT, ISSUER, ["PS512"]).token_endpoint == f"{ISSUER}/token"


def test_what_is_read() -> None:
    found = read_metadata(DOCUMENT, ISSUER)
    assert found.acr_values == {"urn:mfa"} and not found.states_issuer
    assert found.auth_methods == {"client_secret_basic"} and found.auth_algorithms == frozenset()
    sparse = {name: DOCUMENT[name] for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")}
    assert read_metadata(sparse, ISSUER, ["PS512"]).userinfo_endpoint == ""


def test_public_keys_only() -> None:
    stated = [
        {"kid": "a", "kty": "RSA", "n": "x", "e": "AQAB", "d": "private", "p": "private"},
        {"kid": "secret", "kty": "oct", "k": "shared"},
        {"kid": "enc", "kty": "RSA", "use": "enc"},
        {"kty": "EC", "crv": "P-256", "x": "x", "y": "y"},
        "no key",
    ]
    found = public_keys({"keys": stated})
    assert set(found) == {"a", "#3"} and found["a"] == {"kid": "a", "kty": "RSA", "n": "x", "e": "AQAB"}
    assert public_keys({"keys": "a"}) == public_keys([]) == public_keys(None) == {}


async def test_cached() -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    for _ in range(3):
        assert set(await provider.keys("a")) == {"a"}
    assert net.asked == [1, 1]


async def test_key_rotation_without_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    monkeypatch.setattr(discovery, "KEYS_AGAIN_SECONDS", -1)
    await provider.keys("a")
    net.keys = ["b"]
    assert set(await provider.keys("a")) == {"a"}  # known: not asked again
    assert set(await provider.keys("b")) == {"b"}  # and the old one is gone


async def test_the_only_key_may_change_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    net.keys = [{"kty": "RSA", "n": "old", "e": "AQAB"}]
    provider = Provider(ISSUER, net.fetch)
    monkeypatch.setattr(discovery, "KEYS_AGAIN_SECONDS", -1)
    assert [key["n"] for key in (await provider.keys("")).values()] == ["old"]
    net.keys = [{"kty": "RSA", "n": "new", "e": "AQAB"}]
    assert [key["n"] for key in (await provider.keys("")).values()] == ["new"]


async def test_unknown_keys_do_not_hammer_the_provider() -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    for n in range(20):
        await provider.keys(f"unknown-{n}")
        await provider.keys("")
    assert net.asked == [1, 1]


async def test_strangers_tokens_do_not_use_up_what_logins_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    monkeypatch.setattr(discovery, "KEYS_AGAIN_SECONDS", 0)
    await provider.keys("a")
    monkeypatch.undo()
    for n in range(20):
        await provider.keys(f"unknown-{n}", stranger=True)
    assert net.asked == [1, 2]
    net.keys = ["b"]
    assert set(await provider.keys("b", stranger=True)) == {"a"}
    assert set(await provider.keys("b")) == {"b"}  # a login
    assert set(await provider.keys("b", stranger=True)) == {"b"}
    assert net.asked == [1, 3]


async def test_once_a_minute_a_strangers_key_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    assert set(await provider.keys("a", stranger=True)) == {"a"}
    net.keys = ["b"]
    assert set(await provider.keys("b", stranger=True)) == {"a"}
    monkeypatch.setattr(provider, "_strangers_not_before", time.monotonic())
    assert set(await provider.keys("b", stranger=True)) == {"b"}


async def test_a_provider_that_is_down_is_not_hammered() -> None:
    net = Net()
    net.down = True
    provider = Provider(ISSUER, net.fetch)
    for _ in range(20):
        with pytest.raises(Unavailable, match="down"):
            await provider.keys("a")
    assert net.asked == [1, 0]


async def test_last_good_copy_outlives_an_outage(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    await provider.keys("a")
    net.down = True
    assert set(await provider.keys("a")) == set(await provider.keys("b")) == {"a"}
    assert (await provider.metadata()).issuer == ISSUER
    monkeypatch.setattr(discovery, "LAST_GOOD_SECONDS", -1)  # but not for ever
    with pytest.raises(Unavailable, match="down"):
        await provider.keys("a")
    net.down = False
    monkeypatch.setattr(discovery, "LAST_GOOD_SECONDS", 60)
    assert set(await provider.keys("a")) == {"a"}


@pytest.mark.parametrize("keys", [[], [{"kty": "oct", "k": "x", "kid": "a"}], [7]])
async def test_a_set_without_keys_is_an_outage(impatient: None, keys: list[Any]) -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    await provider.keys("a")
    net.keys = keys
    assert set(await provider.keys("a")) == {"a"}


async def test_a_document_of_another_issuer_is_an_outage(impatient: None) -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    await provider.metadata()
    net.document["issuer"] = "https://evil.example"
    assert (await provider.metadata()).issuer == ISSUER


async def test_a_hub_that_starts_in_an_outage_knows_the_provider(tmp_path: Path) -> None:
    net, kept = Net(), tmp_path / "identity/provider.json"
    net.keys = [{"kid": "a", "kty": "RSA", "n": "x", "e": "AQAB", "d": "private"}]
    await Provider(ISSUER, net.fetch, kept=kept).keys("a")
    assert "private" not in kept.read_text()
    net.down = True
    restarted = Provider(ISSUER, net.fetch, kept=kept)
    assert set(await restarted.keys("a")) == {"a"}
    assert (await restarted.metadata()).token_endpoint == f"{ISSUER}/token"
    with pytest.raises(Unavailable):  # without the file there is nothing to keep
        await Provider(ISSUER, net.fetch).keys("a")


async def test_the_provider_goes_before_the_file(tmp_path: Path) -> None:
    net, kept = Net(), tmp_path / "provider.json"
    await Provider(ISSUER, net.fetch, kept=kept).keys("a")
    state = json.loads(kept.read_text())
    net.keys = ["b"]
    assert set(await Provider(ISSUER, net.fetch, kept=kept).keys("a")) == {"b"}
    net.down = True
    state["keys"]["at"] = time.time() - 90000  # more than a day
    kept.write_text(json.dumps(state))
    with pytest.raises(Unavailable):
        await Provider(ISSUER, net.fetch, kept=kept).keys("a")


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {**state, "issuer": "https://evil.example"},
        lambda state: {**state, "document": {**state["document"], "value": {**DOCUMENT, "issuer": "https://evil"}}},
        lambda state: {**state, "document": {**state["document"], "value": {**DOCUMENT, "jwks_uri": "http://x/keys"}}},
        lambda state: {**state, "keys": 7},
        lambda state: {},
        lambda state: [],
    ],
)
async def test_a_kept_file_is_not_believed_blindly(tmp_path: Path, change: Any) -> None:
    net, kept = Net(), tmp_path / "provider.json"
    await Provider(ISSUER, net.fetch, kept=kept).keys("a")
    kept.write_text(json.dumps(change(json.loads(kept.read_text()))))
    net.down = True
    with pytest.raises(Unavailable):
        await Provider(ISSUER, net.fetch, kept=kept).keys("a")
    net.down = False
    assert set(await Provider(ISSUER, net.fetch, kept=kept).keys("a")) == {"a"}
