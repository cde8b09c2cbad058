"""Panel and Solara apps: how they are started, and what passes between them and visitors, who meet no filter.

A stand-in for the package `panel` (its `serve` alone) runs in real containers. The packages themselves: set
BDAP_TEST_APPS to an image that has panel, solara and solara-assets.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import httpx
import pytest
from playwright.sync_api import Browser, expect
from websockets.asyncio.client import connect as to_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bdap_hub.access import Person
from bdap_hub.audit import latest
from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.gateway.limits import Seats
from bdap_hub.dashboards.gateway.proxy import app_path
from bdap_hub.dashboards.gateway.serving import Gateway, create_gateway
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.releases.publish import Publisher, Wish
from bdap_hub.dashboards.releases.tryout import NotebookFailed
from bdap_hub.dashboards.running.runtime import Launch, make_runtime
from bdap_hub.dashboards.running.runtime_docker import container_spec
from bdap_hub.dashboards.sharing.tickets import Visitor, make_session
from bdap_hub.database import connect
from bdap_hub.errors import BadRequest, Unavailable
from bdap_hub.settings import Settings
from bdap_hub.web import HubLogin
from tests.conftest import make_settings
from tests.serving import Services

from .conftest import notebook, zipped

STAND_IN = """
import asyncio, json, runpy, tornado.web, tornado.websocket
def serve(apps, address, port, show):
    class Page(tornado.web.RequestHandler):
        def get(self, path):
            try:
                said = runpy.run_path(apps["/"])["said"]
            except Exception as error:
                print("Error running application handler:", error, flush=True)
                said = ""
            if path == "gone.js":
                raise tornado.web.HTTPError(404)
            self.set_header("Set-Cookie", "jupyterhub-session-id=stolen; Path=/")
            self.set_header("Content-Security-Policy", "default-src *")
            self.set_header("Content-Type", "text/html")
            self.write(f"<h1>{said}</h1>" + json.dumps([self.request.uri, dict(self.request.headers)]))
    class Echo(tornado.websocket.WebSocketHandler):
        def select_subprotocol(self, offered):
            return offered[0] if offered else None
        async def open(self, path):
            await self.write_message(json.dumps([self.request.uri, dict(self.request.headers)]))
        async def on_message(self, message):
            await self.write_message(message, binary=isinstance(message, bytes))
    async def main():
        routes = [(r"/(ws)", Echo), (r"/(.*)", Page)]
        tornado.web.Application(routes, compress_response=True).listen(port, address)
        await asyncio.Event().wait()
    asyncio.run(main())
"""
LIMIT = 2**20
HOST = "agriculture--squares"


class Door:
    """A gateway before releases in containers, and what publishes them."""

    def __init__(self, settings: Settings, publisher: Publisher, gateway: Gateway) -> None:
        self.settings, self.publisher, self.gateway = settings, publisher, gateway
        self.port = settings.dashboards.gateway_port
        self.origin = self.address(HOST)

    def address(self, host: str) -> str:
        """The origin of the dashboard, or version, with that label."""
        return f"http://{host}.dashboards.localhost:{self.port}"

    def publish(
        self, kind: str, slug: str, visibility: str = "public", draft: bool = False, **files: str | bytes
    ) -> None:
        content = {
            name.replace("__", "."): one.encode() if isinstance(one, str) else one for name, one in files.items()
        }
        bundle = read_bundle("x.zip", zipped({"bdap-dashboard.yaml": f"kind: {kind}".encode(), **content}), LIMIT)
        wish = Wish("agriculture", slug, "Squares", "", visibility)
        self.publisher.publish(wish, bundle, "ana", self.publisher.records.find("agriculture", slug), draft)

    def open(self, path: str = "/", method: str = "GET", host: str = HOST, **headers: str) -> httpx.Response:
        sent = {"Host": self.address(host).removeprefix("http://"), "Accept": "text/html", **headers}
        return httpx.request(method, f"http://127.0.0.1:{self.port}{path}", headers=sent, timeout=90)

    def opened(self, host: str, **headers: str) -> httpx.Response:
        """The page, once its app has started."""
        deadline = time.monotonic() + 60
        while (answer := self.open(host=host, **headers)).status_code == 503 and time.monotonic() < deadline:
            assert "is starting" in answer.text and 'http-equiv="refresh"' in answer.text
            time.sleep(0.3)
        return answer

    def socket(self, path: str = "/ws?a=1", origin: str = "", host: str = HOST, **options: Any) -> Any:
        url = self.address(host).replace("http", "ws") + path
        return to_socket(url, host="127.0.0.1", origin=origin or self.address(host), proxy=None, **options)

    def cookie(self, person: str, dashboard: str) -> dict[str, str]:
        """What the browser of a person who came from the hub sends there."""
        value = make_session(self.settings.secret("signing"), dashboard, Visitor(person, "s" * 64), 600)
        return {"Cookie": f"bdap-dashboard={value}"}

    def refusals(self) -> str:
        return " | ".join(event.reason for event in latest(self.gateway.sessions, 200))


def _door(var: Path, image: str) -> Iterator[Door]:
    settings, services, client = make_settings(var), Services(), docker.from_env()
    settings.dashboards.image, settings.spawning.engine = image, "docker"
    settings.dashboards.network = f"bdaptest-apps-{settings.install_id}"
    records, runtime = Records(connect(settings.database)), make_runtime(settings)
    app = create_gateway(settings)
    services.serve(app, settings.dashboards.gateway_port)
    try:
        publisher = Publisher(settings, records, runtime, HubLogin(settings, "dashboards"))
        yield Door(settings, publisher, app.state.gateway)
    finally:
        services.end()
        runtime.stop_all()
        for network in client.networks.list(names=[settings.dashboards.network]):
            network.remove()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """In the platform's image with the stand-in, a published app."""
    folder, image = tmp_path_factory.mktemp("apps"), f"bdaptest-apps:{os.getpid()}"
    (folder / "panel.py").write_text(STAND_IN)
    (folder / "Dockerfile").write_text("FROM bdap/dashboard\nCOPY panel.py /opt/bdap/lib/python3.13/site-packages/\n")
    client = docker.from_env()
    client.images.build(path=str(folder), tag=image, rm=True)
    try:
        for made in _door(folder / "var", image):
            made.publish("panel", "squares", app__py="said = 'squares of wheat'", random__py="raise RuntimeError")
            yield made
    finally:
        client.images.remove(image, force=True)


