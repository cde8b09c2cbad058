"""A hostile visitor at the gateway, each attack beside the same thing done rightly, or done past the gateway.

What a visitor finds who does run code in the sandbox is in test_sandbox.py; forged sessions are in test_gateway.py.
"""

from __future__ import annotations

import json
import socket as sockets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bdap_hub.dashboards.gateway.limits import Seats
from bdap_hub.dashboards.running.runtime import make_runtime

from .conftest import Platform, notebook, zipped
from .talking import answered, comm, heard, kernel_in, past_it, said, states, to_gateway
from .visitors import HOST, session_of

HOLES = """
import comm, ipyvue, ipywidgets, traitlets
other = comm.create_comm('of.another.kind')  # which makes it run in ordinary Voilà, whose kernels can do most
class Panel(ipyvue.VueTemplate):
    template = traitlets.Unicode('<template><div>panel</div></template>').tag(sync=True)
def fails(button):
    raise RuntimeError('in the press')
button = ipywidgets.Button(description='press')
button.on_click(fails)
ipywidgets.VBox([Panel(), button])
"""
OPEN = "agriculture--holes"
TYPES = (
    "execute_request", "inspect_request", "complete_request", "history_request", "is_complete_request",
    "connect_request", "shutdown_request", "interrupt_request", "debug_request", "input_reply", "execute_input",
    "create_subshell_request", "delete_subshell_request", "list_subshell_request", "usage_request", "apply_request",
    "abort_request", "clear_request", "purge_request", "status", "display_data", "error", "stream", "execute_reply",
)  # fmt: skip


@pytest.fixture(scope="module")
def kernel(platform: Platform) -> str:
    """Path of the websocket of a public page's kernel."""
    files = {"index.ipynb": notebook(HOLES), "logo.png": b"\x89PNG\r\n\x1a\n00", "secret.csv": b"kept,private"}
    made = platform.publish("ana", "holes", zipped(files), file="b.zip", visibility="public")
    assert made.status_code == 201, made.text
    return f"/api/kernels/{kernel_in(platform.open(OPEN).text)}/channels?session_id=s"


def _address(platform: Platform) -> str:
    return str(make_runtime(platform.settings).address("agriculture--holes--v1"))


def _refusals(platform: Platform, action: str = "dashboard.message") -> list[str]:
    return [event.reason for event in platform.audit(action) if event.subject == "agriculture/holes"]


@pytest.mark.parametrize("channel", ["shell", "control", "stdin", "iopub"])
async def test_every_message_type_on_every_channel(platform: Platform, kernel: str, channel: str):
    async with to_gateway(platform, OPEN, kernel) as socket:
        messages = [said(kind, channel, code="x = 1", value="", status="ok", comm_id="a") for kind in TYPES]
        if channel != "shell":
            messages += [said(kind, channel, comm_id="a") for kind in ("comm_msg", "kernel_info_request", "comm_open")]
        answers = await answered(socket, *messages)
    kinds = {answer["header"]["msg_type"] for answer in answers}
    assert kinds <= {"status", "kernel_info_reply", "iopub_welcome"}, kinds  # the control: the kernel lives and answers
    assert sum(answer["header"]["msg_type"] == "kernel_info_reply" for answer in answers) == 1
    refused = _refusals(platform)
    for kind in TYPES:
        assert any(repr(kind) in why and repr(channel) in why for why in refused), kind


async def test_a_template_imports_and_calls_nothing(platform: Platform, kernel: str):
    """Past the gateway the same message runs code of the visitor's choice: this is what the filter is for."""
    attack = {"create_widget": ["builtins", "dict"], "props": {"x": 1}, "id": "pwned"}
    async with past_it(_address(platform), kernel) as socket:
        found = await states(socket)
        panel = next(one for one, state in found.items() if state["_model_name"] == "VueTemplateModel")
        answers = await answered(socket, comm(panel, method="custom", content=attack))
        assert "pwned" in json.dumps([one["content"] for one in answers])
    async with to_gateway(platform, OPEN, kernel) as socket:
        assert await states(socket)
        for content in (
            {**attack, "id": "again"},
            {"update_ref": {"functionRef": "close"}, "prop": "x", "id": panel},
            {"create_widget": ["ipywidgets", "Text"], "props": {"value": {"functionRef": "close"}}, "id": "again"},
        ):
            answers = await answered(socket, comm(panel, method="custom", content=content))
            assert "again" not in json.dumps([one["content"] for one in answers])
        declares = {"components": {"x": {"class": ["builtins", "dict"], "props": ["x"]}}}
        answers = await answered(
            socket,
            comm(panel, method="update", state=declares),
            comm(panel, method="request_state"),
            comm(panel, method="custom", content={**attack, "id": "again"}),
        )
        assert "again" not in json.dumps([one["content"] for one in answers])
    assert {"makes or binds a widget where none is declared", "sets 'components' of a template"} <= set(
        _refusals(platform)
    )


