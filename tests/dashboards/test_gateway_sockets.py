"""The gateway's websockets: what a visitor's kernel answers, and who gets none."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.until import BUSY_SECONDS

from .conftest import Platform, comm_message
from .sockets import kernel_of
from .visitors import HOST, cookie_of, session_of, visitor_of


def _socket(platform: Platform, path: str, origin: str | None, headers: dict[str, str], host: str = HOST) -> connect:
    """A connection to the gateway by loopback, under the dashboard's own host name."""
    port = platform.settings.dashboards.gateway_port
    url = f"ws://{host}.dashboards.localhost:{port}{path}"
    return connect(url, host="127.0.0.1", origin=origin, additional_headers=headers, proxy=None)  # type: ignore[arg-type]


async def _talk(
    platform: Platform, kernel: str, origin: str, message: str, headers: dict[str, str]
) -> list[dict[str, Any]]:
    """Everything the kernel says within three seconds of that message."""
    said = []
    async with _socket(platform, f"/api/kernels/{kernel}/channels?session_id=s", origin, headers) as socket:
        await socket.send(message)
        try:
            async with asyncio.timeout(3):
                async for frame in socket:
                    said.append(json.loads(frame))
        except TimeoutError:
            pass
        except ConnectionClosed:
            said.append({"closed": True})
    return said


async def test_the_websocket_answers_widgets_and_runs_no_code(platform: Platform, published):
    made = published("project")
    session = session_of(platform, "ana")
    kernel = kernel_of(platform.open(HOST, headers=session).text)
    headers, origin = session, made["url"].rstrip("/")
    info = await _talk(platform, kernel, origin, comm_message("kernel_info_request"), headers)
    assert "kernel_info_reply" in [m["header"]["msg_type"] for m in info]
    code = comm_message("execute_request", code="open('/tmp/pwned','w')", silent=False)
    answers = await _talk(platform, kernel, origin, code, headers)
    assert not [m for m in answers if m.get("msg_type") in ("execute_reply", "execute_result", "error")]
    still = await _talk(platform, kernel, origin, comm_message("shutdown_request", restart=False), headers)
    assert "shutdown_reply" not in [m["header"]["msg_type"] for m in still if "header" in m]
    info = await _talk(platform, kernel, origin, comm_message("comm_info_request"), headers)
    assert "comm_info_reply" in [m["header"]["msg_type"] for m in info]  # the kernel lives


@pytest.mark.parametrize("visibility", ["project", "people"])
async def test_logging_out_of_the_hub_ends_dashboards_and_open_websockets(
    platform: Platform, published, visibility: str
):
    made, host, name = published(visibility), f"agriculture--shown-{visibility}", f"agriculture/shown-{visibility}"
    browser = platform.hub.browser("ana")
    gone = cookie_of(platform, visitor_of(platform, "ana", browser), name)
    stays = session_of(platform, "ana", name)  # of another browser
    path = f"/api/kernels/{kernel_of(platform.open(host, headers=gone).text)}/channels"
    origin, soon = made["url"].rstrip("/"), 2 * platform.settings.identity.cache_seconds + 1
    async with (
        _socket(platform, path, origin, gone, host) as closed,
        _socket(platform, path, origin, stays, host) as kept,
    ):
        await asyncio.sleep(soon)
        await closed.ping()  # the control: while the login goes on, so does the dashboard
        browser.get(f"{platform.hub.url}/hub/logout", headers={"Sec-Fetch-Site": "same-origin"})
        async with asyncio.timeout(soon + BUSY_SECONDS):
            await closed.wait_closed()
        assert platform.open(host, headers=gone).status_code == 302
        with pytest.raises(InvalidStatus):
            async with _socket(platform, path, origin, gone, host):
                pass
        await asyncio.sleep(soon)
        await kept.ping()
        assert platform.open(host, headers=stays).status_code == 200


@pytest.mark.parametrize("wrong", ["origin", "no origin", "sibling", "person", "nobody", "kernel path"])
async def test_the_websocket_refuses(platform: Platform, published, wrong: str):
    made = published("project")
    origin: str | None = made["url"].rstrip("/")
    session = session_of(platform, "ana")
    path = f"/api/kernels/{kernel_of(platform.open(HOST, headers=session).text)}/channels"
    async with _socket(platform, path, origin, session):
        pass  # the same without what is wrong is let in
    match wrong:
        case "origin":
            origin = "https://evil.example"
        case "no origin":
            origin = None
        case "sibling":
            origin = platform.settings.dashboards.address("agriculture", "shown-public").rstrip("/")
        case "person":
            session = session_of(platform, "ben")
        case "nobody":
            session = {}
        case "kernel path":
            path = "/terminals/websocket/1"
    with pytest.raises(InvalidStatus) as refusal:
        async with _socket(platform, path, origin, session):
            pass
    assert refusal.value.response.status_code == 403
