"""A release in several copies: when a further one starts, who is led to which, and when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from bdap_hub.dashboards.gateway.serving import create_gateway
from bdap_hub.dashboards.running import keeper as keeping
from bdap_hub.dashboards.running.keeper import Keeper
from bdap_hub.dashboards.running.runtime import Ending
from bdap_hub.dashboards.snapshots import reading
from bdap_hub.dashboards.snapshots.reading import Answer
from bdap_hub.settings import Settings
from tests.serving import Services
from tests.until import until

from .conftest import FAR, notebook
from .talking import states
from .test_nodes import Cluster, cluster, keep_off_this_host  # noqa: F401  a fixture
from .test_outages import Shown, moved

COPY = f"{FAR}-r2"
NOBODYS = "00000000-0000-0000-0000-000000000000"
OTHER_AT_EACH_RUN = "import time\nprint(time.time_ns())"


class Served:
    """A dashboard with its gateway; one visitor more than one, and a further copy is wanted."""

    def __init__(self, settings: Settings, services: Services) -> None:
        settings.dashboards.visitors_per_copy = 1
        self.settings, self.shown = settings, Shown(settings)
        gateway = create_gateway(settings)
        self.keeper: Keeper = gateway.state.gateway.keeper
        services.serve(gateway, settings.dashboards.gateway_port)

    async def visitor(self) -> tuple[ClientConnection, str]:
        """Their socket, and the way to their kernel."""
        path = await asyncio.to_thread(self.shown.path)
        return await self.shown.joined(path), path

    @property
    def running(self) -> set[str]:
        """What runs of the dashboard."""
        return set(self.shown.runtime.running())

    def live(self) -> Any:
        """As the gateway knows it."""
        return self.shown.records.live("agriculture", "outage")


async def value(socket: ClientConnection) -> Any:
    """Where the visitor's slider is."""
    return next(one["value"] for one in (await states(socket)).values() if one.get("description") == "n")


def kernel(path: str) -> str:
    return path.split("/")[3]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    settings.spawning.engine = "process"
    return settings


@pytest.fixture
def services() -> Iterator[Services]:
    found = Services()
    yield found
    found.end()


@pytest.fixture
def served(settings: Settings, services: Services) -> Iterator[Served]:
    """On one machine, where there are as many copies as one asks for."""
    settings.dashboards.copies = 2
    found = Served(settings, services)
    try:
        yield found
    finally:
        services.end()
        found.shown.runtime.stop_all()


async def two(served: Served) -> list[tuple[ClientConnection, str]]:
    """Two visitors of the first copy, and the second one is there."""
    found = [await served.visitor(), await served.visitor()]
    await until(lambda: COPY in served.keeper.copies.of(FAR))
    return found


async def test_each_visitor_stays_with_the_copy_that_has_their_process(served: Served) -> None:
    assert await asyncio.to_thread(served.shown.publish, "# Twice") == 1
    alone, _ = await served.visitor()
    assert await moved(alone, 4)
    assert served.running == {FAR}, "one visitor needs no further copy"
    await alone.close()
    visitors = await two(served)
    third, path = await served.visitor()
    assert await moved(visitors[0][0], 5) and await moved(third, 6)
    assert served.running == {FAR, COPY}
    assert await value(visitors[0][0]) == 5, "what one does is nobody else's"
    for way, at in ((visitors[0][1], FAR), (path, COPY)):
        assert await served.keeper.copy_for(served.live(), kernel(way)) == at
    await third.close()
    again = await served.shown.joined(path)
    assert await value(again) == 6, "the same process, of the second copy"

    begun_anew = create_gateway(served.settings).state.gateway.keeper
    for way, at in ((path, COPY), (visitors[0][1], FAR)):  # by asking the copies: it remembers nobody
        assert await begun_anew.copy_for(served.live(), kernel(way)) == at
    assert begun_anew.copies.fit(FAR) == [FAR], "nobody has looked yet whether the other is fit for new visitors"
    await asyncio.to_thread(begun_anew.clean_up)
    assert begun_anew.copies.fit(FAR) == [FAR, COPY]
    for socket in (again, *(one for one, _ in visitors)):
        await socket.close()


async def test_a_copy_without_visitors_ends_and_the_release_goes_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(served.shown.publish, "# Twice")
    visitors = await two(served)
    await asyncio.to_thread(served.keeper.clean_up)
    assert served.running == {FAR, COPY}, "its visitors may come back"
    monkeypatch.setattr(keeping, "COPY_SECONDS", 0.0)
    third, _ = await served.visitor()
    await until(lambda: served.keeper.looks.at(COPY) == 1)
    await asyncio.to_thread(served.keeper.clean_up)
    assert served.running == {FAR, COPY}, "somebody looks at it"
    await third.close()
    await until(lambda: served.keeper.looks.at(COPY) == 0)
    await asyncio.to_thread(served.keeper.clean_up)
    assert served.running == {FAR}
    assert await served.keeper.copy_for(served.live(), NOBODYS) == FAR
    assert await moved(visitors[0][0], 7), "who looks goes on"
    for socket, _ in visitors:
        await socket.close()


async def test_who_was_at_a_copy_that_died_is_led_to_another(served: Served) -> None:
    await asyncio.to_thread(served.shown.publish, "# Twice")
    visitors = await two(served)
    third, path = await served.visitor()
    assert await moved(third, 6)
    await asyncio.to_thread(served.shown.runtime.stop, COPY)
    again = await served.shown.joined(path)
    assert await moved(again, 2) and await moved(visitors[0][0], 3)
    for socket in (again, *(one for one, _ in visitors)):
        await socket.close()