async def test_forged_comms(platform: Platform, kernel: str):
    async with to_gateway(platform, OPEN, kernel) as socket:
        found = await states(socket)
        panel = next(one for one, state in found.items() if state["_model_name"] == "VueTemplateModel")
        answers = await answered(
            socket,
            said("comm_open", comm_id="f", target_name="os.system", data={}),
            said("comm_open", comm_id=panel, target_name="jupyter.widget", data={"state": {}}),
            comm("unknown", method="update", state={"value": 1}),
            comm(panel, method="__init__"),
            "not json", b"\x00" * 40, "{}",
        )  # fmt: skip
        assert {one["header"]["msg_type"] for one in answers} <= {"status", "kernel_info_reply", "iopub_welcome"}
        assert panel in await states(socket)  # nobody took its place
    refused = _refusals(platform)
    for why in ("'os.system'", "another widget has", "'__init__'", "no readable message"):
        assert any(why in one for one in refused), why


async def test_errors_come_without_tracebacks_and_paths(platform: Platform, kernel: str):
    opened = said("comm_open", comm_id="bad", target_name="jupyter.widget", data={"state": {"_model_module": 1}})
    async with past_it(_address(platform), kernel) as control, to_gateway(platform, OPEN, kernel) as socket:
        button = next(one for one, state in (await states(control)).items() if state.get("description") == "press")
        press = comm(button, method="custom", content={"event": "click"})
        plain = json.dumps(await answered(control, press, opened))
        assert "Traceback" in plain and "site-packages" in plain
        answers = json.dumps(await answered(socket, press, opened))
        assert "Traceback" not in answers and "site-packages" not in answers and "in the press" not in answers


async def test_size_and_time_of_a_connection(platform: Platform, kernel: str, monkeypatch: pytest.MonkeyPatch):
    limits = platform.gateway.channels.limits
    monkeypatch.setattr(limits, "message_mb", 0.01)
    async with to_gateway(platform, OPEN, kernel) as socket:
        await answered(socket, comm("x", method="update", state={"value": "y" * 20_000}))
    assert any("too large" in why for why in _refusals(platform))
    monkeypatch.setattr(limits, "socket_hours", 0.5 / 3600)
    async with to_gateway(platform, OPEN, kernel) as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
            await heard(socket, "", 20)
            await socket.recv()


async def test_who_has_many_kernels_waits(platform: Platform, kernel: str, monkeypatch: pytest.MonkeyPatch):
    assert platform.open(OPEN).status_code == 200
    seats = Seats(per_address=1, per_person=1)
    monkeypatch.setattr(platform.gateway.channels, "seats", seats)
    async with to_gateway(platform, OPEN, kernel) as socket:
        assert await answered(socket)
        waits = platform.open(OPEN)
        assert waits.status_code == 503 and "opens by itself" in waits.text and 'http-equiv="refresh"' in waits.text
        assert "127.0.0.1" not in waits.text
        with pytest.raises(InvalidStatus):
            async with to_gateway(platform, OPEN, kernel.replace(kernel[13:21], "00000000")):
                pass
        assert any("kernels of the address" in why for why in _refusals(platform, "dashboard.websocket"))
    async with to_gateway(platform, OPEN, kernel) as socket:  # who has one already goes on
        assert await answered(socket)


