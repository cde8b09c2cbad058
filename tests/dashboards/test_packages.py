"""What a manifest requires beyond the image: a layer of wheels from the index, locked by hash, built once."""

from __future__ import annotations

import hashlib
import html
import http.server
import io
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.bundles.manifest import Manifest
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.releases.publish import Publisher, Wish
from bdap_hub.dashboards.running.runtime import make_runtime
from bdap_hub.database import connect
from bdap_hub.errors import BadRequest, BdapError, Unavailable
from bdap_hub.settings import Settings
from bdap_hub.spawning.images.building.packages import LOCK, with_packages
from bdap_hub.spawning.images.platform import docker_client
from bdap_hub.web import HubLogin
from tests.certificates import write_signed

from .conftest import notebook

WHEEL = "wheatlib-1.2-py3-none-any.whl"


def _wheel() -> bytes:
    """A package of one module."""
    files = {
        "wheatlib.py": "ANSWER = 'wheat grows'\n",
        "wheatlib-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: wheatlib\nVersion: 1.2\n",
        "wheatlib-1.2.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, "wheatlib-1.2.dist-info/RECORD"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in {**files, "wheatlib-1.2.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    return buffer.getvalue()


class Index(http.server.BaseHTTPRequestHandler):
    """A package index of the test's own (PEP 503), with one package."""

    wheel = _wheel()

    def do_GET(self) -> None:
        digest = hashlib.sha256(self.wheel).hexdigest()
        page = f'<!DOCTYPE html><a href="/{WHEEL}#sha256={digest}">{WHEEL}</a>'.encode()
        answers = {"/simple/wheatlib/": (page, "text/html"), f"/{WHEEL}": (self.wheel, "application/zip")}
        content, kind = answers.get(self.path, (b"", ""))
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The index behind a certificate that only this host trusts, and the only host that builds may reach."""
    authority, certificate, key = write_signed(tmp_path, "127.0.0.1")
    bundle = tmp_path / "bundle.crt"
    bundle.write_bytes(Path("/etc/ssl/certs/ca-certificates.crt").read_bytes() + authority.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.builder.registries = (f"127.0.0.1:{server.server_port}",)
        settings.builder.index = f"https://127.0.0.1:{server.server_port}/simple"
        yield
        server.shutdown()


@pytest.fixture
def publisher(settings: Settings) -> Iterator[Publisher]:
    """With real containers; what it has built is removed at the end."""
    settings.dashboards.network = f"bdaptest-packages-{settings.install_id}"
    runtime, records = make_runtime(settings), Records(connect(settings.database))
    try:
        yield Publisher(settings, records, runtime, HubLogin(settings, "dashboards"), with_packages)
    finally:
        runtime.stop_all()
        _docker("network", "rm", settings.dashboards.network)
        _docker("image", "rm", "--force", *_images(settings))
        kept = f"--filter=label=bdap.builder.base={settings.install_id}"
        _docker("volume", "rm", *_docker("volume", "ls", "--quiet", kept).split())


def _docker(*arguments: str) -> str:
    return subprocess.run([docker_client(), *arguments], capture_output=True, text=True, timeout=60).stdout


def _images(settings: Settings) -> list[str]:
    label = f"--filter=label=bdap.install={settings.install_id}"
    return _docker("image", "ls", "--quiet", "--no-trunc", label).split()


def _wish(*requirements: str) -> Wish:
    return Wish("agriculture", "packed", "Packed", "", "public", Manifest(requirements=requirements))


@pytest.mark.docker
def test_a_layer_of_locked_wheels_built_once(publisher: Publisher, settings: Settings, index: None):
    bundle, said = read_bundle("index.ipynb", notebook("import wheatlib; print(wheatlib.ANSWER)"), 2**20), []
    publisher.publish(_wish("wheatlib>=1"), bundle, "ana", tell=said.append)
    page = httpx.get(f"http://{publisher.runtime.address('agriculture--packed--v1')}/", timeout=60).text
    assert "wheat grows" in html.unescape(page)
    assert said[0] == "installing wheatlib>=1" and any("wheatlib==1.2" in line for line in said)  # the log, as it comes
    live = publisher.records.live("agriculture", "packed")
    assert _images(settings) == [live.image]
    lock = _docker("run", "--rm", "--network=none", live.image, "cat", LOCK)
    assert f"wheatlib==1.2 \\\n    --hash=sha256:{hashlib.sha256(Index.wheel).hexdigest()}" in lock
    publisher.runtime.stop(live.release)
    publisher.start(live)  # as a first visitor does
    said.clear()
    base = settings.dashboards.image
    assert with_packages(settings, base, ("wheatlib>=1",), said.append) == live.image and said == []  # built before
    before = publisher.records.find("agriculture", "packed")
    with pytest.raises(BdapError, match="nosuchpackage") as failed:
        publisher.publish(_wish("nosuchpackage"), bundle, "ana", before)
    assert failed.value.status == 400 and _images(settings) == [live.image]


def test_where_nothing_builds_requirements_are_refused(settings: Settings):
    settings.spawning.engine = "process"
    records, login = Records(connect(settings.database)), HubLogin(settings, "dashboards")
    bundle = read_bundle("index.ipynb", notebook("1"), 2**20)
    publisher = Publisher(settings, records, make_runtime(settings), login)
    with pytest.raises(Unavailable, match="requirements need containers"):
        publisher.publish(_wish("wheatlib"), bundle, "ana")
    settings.spawning.engine = "docker"
    with pytest.raises(BadRequest, match="'wheatlib': packages beyond the image's are not installed here"):
        publisher.publish(_wish("wheatlib"), bundle, "ana")
    assert records.find("agriculture", "packed") is None
