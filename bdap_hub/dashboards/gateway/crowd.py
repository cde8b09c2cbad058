"""How many people without an account there are: at once on a dashboard, and opening from one address. PURE.

Clocks are handed in. Each gateway process counts its own.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator

MINUTE = 60.0
COMING = 30.0  # a page that was sent connects within that, or shows itself without
MOST_ADDRESSES = 20_000


class Crowd:
    """Visitors without an account. A page that was sent keeps a place until its websocket takes it."""

    def __init__(self, most: int, opens: int) -> None:
        self._most, self._opens = most, opens
        self._minute: dict[str, tuple[float, int]] = {}
        self._coming: dict[int, deque[float]] = defaultdict(deque)
        self._there: Counter[int] = Counter()

    def too_soon(self, address: str, now: float) -> bool:
        """Whether its network has opened enough in this minute. If not, this one is counted."""
        network = network_of(address)
        since, count = self._minute.get(network, (now, 0))
        if now - since >= MINUTE:
            since, count = now, 0
        if count >= self._opens:
            return True
        if len(self._minute) >= MOST_ADDRESSES:
            self._minute = {key: seen for key, seen in self._minute.items() if now - seen[0] < MINUTE}
        self._minute[network] = since, count + 1
        return False

    def full(self, dashboard: int, now: float) -> bool:
        """Whether the dashboard has as many as it may."""
        coming = self._coming[dashboard]
        while coming and coming[0] <= now:
            coming.popleft()
        return self._there[dashboard] + len(coming) >= self._most

    def sent(self, dashboard: int, now: float) -> None:
        """A page was sent: its visitor has a place."""
        self._coming[dashboard].append(now + COMING)

    @contextlib.contextmanager
    def there(self, dashboard: int, clock: Callable[[], float]) -> Iterator[bool]:
        """While a visitor is connected; False where there is no place for one."""
        full = self.full(dashboard, clock())
        if coming := self._coming[dashboard]:
            coming.popleft()
        elif full:
            yield False
            return
        self._there[dashboard] += 1
        try:
            yield True
        finally:
            self._there[dashboard] -= 1


def network_of(address: str) -> str:
    """An address, or what one subscriber has of IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if found.version == 4 else str(ipaddress.ip_network((int(found), 64), strict=False))
