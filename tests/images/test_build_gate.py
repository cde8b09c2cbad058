"""The gate of a build leads to the registries that are named, and nowhere else."""

from __future__ import annotations

import base64
import http.server
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bdap_hub.spawning.images.building.gate import gate


class Registry(http.server.BaseHTTPRequestHandler):
    """Says what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{self.path} {sorted(name.lower() for name in self.headers)}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        """As a site's own proxy, which wants a login."""
        right = f"Basic {base64.b64encode(b'site:word').decode()}"
        self.send_response(200 if self.headers["Proxy-Authorization"] == right else 407)
        self.end_headers()
        self.wfile.write(f"through to {self.path}".encode())
        self.close_connection = True

    def log_message(self, *given: object) -> None:
        pass


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def place() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="bdaptest-gate-")
    yield Path(folder) / "socket"
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def ask(place: Path, text: str) -> str:
    with socket.socket(socket.AF_UNIX) as near:
        near.settimeout(20)
        near.connect(str(place))
        near.sendall(text.encode())
        near.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: near.recv(65536), b"")).decode()


def test_a_registry_is_reached_both_ways(place: Path, registry: str) -> None:
    said: list[str] = []
    with gate(place, [registry], said.append):
        plain = ask(
            place, f"GET http://{registry}/simple/x?y=1 HTTP/1.1\r\nHost: {registry}\r\nProxy-Authorization: x\r\n\r\n"
        )
        tunnel = ask(
            place, f"CONNECT {registry} HTTP/1.1\r\n\r\nGET /inside HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
    assert plain.startswith("HTTP/1.1 200")
    assert "/simple/x?y=1 ['connection', 'host']" in plain
    assert tunnel.startswith("HTTP/1.1 200 Connection established")
    assert "/inside" in tunnel
    assert said == []


@pytest.mark.parametrize(
    "request_line",
    [
        "CONNECT example.org:443",
        "CONNECT 169.254.169.254:80",
        "CONNECT localhost:{port}",
        "CONNECT 127.0.0.1:22",
        "CONNECT pypi.org:22",
        "CONNECT pypi.org:80",
        "CONNECT pypi.org.evil.example.org:443",
        "CONNECT user@evil.example.org:443",
        "GET http://example.org/",
        "GET http://pypi.org:8080/",
        "GET http://pypi.org@evil.example.org/",
        "GET ftp://pypi.org/",
        "GET /etc/passwd",
    ],
)
def test_nothing_else_is(place: Path, registry: str, request_line: str) -> None:
    said: list[str] = []
    with gate(place, [registry, "pypi.org"], said.append):
        answer = ask(
            place, request_line.format(port=registry.partition(":")[2]) + " HTTP/1.1\r\nHost: pypi.org\r\n\r\n"
        )
    assert answer.startswith("HTTP/1.1 403"), answer
    assert said
    assert "builder.registries" in said[0]


@pytest.mark.parametrize("text", ["\r\n\r\n", "CONNECT\r\n\r\n", "CONNECT x:y HTTP/1.1\r\n\r\n", "GET " + "x" * 70000])
def test_nonsense_is_answered_and_ends(place: Path, text: str) -> None:
    with gate(place, ["pypi.org"], lambda line: None):
        assert ask(place, text)[:12] in ("HTTP/1.1 502", "HTTP/1.1 403")


def test_by_the_sites_own_proxy_with_its_login(place: Path, registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://site:word@{registry}")
    with gate(place, ["pypi.org"], pytest.fail):
        assert "through to pypi.org:443" in ask(place, "CONNECT pypi.org:443 HTTP/1.1\r\n\r\n")
    monkeypatch.setenv("https_proxy", f"http://site:wrong@{registry}")
    with gate(place, ["pypi.org"], pytest.fail):
        assert ask(place, "CONNECT pypi.org:443 HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 502")


def test_nothing_answers_after_the_build(place: Path) -> None:
    with gate(place, [], pytest.fail):
        pass
    with pytest.raises(OSError):
        ask(place, "GET / HTTP/1.1\r\n\r\n")
