"""A static page: what is one, what of its bundle visitors get and how, in a real browser too; what nobody gets."""

from __future__ import annotations

import gzip
import json
import socket
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, expect

from bdap_hub.dashboards.bundles.bundle import read_bundle, store_bundle
from bdap_hub.dashboards.bundles.manifest import NAME, Manifest
from bdap_hub.dashboards.bundles.site import find, open_once
from bdap_hub.dashboards.releases.publish import Wish, completed
from bdap_hub.dashboards.snapshots.painter import painter_spec
from bdap_hub.errors import BadRequest
from bdap_hub.settings import Settings

from .conftest import Platform, notebook, zipped
from .test_sharing import _exchange, call
from .visitors import session_of as _session

INDEX = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Wheat</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="style.css"><h1>Wheat</h1><p id="sum">adding …</p>
<img src="map.svg" alt="A map of fields"><p><a href="about/">About</a></p><script src="app.js"></script></html>"""
APP = 'fetch("data/fields.json").then(a => a.json()).then(f => {\n  sum.textContent = `${f.length} fields`; });\n' * 30
FILES = {
    "index.html": INDEX.encode(),
    "style.css": b"h1 { color: rgb(0, 90, 60) }",
    "app.js": APP.encode(),
    "data/fields.json": json.dumps([{"name": f"field {n}"} for n in range(40)]).encode(),
    "map.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="99" height="9"><rect width="99" height="9"/></svg>',
    "raster.bin": bytes(range(256)) * 8,
    "about/index.html": b"<!doctype html><link rel=icon href='data:,'><title>About</title><h1>About wheat</h1>",
    "module.wasm": b"\0asm\1\0\0\0",
    NAME: b"kind: static\ntags: [wheat]\n",
    ".hidden.txt": b"kept,private",
    ".well/known.txt": b"kept,private",
    "build.py": b"private = 'kept,private'",
    "notes.ipynb": notebook("private = 'kept,private'"),
    "Makefile": b"kept,private",
}
LIMIT = 2**20
OPEN, HOST = "agriculture--leaves", "agriculture--leaflet"


def _page(**files: bytes | None) -> bytes:
    changed = {**FILES, **{name.replace("__", "."): content for name, content in files.items()}}
    return zipped({name: content for name, content in changed.items() if content is not None})


@pytest.fixture(scope="module")
def public(platform: Platform) -> dict[str, object]:
    """ana's public page, with its picture."""
    platform.settings.dashboards.painter = "on"
    try:
        made = platform.publish("ana", "leaves", _page(), file="x.zip", visibility="public")
    finally:
        platform.settings.dashboards.painter = ""
    assert made.status_code == 201, made.text
    return dict(made.json())


def session_of(platform: Platform, person: str, version: int = 0) -> dict[str, str]:
    """Their cookie for the private page, or for that version of it."""
    return _session(platform, person, "agriculture/leaflet" + (f"/v{version}" if version else ""))


def test_what_is_a_static_page():
    bundle = read_bundle("x.zip", _page(), LIMIT)
    assert (bundle.kind, bundle.entry) == ("static", "index.html")
    alone = read_bundle("report.html", b"<h1>x</h1>", LIMIT)
    assert (alone.kind, alone.entry) == ("static", "index.html")
    done = completed(Wish("agriculture", "r", "", "", "project"), alone)
    assert done.whole(alone).said()["kind"] == "static"
    told = read_bundle("x.zip", zipped({"a.html": b"<h1>x</h1>", "b.ipynb": notebook("1")}), LIMIT, kind="static")
    assert told.entry == "a.html"
    with pytest.raises(BadRequest, match="the bundle has no page"):
        read_bundle("x.zip", zipped({NAME: b"kind: static", "index.ipynb": notebook("1")}), LIMIT)
    with pytest.raises(BadRequest, match="has no notebook") as refused:
        read_bundle("x.zip", zipped({"index.html": b"<h1>x</h1>"}), LIMIT)
    assert "kind: static" in refused.value.remedy