def test_what_an_app_is_and_how_it_is_started(settings: Settings):
    alone = read_bundle("app.py", b"x = 1", LIMIT, kind="panel")
    assert (alone.kind, alone.entry) == ("panel", "index.py")
    assert read_bundle("x.ipynb", notebook("1"), LIMIT, kind="solara").entry == "index.ipynb"
    files = {"app.py": b"x", "helper.py": b"x", "index.html": b"x"}
    assert read_bundle("x.zip", zipped(files), LIMIT, kind="solara").entry == "app.py"
    with pytest.raises(BadRequest, match=r"has several apps: \['a.py', 'b.py'\]"):
        read_bundle("x.zip", zipped({"a.py": b"x", "b.py": b"x"}), LIMIT, kind="panel")
    for kind, first in (("panel", ["python", "-P", "-c"]), ("solara", ["python", "-P", "-m", "solara", "run"])):
        spec = container_spec(settings, Launch("p--s--v1", settings.var, "app.py", 60001, kind=kind), "172.30.0.1")
        assert spec["command"][: len(first)] == first and "/dashboard/app.py" in spec["command"]
        assert (spec["read_only"], spec["cap_drop"], spec["user"]) == (True, ["ALL"], "60001:60001")
        assert spec["environment"]["BOKEH_RESOURCES"] == "server" and "BDAP_STAGE_NPM" not in spec["environment"]
    settings.spawning.engine = "process"
    with pytest.raises(Unavailable, match="kind panel needs containers"):
        make_runtime(settings).start(Launch("p--s--v1", settings.var, "app.py", 60001, kind="panel"))


@pytest.mark.parametrize(
    ("path", "passes"),
    [("/", True), ("/static/js/bokeh.min.js", True), ("/_solara/cdn/x@5.1.1/a^b.js", True), ("/docs/", True),
     ("//evil", False), ("/a//b", False), ("/../x", False), ("/a/./b", False), ("/a\\b", False), ("/a\r\nb", False),
     ("/a\0", False), ("", False), ("x", False), ("/..", False)],
)  # fmt: skip
def test_only_plain_paths_reach_an_app(path: str, passes: bool):
    assert app_path(path) == passes


@pytest.mark.docker
def test_pages_come_through_the_gateway_and_nothing_of_the_platform_goes_in(door: Door):
    secrets = {
        "Cookie": "jupyterhub-session-id=hubsecret",
        "Authorization": "Bearer hubsecret",
        "X-Api-Key": "hubsecret",
    }
    answer = door.open("/page?a=1", **secrets)
    assert answer.status_code == 200 and "squares of wheat" in answer.text and '"/page?a=1"' in answer.text
    assert "hubsecret" not in answer.text and "set-cookie" not in answer.headers
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "default-src *" not in answer.headers["content-security-policy"]
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert door.open("/", method).status_code == 404, method
    assert door.open("/..%2fx").status_code == door.open("/a%5cb").status_code == 404
    assert door.open("/sw.js", **{"Service-Worker": "script"}).status_code == 403
    row = door.publisher.records.find("agriculture", "squares")
    assert (row.kind, door.publisher.records.releases(row)[0].mode) == ("panel", "app")


