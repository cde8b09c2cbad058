"""Websockets of a visitor's page, as tests open them."""

from __future__ import annotations

import asyncio
import json
import uuid

from websockets.asyncio.client import ClientConnection, connect

from .conftest import Platform, comm_message


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


async def answers(socket: ClientConnection, asked: str) -> bool:
    """Whether the kernel answers a `kernel_info` or `comm_info` request within half a minute."""
    message = json.loads(comm_message(f"{asked}_request"))
    message["header"]["msg_id"] = str(uuid.uuid4())  # kernels hear nothing twice
    await socket.send(json.dumps(message))
    try:
        async with asyncio.timeout(30):
            async for frame in socket:
                if json.loads(frame)["header"]["msg_type"] == f"{asked}_reply":
                    return True
    except TimeoutError:
        pass
    return False
