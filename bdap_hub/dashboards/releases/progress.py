"""What goes on while a release is made, told step by step to whoever waits for it: as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from ...errors import BdapError, Busy
from ...web import LOST, lost_database
from ..steps import Tell

log = logging.getLogger("bdap.dashboards")
QUIET_SECONDS = 15.0  # an empty line after so long keeps proxies from taking the silence for an end


async def lines(name: str, carry_out: Callable[[Tell], Awaitable[dict[str, Any]]]) -> AsyncIterator[bytes]:
    """A line for each step that `carry_out` tells, from any thread; the last is its result as `name`, or the error.

    Whoever stops listening does not stop it.
    """
    loop, told = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any] | None]()

    def tell(step: str) -> None:
        loop.call_soon_threadsafe(told.put_nowait, {"step": step})

    async def work() -> None:
        last = await _last(name, carry_out, tell)
        loop.call_soon(told.put_nowait, last)
        loop.call_soon(told.put_nowait, None)

    task = asyncio.create_task(work())
    _WORKING.add(task)
    task.add_done_callback(_WORKING.discard)
    while True:
        try:
            line = await asyncio.wait_for(told.get(), QUIET_SECONDS)
        except TimeoutError:
            yield b"\n"
            continue
        if line is None:
            return
        yield json.dumps(line).encode() + b"\n"


async def _last(name: str, carry_out: Callable[[Tell], Awaitable[dict[str, Any]]], tell: Tell) -> dict[str, Any]:
    try:
        return {name: await carry_out(tell)}
    except Busy as error:  # there is no header any more that could say when
        return {"error": error.public(), "status": error.status, "retry_after": error.retry_after}
    except BdapError as error:
        return {"error": error.public(), "status": error.status}
    except LOST as error:
        return {"error": lost_database(error).public(), "status": 503}
    except Exception:  # the status line is long gone: it is said here, and its stack in the log alone
        log.exception("publishing failed")
        return {
            "error": BdapError("something went wrong here", "try again, or tell the operators").public(),
            "status": 500,
        }


_WORKING: set[asyncio.Task[None]] = set()
