"""People without an account who come by a share link: the secret is exchanged for a cookie of the dashboard's origin.

The secret stands behind the `#` of the address, which browsers send to nobody: no log and no referrer has it. The
page's script posts it. The cookie names the link, which is looked up anew all the time: withdrawn, it is worth nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from starlette.requests import Request

from ...errors import BadRequest, BdapError
from ...web import read_token, sign_token
from ..tables import ShareLink
from .shares import Sharing

SHARE_PATH = "/_bdap/share"
SECRET_BYTES = 200
LOOK_SECONDS = 2.0


async def first_bytes(request: Request, most: int) -> str:
    """A short body as text, whatever its headers say of it; BadRequest for a longer one."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise BadRequest(f"more than {most} bytes were sent", "open the link again")
    return body.decode("latin-1")


def seconds_left(link: ShareLink) -> float:
    """For how long the link counts."""
    until = link.expires if link.expires.tzinfo else link.expires.replace(tzinfo=UTC)
    return (until - datetime.now(UTC)).total_seconds()


class Guests:
    """Which links count, as remembered for two seconds."""

    def __init__(self, key: str, sharing: Sharing) -> None:
        self.key, self.sharing = key, sharing
        self._known: dict[tuple[int, int], tuple[float, bool]] = {}

    def cookie(self, dashboard: str, link: int, seconds: float) -> str:
        """The value of the cookie."""
        return sign_token(self.key, f"dashboard guest {dashboard}", seconds, link=link)

    def link(self, dashboard: str, values: Iterable[str]) -> int | None:
        """The link by which the first valid cookie was given. Siblings can set cookies of the same name."""
        for value in list(values)[:4]:
            try:
                claims = read_token(self.key, f"dashboard guest {dashboard}", value)
            except BdapError:
                continue
            return int(claims["link"]) if isinstance(claims.get("link"), int) else None
        return None

    def counts(self, dashboard: int, link: int) -> bool:
        """Whether the link still opens the dashboard of that id."""
        now, hit = time.monotonic(), self._known.get((dashboard, link))
        if hit and hit[0] > now:
            return hit[1]
        if len(self._known) > 10_000:
            self._known.clear()
        counts = self.sharing.counts(dashboard, link)
        self._known[dashboard, link] = (now + LOOK_SECONDS, counts)
        return counts