@pytest.mark.docker
async def test_its_websocket_passes_as_it_is_within_bounds(door: Door, monkeypatch: pytest.MonkeyPatch):
    limits = door.gateway.channels.limits
    cookie = {"Cookie": "jupyterhub-session-id=hubsecret"}
    async with door.socket(subprotocols=["bokeh", "token"], additional_headers=cookie) as socket:
        uri, heard = json.loads(await socket.recv())
        assert (uri, socket.subprotocol) == ("/ws?a=1", "bokeh") and "hubsecret" not in json.dumps(heard)
        for said in ("execute_request", b"\0\1"):
            await socket.send(said)
            assert await socket.recv() == said
        monkeypatch.setattr(limits, "message_mb", 0.01)
    async with door.socket() as socket:
        await socket.recv()
        await socket.send("x" * 20_000)
        await socket.send("short")
        assert await socket.recv() == "short"
    assert "a message of 20000 bytes is too large" in door.refusals()
    monkeypatch.setattr(limits, "socket_hours", 0.5 / 3600)
    async with door.socket() as socket:
        await socket.recv()
        with pytest.raises(ConnectionClosed):
            await socket.recv()


@pytest.mark.docker
async def test_who_gets_no_websocket(door: Door, monkeypatch: pytest.MonkeyPatch):
    for origin in ("http://evil.example.org", door.origin.replace("squares", "other")):
        with pytest.raises(InvalidStatus):
            async with door.socket(origin=origin):
                pass
    with pytest.raises(InvalidStatus):
        async with door.socket("/a%5cb"):
            pass
    monkeypatch.setattr(door.gateway.channels, "seats", Seats(per_address=1, per_person=1))
    async with door.socket() as socket:
        await socket.recv()
        with pytest.raises(InvalidStatus):
            async with door.socket():
                pass
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:  # its place is free as soon as it is gone
        try:
            async with door.socket() as socket:
                assert await socket.recv()
            break
        except InvalidStatus:
            continue
    else:
        pytest.fail("the place was never free again")


@pytest.mark.docker
def test_an_app_that_fails_or_lacks_its_package_is_not_published(door: Door):
    with pytest.raises(NotebookFailed, match=r"app\.py failed") as failed:
        door.publish("panel", "broken", app__py="raise RuntimeError('no such field')")
    assert "no such field" in failed.value.remedy
    with pytest.raises(NotebookFailed, match=r"asks for '/gone\.js', which is not there"):
        door.publish("panel", "broken", app__py="said = '<script src=here.js></script><script src=/gone.js></script>'")
    with pytest.raises(NotebookFailed, match="kind solara needs solara in requirements") as failed:
        door.publish("solara", "broken", app__py="x = 1")
    assert "requirements: [solara, solara-assets]" in failed.value.remedy
    assert door.publisher.records.find("agriculture", "broken") is None


@pytest.mark.docker
def test_it_sleeps_and_starts_at_a_visit(door: Door):
    name = "agriculture--squares--v1"
    door.publisher.runtime.stop(name)
    assert "squares of wheat" in door.opened(HOST).text and name in door.publisher.runtime.running()


@pytest.mark.docker
async def test_it_ends_when_nobody_looks_and_not_before(door: Door, monkeypatch: pytest.MonkeyPatch):
    name, keeper = "agriculture--squares--v1", door.gateway.keeper
    await asyncio.to_thread(door.opened, HOST)
    monkeypatch.setattr(door.settings.dashboards, "idle_timeout", 0)
    async with door.socket() as socket:
        await socket.recv()
        await asyncio.to_thread(keeper.clean_up)
        assert name in door.publisher.runtime.running()
        await socket.send("there")
        assert await socket.recv() == "there"
    deadline = time.monotonic() + 30
    while name in door.publisher.runtime.running() and time.monotonic() < deadline:
        await asyncio.to_thread(keeper.clean_up)
        await asyncio.sleep(0.2)
    assert name not in door.publisher.runtime.running()


@pytest.fixture
def people(door: Door, monkeypatch: pytest.MonkeyPatch) -> dict[str, frozenset[str]]:
    """STAND-IN for the hub: who is logged in, and their groups. The cookies are real."""
    known = {"ana": frozenset({"project-agriculture"}), "ben": frozenset({"project-forest"})}

    async def logged_in(name: str, _session: str) -> Person | None:
        return Person(name, known[name]) if name in known else None

    monkeypatch.setattr(door.gateway.login, "logged_in", logged_in)
    monkeypatch.setattr(door.settings.identity, "revocation_seconds", 3)
    return known


