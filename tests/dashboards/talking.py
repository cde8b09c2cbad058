"""A visitor who speaks the Jupyter protocol by hand: to the gateway, or past it as a control."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from .conftest import Platform


def kernel_in(page: str) -> str:
    """The kernel that Voilà's page was given; of a page that is the same for all its browser chooses one."""
    if 'id="bdap-stage"' in page:
        return str(uuid4())
    config = page.split('id="jupyter-config-data" type="application/json">')[1].split("</script>")[0]
    return str(json.loads(config)["kernelId"])


def to_gateway(
    platform: Platform, host: str, path: str, origin: str | None = "", headers: dict[str, str] | None = None
) -> connect:
    """A connection to the gateway by loopback, under the dashboard's own host name; from its own page unless said."""
    port = platform.settings.dashboards.gateway_port
    own = f"http://{host}.dashboards.localhost:{port}"
    return connect(
        f"ws://{host}.dashboards.localhost:{port}{path}",
        host="127.0.0.1",
        origin=own if origin == "" else origin,  # type: ignore[arg-type]
        additional_headers=headers or {},
        proxy=None,
    )


def past_it(address: str, path: str) -> connect:
    """A connection to the release itself, without the gateway, as another page."""
    return connect(f"ws://{address}{path}-control", proxy=None)


def said(kind: str, channel: str = "shell", **content: Any) -> str:
    """A message in the JSON form. Kernels drop one that they have had before."""
    header = {"msg_id": uuid4().hex, "username": "", "session": "s", "msg_type": kind, "version": "5.3", "date": ""}
    message = {"channel": channel, "header": header, "parent_header": {}, "metadata": {"version": "2.1.0"}}
    return json.dumps({**message, "content": content})


def comm(one: str, **data: Any) -> str:
    """A message to a widget."""
    return said("comm_msg", comm_id=one, data=data)


async def heard(socket: ClientConnection, until: str, seconds: float = 20) -> list[dict[str, Any]]:
    """All that comes until a message of that type, at most so long."""
    got: list[dict[str, Any]] = []
    with suppress(TimeoutError, ConnectionClosed):
        async with asyncio.timeout(seconds):
            async for frame in socket:
                got.append(json.loads(frame))
                if got[-1]["header"]["msg_type"] == until:
                    break
    return got


async def answered(socket: ClientConnection, *messages: str) -> list[dict[str, Any]]:
    """All that a kernel says to these: it answers in turn, and the last thing asked is what it always answers."""
    for message in (*messages, said("kernel_info_request")):
        await socket.send(message)
    got = await heard(socket, "kernel_info_reply")
    assert got and got[-1]["header"]["msg_type"] == "kernel_info_reply", "the kernel does not answer"
    return [*got, *await heard(socket, "", 0.3)]  # what other channels bring a little later


async def states(socket: ClientConnection) -> dict[str, dict[str, Any]]:
    """All widgets of the kernel: id → state."""
    one = uuid4().hex
    opened = said("comm_open", comm_id=one, target_name="jupyter.widget.control", data={})
    await socket.send(opened.replace("2.1.0", "1.0.0"))  # the protocol of the control comm
    await socket.send(comm(one, method="request_states"))
    async with asyncio.timeout(20):
        async for frame in socket:
            data = json.loads(frame)["content"].get("data") or {}
            if data.get("method") == "update_states":
                return {one: found["state"] for one, found in data["states"].items()}
    raise AssertionError("no states")
