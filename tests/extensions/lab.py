"""A real JupyterLab with our extension, and a stand-in of the dashboards API that records what it was sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from nbformat import v4, write

from tests.conftest import free_port

EXTENSION = Path(__file__).parents[2] / "extensions" / "jupyterlab-bdap"
TOKEN = "lab-token-of-the-test"
HUB_TOKEN = "hub-token-of-the-test"


@dataclass
class Publisher:
    """STAND-IN for the dashboards service: same address, fields and answers; nothing is started."""

    url: str
    posts: list[dict[str, str | bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    refusal: tuple[int, dict[str, str]] | None = None


@contextmanager
def publisher() -> Iterator[Publisher]:
    """The stand-in on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            record.posts.append(_multipart(self.headers["Content-Type"], body))
            record.headers.append(dict(self.headers))
            status, answer = record.refusal or (201, _created(record))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    record = Publisher(f"http://127.0.0.1:{server.server_port}/services/dashboards")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield record
    server.shutdown()


def _created(record: Publisher) -> dict[str, object]:
    slug = str(record.posts[-1]["slug"])
    url = f"http://agriculture--{slug}.dashboards.localhost:8030/"
    return {"id": f"agriculture/{slug}", "url": url, "version": len(record.posts), "status": "live"}


def _multipart(kind: str, body: bytes) -> dict[str, str | bytes]:
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    found: dict[str, str | bytes] = {}
    for part in message.get_payload():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if file := part.get_filename():
            found[name], found["filename"] = content, file
        else:
            found[name] = content.decode()
    return found


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    url: str
    home: Path

    def open(self, notebook: str) -> str:
        """The address that opens a notebook, logged in by token."""
        return f"{self.url}lab/tree/{notebook}?token={TOKEN}&reset"


@contextmanager
def jupyterlab(tmp: Path, **environment: str) -> Iterator[Lab]:
    """JupyterLab on a free port with one notebook, `field-notes.ipynb`, that has an output."""
    home = tmp / "home"
    home.mkdir(parents=True)
    cell = v4.new_code_cell("1 + 1", outputs=[v4.new_output("stream", text="an old output")])
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    write(v4.new_notebook(cells=[cell], metadata=kernel), home / "field-notes.ipynb")
    shared = tmp / "jupyter" / "labextensions"
    shared.mkdir(parents=True)
    (shared / "jupyterlab-bdap").symlink_to(EXTENSION / "labextension")
    config = tmp / "config" / "jupyter_server_config.d"
    config.mkdir(parents=True)
    (config / "jupyterlab_bdap.json").write_text((EXTENSION / "config" / "jupyterlab_bdap.json").read_text())
    quiet = tmp / "config" / "labconfig"
    quiet.mkdir()
    (quiet / "page_config.json").write_text(
        '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}'
    )
    port = free_port()
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("BDAP_", "JUPYTER"))},
        "HOME": str(home),
        "JUPYTER_PATH": str(tmp / "jupyter"),
        "JUPYTER_CONFIG_PATH": str(tmp / "config"),
        "PYTHONPATH": str(EXTENSION),
        **environment,
    }
    options = [f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={home}", "--allow-root"]
    options += [f"--IdentityProvider.token={TOKEN}", "--no-browser"]
    log = (tmp / "lab.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", *options], env=env, cwd=home, stdout=log, stderr=subprocess.STDOUT
    )
    lab = Lab(f"http://127.0.0.1:{port}/", home)
    try:
        _wait(lab, process, tmp / "lab.log")
        yield lab
    finally:
        end(process)
        log.close()


def _wait(lab: Lab, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{lab.url}api", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and end it where it does not."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
