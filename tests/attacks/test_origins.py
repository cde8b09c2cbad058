"""Each person's server at an origin of its own: what its pages, which people write themselves, can reach of the others.

The control throughout is the hub without sub-domains, where all of it is one origin.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from tests.attacks.conftest import IDENTITY
from tests.attacks.hostile_provider import HostileProvider
from tests.attacks.platform import Platform
from tests.conftest import free_port, make_settings

pytestmark = pytest.mark.browser
# What a page can read of another that it opens in a window: all of it if they are of one origin.
READ = """address => new Promise(done => {
    const other = window.open(address);
    const end = text => { clearInterval(timer); other.close(); done(text); };
    const timer = setInterval(() => {
        try {
            if (other.location.href !== "about:blank" && other.document.readyState === "complete")
                end(other.document.documentElement.innerText);
        } catch { end("blocked"); }
    }, 50);
})"""
SEND = """([address, method, mode]) =>
    fetch(address, {method, mode, credentials: 'include'}).then(answer => answer.status).catch(() => 'blocked')"""
HUBS = {"jupyterhub-hub-login", "jupyterhub-session-id"}


@pytest.fixture(scope="module")
def names() -> Iterator[None]:
    """Browsers know that *.localhost is this machine; the resolver of this one may not."""
    known = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **kwargs: Any) -> Any:
        return known("127.0.0.1" if str(host).endswith(".localhost") else host, *arguments, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up)
        yield


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory, names: None) -> Iterator[Platform]:
    """A hub with sub-domains: hub.localhost, and below it, of the same site for browsers, everybody's server."""
    folder = tmp_path_factory.mktemp("origins")
    settings = make_settings(
        folder / "var",
        hub={"public_url": f"http://hub.localhost:{free_port()}"},
        identity=IDENTITY,
        spawning={"engine": "process", "idle_timeout": 0, "gpus": 0},
    )
    port = urlsplit(settings.identity.issuer).port or 0
    provider = HostileProvider(port, settings.identity.client_id, settings.secret("oidc-client-secret"))
    found = Platform(settings, folder, provider)
    try:
        found.start()
        yield found
    finally:
        found.stop()
        provider.stop()


@pytest.fixture(scope="module")
def at_work(chromium: Chromium) -> Iterator[Callable[[Platform, str], Page]]:
    """Log that person in, start their server, and open JupyterLab in a browser of theirs."""
    after: list[Callable[[], Any]] = []

    def open_lab(platform: Platform, person: str) -> Page:
        context = chromium.new_context(extra_http_headers={"X-Person": person})
        after.append(context.close)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.goto(f"{platform.url}/hub/oauth_login")
        expect(page.locator("#logout")).to_be_visible()
        choice = {"project": "agriculture", "image": "lab"}
        assert platform.api("POST", f"/users/{person}/server", json=choice).status_code in (201, 202)
        after.append(lambda: platform.api("DELETE", f"/users/{person}/server"))
        page.goto(f"{platform.url}/user/{person}/lab")
        page.wait_for_url(f"**/user/{person}/lab*", wait_until="domcontentloaded")
        return page

    yield open_lab
    for close in reversed(after):
        close()


@pytest.fixture(scope="module")
def ana(apart: Platform, at_work: Callable[[Platform, str], Page]) -> Page:
    return at_work(apart, "ana")


@pytest.fixture(scope="module")
def ben(apart: Platform, at_work: Callable[[Platform, str], Page]) -> Page:
    return at_work(apart, "ben")


@pytest.fixture(scope="module")
def together(platform: Platform, at_work: Callable[[Platform, str], Page]) -> Page:
    """The same in a hub whose address is an IP address."""
    return at_work(platform, "shares-the-origin")


def host(page: Page) -> str:
    return urlsplit(page.url).hostname or ""


def test_each_server_has_an_origin_of_its_own(ana: Page, ben: Page, together: Page) -> None:
    assert (host(ana), host(ben), host(together)) == ("ana.hub.localhost", "ben.hub.localhost", "127.0.0.1")
    assert '"started"' in ana.evaluate(READ, "/user/ana/api/status")


