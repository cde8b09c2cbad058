"""Asks for tiles over plain sockets, which costs little beside the servers; what a process and its children used."""

from __future__ import annotations

import math
import socket
import statistics
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from urllib.parse import urlsplit

import psutil

from .scenes import Tile


@dataclass(frozen=True)
class Asked:
    """How a server did: milliseconds of each answer, seconds in all, CPU milliseconds of the server for each tile."""

    waits: tuple[float, ...]
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Tiles a second."""
        return len(self.waits) / self.seconds

    @property
    def p50(self) -> float:
        """The median wait in milliseconds."""
        return statistics.median(self.waits)

    @property
    def p95(self) -> float:
        """What 95 % of the answers stay below."""
        return sorted(self.waits)[min(len(self.waits) - 1, int(0.95 * len(self.waits)))]


def ask(template: str, tiles: Iterable[Tile], clients: int, pid: int, seconds: float = math.inf) -> Asked:
    """One tile after the other by so many clients at a time, each with one connection: all, or those begun in time."""
    row, before, started = _Row(tiles, time.perf_counter() + seconds), cpu_seconds(pid), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        waits = [wait for part in pool.map(lambda _: _client(template, row), range(clients)) for wait in part]
    taken = time.perf_counter() - started
    return Asked(tuple(waits), taken, (cpu_seconds(pid) - before) * 1000 / len(waits))


def get(template: str, tile: Tile) -> bytes:
    """One tile's image."""
    with _Connection(template) as connection:
        return connection.get(tile)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children."""
    process = psutil.Process(pid)
    times = [part.cpu_times() for part in (process, *process.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def memory_mib(pid: int) -> float:
    """Resident memory of that of a process and its children which has most."""
    process = psutil.Process(pid)
    return max(float(part.memory_info().rss) for part in (process, *process.children(recursive=True))) / 2**20


class _Row:
    """What all clients take their next tile from, until a time."""

    def __init__(self, tiles: Iterable[Tile], until: float) -> None:
        self._tiles, self._until, self._lock = iter(tiles), until, Lock()

    def next(self) -> Tile | None:
        with self._lock:
            return next(self._tiles, None) if time.perf_counter() < self._until else None


def _client(template: str, row: _Row) -> list[float]:
    waits = []
    with _Connection(template) as connection:
        while (tile := row.next()) is not None:
            started = time.perf_counter()
            connection.get(tile)
            waits.append((time.perf_counter() - started) * 1000)
    return waits


class _Connection:
    def __init__(self, template: str) -> None:
        address = urlsplit(template)
        self.host, self.path = address.netloc, f"{address.path}?{address.query}"
        self.socket = socket.create_connection((address.hostname or "", address.port or 80), timeout=120)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def get(self, tile: Tile) -> bytes:
        path = self.path.format(z=tile[0], x=tile[1], y=tile[2])
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        status = self.file.readline()
        head = [line.lower() for line in islice(iter(self.file.readline, b"\r\n"), 100)]
        length = next(int(line.split(b":")[1]) for line in head if line.startswith(b"content-length"))
        body = self.file.read(length)
        if b" 200 " not in status:
            raise RuntimeError(f"{path}: {status.decode().strip()} {body[:300].decode(errors='replace')}")
        return body
