"""Ordinary Voilà beside the stage, for notebooks that cannot be forked: started when needed, reached through here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import tornado.httpclient
import tornado.web
import tornado.websocket

from .renewal import die_with_parent
from .surroundings import without_stage

if TYPE_CHECKING:
    from .stage import Stage

START_SECONDS = 60.0
MOST_UNSENT = 32 * 2**20
"""Bytes that wait for a visitor who reads slowly, besides the largest message: nobody must fill the memory of all."""
_PASSED_ON = ("Content-Type", "Cache-Control", "Etag", "Last-Modified", "Location", "Vary")
_SENT = ("Accept", "Accept-Language", "User-Agent", "If-None-Match", "Host")


class Voila:
    """Voilà on a port of this sandbox's own."""

    def __init__(self, command: list[str]) -> None:
        self._command, self._process = command, None
        self._lock = asyncio.Lock()
        self.port = 0

    _process: subprocess.Popen[bytes] | None

    @property
    def running(self) -> bool:
        """Whether it was started and lives."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Until it answers; RuntimeError when it does not. Nothing happens when it runs."""
        async with self._lock:
            if self.running:
                return
            self.port = _free_port()
            self._spawn()
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline and self.running:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.1)
            raise RuntimeError("Voilà did not start")

    def _spawn(self) -> None:
        command = [part.replace("{port}", str(self.port)) for part in self._command]
        ours = os.getpid()
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=without_stage(os.environ), preexec_fn=lambda: die_with_parent(ours)
        )

    async def has_kernel(self, uuid: str) -> bool:
        """Whether that kernel is one of Voilà's."""
        if not self.running:
            return False
        client = tornado.httpclient.AsyncHTTPClient()
        url = f"http://127.0.0.1:{self.port}/api/kernels/{uuid}"
        return (await client.fetch(url, raise_error=False)).code == 200

    def end(self) -> None:
        """It ends its kernels; those that it could not end see that it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            self._process.kill()


class ProxiedPage(tornado.web.RequestHandler):
    """Hands a request on to Voilà."""

    stage: Stage

    def initialize(self, stage: Stage) -> None:
        """Called by tornado."""
        self.stage = stage

    async def proxy(self) -> None:
        """Voilà's answer, as it comes."""
        voila = self.stage.voila
        if not voila.running:
            raise tornado.web.HTTPError(404)
        began = False

        def header(line: str) -> None:
            name, _, value = line.strip().partition(": ")
            if line.startswith("HTTP/"):
                self.set_status(int(line.split()[1]))
            elif name in _PASSED_ON:
                self.set_header(name, value)

        def chunk(data: bytes) -> None:
            nonlocal began
            began = True
            self.write(data)
            self.flush()

        request = tornado.httpclient.HTTPRequest(
            f"http://127.0.0.1:{voila.port}{self.request.uri}",
            headers={name: self.request.headers[name] for name in _SENT if name in self.request.headers},
            follow_redirects=False,
            connect_timeout=20,
            request_timeout=600,
            header_callback=header,
            streaming_callback=chunk,
        )
        await tornado.httpclient.AsyncHTTPClient().fetch(request, raise_error=False)
        self.finish()

    def write_error(self, status_code: int, **_: Any) -> None:
        """Without traces."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("not found" if status_code == 404 else "that did not work")


class ProxiedSocket(tornado.websocket.WebSocketHandler):
    """A websocket that may turn out to be one of Voilà's kernels'."""

    stage: Stage
    uuid: str
    _far: tornado.websocket.WebSocketClientConnection | None = None
    _unsent = _largest = 0

    def initialize(self, stage: Stage) -> None:
        """Called by tornado."""
        self.stage = stage

    def check_origin(self, origin: str) -> bool:
        """The gateway has checked it, and sends none."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Whatever Voilà's page wants."""
        return subprotocols[0] if subprotocols and self.stage.voila.running else None

    @property
    def joined(self) -> bool:
        """Whether it is one of Voilà's."""
        return self._far is not None

    async def is_voilas(self, uuid: str) -> bool:
        """Whether Voilà has that kernel."""
        return uuid not in self.stage.children.alive and await self.stage.voila.has_kernel(uuid)

    async def join(self) -> None:
        """Join it to Voilà's."""
        url = f"ws://127.0.0.1:{self.stage.voila.port}{self.request.uri}"
        wanted = [self.selected_subprotocol] if self.selected_subprotocol else None
        self._far = await tornado.websocket.websocket_connect(
            url, on_message_callback=self._from_voila, subprotocols=wanted, max_message_size=512 * 2**20
        )

    def forward(self, frame: str | bytes) -> None:
        """To Voilà."""
        if self._far is not None:
            self._far.write_message(frame, binary=isinstance(frame, bytes))

    def leave(self) -> None:
        """The visitor is gone."""
        if self._far is not None:
            self._far.close()

    def _from_voila(self, frame: str | bytes | None) -> None:
        if frame is None:
            self.close()
            return
        self.pass_on(frame)

    def pass_on(self, frame: str | bytes) -> None:
        """To the visitor. Who does not read is disconnected: the page comes back and takes the state as it is then."""
        if self._unsent - self._largest > MOST_UNSENT and self.ws_connection is not None:
            self.ws_connection.stream.close()  # a word of farewell would wait behind all the rest
            return
        data = frame.encode() if isinstance(frame, str) else frame
        with contextlib.suppress(tornado.websocket.WebSocketClosedError):
            written = asyncio.ensure_future(self.write_message(data, binary=isinstance(frame, bytes)))
            self._unsent += len(data)
            self._largest = max(self._largest, len(data))  # however large, it is no sign of who reads slowly
            written.add_done_callback(lambda done: self._sent(done, len(data)))

    def _sent(self, done: asyncio.Future[None], size: int) -> None:
        self._unsent -= size
        if not self._unsent:
            self._largest = 0
        if not done.cancelled():
            done.exception()  # a connection that is lost meanwhile is no news


def _free_port() -> int:
    """One below those that the kernel gives to whoever asks for any: Voilà listens there in a second or two."""
    while True:
        port = secrets.choice(range(10_000, 15_000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
