"""From where an event comes: what the proxy says counts, what a caller writes into the header does not."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from bdap_hub.web.audit_request import client_address


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),  # our proxy, over loopback
        ("172.20.0.1", "192.0.2.7", "192.0.2.7"),  # our proxy, from this host's own address on the bridge
        ("127.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"),  # the first was written by the caller
        ("127.0.0.1", "192.0.2.7, 127.0.0.1", "192.0.2.7"),  # a proxy for TLS on this host, then ours
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("172.20.0.9", "192.0.2.7", "172.20.0.9"),  # a notebook server that calls directly
        ("192.0.2.9", "", "192.0.2.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", " , ", "127.0.0.1"),
    ],
)
def test_client_address(peer: str, forwarded: str, address: str) -> None:
    scope = {
        "type": "http",
        "client": (peer, 40000),
        "server": ("172.20.0.1", 8021),
        "headers": [(b"x-forwarded-for", forwarded.encode())],
    }
    assert client_address(HTTPConnection(scope)) == address


def test_without_a_peer() -> None:
    assert client_address(HTTPConnection({"type": "http", "client": None, "headers": []})) == ""
