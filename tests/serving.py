"""Our services beside a test, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn

from bdap_hub.proxy import IDLE_SECONDS


@contextmanager
def standing(address: str, port: int, handler: type[BaseHTTPRequestHandler]) -> Iterator[None]:
    """Something plain answers there, in the place of a service."""
    server = ThreadingHTTPServer((address, port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class Services:
    """ASGI applications on ports of 127.0.0.1, each in a thread of its own."""

    def __init__(self) -> None:
        self.running: dict[int, tuple[uvicorn.Server, threading.Thread]] = {}

    def serve(self, app: Any, port: int) -> None:
        """Run one, instead of what another test ran there; returns when it answers."""
        self.stop(port)
        waits = {"timeout_graceful_shutdown": 2, "timeout_keep_alive": IDLE_SECONDS}  # as the platform's own
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", **waits)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        self.running[port] = server, thread
        deadline = time.monotonic() + 20
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise TimeoutError(f"the service on port {port} did not start in 20 s")
            time.sleep(0.02)

    def stop(self, port: int) -> None:
        """End what runs there, if something does, and wait until the port is free."""
        if port in self.running:
            server, thread = self.running.pop(port)
            server.should_exit = True
            thread.join(10)

    def end(self) -> None:
        """End them all."""
        for port in list(self.running):
            self.stop(port)
