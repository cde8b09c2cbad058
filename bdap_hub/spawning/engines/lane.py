"""Calls to one Docker engine, each in a thread: beside the loop, beside each other, and never for longer than it lives.

An engine that hangs answers no ping either: then whoever waits for it is told so, and whoever comes next at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from ...errors import Unavailable

log = logging.getLogger(__name__)
PATIENCE = 1.0  # seconds that a call may take before the engine is asked whether it lives
PING = 2.0  # seconds for the answer; two in a row that fail close the lane
REMEDY = "try again in a moment; if it stays so, ask the operator"


class Lane:
    """The way to one engine. `connect` makes a client with that timeout; each thread has its own."""

    def __init__(self, name: str, connect: Callable[[float], Any], threads: int = 16) -> None:
        self.name, self._connect = name, connect
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"docker-{name}")
        self._pings = ThreadPoolExecutor(1, thread_name_prefix=f"ping-{name}")
        self._ping: Future[bool] | None = None
        self._starting = threading.Lock()
        self._local = threading.local()
        self._missed, self._pinged = 0, 0.0

    @property
    def closed(self) -> bool:
        """Whether the engine is known not to answer."""
        return self._missed >= 2

    async def call(self, method: str, *arguments: Any, seconds: float = 60, **named: Any) -> Any:
        """What the client's method answers; docker's APIError as it comes; Unavailable where the engine hangs."""
        return await self.run(lambda client: getattr(client, method)(*arguments, **named), seconds)

    async def run(self, work: Callable[[Any], Any], seconds: float = 60) -> Any:
        """The same for several calls in one thread."""
        if self.closed:
            self._start_ping()  # it may have come back: the next caller knows
            raise self._silent()
        task = asyncio.wrap_future(self._threads.submit(self._work, work, seconds))
        while True:
            done, _ = await asyncio.wait({task}, timeout=PATIENCE)
            if done:
                return task.result()
            await asyncio.wrap_future(self._start_ping())
            if self.closed:
                task.cancel()  # the thread ends by its own timeout; nobody waits for what it brings
                raise self._silent()

    def _work(self, work: Callable[[Any], Any], seconds: float) -> Any:
        if self.closed:  # it waited for this thread, and the engine hung meanwhile
            raise self._silent()
        try:
            client = self._client(seconds)
            return work(client)
        except APIError:
            raise
        except (DockerException, RequestException, OSError) as error:
            raise Unavailable(f"the Docker engine {self.name} does not answer: {error}", REMEDY) from None

    def _client(self, seconds: float) -> Any:
        if not hasattr(self._local, "client"):
            self._local.client = self._connect(seconds)
        self._local.client.timeout = seconds
        return self._local.client

    def _start_ping(self) -> Future[bool]:
        """One ping at a time, which all who wait share."""
        with self._starting:
            if self._ping is None or (self._ping.done() and time.monotonic() - self._pinged > PATIENCE / 2):
                self._ping = self._pings.submit(self._ask)
            return self._ping

    def _ask(self) -> bool:
        before = self.closed
        try:
            self._client(PING).ping()
            self._missed = 0
        except (DockerException, RequestException, OSError, Unavailable):
            self._missed += 1
        self._pinged = time.monotonic()
        if before != self.closed:
            log.warning("The Docker engine %s %s", self.name, "does not answer" if self.closed else "answers again")
        return not self.closed

    def _silent(self) -> Unavailable:
        return Unavailable(f"the Docker engine {self.name} does not answer", REMEDY)
