"""Parts in a dashboard, share links, short names and sites: who may give them, whom they let in, and their end."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from bdap_hub.dashboards.sharing.shares import check_alias, check_grant, check_origin
from bdap_hub.errors import BadRequest

from .conftest import API, Platform, notebook
from .sockets import kernel_of, socket_to
from .test_review import approval
from .visitors import session_of


def call(platform: Platform, person: str, slug: str, method: str, path: str, **said: Any) -> httpx.Response:
    """As that person, below the dashboard's address in the API."""
    url = f"{platform.hub.url}{API}/agriculture/{slug}/{path}"
    return httpx.request(method, url, headers=platform.hub.bearer(person), json=said or None, timeout=60)


@pytest.fixture(scope="session")
def shared(platform: Platform) -> str:
    """ana's dashboard for the project's members."""
    assert platform.publish("ana", "shared", notebook("1", text="for a few")).status_code == 201
    return "agriculture--shared"


def test_parts_let_people_in_until_they_are_taken_away(platform: Platform, shared: str):
    ben = session_of(platform, "ben", "agriculture/shared")
    assert platform.open(shared, headers=ben).status_code == 403
    for person, status in (("ben", 404), ("pia", 404)):
        assert call(platform, person, "shared", "PUT", "grants/person/ben", role="viewer").status_code == status
    assert call(platform, "ana", "shared", "PUT", "grants/person/nobody-here", role="viewer").status_code == 400
    for kind, name in (("person", "ben"), ("group", "project-forest")):
        assert call(platform, "ana", "shared", "PUT", f"grants/{kind}/{name}", role="viewer").status_code == 204
        _after_a_moment(platform)
        assert platform.eventual(shared, 200, headers=ben).status_code == 200
        seen = httpx.get(f"{platform.hub.url}{API}/agriculture/shared", headers=platform.hub.bearer("ben"))
        assert seen.status_code == 200
        assert call(platform, "ben", "shared", "PUT", "grants/person/pia", role="viewer").status_code == 403  # sees it
        assert call(platform, "ana", "shared", "DELETE", f"grants/{kind}/{name}").status_code == 204
        _after_a_moment(platform)
        assert platform.open(shared, headers=ben).status_code == 403
    assert call(platform, "ana", "shared", "DELETE", "grants/person/ben").status_code == 404
    assert platform.audit("dashboard.revoke")[0].reason == "group project-forest"


def test_an_editor_brings_versions_and_an_owner_shares(platform: Platform):
    assert platform.publish("ana", "together", notebook("1")).status_code == 201
    platform.hub.set_group("project-agriculture", "pia", True)
    try:
        assert platform.publish("pia", "together", notebook("1")).status_code == 403
        assert call(platform, "ana", "together", "PUT", "grants/person/pia", role="editor").status_code == 204
        assert platform.publish("pia", "together", notebook("1"), visibility="public").status_code == 403
        assert platform.publish("pia", "together", notebook("1")).json()["version"] == 2
        assert call(platform, "pia", "together", "POST", "rollback").json()["live"] == 1
        assert call(platform, "pia", "together", "GET", "sharing").status_code == 403
        assert call(platform, "ana", "together", "PUT", "grants/person/pia", role="owner").status_code == 204
        told = call(platform, "pia", "together", "GET", "sharing").json()
        assert told["grants"] == [{"kind": "person", "name": "pia", "role": "owner"}]
    finally:
        platform.hub.set_group("project-agriculture", "pia", False)
    assert platform.publish("pia", "together", notebook("1")).status_code == 403  # no member any more


