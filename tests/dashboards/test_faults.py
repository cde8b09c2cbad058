"""What breaks while somebody looks: the release, the gateway, the database. Nothing that is live is lost.

A publication that is killed on its way is in test_killed.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from bdap_hub.dashboards.gateway.serving import create_gateway
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.tables import Dashboard, Release
from bdap_hub.database import connect
from bdap_hub.settings import Settings
from tests import postgres
from tests.serving import Services

from ..conftest import free_port
from .conftest import Platform
from .talking import answered, comm, heard, kernel_in, said, states, to_gateway
from .test_snapshots import KERNEL, StandIn

OPEN, RELEASE = "agriculture--shown-public", "agriculture--shown-public--v1"


def _within(seconds: float, true: Callable[[], Any]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.3)
    return False


def _process(platform: Platform) -> int:
    entry = platform.settings.var.resolve() / "dashboards" / "run" / f"{RELEASE}.json"
    return int(json.loads(entry.read_text())["pid"])


async def test_a_release_that_is_killed_comes_again_and_takes_nobody_else_with_it(platform: Platform, published: Any):
    published("public")
    other = platform.publish("ana", "beside", visibility="public")
    assert other.status_code == 201
    shown = await asyncio.to_thread(lambda: _within(60, lambda: platform.open(OPEN).status_code == 200))
    assert shown
    killed = f"/api/kernels/{kernel_in(platform.open(OPEN).text)}/channels?session_id=s"
    stays = f"/api/kernels/{kernel_in(platform.open('agriculture--beside').text)}/channels?session_id=s"
    async with to_gateway(platform, OPEN, killed) as lost, to_gateway(platform, "agriculture--beside", stays) as kept:
        assert await answered(lost) and await answered(kept)
        before = _process(platform)
        os.killpg(before, signal.SIGKILL)
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(30):
                while True:
                    await lost.recv()
        assert await answered(kept)
    page = await asyncio.to_thread(lambda: platform.open(OPEN).text)
    assert "Fields of wheat" in page  # kept, whatever runs
    async with to_gateway(platform, OPEN, f"/api/kernels/{kernel_in(page)}/channels?session_id=s") as again:
        assert await answered(again)
    assert _process(platform) != before
    assert platform.gateway.records.live("agriculture", "shown-public").version == 1  # type: ignore[union-attr]


async def test_a_gateway_that_starts_again_finds_releases_and_visitors_their_kernels(
    platform: Platform, published: Any
):
    published("public")
    assert await asyncio.to_thread(lambda: _within(60, lambda: platform.open(OPEN).status_code == 200))
    path = f"/api/kernels/{kernel_in(platform.open(OPEN).text)}/channels?session_id=s"
    async with to_gateway(platform, OPEN, path) as socket:
        found = await states(socket)
        slider = next(one for one, state in found.items() if state.get("description") == "n")
        await answered(socket, comm(slider, method="update", state={"value": 7}))
        process, port = _process(platform), platform.settings.dashboards.gateway_port
        await asyncio.to_thread(platform.hub.services.stop, port)
    again = create_gateway(platform.settings)
    await asyncio.to_thread(platform.hub.serve, again, port)
    platform.gateway = again.state.gateway
    async with to_gateway(platform, OPEN, path) as socket:
        assert (await states(socket))[slider]["value"] == 7  # the same kernel, with what the visitor did
    assert _process(platform) == process


@pytest.fixture
def alone(settings: Settings) -> Iterator[tuple[Settings, StandIn, Path, Services]]:
    """Where a gateway is to have a database server of its own; a public release that a stand-in is."""
    if postgres.programs() is None:
        pytest.skip("there is no PostgreSQL: `make test` installs it, or `apt-get install postgresql`")
    folder, services, port = Path(tempfile.mkdtemp(prefix="bdap-pg-")), Services(), free_port()
    release = StandIn(port)
    services.serve(release.app(), port)
    try:
        yield settings, release, folder, services
    finally:
        services.end()
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_database_that_goes_away_cuts_off_nobody(alone: tuple[Settings, StandIn, Path, Services]):
    settings, release, folder, services = alone
    settings.identity.revocation_seconds = 40  # asked every 4 s; for 20 s it may be that nobody can say
    with postgres.cluster(folder) as running:
        settings.database_url = running.create("bdap")
        records = Records(connect(settings.database))
        values = {"title": "Shown", "visibility": "public"}
        made = Dashboard(
            project="agriculture", slug="shown", owner="ana", version=0, visits=0, status="draft", **values
        )
        values["publisher"] = "ana"
        records.add(made, Release(version=1, bundle="0" * 64, entry="index.ipynb", **values))
        records.make_live(made, 1)
        app = create_gateway(settings)
        gateway = app.state.gateway
        gateway.keeper._runtime = release
        await asyncio.to_thread(services.serve, app, settings.dashboards.gateway_port)
        platform = Platform(None, settings, gateway)  # type: ignore[arg-type]
        assert (await asyncio.to_thread(platform.open, "agriculture--shown")).status_code == 200
        socket = await to_gateway(platform, "agriculture--shown", KERNEL)
        assert await heard(socket, "iopub_welcome")
    try:
        away = await asyncio.to_thread(lambda: _within(20, lambda: _status(platform) == 503))
        assert away  # the control: it is gone, and that is said
        said_so = await asyncio.to_thread(platform.open, "agriculture--shown")
        assert "database does not answer" in said_so.text and str(folder) not in said_so.text
        await asyncio.sleep(settings.identity.cache_seconds + 1)
        await socket.send(said("comm_info_request"))
        assert await heard(socket, "status")
        with postgres.cluster(folder):
            assert await asyncio.to_thread(lambda: _within(30, lambda: _status(platform) == 200))
            await socket.send(said("comm_info_request"))
            assert await heard(socket, "status")
            assert gateway.records.live("agriculture", "shown").version == 1
            await socket.close()
    finally:
        await socket.close()


def _status(platform: Platform) -> int:
    try:
        return platform.open("agriculture--shown").status_code
    except httpx.HTTPError:
        return 0
