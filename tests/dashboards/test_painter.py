"""A browser looks at a new release once: what it draws, and what it cannot do."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker
import pytest
from rasterio.io import MemoryFile

from bdap_hub.dashboards.snapshots.kept import Snapshots
from bdap_hub.dashboards.snapshots.painter import (
    PNG,
    DockerPainter,
    Painter,
    ProcessPainter,
    make_painter,
    painter_spec,
    portray,
    read_look,
)
from bdap_hub.settings import Settings

from .conftest import Platform, notebook

HASH, IMAGE = "0123456789abcdef", "bdap/painter:latest"
ELSEWHERE = """
const elsewhere = 'http://127.0.0.1:{other}/';
new Image().src = elsewhere + 'image'; fetch(elsewhere + 'fetch', {{mode: 'no-cors'}}).catch(() => 0);
try {{ new WebSocket('ws://127.0.0.1:{other}/socket') }} catch (_) {{}}
new Image().src = 'http://evil.example/x'; navigator.sendBeacon && navigator.sendBeacon(elsewhere + 'beacon', 'x');
window.open(elsewhere + 'window');
"""
STATE = '{"status": "ready", "mode": "fork"}'
DRAWS = """<style>.own {{ color: rgb(1, 2, 3) }}</style><div class="own" onclick="alert(1)">drawn <b>bold</b></div>
<a href="javascript:alert(1)">x</a><svg viewBox="0 0 9 9"><circle r="4" onload="alert(1)"/></svg>
<canvas width="9" height="9"></canvas>"""
PAGE = f"""<!doctype html><html data-stage="ready"><body><h1>Fields of wheat</h1>
<script id="bdap-stage" type="application/json">{{{{}}}}</script>
<div class="bdap-widget" data-model="w"></div>
<script src="/_stage/static/{{hash}}/a.js"></script><script>
document.querySelector('.bdap-widget').innerHTML = `{DRAWS}`;
{{script}}</script></body></html>"""


class Site(ThreadingHTTPServer):
    """A page, and all that it was asked: it stands where a release would."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.script = ""
        site = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path + str(self.headers))
                page = PAGE.format(hash=HASH, script=site.script) if self.path in ("/", "/_stage/page") else ""
                body = (STATE if self.path == "/_stage/state" else page).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html" if body else "text/javascript")
                self.send_header("Bdap-Stage", "fork")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Answers)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    """The release's place, and another's that its page would like to reach."""
    both = Site(), Site()
    both[0].script = ELSEWHERE.format(other=both[1].server_port)
    yield both
    for site in both:
        site.shutdown()
        site.server_close()


@pytest.fixture
def browser() -> str:
    found = shutil.which("chromium")
    if not found:
        pytest.skip("no Chromium on this host's PATH")
    return found


@pytest.mark.browser
def test_one_look_draws_the_page_and_reaches_nothing_else(settings: Settings, sites: tuple[Site, Site], browser: str):
    release, other = sites
    name = portray(settings, ProcessPainter(browser), "p--s--v1", f"127.0.0.1:{release.server_port}")
    picture = (settings.var / "dashboards" / "pictures" / f"{name}.png").read_bytes()
    assert picture.startswith(PNG) and len(name) == 64
    page = Snapshots(settings.var / "dashboards" / "snapshots").page("p--s--v1")
    assert page is not None
    body = page.asset.body.decode()
    place = body.partition('data-model="w">')[2].partition("<script")[0]
    assert (
        "drawn" in place and "color:rgb(1, 2, 3)" in place and "<circle" in place and "data:image/png;base64" in place
    )
    for hostile in ("onclick", "onload", "javascript:", "href", "<style", "alert("):
        assert hostile not in place, hostile
    assert other.asked == []
    assert not any("Cookie" in one or "Authorization" in one for one in release.asked)


def test_a_browser_that_ends_takes_its_helpers_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They wrote into the folder as it was thrown away, which failed: so did what was published."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    browser = tmp_path / "browser"
    browser.write_text(
        "#!/bin/sh\nfor option; do case $option in --user-data-dir=*) home=${option#*=};; esac; done\n"
        '(n=0; while :; do n=$((n+1)); mkdir -p "$home/$n"; done) '
        "3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&- &\n"  # so that it is seen that the browser has ended
        "sleep 0.2\n"
    )
    browser.chmod(0o755)
    for _ in range(3):
        assert ProcessPainter(str(browser)).look("p--s--v1", "127.0.0.1:9") == ""
    assert [path.name for path in tmp_path.iterdir()] == ["browser"]


@pytest.mark.browser
def test_the_picture_of_a_published_notebook(platform: Platform, browser: str, artifacts: Path):
    platform.settings.dashboards.painter = "on"
    try:
        made = platform.publish("ana", "drawn", notebook("1 + 1", text="# Harvest of the year"), visibility="public")
    finally:
        platform.settings.dashboards.painter = ""
    assert made.status_code == 201, made.text
    live = platform.gateway.records.live("agriculture", "drawn")
    assert live is not None
    release = platform.gateway.records.releases(platform.gateway.records.get("agriculture", "drawn"))[0]
    picture = platform.settings.var / "dashboards" / "pictures" / f"{release.thumbnail}.png"
    assert picture.read_bytes().startswith(PNG)
    shutil.copy(picture, artifacts / "dashboard-thumbnail.png")