async def _refused_socket(door: Door, host: str, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus):
        async with door.socket(host=host, additional_headers=headers):
            pass


@pytest.mark.docker
async def test_who_may_not_see_an_app_gets_nothing_of_it(door: Door, people: dict[str, frozenset[str]]):
    """Neither pages nor files nor the websocket; who is put out while they look is cut off."""
    await asyncio.to_thread(door.publish, "panel", "inner", "project", app__py="said = 'inner matters'")
    host, key = "agriculture--inner", "agriculture/inner"
    ana, ben = door.cookie("ana", key), door.cookie("ben", key)
    assert "inner matters" in (await asyncio.to_thread(door.opened, host, **ana)).text
    nobody: dict[str, str] = {}
    for who, page, file in ((nobody, 302, 401), (door.cookie("ana", "agriculture/squares"), 302, 401), (ben, 403, 403)):
        for path, expected in (("/", page), ("/static/app.js", file)):
            answer = await asyncio.to_thread(door.open, path, host=host, **{"Accept": "*/*", **who})
            assert answer.status_code == expected and "inner matters" not in answer.text, (path, who)
        await _refused_socket(door, host, who)
    async with door.socket(host=host, additional_headers=ana) as socket:
        await socket.recv()
        people["ana"] = frozenset()
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(60):
                await socket.recv()


@pytest.mark.docker
async def test_a_draft_of_an_app_is_seen_by_who_may_preview_it(door: Door, people: dict[str, frozenset[str]]):
    door.gateway.keeper._known.clear()
    await asyncio.to_thread(door.publish, "panel", "squares", draft=True, app__py="said = 'squares of barley'")
    version = door.publisher.records.releases(door.publisher.records.find("agriculture", "squares"))[0].version
    address = door.settings.dashboards.address("agriculture", "squares", version)
    host = str(urlsplit(address).hostname).partition(".")[0]
    key = f"agriculture/squares/v{version}"
    ana, ben = door.cookie("ana", key), door.cookie("ben", key)
    assert "squares of barley" in (await asyncio.to_thread(door.opened, host, **ana)).text
    async with door.socket(host=host, additional_headers=ana) as socket:
        assert await socket.recv()
    for who, status in ((ben, 403), ({}, 302), (door.cookie("ana", "agriculture/squares"), 302)):
        answer = await asyncio.to_thread(door.open, host=host, **who)
        assert answer.status_code == status and "barley" not in answer.text
        await _refused_socket(door, host, who)
    assert "squares of wheat" in (await asyncio.to_thread(door.opened, HOST)).text


PANEL = """
import panel as pn
from squares import square
n = pn.widgets.IntSlider(name="n", start=0, end=10, value=3)
shown = pn.bind(lambda v: pn.pane.HTML(f"<b id=square>square is {square(v)}</b>"), n)
pn.Column("# Fields of wheat", n, shown).servable()
"""
SOLARA = """
import solara
from squares import square
n = solara.reactive(3)
@solara.component
def Page():
    solara.Markdown("# Fields of wheat")
    solara.SliderInt("n", value=n, min=0, max=10)
    solara.HTML(tag="b", unsafe_innerHTML=f"square is {square(n.value)}", attributes={"id": "square"})
"""


@pytest.mark.docker
@pytest.mark.browser
@pytest.mark.skipif(
    not os.environ.get("BDAP_TEST_APPS"), reason="BDAP_TEST_APPS names no image with panel, solara and solara-assets"
)
@pytest.mark.parametrize(("kind", "code"), [("panel", PANEL), ("solara", SOLARA)])
def test_the_packages_themselves_in_a_browser(tmp_path: Path, chromium: Browser, artifacts: Path, kind: str, code: str):
    for door in _door(tmp_path / "var", os.environ["BDAP_TEST_APPS"]):
        door.publish(kind, "squares", app__py=code, squares__py="def square(v):\n    return v ** 2\n")
        page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
        asked: list[str] = []
        errors: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
        page.goto(f"{door.origin}/", timeout=60_000)
        expect(page.locator("#square")).to_have_text("square is 9", timeout=60_000)
        slider = page.locator(".noUi-handle, [role=slider]").first
        slider.focus()
        slider.press("ArrowRight")
        expect(page.locator("#square")).to_have_text("square is 16", timeout=30_000)
        page.screenshot(path=artifacts / f"app-{kind}.png")
        own = (door.origin, door.origin.replace("http", "ws"), "data:", "blob:")
        assert [url for url in asked if not url.startswith(own)] == []
        assert errors == []
        page.context.close()
