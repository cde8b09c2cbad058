"""From where an event comes: what the proxy says counts, what a caller writes into the header does not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from starlette.requests import HTTPConnection

from bdap_hub.settings import HubSettings
from bdap_hub.web.audit_request import client_address


def address(peer: str | None, forwarded: str, public_url: str = "http://hub.example", **state: bool) -> str:
    settings = SimpleNamespace(hub=HubSettings(public_url=public_url))
    scope = {
        "type": "http",
        "app": SimpleNamespace(state=SimpleNamespace(settings=settings, **state)),
        "client": peer and (peer, 40000),
        "server": ("172.20.0.1", 8021),
        "headers": [(b"x-forwarded-for", forwarded.encode())],
    }
    return client_address(HTTPConnection(scope))


@pytest.mark.parametrize(
    ("peer", "forwarded", "wanted"),
    [
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),  # our proxy, over loopback
        ("172.20.0.1", "192.0.2.7", "192.0.2.7"),  # our proxy, from this host's own address on the bridge
        ("127.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"),  # the first was written by the caller
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("172.20.0.9", "192.0.2.7", "172.20.0.9"),  # a notebook server that calls directly
        ("192.0.2.9", "", "192.0.2.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", " , ", "127.0.0.1"),
        (None, "", ""),
    ],
)
def test_without_a_reverse_proxy(peer: str | None, forwarded: str, wanted: str) -> None:
    assert address(peer, forwarded) == wanted


@pytest.mark.parametrize(
    ("peer", "forwarded", "wanted"),
    [
        ("127.0.0.1", "192.0.2.7, 127.0.0.1", "192.0.2.7"),  # the reverse proxy on this host, then ours
        ("127.0.0.1", "192.0.2.7, 10.0.0.1", "192.0.2.7"),  # on another
        ("127.0.0.1", "6.6.6.6, 192.0.2.7, 10.0.0.1", "192.0.2.7"),  # the first was written by the caller
        ("127.0.0.1", "10.0.0.1", "10.0.0.1"),  # past the reverse proxy, or it says nothing
        ("172.20.0.9", "6.6.6.6, 7.7.7.7", "172.20.0.9"),
    ],
)
def test_behind_a_reverse_proxy(peer: str, forwarded: str, wanted: str) -> None:
    assert address(peer, forwarded, "https://hub.example") == wanted


@pytest.mark.parametrize(
    ("public_url", "peer", "forwarded", "wanted"),
    [
        ("http://hub.example", "127.0.0.1", "6.6.6.6", "127.0.0.1"),  # nobody stands before it
        ("http://hub.example", "192.0.2.7", "6.6.6.6", "192.0.2.7"),
        ("https://hub.example", "127.0.0.1", "6.6.6.6, 192.0.2.7", "192.0.2.7"),  # the reverse proxy alone
        ("https://hub.example", "127.0.0.1", "192.0.2.7", "192.0.2.7"),
    ],
)
def test_dashboards_are_served_past_the_hubs_proxy(public_url: str, peer: str, forwarded: str, wanted: str) -> None:
    assert address(peer, forwarded, public_url, behind_hub_proxy=False) == wanted
