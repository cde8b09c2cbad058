"""The explorer's link into the lab, through the real hub: login, the person's own server, a new notebook there."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from bdap.recipe import Recipe, Sheet
from collections_explorer.show import share
from collections_explorer.view import Camera

from tests.conftest import Hub

RECIPE = Recipe("sentinel-2-demo", (("during", ("2025-07-10",)), ("index", ("NDVI",)), ("first", ())), "NDVI")


def test_the_link_opens_a_notebook_in_ones_own_lab(hub: Hub) -> None:
    link = share("", [RECIPE], Camera(45.8, 8.6, 11), hub.url)["lab"]
    hub.api("POST", "/users/ana/server").raise_for_status()
    try:
        deadline = time.monotonic() + 90
        while not hub.api("GET", "/users/ana").json()["servers"].get("", {}).get("ready"):
            assert time.monotonic() < deadline, "ana's server did not start"
            time.sleep(0.5)
        browser = hub.browser("ana")
        opened = browser.get(link)
        assert urlsplit(str(opened.url)).path.startswith("/user/ana/lab/tree/explored-sentinel-2-demo-"), opened.url
        name = urlsplit(str(opened.url)).path.rpartition("/")[2]
        found = browser.get(f"{hub.url}/user/ana/api/contents/{name}").json()
        sheet = Sheet((RECIPE,), (45.8, 8.6, 11))
        assert found["content"]["cells"][1]["source"] == sheet.code().rstrip()
    finally:
        hub.api("DELETE", "/users/ana/server")