class Fails:
    """A painter that stands for one that has gone wrong."""

    def __init__(self, said: str) -> None:
        self._said = said

    def look(self, release: str, address: str) -> str:
        return self._said


BAD = PNG + b"0" * 100
STATIC_PAGE = "<!doctype html><link rel=stylesheet href=leaf.css><h1>Fields of wheat</h1>"


SHEET = f"/_stage/static/{HASH}/lab/index.css"


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ({SHEET: [[0, 5], [7, 9]]}, {SHEET: [(0, 5), (7, 9)]}),
        ({}, {}), ([], {}), ("x", {}), ({"/": [[0, 5]]}, {}), ({SHEET: [[0, 5]], "/x.css": [[0, 5]]}, {}),
        ({SHEET: {"12": 1}}, {}), ({SHEET: ["12"]}, {}), ({SHEET: [[0, 5, 6]]}, {}), ({SHEET: [[0, "5"]]}, {}),
        ({SHEET: [[True, 5]]}, {}), ({SHEET: [[0, 1]] * 5001}, {}),
        ({f"/_stage/static/{HASH}/lab/{n}.css": [] for n in range(11)}, {}),
    ],
)  # fmt: skip
def test_rules_that_are_taken(rules: Any, kept: dict[str, Any]):
    told = {"ready": True, "picture": base64.b64encode(BAD).decode(), "places": [], "rules": rules}
    look = read_look(json.dumps(told))
    assert look is not None and look.rules == kept


@pytest.mark.parametrize("said", [
    "", "x", "[]", "{}", '{"ready": false}', '{"ready": true}', '{"ready": true, "picture": "x", "places": []}',
    json.dumps({"ready": True, "picture": base64.b64encode(b"<svg>").decode(), "places": []}),
    json.dumps({"ready": True, "picture": base64.b64encode(BAD).decode(), "places": "x"}),
    json.dumps({"ready": True, "picture": base64.b64encode(BAD + b"0" * 2**22).decode(), "places": []}),
])  # fmt: skip
def test_what_is_no_look_changes_nothing(settings: Settings, sites: tuple[Site, Site], said: str):
    address = f"127.0.0.1:{sites[0].server_port}"
    assert read_look(said) is None
    assert portray(settings, Fails(said), "p--s--v1", address) == ""
    assert Snapshots(settings.var / "dashboards" / "snapshots").page("p--s--v1")  # served without
    good = json.dumps({"ready": True, "picture": base64.b64encode(BAD).decode(), "places": ["<b onclick=x>1</b>", 2]})
    assert read_look(good) is not None and read_look(good).places == ("<b>1</b>", "")  # type: ignore[union-attr]


def test_the_painters_container_is_locked(settings: Settings):
    settings.dashboards.painter = IMAGE
    spec = painter_spec(settings, "p--s--v1")
    assert spec["network_mode"] == f"container:bdap-{settings.install_id}-p--s--v1"
    assert (spec["read_only"], spec["cap_drop"], spec["user"]) == (True, ["ALL"], "65000:65000")
    assert "no-new-privileges:true" in spec["security_opt"] and len(spec["security_opt"]) == 2
    assert "mounts" not in spec and "volumes" not in spec and set(spec["environment"]) == {"HOME"}
    settings.dashboards.painter = ""
    assert make_painter(settings) is None


@pytest.mark.docker
def test_the_painter_in_its_container(settings: Settings, tmp_path: Path):
    """With the image, if it is built (it is on demand); without, nothing is drawn and nothing breaks.

    Of a release, and of a page of files, for which nothing runs.
    """
    settings.dashboards.painter = IMAGE
    client = docker.from_env()
    built = any(image.tags for image in client.images.list("bdap/painter"))
    name = f"bdap-{settings.install_id}-p--s--v1"
    page = PAGE.format(hash=HASH, script="")
    (tmp_path / "index.html").write_text(page)
    tmp_path.chmod(0o755)
    release = client.containers.run(
        "bdap/dashboard", ["python", "-m", "http.server", "8866", "-d", "/site"], name=name, detach=True,
        volumes={str(tmp_path): {"bind": "/site", "mode": "ro"}}, entrypoint=[], user="60001:60001",
    )  # fmt: skip
    try:
        painter: Painter = DockerPainter(settings)
        look = read_look(painter.look("p--s--v1", ""))
    finally:
        release.remove(force=True)
    assert (look is not None) is built
    if look is not None:
        assert "drawn" in look.places[0]
    (tmp_path / "my page.html").write_text(STATIC_PAGE)
    (tmp_path / "leaf.css").write_text("body { background: rgb(204, 0, 0) }")
    drawn = read_look(painter.look("p--s--v2", "", tmp_path / "my page.html"))
    assert (drawn is not None) is built
    if drawn is not None:
        with MemoryFile(drawn.picture) as file, file.open() as picture:
            assert picture.read()[:3, 390, 600].tolist() == [204, 0, 0]
    settings.dashboards.painter = "bdap/not-built:latest"
    assert DockerPainter(settings).look("p--s--v1", "") == ""  # and no registry is asked for it
    assert not client.containers.list(all=True, filters={"label": f"bdap.hub={settings.install_id}"})