@pytest.mark.parametrize("field", ["data", "requirements", "secrets", "keep_warm", "image", "resources"])
def test_nothing_runs_for_it_so_it_asks_for_nothing(field: str):
    value = {"keep_warm": True, "image": "lab", "resources": {"cpus": 1}, "data": ["/eos/data/x"]}.get(field, ["x"])
    bundle = read_bundle("x.zip", _page(), LIMIT)
    asks = Wish("agriculture", "p", "", "", "project", Manifest.model_validate({field: value}))
    with pytest.raises(BadRequest, match=f"nothing runs for it, and it says {field}"):
        completed(asks, bundle)
    notebooks = read_bundle("index.ipynb", notebook("1"), LIMIT)
    assert completed(asks, notebooks).manifest == asks.manifest  # the control


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<script src='gone.js'></script>", "asks for 'gone.js', which is none of its files"),
        ("<script src='/build.py'></script>", "asks for '/build.py', which is none of its files"),
        ("<link rel=stylesheet href='../style.css?1'><link rel=stylesheet href=no.css>", "asks for 'no.css'"),
        ("<script src='https://cdn.example.org/x.js'></script>", "asks 'cdn.example.org' for"),
        ("<script src='//cdn.example.org/x.js'></script>", "asks 'cdn.example.org' for"),
        ("", "is empty"),
        ("\udcff", "is no text in UTF-8"),
    ],
)
def test_opened_once_it_says_what_visitors_would_not_get(tmp_path: Path, body: str, says: str):
    content = body.encode(errors="surrogateescape")
    folder = store_bundle(read_bundle("x.zip", _page(index__html=content), LIMIT), tmp_path)
    with pytest.raises(BadRequest, match=says):
        open_once(folder, "index.html", ("https://other.example.org",))
    named = "<script src='https://other.example.org/x.js'></script><noscript><script src=none.js></script></noscript>"
    good = store_bundle(read_bundle("x.zip", _page(index__html=named.encode()), LIMIT), tmp_path)
    open_once(good, "index.html", ("https://other.example.org",))


def test_links_and_places_beside_the_page_are_not_its_files(tmp_path: Path):
    site = tmp_path / "bundle" / "site"
    site.mkdir(parents=True)
    for path, text in (("site/index.html", "x"), ("site/a.txt", "x"), ("beside.txt", "x")):
        (tmp_path / "bundle" / path).write_text(text)
    (site / "link.txt").symlink_to(site / "a.txt")
    (site / "out").symlink_to(tmp_path / "bundle")
    (site / "folder.txt").mkdir()
    wanted = tmp_path / "bundle", "site/index.html"
    assert find(*wanted, "/") == find(*wanted, "/index.html") == site / "index.html"
    assert find(*wanted, "/a.txt") == site / "a.txt"
    others = ("/link.txt", "/out/beside.txt", "/folder.txt", "/../beside.txt", "/beside.txt", "a.txt", "/a.txt/")
    assert [path for path in (*others, "/x" * 4000 + ".txt") if find(*wanted, path)] == []


def test_the_painter_of_a_page_has_its_files_and_no_network(settings: Settings, tmp_path: Path):
    spec = painter_spec(settings, "p--s--v1", tmp_path / "my page.html")
    assert spec["network_mode"] == "none" and spec["command"][-3:] == ["/my%20page.html", "/tmp/profile", "/page"]
    assert [(m["Target"], m["Source"], m["ReadOnly"]) for m in spec["mounts"]] == [("/page", str(tmp_path), True)]


