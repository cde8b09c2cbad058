"""The gateway from a visitor's side: who gets in, and what each way round the door is answered."""

from __future__ import annotations

import asyncio
import time
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import jwt
import pytest

from bdap_hub.dashboards.records import Live, Records
from bdap_hub.dashboards.running import keeper as keeper_module
from bdap_hub.dashboards.sharing.tickets import Visitor, digest, make_ticket
from bdap_hub.database import connect
from bdap_hub.web import sign_token

from .conftest import Platform, notebook
from .visitors import BROWSERS, HOST, NAME, cookie_of, session_of, visitor_of


def _cookie(answer: httpx.Response, name: str) -> str:
    for header in answer.headers.get_list("set-cookie"):
        if (cookie := SimpleCookie(header)) and name in cookie:
            return cookie[name].value
    return ""


def _ticket(platform: Platform, begin: str = "b", person: str = "ana", dashboard: str = NAME) -> str:
    visitor = visitor_of(platform, person)
    return make_ticket(platform.settings.secret("signing"), dashboard, visitor, digest(begin), "/")


def _door(platform: Platform, to: str) -> httpx.Response:
    """What ana's browser is answered at the hub's door to `to`: its last redirect, or a refusal."""
    visitor_of(platform, "ana")
    answer = BROWSERS["ana"].get(
        f"{platform.hub.url}/services/dashboards/enter", params={"to": to, "begun": "x"}, follow_redirects=False
    )
    while answer.is_redirect and answer.headers["location"].startswith(("/", platform.hub.url)):
        answer = BROWSERS["ana"].get(urljoin(platform.hub.url, answer.headers["location"]), follow_redirects=False)
    return answer


def _redeem(platform: Platform, query: str, begin: str = "b", host: str = HOST) -> httpx.Response:
    return platform.open(host, f"/_bdap/ticket?{query}", headers={"Cookie": f"bdap-begin={begin}"})


@pytest.mark.parametrize(("person", "visibility", "status"), [
    ("ana", "project", 200), ("olga", "project", 200), ("ben", "project", 403), ("pia", "project", 403),
    ("ana", "people", 200), ("ben", "people", 200), ("pia", "people", 200),
])  # fmt: skip
def test_a_person_goes_through_the_door_of_a_private_dashboard(
    platform: Platform, published, person: str, visibility: str, status: int
):
    """Gateway → hub's login → gateway, as a browser goes; the refusal is a readable page."""
    published(visibility)
    host = f"agriculture--shown-{visibility}"
    first = platform.open(host, "/?year=2024")
    assert first.status_code == 302
    begin, door = _cookie(first, "bdap-begin"), first.headers["location"]
    assert door.startswith(f"{platform.hub.url}/services/dashboards/enter?")
    answer = platform.hub.browser(person).get(door, follow_redirects=True) if status == 403 else None
    if answer is not None:
        assert answer.status_code == 403
        assert "You have no access to the dashboard" in answer.text
        assert platform.audit("dashboard.open")[0].person == person
        return
    browser = platform.hub.browser(person)
    back = door
    while back.startswith(platform.hub.url):
        back = urljoin(back, browser.get(back, follow_redirects=False).headers["location"])
    parts = urlsplit(back)
    assert (parts.hostname, parts.path) == (f"{host}.dashboards.localhost", "/_bdap/ticket")
    entered = _redeem(platform, parts.query, begin, host)
    assert (entered.status_code, entered.headers["location"]) == (303, "/?year=2024")
    flags = next(h for h in entered.headers.get_list("set-cookie") if h.startswith("bdap-dashboard="))
    assert "HttpOnly" in flags and "SameSite=lax" in flags and "Domain" not in flags
    session = {"Cookie": f"bdap-dashboard={_cookie(entered, 'bdap-dashboard')}"}
    page = platform.open(host, "/?year=2024", headers=session)
    assert page.status_code == 200 and "Fields of wheat" in page.text


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/", "http://evil.example/", "//evil.example/", "javascript:alert(1)", "", "/",
        "http://agriculture--x.dashboards.localhost.evil.example:{port}/",
        "http://agriculture--x.dashboards.localhost:1/", "https://agriculture--x.dashboards.localhost:{port}/",
        "http://agriculture--x.dashboards.localhost:{port}@evil.example/",
        "http://user@agriculture--x.dashboards.localhost:{port}/", "http://agriculture.dashboards.localhost:{port}/",
        "http://agriculture--x.dashboards.localhost:{port}\\@evil.example/",
        "http://agriculture--x.dashboards.localhost:{port}/\r\nx: y", "http://AGRICULTURE--X.dashboards.localhost:{port}/",
    ],
)  # fmt: skip
def test_the_door_leads_to_dashboards_only(platform: Platform, to: str):
    answer = _door(platform, to.replace("{port}", str(platform.settings.dashboards.gateway_port)))
    assert answer.status_code == 400, answer.headers
    known = platform.settings.dashboards.address("agriculture", "shown-project")
    assert _door(platform, known).status_code in (303, 403)


