"""Pages of the catalogue in a real browser: map of footprints, item with its preview; how they look."""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from bdap_hub.catalogue.footprints import HEIGHT, WIDTH, drawing, view_of
from tests.catalogue.samples import item

LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
FOREST = "/collections/forest-plots/items/forest-plots_2025-04-18"
HTML = {"Accept": "text/html"}


@pytest.mark.browser
def test_from_the_list_to_an_item(service: httpx.Client, chromium: Browser, artifacts: Path) -> None:
    errors: list[str] = []
    page = chromium.new_page(viewport=LAPTOP)
    page.on("console", lambda said: errors.append(f"{said.text} {said.location}") if said.type == "error" else None)
    page.goto(f"{service.base_url}")
    page.get_by_role("link", name="Demo scenes", exact=True).click()
    shapes = page.locator("svg.footprints a")
    expect(shapes).to_have_count(3)
    expect(page.locator("svg .land").first).to_be_attached()

    def look(name: str) -> None:
        for device, size in (("laptop", LAPTOP), ("phone", PHONE)):
            page.set_viewport_size(size)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), device
            page.screenshot(path=artifacts / f"catalogue-{name}-{device}.png", full_page=True)
        page.set_viewport_size(LAPTOP)

    look("collection")
    shapes.first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/items/*")
    picture = page.locator("figure img")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('figure img').naturalWidth > 0")
    assert page.locator("text=rasterio.open").count() == 1
    look("item")
    page.close()
    assert [error for error in errors if "favicon" not in error] == []


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("ana", 404), ("ben", 200)])
def test_pictures_and_pages_of_items_are_for_who_may_read(
    service: httpx.Client, hub: Any, who: str | None, status: int
) -> None:
    headers = hub.bearer(who) if who else {}
    picture = service.get(f"{FOREST}/thumbnail", headers=headers)
    assert picture.status_code == status
    assert (picture.headers["content-type"] == "image/png") == (status == 200)
    page = service.get(FOREST, headers=headers | HTML)
    assert page.status_code == (302 if who is None else status)
    assert ("B04.tif" in page.text) == (status == 200)


def test_an_item_without_pixels_has_no_picture(service: httpx.Client, hub: Any) -> None:
    ours = {
        "type": "Feature",
        "id": "far-away",
        "properties": {"datetime": "2025-01-01T00:00:00Z"},
        "geometry": {"type": "Point", "coordinates": [8, 45]},
        "assets": {"x": {"href": "https://example.org/x"}},
    }
    olga = hub.bearer("olga")
    assert service.post("/collections/for-people/items", headers=olga, json=ours).status_code == 201
    try:
        at = "/collections/for-people/items/far-away"
        missing = service.get(f"{at}/thumbnail", headers=olga)
        assert missing.status_code == 404 and "no picture" in missing.json()["message"]
        assert service.get(at, headers=olga | HTML).status_code == 200
    finally:
        service.delete("/collections/for-people/items/far-away", headers=olga)


NAMES = ['B04", __import__("os").system("id"), "', "B04\\", "B\n04", "Größe", "it's"]


@pytest.mark.parametrize("name", NAMES)
def test_what_an_item_says_stays_a_text_in_the_snippets(service: httpx.Client, hub: Any, name: str) -> None:
    olga = hub.bearer("olga")
    known = service.get("/collections/for-people/items/for-people_2025-03-14", headers=olga).json()
    asset = next(iter(known["assets"].values()))
    href = f"{asset['href'].rpartition('/')[0]}/{name.replace('/', '')}.tif"
    ours = {**asset, "href": href, "eo:bands": [{"name": name}]}
    at = "/collections/for-people/items"
    assert service.post(at, headers=olga, json={**known, "id": "odd", "assets": {"x": ours}}).status_code == 201
    try:
        page = service.get(f"{at}/odd", headers=olga | HTML).text
    finally:
        service.delete(f"{at}/odd", headers=olga)
    codes = [html.unescape(found) for found in re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", page, re.DOTALL)]
    trees = [ast.parse(code) for code in codes]
    calls = [node.func for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    texts = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {name, href, "for-people"} <= texts
    names = {one.attr if isinstance(one, ast.Attribute) else ast.dump(one) for one in calls}
    assert names == {"collection", "inside", "during", "Map", "add", "bands", "at", "open"}


BOXES = [(8, 45, 9, 46), (-180, -90, 180, 90), (179, -1, 180, 1), (-180, 80, -170, 89.9), (5, 5, 5, 5)]


@pytest.mark.parametrize("box", BOXES)
def test_a_map_shows_what_it_is_made_for_and_stays_in_the_world(box: tuple[float, float, float, float]) -> None:
    view = view_of([box])
    assert view.west <= box[0] and view.south <= box[1] and view.east >= box[2] and view.north >= box[3]
    assert -180 <= view.west < view.east <= 180 and -90 <= view.south < view.north <= 90


def test_footprints_are_drawn_where_they_lie() -> None:
    drawn = drawing([item(1, 8, 45, "2025-01-01", 1)])
    assert drawn["shapes"][0]["date"] == "2025-01-01"
    numbers = [
        float(n) for n in drawn["shapes"][0]["path"].replace("M", " ").replace("L", " ").replace("Z", "").split()
    ]
    xs, ys = numbers[::2], numbers[1::2]
    assert abs(sum((min(xs), max(xs))) / 2 - WIDTH / 2) < 1 and abs(sum((min(ys), max(ys))) / 2 - HEIGHT / 2) < 1
    assert drawn["land"]
    assert drawing([]) == drawing([{"id": "x", "geometry": None, "properties": {}}]) == {}
