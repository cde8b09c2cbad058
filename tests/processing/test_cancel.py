"""Over HTTP, through the proxy: viewers who pan on, evaluations that take too long, and persons who take turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from bdap_hub.processing.cancel import current
from bdap_hub.processing.engine.limits import workers

from .client import Client, tile
from .conftest import X, Y
from .graphs import arg, call, ndvi_median, node, of


class Slow:
    """In place of a reader's `read`: reads as it does, once it may go on or its evaluation is cancelled."""

    def __init__(self, read: Callable[..., Any]) -> None:
        self._read, self.begun, self.go, self.cancelled = read, threading.Event(), threading.Event(), threading.Event()
        self.done = 0

    def __call__(self, *arguments: Any) -> Any:
        self.begun.set()
        deadline = time.monotonic() + 60
        while not self.go.wait(0.02):
            assert time.monotonic() < deadline
            if current().reason is not None:
                self.cancelled.set()
                break
        found = self._read(*arguments)
        self.done += 1
        return found


@pytest.fixture
def slow(platform: Any, monkeypatch: pytest.MonkeyPatch) -> Slow:
    reader = platform.processing.state.room.engine.reader
    made = Slow(reader.read)
    monkeypatch.setattr(reader, "read", made)
    return made


def test_a_viewer_who_pans_on_ends_the_evaluation(ana: Client, slow: Slow) -> None:
    address = ana.service(ndvi_median(), title="panned")["url"].format(z=13, x=X, y=Y)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(address, timeout=httpx.Timeout(60, read=5))
    assert slow.begun.is_set() and slow.cancelled.wait(60)
    assert slow.done == 0
    slow.go.set()
    answer = httpx.get(address, timeout=60)
    assert answer.status_code == 200 and slow.done >= 6


def test_an_evaluation_that_takes_too_long_ends(ana: Client, slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    service = ana.service(ndvi_median(), title="late")
    gate = ana.hub.processing.state.room.gate
    with monkeypatch.context() as patch:
        patch.setattr(gate, "deadline", 3.0)
        answer = tile(service, x=X + 1)
    assert (answer.status_code, answer.json()["code"]) == (503, "RequestTimeout")
    assert "3 s" in answer.json()["message"] and answer.json()["remedy"]
    assert slow.cancelled.wait(60)
    logs = ana.http.get(f"/services/{service['id']}/logs").json()["logs"]
    assert "RequestTimeout" in [line.get("code") for line in logs]
    slow.go.set()
    assert tile(service, x=X + 1).status_code == 200


def test_a_filter_that_works_for_hours_holds_up_nobody(ana: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is evaluated for each item while the plan is made: by a thread like a tile, and ended as late."""
    each = node("array_apply", True, data=list(range(3000)), process=call("add", x=arg("x"), y=1))
    inner = {"process_graph": {"each": each}}
    looped = {"process_graph": {
        "all": node("array_apply", data=list(range(3000)), process=inner),
        "number": node("count", data=of("all")),
        "is": node("gte", True, x=of("number"), y=arg("value")),
    }}  # fmt: skip
    raw = ndvi_median()
    load = next(one for one in raw.values() if one["process_id"] == "load_collection")
    load["arguments"]["properties"] = {"eo:cloud_cover": looped}
    gate = ana.hub.processing.state.room.gate
    with monkeypatch.context() as patch:
        patch.setattr(gate, "deadline", 2.0)
        for _ in range(workers() + 1):  # no thread is left with it
            answer = ana.post(raw)
            assert (answer.status_code, answer.json()["code"]) == (503, "RequestTimeout")
    looped["process_graph"]["all"]["arguments"]["data"] = list(range(100))
    each["arguments"]["data"] = [1]
    answer = ana.post(raw)
    assert answer.status_code == 201, answer.text


def test_one_persons_many_tiles_do_not_delay_anothers_first(
    ana: Client, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ben, room = Client(platform, "ben"), platform.processing.state.room
    services = {name: client.service(ndvi_median(), title=name) for name, client in (("ana", ana), ("ben", ben))}
    for service in services.values():
        assert tile(service, x=X + 1, y=Y + 1).status_code == 200  # the services are known from here on
    begun, go, cube = list[Any](), threading.Event(), room.engine.cube

    def recorded(compiled: Any, grid: Any, *rest: Any) -> Any:
        begun.append(grid.top)
        assert go.wait(60)
        return cube(compiled, grid, *rest)

    monkeypatch.setattr(room.engine, "cube", recorded)
    many = 10 * workers()
    with ThreadPoolExecutor(many + 1) as pool:
        asked = [pool.submit(tile, services["ana"], 16 * X + number, 16 * Y, 17) for number in range(many)]
        _until(lambda: room.gate.turns.waiting == many - workers() and len(begun) == workers())
        first = pool.submit(tile, services["ben"], 16 * X, 16 * Y + 20, 17)
        _until(lambda: room.gate.turns.waiting == many - workers() + 1)
        go.set()
        assert {answer.result().status_code for answer in (*asked, first)} == {200}
    assert begun.index(min(begun)) < 2 * workers() + 1 and len(begun) == many + 1


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