def test_a_link_opens_for_its_time_and_until_it_is_withdrawn(platform: Platform, shared: str):
    assert call(platform, "ben", "shared", "POST", "links", days=1).status_code == 404
    for wrong in (0, 91, 10_000):
        assert call(platform, "ana", "shared", "POST", "links", days=wrong).status_code in (400, 422)
    made = call(platform, "ana", "shared", "POST", "links", note="For the unit", days=1).json()
    address, _, secret = made["url"].partition("/_bdap/share#")
    assert address == platform.settings.dashboards.address("agriculture", "shared").rstrip("/")
    told = call(platform, "ana", "shared", "GET", "sharing")
    assert told.json()["links"][0]["note"] == "For the unit" and secret not in told.text
    for what, body, origin, status in (
        ("another secret", "x" * 43, address, 403), ("nothing", "", address, 403), ("much", "x" * 300, address, 400),
        ("another site", secret, "https://evil.example", 403), ("no site", secret, None, 403),
    ):  # fmt: skip
        answer = _exchange(platform, shared, body, origin)
        assert (answer.status_code, "set-cookie" in answer.headers) == (status, False), what
    assert platform.open(shared).status_code == 302
    good = _exchange(platform, shared, secret, address)
    assert good.status_code == 200 and "HttpOnly" in good.headers["set-cookie"]
    guest = {"Cookie": f"bdap-guest={good.cookies['bdap-guest']}"}
    assert "for a few" in platform.eventual(shared, 200, headers=guest).text
    assert platform.audit("dashboard.share-open")[0].outcome == "allowed"
    other = platform.publish("ana", "unshared", notebook("1"))
    assert other.status_code == 201
    assert platform.open("agriculture--unshared", headers=guest).status_code == 302  # it is this dashboard's alone
    assert platform.open("agriculture--shared--v1", headers=guest).status_code == 302
    assert _exchange(platform, "agriculture--unshared", secret, other.json()["url"].rstrip("/")).status_code == 403
    assert call(platform, "ben", "shared", "DELETE", f"links/{made['id']}").status_code == 404
    assert call(platform, "ana", "shared", "DELETE", f"links/{made['id']}").status_code == 204
    _after_a_moment(platform)
    assert platform.open(shared, headers=guest).status_code == 302
    assert _exchange(platform, shared, secret, address).status_code == 403


async def test_who_came_by_a_link_is_cut_off_when_it_is_withdrawn(platform: Platform, shared: str):
    import asyncio

    made = call(platform, "ana", "shared", "POST", "links", days=1).json()
    address, _, secret = made["url"].partition("/_bdap/share#")
    guest = {"Cookie": f"bdap-guest={_exchange(platform, shared, secret, address).cookies['bdap-guest']}"}
    kernel = kernel_of(platform.eventual(shared, 200, headers=guest).text)
    path, soon = f"/api/kernels/{kernel}/channels", 2 * platform.settings.identity.cache_seconds + 3
    async with socket_to(platform, path, address, guest, shared) as socket:
        await asyncio.sleep(soon)
        await socket.ping()  # while the link counts
        call(platform, "ana", "shared", "DELETE", f"links/{made['id']}")
        async with asyncio.timeout(soon + 20):
            await socket.wait_closed()


def test_where_an_approval_is_asked_those_who_give_it_share(platform: Platform, shared: str):
    with approval(platform, people="leads", public="leads"):
        for person, status in (("ana", 403), ("pia", 201)):
            assert call(platform, person, "shared", "POST", "links", days=1).status_code == status, person
        assert call(platform, "ana", "shared", "PUT", "grants/group/everybody", role="viewer").status_code == 403
        assert call(platform, "ana", "shared", "PUT", "grants/person/ben", role="viewer").status_code == 204
    assert call(platform, "ana", "shared", "PUT", "grants/group/everybody", role="viewer").status_code == 204
    assert call(platform, "ana", "shared", "DELETE", "grants/group/everybody").status_code == 204
    assert call(platform, "ana", "shared", "DELETE", "grants/person/ben").status_code == 204


def test_a_short_name_leads_to_one_dashboard(platform: Platform, shared: str):
    url = platform.settings.dashboards.address("agriculture", "shared")
    assert platform.open("few").status_code == 404
    for wrong in ("forest", "www", "a--b", "Few", "ab", "few-", "-few", "x" * 41):
        assert call(platform, "ana", "shared", "PUT", f"aliases/{wrong}").status_code == 400, wrong
    assert call(platform, "ben", "shared", "PUT", "aliases/few").status_code == 404
    assert call(platform, "ana", "shared", "PUT", "aliases/few").status_code == 204
    assert call(platform, "ana", "shared", "PUT", "aliases/few").status_code == 204  # it has it already
    answer = platform.open("few", "/?year=2024")
    assert (answer.status_code, answer.headers["location"]) == (302, f"{url}?year=2024")
    assert platform.open("", "/agriculture/shared/?a=b").headers["location"] == f"{url}?a=b"
    assert platform.publish("ana", "rival", notebook("1")).status_code == 201
    assert call(platform, "ana", "rival", "PUT", "aliases/few").status_code == 409
    for number in (1, 2):
        assert call(platform, "ana", "shared", "PUT", f"aliases/few-{number}").status_code == 204
    assert call(platform, "ana", "shared", "PUT", "aliases/few-3").status_code == 400  # three are enough
    assert call(platform, "ana", "shared", "DELETE", "aliases/few").status_code == 204
    assert platform.open("few").status_code == 404
    assert call(platform, "ana", "rival", "PUT", "aliases/few").status_code == 204
    assert call(platform, "ana", "shared", "PUT", "aliases/few").status_code == 409
    rival = f"{platform.hub.url}{API}/agriculture/rival"
    httpx.delete(rival, headers=platform.hub.bearer("ana"), timeout=60)  # gives it up
    assert call(platform, "ana", "shared", "PUT", "aliases/few").status_code == 204