def test_its_pages_read_neither_the_hub_nor_a_neighbour(
    apart: Platform, platform: Platform, ana: Page, ben: Page, together: Page
) -> None:
    for address in ("/hub/home", "/hub/api/user", "/services/catalogue/"):
        assert ana.evaluate(READ, f"{apart.url}{address}") == "blocked"
    assert ana.evaluate(READ, f"http://{host(ben)}:{urlsplit(apart.url).port}/user/ben/api/status") == "blocked"
    assert "Log out" in together.evaluate(READ, f"{platform.url}/hub/home")


def test_nor_the_hub_under_its_own_name(apart: Platform, ana: Page) -> None:
    """The proxy leads to the hub what no server answers: pages lead on, and the API is sent no cookie of the hub's."""
    assert ana.evaluate(READ, "/hub/home") == "blocked"
    assert '"status": 403' in ana.evaluate(READ, "/hub/api/user")
    page = ana.context.new_page()
    page.goto(f"{apart.url}/hub/home")
    assert '"name": "ana"' in page.evaluate(READ, "/hub/api/user")  # the control: a page of the hub's own
    page.close()


def test_its_pages_change_nothing_at_the_hub(apart: Platform, ana: Page) -> None:
    for path, method, mode in (
        ("/hub/logout", "POST", "no-cors"),
        ("/hub/logins/everywhere", "POST", "no-cors"),
        ("/hub/api/users/ana/tokens", "POST", "cors"),
        ("/hub/api/users/ana/server", "DELETE", "cors"),
    ):
        ana.evaluate(SEND, [f"{apart.url}{path}", method, mode])
    page = ana.context.new_page()
    page.goto(f"{apart.url}/hub/home")
    expect(page.locator("#logout")).to_be_visible()
    assert apart.api("GET", "/users/ana").json()["servers"][""]["ready"]
    page.close()


def test_the_hubs_cookies_stay_with_the_hub(apart: Platform, platform: Platform, ana: Page, together: Page) -> None:
    def sent_to(page: Page, address: str) -> set[str]:
        return {cookie["name"] for cookie in page.context.cookies(address)}

    own = sent_to(ana, ana.url)
    assert own and own <= {"_xsrf", "jupyterhub-user-ana"}
    assert sent_to(ana, f"{apart.url}/hub/home") >= HUBS
    with ana.expect_request("**/api/status") as asked:
        ana.evaluate(SEND, ["/user/ana/api/status", "GET", "same-origin"])
    assert not HUBS & {part.partition("=")[0].strip() for part in asked.value.all_headers()["cookie"].split(";")}
    assert "jupyterhub-session-id" in sent_to(together, together.url)


def test_a_page_of_the_hubs_is_at_its_own_host_alone(apart: Platform) -> None:
    with httpx.Client(trust_env=False, timeout=30) as client:
        below = f"http://ana.hub.localhost:{urlsplit(apart.url).port}"
        for path in ("/hub/home", "/hub/spawn?project=agriculture", "/hub/login?next=/hub/home"):
            answer = client.get(f"{below}{path}")
            assert (answer.status_code, answer.headers.get("Location")) == (302, f"{apart.url}{path}")
        for path in ("/hub/api", "/hub/api/", "/hub/health"):  # as servers and monitors ask, by whatever name
            assert client.get(f"{below}{path}").status_code == 200
        assert client.post(f"{below}/hub/logout").status_code in (403, 405)


def test_links_to_a_server_lead_to_its_origin(apart: Platform, ana: Page) -> None:
    """Under the hub's host, by the hub's redirect, and with its own host when the server does not run."""
    page = ana.context.new_page()
    for path in ("/user/ana/lab", "/hub/user-redirect/lab", "/hub/user/ana/lab"):
        page.goto(f"{apart.url}{path}", wait_until="domcontentloaded")
        assert (host(page), urlsplit(page.url).path) == ("ana.hub.localhost", "/user/ana/lab")
    page.goto(f"http://carl.hub.localhost:{urlsplit(apart.url).port}/user/carl/lab", wait_until="domcontentloaded")
    assert host(page) == "hub.localhost"
    page.close()