def test_its_files_come_from_disk_as_what_they_are(platform: Platform, public: dict[str, object]):
    kinds = {
        "/": "text/html; charset=utf-8",
        "/app.js": "text/javascript; charset=utf-8",
        "/style.css": "text/css; charset=utf-8",
        "/data/fields.json": "application/json",
        "/map.svg": "image/svg+xml",
        "/module.wasm": "application/wasm",
        "/raster.bin": "application/octet-stream",
        "/about/": "text/html; charset=utf-8",
    }
    for path, kind in kinds.items():
        answer = platform.open(OPEN, path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind), path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        assert "script-src 'self' 'unsafe-inline'" in answer.headers["content-security-policy"]
        again = platform.open(OPEN, path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path
    assert platform.open(OPEN).text == INDEX
    folder = platform.open(OPEN, "/about")
    assert (folder.status_code, folder.headers["location"]) == (307, "/about/")
    release = f"agriculture--leaves--v{public['version']}"
    assert platform.gateway.keeper._engine().address(release) is None  # nothing runs


def test_whole_in_part_compressed_and_its_head(platform: Platform, public: dict[str, object]):
    with platform_client(platform) as client:
        plain = client.get("/app.js", headers={"Accept-Encoding": "identity"})
        zipped_ = client.get("/app.js", headers={"Accept-Encoding": "gzip"})
        assert zipped_.headers["content-encoding"] == "gzip" and zipped_.text == plain.text == APP
        assert int(zipped_.headers["content-length"]) < len(gzip.compress(APP.encode())) + 64 < len(APP)
        part = client.get("/raster.bin", headers={"Range": "bytes=256-259"})
        assert (part.status_code, part.content) == (206, b"\0\1\2\3")
        assert part.headers["content-range"] == "bytes 256-259/2048"
        assert client.get("/app.js", headers={"Range": "bytes=0-4"}).text == "fetch"
        assert client.get("/raster.bin", headers={"Range": "bytes=9999-"}).status_code == 416
        head = client.head("/raster.bin")
        assert (head.status_code, head.headers["content-length"], head.content) == (200, "2048", b"")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert platform.open(OPEN, method=method).status_code == 404, method


def platform_client(platform: Platform):
    """A client of the public page."""
    port = platform.settings.dashboards.gateway_port
    headers = {"Host": f"{OPEN}.dashboards.localhost:{port}"}
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60)


ATTACKS = (
    "/../../etc/passwd", "/data/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd",
    "/%252e%252e/etc/passwd", "//etc/passwd", "/data//fields.json", "/./index.html", "/data/./fields.json",
    "/data/%2e/fields.json", "/data\\fields.json", "/..%5c..%5cetc%5cpasswd", "/%5c%5cevil.example.org/",
    "/%2f%2fevil.example.org", "/index.html%00.png", "/%00", "/index.html%0d%0aSet-Cookie:x=1", "/.hidden.txt",
    "/%2ehidden.txt", "/.well/known.txt", f"/{NAME}", "/%62dap-dashboard.yaml", "/BDAP-DASHBOARD.YAML", "/build.py",
    "/notes.ipynb", "/Makefile", "/data/", "/data", "/index.html/", "/app.js/x", "/nothing.js", "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data/", "/_stage/page", "/_stage/state", "/voila/static/x.js",
    "/api/kernels/00000000-0000-0000-0000-000000000000",
)  # fmt: skip