async def test_a_kernel_of_somebody_else(platform: Platform, kernel: str, published: Any):
    published("project")
    own = (
        f"/api/kernels/{kernel_in(platform.open(HOST, headers=session_of(platform, 'ana')).text)}/channels?session_id=s"
    )
    async with to_gateway(platform, HOST, own, headers=session_of(platform, "ana")) as socket:
        assert await answered(socket)
        for host, path, person in ((HOST, own, "olga"), (OPEN, own, "ana")):
            with pytest.raises((InvalidStatus, ConnectionClosed)):
                async with to_gateway(platform, host, path, headers=session_of(platform, person)) as other:
                    await other.recv()
    async with to_gateway(platform, HOST, kernel, headers=session_of(platform, "ana")) as other:
        assert json.loads(await other.recv())["content"]["stage"]["alive"] is False  # another's name, a new process


TRAVERSALS = (
    "/../../etc/passwd", "/voila/files/secret.csv", "/voila/files/../secret.csv", "/voila/files/%2e%2e/secret.csv",
    "/voila/files/..%2f..%2fetc%2fpasswd", "/voila/files//etc/passwd", "/voila/static/../../../../../etc/passwd",
    "/voila/static/%2e%2e%2f%2e%2e%2fetc/passwd", "/voila/templates/..%5c..%5csecret.csv",
    "/voila/files/secret.csv%00.png",
    "/voila/files/.%2e/secret.csv", "/voila/files/logo.png/../secret.csv", "/voila/files/index.ipynb", "/secret.csv",
    "http://169.254.169.254/latest/meta-data/", "//169.254.169.254/", "/voila/files/%252e%252e/secret.csv",
    "/voila/files/file:///etc/passwd", "/api/kernels/../contents/secret.csv", "/voila/static/\\..\\secret.csv",
)  # fmt: skip


def _raw(platform: Platform, path: str) -> bytes:
    """The answer to a request line that no client would send."""
    port = platform.settings.dashboards.gateway_port
    with sockets.create_connection(("127.0.0.1", port), timeout=30) as connection:
        host = f"{OPEN}.dashboards.localhost:{port}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_no_path_leads_out_of_what_is_served(platform: Platform, kernel: str):
    for path in TRAVERSALS:
        answer = _raw(platform, path)
        assert int(answer.split(b" ", 2)[1]) in (400, 403, 404), (path, answer[:200])
        assert b"kept,private" not in answer and b"root:" not in answer and b"/work" not in answer, path
    assert _raw(platform, "/voila/files/logo.png").startswith(b"HTTP/1.1 200")


@pytest.fixture
def listening(platform: Platform, kernel: str) -> Iterator[list[str]]:
    """In the release's place a server that notes what it is sent: what code in the sandbox could read there."""
    heard: list[str] = []

    class Release(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(f"{self.path}\n{self.headers}")
            self.send_response(200)
            self.send_header("Set-Cookie", "jupyterhub-session-id=stolen; Domain=localhost; Path=/")
            self.send_header("Content-Security-Policy", "default-src *")
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Release)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    name, ready = "agriculture--holes--v1", platform.gateway.keeper._ready
    before = ready.get(name)
    ready[name] = (float("inf"), f"127.0.0.1:{server.server_port}")
    try:
        yield heard
    finally:
        ready.pop(name)
        if before:
            ready[name] = before
        server.shutdown()
        server.server_close()


def test_a_release_is_sent_no_cookie_and_no_token_and_sets_none(platform: Platform, listening: list[str]):
    secrets = {
        "Cookie": "jupyterhub-session-id=hubsecret; bdap-dashboard=hubsecret; _xsrf=hubsecret",
        "Authorization": "Bearer hubsecret", "X-Forwarded-For": "hubsecret", "X-Api-Key": "hubsecret",
        "Referer": "http://hub/?hubsecret", "Accept-Language": "de",
    }  # fmt: skip
    answer = platform.open(OPEN, "/voila/files/x.png?a=1", headers=secrets)
    assert answer.text == "hello" and "set-cookie" not in answer.headers
    assert "default-src *" not in answer.headers["content-security-policy"]
    assert "/voila/files/x.png?a=1" in listening[-1] and "de" in listening[-1]
    assert "hubsecret" not in "".join(listening)