def test_only_named_sites_show_it_in_a_frame(platform: Platform, published):
    published("public")
    host = "agriculture--shown-public"
    assert call(platform, "ben", "shown-public", "PUT", "embed", origins=["https://x.example"]).status_code == 403
    assert call(platform, "ana", "shown-public", "PUT", "embed", origins=["https://*.example"]).status_code == 400
    site = {"origins": ["https://www.example.eu", "https://map.example.eu:8443/"]}
    assert call(platform, "ana", "shown-public", "PUT", "embed", **site).status_code == 204
    _after_a_moment(platform)
    named = "frame-ancestors 'self' https://www.example.eu https://map.example.eu:8443"
    assert named in platform.eventual(host, 200).headers["content-security-policy"]
    call(platform, "ana", "shown-public", "PUT", "embed", origins=[])
    _after_a_moment(platform)
    assert platform.open(host).headers["content-security-policy"].endswith("frame-ancestors 'self'")


ORIGINS = [
    "", "*", "https://*", "http://www.example.eu", "https://www.example.eu/path", "https://www.example.eu?x", "//x.eu",
    "https://user@x.eu", "https://x.eu; script-src *", "https://x.eu 'unsafe-inline'", "javascript:alert(1)", "null",
    "https://", "https://x.eu:99999", "https://x_y.eu", "data:text/html,x", "'self'", "https://ехample.eu",
]  # fmt: skip


@pytest.mark.parametrize("origin", ORIGINS)
def test_what_is_no_site(origin: str):
    with pytest.raises(BadRequest):
        check_origin(origin)
    assert check_origin("https://WWW.example.eu/") == "https://www.example.eu"
    assert check_origin("http://localhost:3000") == "http://localhost:3000"


def test_what_is_no_part_and_no_short_name():
    for kind, name, role in (
        ("robot", "x", "viewer"),
        ("person", "", "viewer"),
        ("group", "a\nb", "viewer"),
        ("person", "x", "god"),
    ):
        with pytest.raises(BadRequest):
            check_grant(kind, name, role)
    check_grant("group", "Unit D.5", "viewer")
    for alias in ("hub", "farms", "a b", ""):
        with pytest.raises(BadRequest):
            check_alias(alias, ("hub",), ("farms",))
    check_alias("soil-moisture", ("hub",), ("farms",))


@pytest.mark.browser
def test_somebody_without_an_account_opens_a_link(platform: Platform, shared: str, chromium: Browser, artifacts):
    made = call(platform, "ana", "shared", "POST", "links", days=1).json()
    page = chromium.new_context().new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(made["url"])
    expect(page.get_by_text("for a few")).to_be_visible(timeout=60_000)
    assert page.url == platform.settings.dashboards.address("agriculture", "shared")
    secret = made["url"].partition("#")[2]
    assert not [url for url in asked[1:] if secret in url]
    page.context.clear_cookies()
    page.goto(made["url"][:-4])
    expect(page.get_by_role("status")).to_contain_text("does not open the dashboard any more")
    page.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_owners_share_on_the_dashboards_page(platform: Platform, shared: str, chromium: Browser, artifacts, width: int):
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(f"{platform.hub.url}/services/dashboards/login?next=/services/dashboards/d/agriculture/shared")
    page.fill("input[name=username]", "ana")
    page.fill("input[name=password]", "test")
    page.click("input[type=submit], button[type=submit]")
    page.get_by_label("Account or group").fill("ben")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Take away from person ben").click()
    page.get_by_label("What for").fill("The unit")
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_text("/_bdap/share#")).to_be_visible()
    page.screenshot(path=artifacts / f"dashboard-link-{width}.png")
    page.get_by_role("link", name="Back").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=artifacts / f"dashboard-sharing-{width}.png", full_page=True)
    page.get_by_role("button", name="Withdraw The unit").first.click()
    assert re.search("#sharing$", page.url)
    context.close()


def _exchange(platform: Platform, host: str, secret: str, origin: str | None) -> httpx.Response:
    headers = {"Accept": "application/json", **({"Origin": origin} if origin else {})}
    return platform.open(host, "/_bdap/share", method="POST", content=secret, headers=headers)


def _after_a_moment(platform: Platform) -> None:
    """What the gateway remembers for two seconds is over."""
    platform.gateway.keeper._known.clear()
    platform.gateway.entrance.guests._known.clear()
