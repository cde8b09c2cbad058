"""Websockets of a visitor's page, as tests open them."""

from __future__ import annotations

import asyncio
import json
import uuid

from websockets.asyncio.client import ClientConnection, connect

from .conftest import Platform


def kernel_of(page: str) -> str:
    """The kernel that the page was given; its browser chooses one where the page is the same for all."""
    if 'id="bdap-stage"' in page:
        return str(uuid.uuid4())
    config = page.split('id="jupyter-config-data" type="application/json">')[1].split("</script>")[0]
    return str(json.loads(config)["kernelId"])


def socket_to(platform: Platform, path: str, origin: str | None, headers: dict[str, str], host: str) -> connect:
    """A connection to the gateway by loopback, under the dashboard's own host name."""
    port = platform.settings.dashboards.gateway_port
    url = f"ws://{host}.dashboards.localhost:{port}{path}"
    return connect(url, host="127.0.0.1", origin=origin, additional_headers=headers, proxy=None)  # type: ignore[arg-type]


async def said(socket: ClientConnection, message: str) -> list[str]:
    """The types of all that the kernel says within three seconds of that message."""
    await socket.send(message)
    kinds = []
    try:
        async with asyncio.timeout(3):
            async for frame in socket:
                kinds.append(str(json.loads(frame)["header"]["msg_type"]))
    except TimeoutError:
        pass
    return kinds