def test_a_token_without_a_login_opens_no_dashboard(platform: Platform, published):
    published("project")
    to = platform.settings.dashboards.address("agriculture", "shown-project")
    url = f"{platform.hub.url}/services/dashboards/enter"
    answer = httpx.get(url, params={"to": to, "begun": "x"}, headers=platform.hub.bearer("ana"))
    assert answer.status_code == 403 and _door(platform, to).status_code == 303


def test_a_path_of_another_place_does_not_ride_along(platform: Platform, published):
    published("project")
    known = platform.settings.dashboards.address("agriculture", "shown-project")
    for path, kept in (("/evil.example", "/"), ("?a=1", "/?a=1"), ("x/y?z", "/x/y?z")):
        answer = _door(platform, known + path)
        assert parse_qs(urlsplit(answer.headers["location"]).query)["next"] == [kept]
    for bad in ("https://evil.example/", "//evil.example", "/\\evil.example", "%0d%0ax:y"):
        query = f"{_ticket(platform).partition('&')[0]}&next={bad}"
        assert _redeem(platform, query).headers["location"] == "/"


def test_tickets(platform: Platform, published):
    published("project")
    published("people")
    good = _ticket(platform)
    assert _redeem(platform, good, begin="another browser").status_code == 401
    assert _redeem(platform, good, host="agriculture--shown-people").status_code == 401
    assert _redeem(platform, good).status_code == 303  # none of the above used it up
    again = _redeem(platform, good)
    assert again.status_code == 401 and "used before" in again.text
    key = platform.settings.secret("signing")
    session = visitor_of(platform, "ana").session
    claims = {"dashboard": NAME, "person": "ana", "session": session, "begun": digest("b"), "jti": "1"}
    forged = {
        "expired": sign_token(key, "dashboard ticket", -1, **claims),
        "other key": sign_token("k" * 64, "dashboard ticket", 60, **claims),
        "other purpose": sign_token(key, "release", 60, **claims),
        "unsigned": jwt.encode(
            {**claims, "iss": "bdap-hub", "aud": "dashboard ticket", "iat": 1, "exp": 9e9}, "", "none"
        ),
        "garbage": "x.y.z",
        "nothing": "",
    }
    for what, token in forged.items():
        answer = _redeem(platform, f"ticket={token}")
        assert answer.status_code == 401, what
        assert not _cookie(answer, "bdap-dashboard"), what
    events = platform.audit("dashboard.ticket")
    assert len(events) >= len(forged) and not any("eyJ" in event.reason for event in events)


def test_sessions(platform: Platform, published):
    published("project")
    published("people")
    good = session_of(platform, "ana")
    assert platform.open(HOST, headers=good).status_code == 200
    key, ana = platform.settings.secret("signing"), visitor_of(platform, "ana")
    old = sign_token(key, f"dashboard session {NAME}", -1, person="ana", session=ana.session)
    unbound = sign_token(key, f"dashboard session {NAME}", 60, person="ana")
    refused = {
        "another dashboard's": session_of(platform, "ana", "agriculture/shown-people"),
        "a ticket": {"Cookie": f"bdap-dashboard={parse_qs(_ticket(platform))['ticket'][0]}"},
        "forged": cookie_of(platform, ana, key="k" * 64),
        "expired": {"Cookie": f"bdap-dashboard={old}"},
        "of no login": {"Cookie": f"bdap-dashboard={unbound}"},
        "of an unknown login": cookie_of(platform, Visitor("ana", "0" * 64)),
        "of somebody else's login": cookie_of(platform, Visitor("ana", visitor_of(platform, "olga").session)),
        "a hub token": platform.hub.bearer("ana"),
        "nothing": {},
    }
    for what, headers in refused.items():
        assert platform.open(HOST, headers=headers).status_code == 302, what
        assert platform.open(HOST, "/voila/static/voila.js", headers=headers).status_code == 401, what
    tossed = {"Cookie": f"bdap-dashboard=junk; {good['Cookie']}"}  # a sibling origin can set the first one
    assert platform.open(HOST, headers=tossed).status_code == 200
    answer = platform.open(HOST, headers=session_of(platform, "ben"))
    assert answer.status_code == 403 and "no access" in answer.text


def test_leaving_the_group_ends_the_right(platform: Platform, published):
    published("project")
    headers = session_of(platform, "pia")
    for member, status in ((True, 200), (False, 403)):
        platform.hub.set_group("project-agriculture", "pia", member)
        platform.gateway.login._cache.clear()  # as half a minute does
        assert platform.open(HOST, headers=headers).status_code == status


