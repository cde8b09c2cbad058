"""Pages and files that are served while no container runs, and the websocket that starts one.

A small server stands in for the release, with the addresses of the stage, so that it can be up and down as a test says.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed

from bdap_hub.dashboards.gateway import channels
from bdap_hub.dashboards.gateway.limits import Seats
from bdap_hub.dashboards.snapshots.kept import Snapshots

from ..conftest import free_port
from .conftest import Platform
from .talking import comm, said, to_gateway
from .visitors import HOST, session_of

OPEN, RELEASE, HASH = "agriculture--shown-public", "agriculture--shown-public--v1", "0123456789abcdef"
KERNEL = "/api/kernels/11111111-2222-3333-4444-555555555555/channels"
DEEP = {"components": {"x": {"class": ["ipywidgets", "Text"], "props": ["value"]}}}
PAGE = f"""
<main>Fields, drawn before<div class="bdap-widget" data-model="w"></div></main>
<script id="bdap-widgets" type="application/vnd.jupyter.widget-state+json">
{json.dumps({"state": {"w": {"state": DEEP}}})}</script>
<script defer src="/_stage/static/{HASH}/stage/live.js"></script>{"<p>wheat</p>" * 200}"""


class StandIn:
    """A runtime with one release, which is not the stage: it has its addresses, and notes what it is asked."""

    def __init__(self, port: int) -> None:
        self.port, self.up, self.started, self.mode = port, True, 0, "fork"
        self.says = 0  # so many characters more than it has to
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.heard: list[dict[str, Any]] = []

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/{path:path}", self.page),
                WebSocketRoute("/api/kernels/{kernel}/channels", self.channels),
            ]
        )

    async def page(self, request: Request) -> Response:
        self.asked.append(str(request.url.path))
        self.headers.append(dict(request.headers))
        if request.url.path.startswith("/_stage/static/"):
            return Response(f"// {request.url.path}" * 100, media_type="text/javascript")
        if request.url.path == "/_stage/state":
            return JSONResponse({"status": "ready", "mode": self.mode})
        text = "plain page" if request.url.query else PAGE
        return HTMLResponse(text, headers={"Bdap-Stage": self.mode})

    async def channels(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(said("iopub_welcome", stage={"alive": False, "kernel": socket.path_params["kernel"]}))
        async for text in socket.iter_text():
            self.heard.append(json.loads(text))
            await socket.send_text(said("status", execution_state="idle", more="x" * self.says))

    def start(self, _launch: Any) -> None:
        self.up = True
        self.started += 1

    def address(self, name: str) -> str | None:
        return f"127.0.0.1:{self.port}" if self.up else None

    def logs(self, _name: str) -> str:
        return ""

    def stop(self, _name: str) -> None:
        self.up = False

    def running(self) -> dict[str, float]:
        return {}

    def ended(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def stand_in(platform: Platform, published: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """In place of a published release, with a snapshot that was taken of it."""
    published("public")
    port = free_port()
    made, keeper = StandIn(port), platform.gateway.keeper
    platform.hub.serve(made.app(), port)
    monkeypatch.setattr(keeper, "_runtime", made)
    monkeypatch.setattr(keeper, "_ready", {})
    before = platform.gateway.assets._kept.copy()
    assert platform.gateway.snapshots.take(RELEASE, f"127.0.0.1:{port}")
    try:
        yield made
    finally:
        platform.gateway.snapshots.drop(RELEASE)
        platform.gateway.assets._kept = before
        platform.hub.services.stop(port)


def test_the_page_is_served_without_its_release(platform: Platform, stand_in: StandIn):
    stand_in.stop(RELEASE)
    answer = platform.open(OPEN, headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200 and "drawn before" in answer.text and stand_in.started == 0
    assert answer.headers["content-encoding"] == "gzip" and answer.headers["cache-control"] == "no-cache"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    again = platform.open(OPEN, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and not again.content
    assert platform.open(OPEN, headers={"Accept-Encoding": "identity"}).text == answer.text
    stand_in.up = True
    assert platform.open(OPEN, "/?region=IT").text == "plain page"  # which the notebook may read


def test_files_are_kept_and_last(platform: Platform, stand_in: StandIn):
    path = f"/_stage/static/{HASH}/npm/a.js"
    first = platform.open(OPEN, path)
    assert first.status_code == 200 and first.headers["cache-control"] == "public, max-age=31536000, immutable"
    stand_in.stop(RELEASE)
    platform.gateway.keeper._ready.clear()
    platform.gateway.assets._kept.clear()  # as another process, or one that has started again
    answer = platform.open(OPEN, path)
    assert answer.text == first.text and answer.headers["etag"] == first.headers["etag"]
    assert platform.open(OPEN, path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert stand_in.started == 0
    unknown = f"/_stage/static/{HASH}/npm/b.js"  # which nobody has asked for yet
    assert platform.open(OPEN, unknown).status_code == 200
    assert stand_in.started == 1
    for bad in ("/_stage/state", "/_stage/static/x/a.js", f"/_stage/static/{HASH}/../../etc/passwd", "/_stage/"):
        assert platform.open(OPEN, bad).status_code == 404, bad


async def test_the_first_websocket_starts_the_release_and_the_same_kernel_goes_on(
    platform: Platform, stand_in: StandIn
):
    stand_in.stop(RELEASE)
    for _ in range(2):
        async with to_gateway(platform, OPEN, KERNEL) as socket:
            await socket.send(comm("w", method="update", state={"value": 1}))
            seen = [json.loads(await socket.recv()) for _ in range(2 if stand_in.started == 0 else 1)]
            while "stage" not in seen[-1]["content"]:
                seen.append(json.loads(await socket.recv()))
            assert seen[-1]["content"]["stage"]["kernel"] == KERNEL.split("/")[3]
            await socket.recv()
            await socket.send(comm("w", method="custom", content={"create_widget": ["os", "system"], "props": {}}))
            made = {"create_widget": ["ipywidgets", "Text"], "props": {"value": "x"}, "id": f"n{len(stand_in.heard)}"}
            await socket.send(comm("w", method="custom", content=made))
            await socket.recv()
    assert stand_in.started == 1
    custom = [one["content"]["data"].get("content") for one in stand_in.heard]
    assert [one["create_widget"] for one in custom if one] == [["ipywidgets", "Text"]] * 2  # what the page declares


async def test_a_release_that_says_too_much_at_once_is_cut_off(
    platform: Platform, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(channels, "MOST_SAID", 100_000)
    async with to_gateway(platform, OPEN, KERNEL) as socket:
        stand_in.says = 90_000
        await socket.send(said("kernel_info_request"))
        async with asyncio.timeout(30):
            while len(await socket.recv()) < 90_000:
                pass
            stand_in.says = 110_000
            await socket.send(said("kernel_info_request"))
            with pytest.raises(ConnectionClosed):
                while True:
                    assert len(await socket.recv()) < 110_000
    assert f"a visitor of {RELEASE} was cut off" in caplog.text


async def test_who_only_looks_holds_no_place(platform: Platform, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform.gateway.channels, "seats", Seats(per_address=1, per_person=1))
    for number in range(3):
        async with to_gateway(platform, OPEN, KERNEL.replace("1111", f"777{number}", 1)) as socket:
            await socket.recv()
        await _left(platform, False)
    async with to_gateway(platform, OPEN, KERNEL) as socket:
        await socket.send(comm("w", method="update", state={"value": 1}))
        await socket.recv()
        await socket.recv()
    await _left(platform, True)
    async with to_gateway(platform, OPEN, KERNEL.replace("1111", "2222", 1)) as socket:
        await socket.wait_closed()  # the copy that was made waits for its page to come back
        assert socket.close_code == 1013
    async with to_gateway(platform, OPEN, KERNEL) as socket:
        assert await socket.recv()


async def _left(platform: Platform, held: bool) -> None:
    """Once the gateway has noticed that a page is gone."""
    async with asyncio.timeout(20):
        while any(seat.sockets for seat in platform.gateway.channels.seats._seats):  # noqa: ASYNC110  of a thread
            await asyncio.sleep(0.05)
    assert bool(platform.gateway.channels.seats.refusal("127.0.0.1", "", time.monotonic())) is held


async def test_a_release_that_does_not_start_is_said(
    platform: Platform, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
):
    stand_in.stop(RELEASE)
    monkeypatch.setattr(stand_in, "start", lambda _launch: None)
    async with to_gateway(platform, OPEN, KERNEL) as socket:
        assert json.loads(await socket.recv())["content"] == {"execution_state": "starting"}
        await socket.wait_closed()
        assert socket.close_code == 1013
    assert "drawn before" in platform.open(OPEN).text  # what can be shown is
    platform.gateway.keeper._failed.clear()


def test_a_snapshot_is_for_who_may_see_the_dashboard(platform: Platform, published: Any, stand_in: StandIn):
    published("project")
    release = "agriculture--shown-project--v1"
    assert platform.gateway.snapshots.take(release, f"127.0.0.1:{stand_in.port}")
    try:
        path = f"/_stage/static/{HASH}/npm/a.js"
        assert platform.open(HOST).status_code == 302 and platform.open(HOST, path).status_code == 401
        assert platform.open(HOST, headers=session_of(platform, "ben")).status_code == 403
        mine = platform.open(HOST, headers=session_of(platform, "ana"))
        assert "drawn before" in mine.text and mine.headers["cache-control"] == "private, no-cache"
        own, everybodys = platform.open(HOST, path, headers=session_of(platform, "ana")), platform.open(OPEN, path)
        assert own.status_code == 200 and own.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert everybodys.headers["cache-control"] == "public, max-age=31536000, immutable"
        tag = {"If-None-Match": own.headers["etag"]}
        again = platform.open(HOST, path, headers={**session_of(platform, "ana"), **tag})
        assert again.status_code == 304 and again.headers["cache-control"].startswith("private")
    finally:
        platform.gateway.snapshots.drop(release)


def test_only_what_all_visitors_share_is_kept(tmp_path: Path, stand_in: StandIn):
    snapshots, address = Snapshots(tmp_path), f"127.0.0.1:{stand_in.port}"
    assert snapshots.take("p--s--v1", address) and snapshots.page("p--s--v1")
    assert "components" in snapshots.page("p--s--v1").states["w"]  # type: ignore[union-attr]
    for mode in ("plain", "fork-after-imports", ""):
        stand_in.mode, before = mode, stand_in.asked.count("/_stage/page")
        assert not snapshots.take("p--s--v1", address) and snapshots.page("p--s--v1") is None
        assert stand_in.asked.count("/_stage/page") == before  # each such page costs a process
    with pytest.raises(ValueError, match="no release"):
        snapshots.page("../p")


def test_what_was_painted_stands_in_the_page(tmp_path: Path, stand_in: StandIn):
    snapshots = Snapshots(tmp_path)
    snapshots.take("p--s--v1", f"127.0.0.1:{stand_in.port}")
    plain = snapshots.page("p--s--v1").asset  # type: ignore[union-attr]
    snapshots.paint("p--s--v1", ["<b>drawn</b>"])
    painted = snapshots.page("p--s--v1").asset  # type: ignore[union-attr]
    assert b"<b>drawn</b>" in painted.body and painted.tag != plain.tag
    assert gzip.decompress(painted.zipped or b"") == painted.body


def test_what_an_earlier_version_painted_is_shown(tmp_path: Path, stand_in: StandIn):
    snapshots = Snapshots(tmp_path)
    snapshots.take("p--s--v1", f"127.0.0.1:{stand_in.port}")
    for earlier, shown in ((["<b>drawn</b>"], True), ({"places": ["<b>drawn</b>"]}, True), ({}, False), ("x", False)):
        (tmp_path / "p--s--v1" / "painted.json").write_text(json.dumps(earlier))
        snapshots._pages.clear()
        page = snapshots.page("p--s--v1")
        assert page is not None and (b"<b>drawn</b>" in page.asset.body) is shown
