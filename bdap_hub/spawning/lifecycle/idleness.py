"""Which servers nobody uses: no sign of life from their person, no kernel at work, no computing in them."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

from jupyterhub import orm
from jupyterhub.utils import make_ssl_context
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from ...errors import BdapError
from ...settings import Settings
from ..engines import Engine
from ..steady import Quiet
from . import reasons

log = logging.getLogger(__name__)
COMPUTES = 0.1  # of a CPU, on average between two looks: a server at rest needs a hundredth
GRACE = 600.0  # seconds after the hub's start: servers report what was done in them every five minutes
NOTE = "asks whether the server computes"


class Idleness:
    """Says of each running server whether it is time to stop it, and in which words."""

    def __init__(self, settings: Settings, engine: Engine | None) -> None:
        self._limit, self._longest = settings.spawning.idle_timeout, settings.spawning.server_hours * 3600
        self._engine = engine
        self._quiet, self._age = Quiet(), Quiet()
        self._begun = time.monotonic()
        self._used: dict[str, tuple[float, float]] = {}

    async def why_stop(self, user: Any, spawner: Any) -> str:
        """Sentences for its person; '' where it may go on."""
        key, row = (user.name, spawner.name), spawner.orm_spawner
        if self._longest and self._age.seconds(key, row.started, _ago(row.started)) >= self._longest:
            return reasons.too_old(self._longest)
        if not self._limit:
            return ""
        quiet = self._quiet.seconds(key, row.last_activity, _ago(row.last_activity))
        if quiet < self._limit or time.monotonic() - self._begun < min(GRACE, self._limit):
            return ""
        if await self._computes(user, spawner):
            self._quiet.heard(key)
            return ""
        return reasons.idle(self._limit)

    def keep(self, spawners: list[tuple[str, str]]) -> None:
        """Forget what is known of others, by their person's name and their own."""
        self._quiet.keep(spawners)
        self._age.keep(spawners)

    async def _computes(self, user: Any, spawner: Any) -> bool:
        return await busy_kernel(user, spawner) or await self._uses_cpu(spawner)

    async def _uses_cpu(self, spawner: Any) -> bool:
        """A first look counts as use: it takes two to know."""
        if self._engine is None:
            return False
        name, now = spawner.object_name, time.monotonic()
        try:
            used = await self._engine.cpu_seconds(name)
        except BdapError as error:
            log.warning("%s counts as used: %s; %s", spawner._log_name, error, error.remedy)
            return True
        if used is None:
            return False
        before = self._used.get(name)
        self._used[name] = (now, used)
        if before is None or now - before[0] > self._limit + GRACE or used < before[1]:
            return True
        return (used - before[1]) / max(1.0, now - before[0]) >= COMPUTES


async def busy_kernel(user: Any, spawner: Any) -> bool:
    """Whether a kernel of that server is at work, be it without a word for hours. Asking is no activity.

    True also where they cannot be known; false where the answer is that there is no such thing.
    """
    scopes = [f"access:servers!server={user.name}/{spawner.name}"]
    token = user.new_api_token(note=NOTE, expires_in=60, scopes=scopes)
    url = f"{spawner.server.url.rstrip('/')}/api/kernels?no_track_activity=1"
    ours = {name: user.settings.get(f"internal_ssl_{name}") for name in ("key", "cert", "ca")}
    tls = make_ssl_context(ours["key"], ours["cert"], cafile=ours["ca"])
    try:
        answer = await AsyncHTTPClient().fetch(
            url,
            headers={"Authorization": f"token {token}"},
            request_timeout=10,
            follow_redirects=False,
            ssl_options=tls,
        )
        return any(one.get("execution_state") == "busy" for one in json.loads(answer.body))
    except (HTTPClientError, OSError) as error:
        log.warning("the kernels of %s are not known: %s", spawner._log_name, error)
        return getattr(error, "code", None) != 404
    except (ValueError, TypeError, AttributeError):
        return False  # it answers, but not as Jupyter does
    finally:
        _delete(user, token)


def _delete(user: Any, token: str) -> None:
    if (row := orm.APIToken.find(user.db, token)) is not None:
        user.db.delete(row)
        user.db.commit()


def _ago(moment: datetime | None) -> float:
    """Seconds since a moment of the hub's database, which is in UTC and does not say so."""
    return (datetime.now(UTC).replace(tzinfo=None) - moment).total_seconds() if moment else 0.0