@pytest.mark.parametrize(("method", "path"), [
    ("POST", "/voila/api/shutdown/00000000-0000-0000-0000-000000000000"), ("GET", "/api/contents"),
    ("GET", "/_stage/kernels/00000000-0000-0000-0000-000000000000"), ("GET", "/_stage/state"),
    ("GET", "/api/kernels"),
    ("DELETE", "/api/kernels/00000000-0000-0000-0000-000000000000"), ("GET", "/api/terminals"),
    ("GET", "/terminals/websocket/1"), ("GET", "/voila/tree"), ("GET", "/voila/render/index.ipynb"),
    ("GET", "/index.ipynb"), ("GET", "/login"), ("POST", "/"), ("PUT", "/voila/static/voila.js"),
    ("GET", "/voila/files/../index.ipynb"), ("GET", "/voila/static/%2e%2e/%2e%2e/etc/passwd"),
    ("GET", "/voila/files/..%5cx.png"), ("GET", "//evil.example/"), ("GET", "/etc/passwd"),
])  # fmt: skip
def test_only_the_page_and_its_files_exist(platform: Platform, published, method: str, path: str):
    published("public")
    answer = platform.open("agriculture--shown-public", path, method=method)
    assert answer.status_code == 404, answer.text[:300]
    control = platform.open("agriculture--shown-public")
    assert control.status_code == 200


def test_files_of_the_bundle(platform: Platform):
    from .conftest import zipped

    png = b"\x89PNG\r\n\x1a\n" + b"0" * 20
    files = {
        "index.ipynb": notebook("open('data.csv').read()"),
        "data.csv": b"a,b\n1,2\n",
        "logo.png": png,
        "x.py": b"1",
    }
    made = platform.publish("ana", "with-files", zipped(files), file="b.zip", visibility="public")
    assert made.status_code == 201, made.text
    host = "agriculture--with-files"
    assert platform.open(host, "/voila/files/logo.png").content == png
    assert "1,2" in platform.open(host).text
    for path in ("data.csv", "x.py", "index.ipynb"):
        assert platform.open(host, f"/voila/files/{path}").status_code == 403, path


def test_unknown_names(platform: Platform):
    assert platform.open("").headers["location"] == f"{platform.hub.url}/services/dashboards/"
    for host in ("agriculture--unknown", "x", "a--b--c", "agriculture-shown", "-", "a--"):
        answer = platform.open(host)
        assert answer.status_code == 404 and "There is no dashboard at" in answer.text, host


def test_what_a_page_may_do_is_limited_by_headers(platform: Platform, published):
    published("public")
    headers = platform.open("agriculture--shown-public").headers
    policy = headers["content-security-policy"]
    assert "script-src 'self'" in policy and "https:" not in policy.partition("img-src")[0]
    assert "frame-ancestors 'self'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_a_visit_counts_once_a_page(platform: Platform, published):
    made = published("public")
    url = f"{platform.hub.url}/services/dashboards/api/dashboards/{made['id']}"

    def visits() -> int:
        """Once no more of them are on their way: they are counted after the page was sent."""
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < 1:
            if (now := int(httpx.get(url).json()["visits"])) != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.05)
        return seen

    before = visits()
    platform.open("agriculture--shown-public")
    platform.open("agriculture--shown-public", "/voila/static/voila.js")
    assert visits() == before + 1


def test_a_stopped_dashboard_starts_at_its_next_visit(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    from bdap_hub.dashboards.running.runtime import make_runtime

    monkeypatch.setattr(keeper_module, "PATIENCE_SECONDS", 0.0)  # or a fast start is over before the page is drawn

    unkept = notebook("import comm\nother = comm.create_comm('of.mine')", text="good morning")  # by ordinary Voilà
    assert platform.publish("ana", "sleeps", unkept, visibility="public").status_code == 201
    assert _within(40, lambda: "good morning" in platform.open("agriculture--sleeps").text)
    make_runtime(platform.settings).stop("agriculture--sleeps--v1")
    seen: list[Any] = []  # the gateway may know the old address for another half second
    assert _within(10, lambda: seen.append(platform.open("agriculture--sleeps")) or seen[-1].status_code == 503)
    waiting = seen[-1]
    assert '<meta http-equiv="refresh"' in waiting.text and "<script" not in waiting.text
    assert _within(40, lambda: "good morning" in platform.open("agriculture--sleeps").text)


def test_the_address_of_a_release_that_ended_is_not_used_again(settings: Any, monkeypatch: pytest.MonkeyPatch):
    """The engine gives it to whichever release starts next, which may be a private one."""

    class Engine:
        def __init__(self) -> None:
            self.addresses = {"farms--open--v1": "172.30.0.2:8866"}

        def address(self, name: str) -> str | None:
            return self.addresses.get(name)

    monkeypatch.setattr(keeper_module, "answers", lambda address: True)
    monkeypatch.setattr(keeper_module, "SURE_SECONDS", 0.05)
    records = Records(connect(settings.database))
    keeper, engine = keeper_module.Keeper(settings, records, None), Engine()  # type: ignore[arg-type]
    keeper._runtime = engine  # type: ignore[assignment]
    shown, private = (Live(1, "farms", slug, "", "public", "ana", 1, "", "") for slug in ("open", "secret"))
    assert asyncio.run(keeper.address(shown)) == "172.30.0.2:8866"
    time.sleep(0.1)
    assert asyncio.run(keeper.address(shown)) == "172.30.0.2:8866"
    engine.addresses = {"farms--secret--v1": "172.30.0.2:8866"}
    time.sleep(0.1)
    assert asyncio.run(keeper.address(shown)) is None
    assert asyncio.run(keeper.address(private)) == "172.30.0.2:8866"


def _within(seconds: float, true) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.3)
    return False
