"""Where the time of our own search goes: each step of it alone, in this process, without HTTP."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from bdap_hub.catalogue import stac
from bdap_hub.catalogue.app import answer
from bdap_hub.catalogue.search import from_body
from bdap_hub.catalogue.store import open_catalogue
from bdap_hub.settings import Settings

from . import made

SEARCHES = 100


def parts(stores: Mapping[str, Settings], items: int) -> dict[str, dict[str, float]]:
    """Medians of milliseconds by store and step."""
    return {name: _steps(settings, items) for name, settings in stores.items()}


def say(found: Mapping[str, Mapping[str, float]]) -> None:
    """As a line a store."""
    for name, steps in found.items():
        print(f"inside {name}: {', '.join(f'{step} {value:.2f} ms' for step, value in steps.items())}")


def _steps(settings: Settings, items: int) -> dict[str, float]:
    catalogue = open_catalogue(settings)
    found: dict[str, list[float]] = {}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        result = work()
        found.setdefault(step, []).append((time.perf_counter() - begun) * 1000)
        return result

    for body in made.searches(SEARCHES, items):
        asked = json.loads(body)
        search = timed("parameters", lambda asked=asked: from_body(asked))
        timed("collections", catalogue.collections)
        page = timed("store", lambda search=search: catalogue.items.search([made.COLLECTION], search))
        whole = timed(
            "documents", lambda page=page, asked=asked: stac.results("http://x", "/search", {}, page, None, asked)
        )
        timed("encoding", lambda whole=whole: answer(whole, "geo+json"))
    return {step: statistics.median(values) for step, values in found.items()}
