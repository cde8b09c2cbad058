"""What the start page knows of images and of free room: asked of an engine, which may be slow, silent or gone."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from bdap_hub.access import Size
from bdap_hub.errors import NotFound, Unavailable
from bdap_hub.spawning.engines import Found, ImageFacts, Node, State
from bdap_hub.spawning.page import looks
from bdap_hub.spawning.page.choosing import Facts
from bdap_hub.spawning.page.looks import Looks, free

GB = 2**30
SIZES = (Size("small", "Small", 1, 2 * GB), Size("large", "Large", 4, 16 * GB))
LABELS = {"bdap.contents": "Python 3.13, JupyterLab 4.6", "org.opencontainers.image.version": "0.1.0"}


class Answers:
    """An engine's answers (the real one has its own tests); `slow` seconds for each, or `error`."""

    slow, asked = 0.0, 0
    error: Exception | None = None

    async def image(self, reference: str) -> ImageFacts:
        await self._wait()
        if reference == "bdap/none":
            raise NotFound("nothing is known of it")
        return ImageFacts(LABELS, 900)

    async def nodes(self) -> list[Node]:
        await self._wait()
        return [Node("a", "ready", 8, 32 * GB), Node("b", "ready", 8, 32 * GB), Node("c", "down", 8, 32 * GB)]

    async def find(self, labels: dict[str, str]) -> list[Found]:
        assert labels == {"bdap.hub": "x", "bdap.kind": "server"}
        phases = (("large", "running"), ("small", "waiting"), ("large", "ended"), ("unknown", "running"))
        return [Found(str(n), {"bdap.size": size}, State(phase), 0) for n, (size, phase) in enumerate(phases)]  # type: ignore[arg-type]

    async def _wait(self) -> None:
        self.asked += 1
        await asyncio.sleep(self.slow)
        if self.error:
            raise self.error


@pytest.fixture
def engine() -> Any:
    return Answers()


async def test_facts_and_free_room(engine: Any) -> None:
    facts, free_now = await Looks(engine, "x").at({"bdap/lab", "bdap/none"}, SIZES)
    assert facts == {"bdap/lab": Facts("0.1.0", 900, ("Python 3.13", "JupyterLab 4.6"))}
    assert free_now == "Free now: 11 of 16 CPUs, 46 GB of 64 GB of memory."


async def test_the_engine_is_not_asked_for_each_page(engine: Any) -> None:
    found = Looks(engine, "x")
    first = await found.at({"bdap/lab"}, SIZES)
    assert await found.at({"bdap/lab"}, SIZES) == first and engine.asked == 2


async def test_a_page_does_not_wait_for_a_slow_engine_and_shows_it_the_next_time(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "PATIENCE", 0.05)
    engine.slow, found = 1.0, Looks(engine, "x")
    begun = time.monotonic()
    assert await found.at({"bdap/lab"}, SIZES) == ({}, "")
    assert time.monotonic() - begun < 0.9
    for _ in range(300):
        facts, free_now = await found.at({"bdap/lab"}, SIZES)
        if facts and free_now:
            break
        await asyncio.sleep(0.05)
    assert facts and free_now.startswith("Free now")


async def test_what_was_known_stays_while_the_engine_is_silent(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Looks(engine, "x")
    before = await found.at({"bdap/lab"}, SIZES)
    monkeypatch.setattr(looks, "FRESH", 0.0)
    engine.error = Unavailable("the engine does not answer")
    assert await found.at({"bdap/lab"}, SIZES) == before


def test_more_promised_than_there_is() -> None:
    assert "may be slow" in free(4, 8 * GB, [SIZES[1]]) and free(0, 0, []) == ""
