"""From which address a request comes, when it may have passed proxies."""

from __future__ import annotations

from ipaddress import ip_address


def caller(peer: str, here: str, forwarded: str, *, fronts: int = 0, ours: bool = True) -> str:
    """The caller's address: the peer's, or the one in X-Forwarded-For where the peer is the hub's proxy, on this host.

    `here` is the address at which we were called. Who calls past the proxy, as people's servers can, may write into the
    header what they like: it does not count. `fronts` is how many reverse proxies stand before the hub's own; each adds
    whom it saw, so what the caller wrote stands before that. `ours` is whether the hub's own is on the way: dashboards
    are served past it.

    >>> caller("127.0.0.1", "127.0.0.1", "6.6.6.6, 192.0.2.7")
    '192.0.2.7'
    >>> caller("127.0.0.1", "127.0.0.1", "6.6.6.6, 192.0.2.7, 10.0.0.1", fronts=1)
    '192.0.2.7'
    >>> caller("127.0.0.1", "127.0.0.1", "6.6.6.6, 192.0.2.7", fronts=1, ours=False)
    '192.0.2.7'
    >>> caller("172.20.0.9", "172.20.0.1", "6.6.6.6")
    '172.20.0.9'
    """
    proxies = fronts + ours
    if not proxies or (not _is_loopback(peer) and peer != here):
        return peer
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    if not hops:
        return peer
    return hops[-proxies] if len(hops) >= proxies else hops[-1]


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
