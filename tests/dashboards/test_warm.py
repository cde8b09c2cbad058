"""Dashboards that asked to go on without visitors do, as many as the platform allows; others stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.bundles.manifest import Manifest
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.releases.publish import Publisher, Wish
from bdap_hub.dashboards.running.keeper import Keeper
from bdap_hub.dashboards.running.runtime import make_runtime
from bdap_hub.database import connect
from bdap_hub.settings import Settings
from bdap_hub.web import HubLogin

from .conftest import notebook


@pytest.fixture
def keeper(settings: Settings) -> Iterator[Keeper]:
    """On local processes, with one dashboard that is to be kept warm and one that is not."""
    settings.spawning.engine = "process"
    settings.dashboards.idle_timeout = -1
    records, login = Records(connect(settings.database)), HubLogin(settings, "dashboards")
    runtime = make_runtime(settings)
    publisher = Publisher(settings, records, runtime, login)
    bundle = read_bundle("index.ipynb", notebook("1"), 2**20)
    try:
        for slug in ("warm", "cold"):
            wish = Wish("agriculture", slug, slug, "", "public", Manifest(keep_warm=slug == "warm"))
            publisher.publish(wish, bundle, "ana")
        yield Keeper(settings, records, login)
    finally:
        runtime.stop_all()


def test_a_warm_one_goes_on_and_is_started_again(keeper: Keeper):
    runtime, name = keeper._engine(), "agriculture--warm--v1"
    assert keeper.clean_up() == []
    assert list(runtime.running()) == [name]
    runtime.stop(name)
    (live,) = keeper.clean_up()
    assert live.release == name
    assert asyncio.run(keeper.until(live, 60))
    assert list(runtime.running()) == [name]
    keeper.settings.dashboards.most_warm = 0
    assert keeper.clean_up() == [] and runtime.running() == {}
