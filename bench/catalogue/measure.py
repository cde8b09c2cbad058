"""Asks for searches over plain connections, one service after the other in turn, so that all meet the same machine."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import psutil

from .servers import Contender

JSON = {"Content-Type": "application/json"}


@dataclass
class Found:
    """Milliseconds of each answer; seconds of processor time of the service and of the database for all of them."""

    waits: list[float] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def p50(self) -> float:
        """The median."""
        return statistics.median(self.waits)

    @property
    def p95(self) -> float:
        """What 95 % of the answers stay below."""
        return sorted(self.waits)[min(len(self.waits) - 1, int(0.95 * len(self.waits)))]

    @property
    def cpu_each(self) -> float:
        """Milliseconds of processor time an answer."""
        return self.cpu * 1000 / len(self.waits)


def in_turn(
    contenders: Sequence[Contender], searches: Sequence[bytes], clients: int, chunk: int, database: int
) -> dict[str, Found]:
    """Each search at each service, a chunk at one after the other; who begins changes."""
    found = {one.name: Found() for one in contenders}
    with ThreadPoolExecutor(clients) as pool:
        for turn, start in enumerate(range(0, len(searches), chunk)):
            part, first = searches[start : start + chunk], turn % len(contenders)
            for one in (*contenders[first:], *contenders[:first]):
                before = _cpu(one, database)
                shares = [part[number::clients] for number in range(clients)]
                for waits in pool.map(lambda share, one=one: _ask(one, share), shares):
                    found[one.name].waits += waits
                found[one.name].cpu += _cpu(one, database) - before
    return found


def answers(one: Contender, searches: Sequence[bytes]) -> list[Any]:
    """What it answers, read."""
    connection = _connection(one)
    return [json.loads(_post(connection, one, body)) for body in searches]


def _ask(one: Contender, searches: Sequence[bytes]) -> list[float]:
    connection, waits = _connection(one), []
    for body in searches:
        begun = time.perf_counter()
        _post(connection, one, body)
        waits.append((time.perf_counter() - begun) * 1000)
    connection.close()
    return waits


def _connection(one: Contender) -> HTTPConnection:
    at = urlsplit(one.server.base)
    connection = HTTPConnection(str(at.hostname), at.port, timeout=120)
    connection.connect()
    return connection


def _post(connection: HTTPConnection, one: Contender, body: bytes) -> bytes:
    connection.request("POST", one.search, body, JSON)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{one.name} answers {answer.status}: {content[:500]!r}")
    return content


def _cpu(one: Contender, database: int) -> float:
    pids = (one.server.pid, database) if one.database else (one.server.pid,)
    return sum(_seconds(pid) for pid in pids)


def _seconds(pid: int) -> float:
    """User and system time of a process and its children, those that have ended too."""
    root = psutil.Process(pid)
    own = root.cpu_times()
    live = [child.cpu_times() for child in root.children(recursive=True)]
    return float(own.children_user + own.children_system + sum(t.user + t.system for t in (own, *live)))
