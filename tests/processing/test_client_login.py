"""A laptop with the unmodified openeo client: login by device flow in a real browser, and what the token opens."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openeo
import pytest
import rasterio
from openeo.rest.auth.config import RefreshTokenStore
from playwright.sync_api import Browser, Page

from bdap_hub.catalogue.app import create_app as create_catalogue
from bdap_hub.processing.app import create_app
from tests.identity.conftest import Platform, eventually, launch
from tests.serving import Services

from .conftest import X, Y, Z, make_collection, write_catalogue
from .idioms import TOP, top

pytestmark = pytest.mark.browser
ANA = "ana"
SERVICES = """
c.JupyterHub.services = [
    dict(name=name, url=getattr(settings, name).url, api_token=settings.secret(f"service-{name}"), timeout=1)
    for name in ("processing", "catalogue")
]
c.JupyterHub.load_roles = [
    dict(name="reader", scopes=["read:users:name", "read:users:groups"], services=["processing", "catalogue"]),
    dict(name="user", scopes=["self", *(f"access:services!service={n}" for n in ("processing", "catalogue"))]),
]
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Hub, the demo's login provider, catalogue and processing; `plots` is of project agriculture, ana's."""
    folder = tmp_path_factory.mktemp("laptop")
    services = Services()
    with ExitStack() as stack:
        made = launch("demo", folder, stack, SERVICES)
        settings = made.settings
        for name, visibility, project in (("fields", "public", ""), ("plots", "project", "agriculture")):
            write_catalogue(settings.var, *make_collection(settings.store.root, name, visibility, project))
        services.serve(create_catalogue(settings), settings.catalogue.port)
        services.serve(create_app(settings), settings.processing.port)
        yield made
        services.end()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    made = chromium.new_page(viewport={"width": 1280, "height": 800})
    made.set_default_timeout(60_000)
    yield made
    made.close()


class Person:
    """Who reads what the program prints, and does it in the browser."""

    def __init__(self, platform: Platform, page: Page, artifacts: Path) -> None:
        self.platform, self.page, self.artifacts = platform, page, artifacts
        self.pages = 0

    def log_in(self) -> None:
        """Both factors, if the provider asks for them."""
        if not self.page.get_by_label("Account name").count():
            return
        self.page.get_by_label("Account name").fill(ANA)
        self.page.get_by_label("Password").fill(self.platform.accounts[ANA]["password"])
        self.page.get_by_role("button", name="Next").click()
        self.page.get_by_label("Authenticator code").wait_for()  # a code is short-lived
        self.page.get_by_label("Authenticator code").fill(self.platform.unused_code(ANA))
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_load_state()

    def __call__(self, printed: str) -> None:
        """The client's instructions: only the line with the address matters."""
        found = re.search(r"https?://\S+/device\S*", printed)
        if not found:
            return
        address, code = re.sub(r"\?.*", "", found[0]), re.search(r"[A-Z]{4}-[A-Z]{4}", printed)
        assert code, printed
        self.page.goto(address)
        self.log_in()
        self._look("enter")
        self.page.get_by_label("Code").fill("AAAA-AAAA")
        self.page.get_by_role("button", name="Next").click()
        self._look("unknown")
        self.page.get_by_label("Code").fill(code[0].lower())  # as people type
        self.page.get_by_role("button", name="Next").click()
        self._look("confirm")
        self.page.get_by_role("button", name="Yes, it is mine").click()
        self.page.get_by_role("heading", name="is connected").wait_for()
        self._look("connected")

    def _look(self, name: str) -> None:
        self.pages += 1
        for width in (390, 1280):
            self.page.set_viewport_size({"width": width, "height": 800})
            self.page.screenshot(path=self.artifacts / f"device-{name}-{width}.png", full_page=True)
            assert self.page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_a_laptop_logs_in_and_works(platform: Platform, page: Page, artifacts: Path, tmp_path: Path) -> None:
    person = Person(platform, page, artifacts)
    page.goto(f"{platform.url}/hub/home")  # once with a browser before
    person.log_in()
    page.wait_for_url(f"{platform.url}/hub/home")
    tokens = RefreshTokenStore(tmp_path)
    url = f"{platform.url}/services/processing"
    con = openeo.Connection(url, refresh_token_store=tokens)
    assert con.list_collection_ids() == ["fields"]  # nobody is logged in yet
    con.authenticate_oidc(display=person)
    assert person.pages == 4 and con.describe_account()["user_id"] == ANA
    assert con.list_collection_ids() == ["fields", "plots"]
    cube = top(con)
    assert cube.validate() == []
    service = cube.tiled_viewing_service("XYZ")
    tile = service.describe_service()["url"].format(z=Z, x=X, y=Y)
    got = np.load(io.BytesIO(httpx.get(tile.replace(".png", ".npy"), timeout=60).content))
    np.testing.assert_allclose(got.squeeze(), TOP)
    cube.download(tmp_path / "top.tif", format="GTiff")
    with rasterio.open(tmp_path / "top.tif") as file:
        np.testing.assert_array_equal(np.nan_to_num(TOP), file.read(1, masked=True).filled(0)[:256, :256])
    # the next time the refresh token is enough
    again = openeo.Connection(url, refresh_token_store=tokens).authenticate_oidc(display=pytest.fail)
    assert again.describe_account()["user_id"] == ANA
    for _ in range(2):  # a token that is worth nothing any more is renewed by the client itself: it knows our code
        again.auth.bearer = "oidc/bdap/expired"
        assert again.describe_account()["user_id"] == ANA and again.auth.bearer != "oidc/bdap/expired"
    other = httpx.get(f"{url}/me", headers={"Authorization": f"Bearer {con.auth.bearer}x"}, trust_env=False)
    assert (other.status_code, other.json()["code"]) == (403, "TokenInvalid")
    platform.provider.end_session(ANA)

    def refused() -> bool:
        answer = httpx.get(f"{url}/me", headers={"Authorization": f"Bearer {con.auth.bearer}"}, trust_env=False)
        return answer.status_code == 403 and answer.json()["code"] == "TokenInvalid"

    eventually(refused, platform.bound + platform.settings.identity.cache_seconds)


def test_what_clients_find_there(platform: Platform) -> None:
    url = f"{platform.url}/services/processing"
    (provider,) = httpx.get(f"{url}/credentials/oidc", trust_env=False).json()["providers"]
    (client,) = provider["default_clients"]
    assert provider["id"] == "bdap" and provider["issuer"] == platform.settings.identity.issuer
    assert "openid" in provider["scopes"] and "offline_access" not in provider["scopes"]
    assert client["id"] == "bdap-programs"
    assert client["grant_types"] == ["urn:ietf:params:oauth:grant-type:device_code+pkce", "refresh_token"]
    kinds: Any = {one["type"] for one in openeo.connect(url).list_auth_providers()}
    assert kinds == {"oidc", "basic"}