def _raw(platform: Platform, path: str, more: str = "") -> bytes:
    """The answer to a request line that no client would send."""
    port = platform.settings.dashboards.gateway_port
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: {OPEN}.dashboards.localhost:{port}\r\nConnection: close\r\n{more}\r\n"
        connection.sendall(head.encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_no_path_leads_to_what_is_not_the_page_s(platform: Platform, public: dict[str, object], published):
    published("project")  # another's bundle, beside this one
    with platform.gateway.sessions() as session:
        other = session.connection().exec_driver_sql("SELECT bundle FROM dashboard_releases").scalars().all()
    bundles = [f"/../{sha}/index.ipynb" for sha in other] + [f"/{sha}/index.html" for sha in other]
    for path in (*ATTACKS, *bundles):
        answer = _raw(platform, path)
        assert int(answer.split(b" ", 2)[1]) in (400, 404), (path, answer[:200])
        for secret in (b"kept,private", b"root:", str(platform.settings.var).encode(), b"Set-Cookie: x", b"kind: st"):
            assert secret not in answer, path
    assert b"kept,private" not in _raw(platform, "/") and _raw(platform, "/index.html").startswith(b"HTTP/1.1 200")
    refused = platform.open(OPEN, "/nothing.js")
    assert "This page has no such file" in refused.text and "default-src 'none'" in refused.headers[
        "content-security-policy"]  # fmt: skip


def test_no_service_worker_and_no_socket(platform: Platform, public: dict[str, object]):
    assert _raw(platform, "/app.js", "Service-Worker: script\r\n").startswith(b"HTTP/1.1 403")
    assert _raw(platform, "/app.js").startswith(b"HTTP/1.1 200")
    asks = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    port = platform.settings.dashboards.gateway_port
    origin = f"Origin: http://{OPEN}.dashboards.localhost:{port}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        path = "/api/kernels/00000000-0000-0000-0000-000000000000/channels"
        host = f"Host: {OPEN}.dashboards.localhost:{port}\r\nConnection: Upgrade\r\n"
        connection.sendall(f"GET {path} HTTP/1.1\r\n{host}{asks}{origin}\r\n".encode())
        assert b" 403 " in connection.recv(4096)


def test_a_private_page_is_for_its_members_with_versions_and_previews(platform: Platform):
    first = platform.publish("ana", "leaflet", _page(), file="x.zip")
    assert first.status_code == 201, first.text
    mine, stranger = session_of(platform, "ana"), session_of(platform, "olga")
    assert platform.open(HOST, headers=mine).headers["cache-control"] == "private, no-cache"
    port = platform.settings.dashboards.gateway_port
    for path in ("/", "/about/"):  # to the hub, and back to that very page
        answer = platform.open(HOST, path)
        assert (answer.status_code, answer.headers["location"].startswith(platform.hub.url)) == (302, True), path
        assert parse_qs(urlsplit(answer.headers["location"]).query)["to"][0].endswith(f":{port}{path}"), path
    assert platform.open(HOST, "/app.js").status_code == 401
    changed = _page(index__html=b"<!doctype html><h1>Second</h1>")
    second = platform.publish("ana", "leaflet", changed, file="x.zip", draft="1").json()
    assert second["status"] == "draft"
    preview = f"{HOST}--v{second['version']}"
    assert "Second" in platform.open(preview, headers=session_of(platform, "ana", version=second["version"])).text
    assert "Second" not in platform.open(HOST, headers=mine).text
    assert platform.open(preview, headers=stranger).status_code in (302, 403)
    row = platform.gateway.records.find("agriculture", "leaflet")
    assert (row.kind, row.tags) == ("static", ["wheat"])
    assert platform.gateway.records.releases(row)[-1].mode == "static"


def test_links_names_and_sites_lead_to_a_page_as_to_any(platform: Platform, public: dict[str, object]):
    if platform.gateway.records.find("agriculture", "leaflet") is None:
        assert platform.publish("ana", "leaflet", _page(), file="x.zip").status_code == 201
    made = call(platform, "ana", "leaflet", "POST", "links", days=1).json()
    address, _, secret = made["url"].partition("/_bdap/share#")
    good = _exchange(platform, HOST, secret, address)
    guest = {"Cookie": f"bdap-guest={good.cookies['bdap-guest']}"}
    assert platform.open(HOST, "/app.js").status_code == 401
    assert platform.open(HOST, "/app.js", headers=guest).text == APP
    assert platform.open(OPEN, "/app.js").headers["content-security-policy"].endswith("frame-ancestors 'self'")
    assert call(platform, "ana", "leaflet", "PUT", "embed", origins=["https://www.example.eu"]).status_code == 204
    assert call(platform, "ana", "leaflet", "PUT", "aliases/foliage").status_code == 204
    assert platform.open("foliage", "/about/").headers["location"] == f"{address}/about/"
    deadline = time.monotonic() + 40  # the gateway looks again after two seconds
    while "example.eu" not in (framed := _policy(platform, guest)) and time.monotonic() < deadline:
        time.sleep(0.3)
    assert "frame-ancestors 'self' https://www.example.eu" in framed


def _policy(platform: Platform, guest: dict[str, str]) -> str:
    return platform.open(HOST, headers=guest).headers["content-security-policy"]


@pytest.mark.browser
def test_in_a_browser_and_in_the_gallery(
    platform: Platform, public: dict[str, object], chromium: Browser, artifacts: Path
):
    page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(str(public["url"]))
    expect(page.locator("#sum")).to_have_text("40 fields")
    assert page.locator("h1").evaluate("e => getComputedStyle(e).color") == "rgb(0, 90, 60)"
    page.screenshot(path=artifacts / "static-page.png")
    page.get_by_role("link", name="About").click()
    expect(page.get_by_role("heading", name="About wheat")).to_be_visible()
    page.go_back()
    worker = "navigator.serviceWorker.register('/app.js').then(() => 'there', () => 'refused')"
    assert page.evaluate(worker) == "refused"
    assert [one for one in errors if "403" not in one and "favicon" not in one] == []
    page.goto(f"{platform.hub.url}/services/dashboards/d/agriculture/leaves")
    expect(page.get_by_text("Static page")).to_be_visible()
    assert page.locator("img.shot").evaluate("i => i.naturalWidth") == 640  # drawn when it was published
    page.screenshot(path=artifacts / "static-about.png")
    page.context.close()