async def test_a_release_that_died_is_started_again_beside_its_copy(served: Served) -> None:
    await asyncio.to_thread(served.shown.publish, "# Twice")
    visitors = await two(served)
    await asyncio.to_thread(served.shown.runtime.stop, FAR)
    await asyncio.sleep(keeping.SURE_SECONDS)  # what answered just now counts for so long
    assert await served.keeper.copy_for(served.live(), NOBODYS) == COPY, "newcomers need not wait"
    await until(lambda: served.running == {FAR, COPY})
    for socket, _ in visitors:
        await socket.close()


async def test_few_visitors_gather_at_the_first_copy(served: Served) -> None:
    await asyncio.to_thread(served.shown.publish, "# Twice")
    visitors = await two(served)
    assert await served.keeper.copy_for(served.live(), NOBODYS) == COPY
    for socket, _ in visitors:
        await socket.close()
    await until(lambda: served.keeper.looks.at(FAR) == 0)
    assert await served.keeper.copy_for(served.live(), NOBODYS) == FAR, "so that the other one ends"


@pytest.mark.parametrize(
    ("told", "fit"),
    [
        ({}, True),
        ({"names": "b"}, False),
        ({"mode": "plain"}, False),
        ({"static": "x"}, False),
        ({"status": "failed"}, False),
        ({"status": "running"}, None),
    ],
)
def test_which_copies_pages_of_a_release_serve_for(
    monkeypatch: pytest.MonkeyPatch, told: Any, fit: bool | None
) -> None:
    first = {"status": "ready", "mode": "fork", "names": "a", "static": "s"}
    says = {"one": first, "other": {**first, **told}}
    answer = lambda url, *_: Answer(200, json.dumps(says[url.split("/")[2]]).encode())  # noqa: E731
    monkeypatch.setattr(reading, "read", answer)
    assert reading.alike("one", "other", 0) is fit


def test_a_release_may_say_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    for said in (b"[" * 100_000, b"{}", b"\xff", b"[1]", b'{"status": []}'):
        monkeypatch.setattr(reading, "read", lambda *_, said=said: Answer(200, said))
        assert reading.alike("one", "other", 0) is False


async def test_a_copy_that_ended_is_removed_once_its_fault_is_kept(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(served.shown.publish, "# Twice")
    keeper, stopped = served.keeper, list[str]()
    monkeypatch.setattr(keeper._engine(), "ended", lambda: {COPY: Ending("one", memory=True)})
    monkeypatch.setattr(keeper._engine(), "stop", stopped.append)
    keeper._look_at_ended({})  # as where another release starts: nobody is there to tell of it
    assert not stopped and keeper.faults.last(served.live().id) is None
    keeper._look_at_ended({FAR: served.live()})
    assert stopped == [COPY] and keeper.faults.last(served.live().id).reason == "memory"  # type: ignore[union-attr]


async def test_what_is_taken_down_ends_with_its_copies(served: Served) -> None:
    await asyncio.to_thread(served.shown.publish, "# Twice")
    visitors = await two(served)
    await asyncio.to_thread(served.shown.publisher.stop_all, served.shown.records.get("agriculture", "outage"))
    assert served.running == set()
    for socket, _ in visitors:
        await socket.close()


async def test_pages_of_a_notebook_that_differs_at_each_run_serve_for_one_copy_alone(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from . import test_outages

    plain = notebook
    monkeypatch.setattr(test_outages, "notebook", lambda *cells, **told: plain(*cells, OTHER_AT_EACH_RUN, **told))
    await asyncio.to_thread(served.shown.publish, "# Differs")
    visitors = [await served.visitor(), await served.visitor()]
    await until(lambda: COPY in served.keeper._failed)
    assert "other widgets at each run" in served.keeper._failed[COPY][1]
    await until(lambda: served.running == {FAR})
    third, _ = await served.visitor()
    assert await moved(third, 3)
    for socket in (third, *(one for one, _ in visitors)):
        await socket.close()


async def test_no_more_copies_than_asked_for(served: Served) -> None:
    served.settings.dashboards.copies = 1
    await asyncio.to_thread(served.shown.publish, "# Once")
    visitors: list[Any] = [await served.visitor() for _ in range(3)]
    await asyncio.sleep(0.5)
    assert served.running == {FAR} and not served.keeper._starting
    for socket, _ in visitors:
        await socket.close()


async def test_copies_are_on_different_machines(cluster: Cluster, services: Services) -> None:  # noqa: F811
    served = Served(cluster.settings, services)
    await asyncio.to_thread(served.shown.publish, "# Far away")
    await asyncio.to_thread(served.shown.runtime.stop, FAR)
    keep_off_this_host(served.keeper, cluster.settings)
    try:
        visitors = await two(served)
        third, path = await served.visitor()
        assert await moved(third, 6) and await moved(visitors[0][0], 4)
        at = {name: cluster.runs(name) for name in (FAR, COPY)}
        assert [len(places) for places in at.values()] == [1, 1] and at[FAR] != at[COPY]
        assert await served.keeper.copy_for(served.live(), kernel(path)) == COPY
        for socket in (third, *(one for one, _ in visitors)):
            await socket.close()
    finally:
        services.end()
        await asyncio.to_thread(served.shown.runtime.stop_all)
