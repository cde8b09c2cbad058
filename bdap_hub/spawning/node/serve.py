"""Who may speak to root's part: on its own machine an account, by a socket; from elsewhere the hub, by its certificate.

Each caller has a process of its own, which ends with the connection. A line asks, lines answer, all in JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import socketserver
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .dockerd import Engine
from .rules import Rules
from .tasks import LARGEST, Tasks

DOCKER = "/var/run/docker.sock"
PR_SET_PDEATHSIG = 1
SHAKES_HANDS = 5.0  # seconds


def tasks(config: Mapping[str, Any]) -> Tasks:
    """For one caller."""
    rules = Rules(config["install"], tuple(config["read"]), tuple(config["write"]), config["lowest"])
    return Tasks(rules, Engine(config.get("docker", DOCKER)))


def speak(config: Mapping[str, Any], reader: BinaryIO, writer: BinaryIO) -> None:
    """Until the caller has no more to ask."""
    own = tasks(config)

    def say(said: Any) -> None:
        writer.write(json.dumps(said).encode() + b"\n")
        writer.flush()

    while line := reader.readline(LARGEST):
        own.answer(line.decode(errors="replace"), say)


class _Caller(socketserver.StreamRequestHandler):
    server: Any

    def handle(self) -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        speak(self.server.config, self.rfile, self.wfile)


class OnThisMachine(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """At `config["socket"]`, for its group. Besides, the kernel says who calls: root or the account."""

    max_children = 64

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self._may = {0, int(config["account"])}
        path = Path(config["socket"])
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        super().__init__(str(path), _Caller)
        os.umask(before)
        os.chown(path, 0, int(config["group"]))
        path.chmod(0o660)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """By the peer's uid."""
        found = request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", found)
        if uid not in self._may:
            print(f"refused: uid {uid} is not the hub's", file=sys.stderr, flush=True)
        return uid in self._may


class _FarCaller(_Caller):
    def setup(self) -> None:
        self.request.settimeout(SHAKES_HANDS)
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.request.settimeout(None)
        super().setup()


class FromElsewhere(socketserver.ForkingMixIn, socketserver.TCPServer):
    """At `config["listen"]` (address, port), for `config["from"]` with a certificate of the hub's authority."""

    allow_reuse_address = True
    request_queue_size = 64
    max_children = 64

    def __init__(self, config: Mapping[str, Any]) -> None:
        import ssl

        self.config = config
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.tls.load_verify_locations(config["hub"])
        self.tls.load_cert_chain(config["certificate"], config["key"])
        super().__init__(tuple(config["listen"]), _FarCaller)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Nobody else is worth a process."""
        if client_address[0] != self.config["from"]:
            print(f"refused: {client_address[0]} is not the hub", file=sys.stderr, flush=True)
        return bool(client_address[0] == self.config["from"])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line, no stack: whoever knocks with no certificate causes it."""
        print(f"refused: {client_address[0]}: {sys.exc_info()[1]}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    """`pipe`: for who started it, as its first line says; else the path of a configuration."""
    if arguments == ["pipe"]:
        config = json.loads(sys.stdin.buffer.readline(LARGEST))
        speak(config, sys.stdin.buffer, sys.stdout.buffer)
        return
    config = json.loads(Path(arguments[0]).read_text())
    kind: type[Any] = FromElsewhere if "listen" in config else OnThisMachine
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with kind(config) as server:
        print("ready", flush=True)
        server.serve_forever()
