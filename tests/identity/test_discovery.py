"""Discovery document and keys: checked, cached, rotated, and kept through an outage."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bdap_hub.errors import Unavailable
from bdap_hub.identity.discovery import Provider, read_metadata

ISSUER = "https://login.example"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
}


class Net:
    """Answers as a provider would; `down` and `keys` change under way, `asked` counts."""

    def __init__(self) -> None:
        self.keys, self.down, self.asked = ["a"], False, [0, 0]

    async def fetch(self, url: str) -> bytes:
        self.asked[url.endswith("/keys")] += 1
        if self.down:
            raise Unavailable("down")
        keys = {"keys": [{"kid": kid, "kty": "RSA"} for kid in self.keys]}
        return json.dumps(keys if url.endswith("/keys") else DOCUMENT).encode()


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"},
        {"issuer": ISSUER + "/"},
        {"token_endpoint": None},
        {"jwks_uri": "http://login.example/keys"},  # plain http under an https issuer
        {"authorization_endpoint": "javascript:alert(1)"},
        {"userinfo_endpoint": 7},
    ],
)
def test_unusable_documents(change: dict[str, Any]) -> None:
    with pytest.raises(Unavailable):
        read_metadata({**DOCUMENT, **change}, ISSUER)
    assert read_metadata(DOCUMENT, ISSUER).token_endpoint == f"{ISSUER}/token"


@pytest.mark.parametrize(
    ("methods", "basic"),
    [(None, True), (["client_secret_post"], False), (["client_secret_post", "client_secret_basic"], True)],
)
def test_client_authentication(methods: list[str] | None, basic: bool) -> None:
    document = {**DOCUMENT, "token_endpoint_auth_methods_supported": methods}
    assert read_metadata(document, ISSUER).basic_auth is basic


async def test_cached() -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    for _ in range(3):
        assert set(await provider.keys("a")) == {"a"}
    assert net.asked == [1, 1]


async def test_key_rotation_without_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    await provider.keys("a")
    net.keys = ["b"]
    monkeypatch.setattr("bdap_hub.identity.discovery.KEYS_AGAIN_SECONDS", -1)
    assert set(await provider.keys("b")) == {"b"}


async def test_unknown_keys_do_not_hammer_the_provider() -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    for n in range(20):
        await provider.keys(f"unknown-{n}")
    assert net.asked == [1, 1]


async def test_last_good_keys_outlive_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    provider = Provider(ISSUER, net.fetch)
    await provider.keys("a")
    net.down = True
    monkeypatch.setattr("bdap_hub.identity.discovery.KEYS_SECONDS", -1)
    monkeypatch.setattr("bdap_hub.identity.discovery.METADATA_SECONDS", -1)
    assert set(await provider.keys("a")) == {"a"}
    with pytest.raises(Unavailable):  # one that never answered has nothing to keep
        await Provider(ISSUER, net.fetch).keys("a")
