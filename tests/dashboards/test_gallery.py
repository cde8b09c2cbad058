"""The gallery: what is found in which order, who sees what, pictures by right, and how it looks."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, expect
from sqlalchemy import delete

from bdap_hub.dashboards.pages.shelf import Entry, Wanted, counted, entries, pick
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.tables import Dashboard, DashboardGrant, Release
from bdap_hub.database import connect

from .conftest import Platform

START = datetime(2026, 6, 1, tzinfo=UTC)


def entry(slug: str, **values: Any) -> Entry:
    given = {"tags": [], "visits": 0, "description": "", "updated": START, **values}
    waiting, drafts = given.pop("waiting", ()), given.pop("drafts", ())
    row = Dashboard(project="agriculture", slug=slug, title=slug.title(), visibility="public", owner="ana", **given)
    row.status = "live"
    return Entry(row, waiting=waiting, drafts=drafts)


SHELF = [
    entry("wheat", tags=["crops", "yield"], visits=5, description="How wheat grows."),
    entry("maize", tags=["crops"], visits=50, updated=START + timedelta(days=1), waiting=(2,)),
    entry("fires", tags=["forest"], visits=7, updated=START + timedelta(days=2), drafts=(3,)),
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), ["fires", "maize", "wheat"]),
        (Wanted(sort="visits"), ["maize", "fires", "wheat"]),
        (Wanted(sort="title"), ["fires", "maize", "wheat"]),
        (Wanted(sort="; drop table"), ["fires", "maize", "wheat"]),
        (Wanted(q="GROWS wheat"), ["wheat"]),
        (Wanted(q="wheat fires"), []),
        (Wanted(q="crops"), ["maize", "wheat"]),
        (Wanted(q="agri ana"), ["fires", "maize", "wheat"]),
        (Wanted(tags=("crops",)), ["maize", "wheat"]),
        (Wanted(tags=("crops", "yield")), ["wheat"]),
        (Wanted(tags=("no such",)), []),
        (Wanted(state="waiting"), ["maize"]),
        (Wanted(state="draft"), ["fires"]),
    ],
)
def test_what_is_found_and_in_which_order(wanted: Wanted, found: list[str]) -> None:
    assert [one.row.slug for one in pick(SHELF, wanted, lambda each: f"Agriculture {each.row.owner}")] == found


def test_tags_are_counted() -> None:
    assert counted(SHELF) == [("crops", 2), ("forest", 1), ("yield", 1)]


TITLES = (
    ("fields", "Fields of wheat", "public", "live", ["crops", "sentinel-2"],
     "How much land is under wheat, parcel by parcel."),
    ("drought", "Drought watch", "people", "live", ["climate", "water"], "Soil moisture and rain of ten days."),
    ("harvest", "Harvest forecast for the regions of Europe, with the years before", "project", "live", ["crops"], ""),
    ("grass", "Grassland", "public", "draft", ["crops"], "Mowing dates."),
)  # fmt: skip


@pytest.fixture(scope="module")
def shelf(platform: Platform) -> Iterator[dict[str, Dashboard]]:
    """Dashboards as rows alone, some with pictures: fields has a version 2 that waits, grass was never live."""
    sessions = connect(platform.settings.database)
    folder = platform.settings.var / "dashboards" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    with sessions.begin() as session:
        for number, (slug, title, visibility, status, tags, description) in enumerate(TITLES):
            row = Dashboard(
                project="agriculture", slug=f"shelf-{slug}", title=title, visibility=visibility, owner="ana"
            )
            row.status, row.tags, row.description, row.visits = (
                status,
                ["shelf", *tags],
                description,
                1200 // (number + 1),
            )
            row.version = int(status == "live")
            row.updated = datetime.now(UTC) - timedelta(days=number)
            session.add(row)
            session.flush()
            states = {"live": ["live"], "draft": ["draft"]}[status] + (["submitted"] if slug == "fields" else [])
            for version, state in enumerate(states, 1):
                shown = _picture(folder, number, state) if slug in ("fields", "drought", "grass") else ""
                session.add(Release(
                    dashboard_id=row.id, version=version, bundle="0" * 64, entry="index.ipynb", publisher="ana",
                    status=state, thumbnail=shown, visibility=visibility, title=title,
                    mode="plain", why="a thread runs in cell 3",
                ))  # fmt: skip
            made[slug] = row
    yield made
    numbers = [row.id for row in made.values()]
    with sessions.begin() as session:
        for table, column in ((DashboardGrant, DashboardGrant.dashboard_id), (Release, Release.dashboard_id)):
            session.execute(delete(table).where(column.in_(numbers)))
        session.execute(delete(Dashboard).where(Dashboard.id.in_(numbers)))


def _picture(folder: Path, number: int, state: str) -> str:
    """A picture of 640 by 400 as a dashboard could look; its name."""
    image = Image.new("RGB", (640, 400), (250, 250, 250))
    pen = ImageDraw.Draw(image)
    pen.rectangle((20, 20, 400, 380), fill=(200, 220 - 30 * number, 180))
    for bar in range(6):
        pen.rectangle((430 + bar * 32, 360 - 40 * ((bar * 7 + number) % 8), 452 + bar * 32, 380), fill=(11, 83, 148))
    pen.text((430, 30), state, fill=(0, 0, 0))
    out = io.BytesIO()
    image.save(out, "PNG")
    name = hashlib.sha256(out.getvalue()).hexdigest()
    (folder / f"{name}.png").write_bytes(out.getvalue())
    return name


def _titles(platform: Platform, person: str, path: str = "") -> list[str]:
    """Titles of the dashboards of this module on a page of the gallery, in order."""
    headers = {**(platform.hub.bearer(person) if person else {}), "Accept": "text/html"}
    query = "" if "?" in path else "?tag=shelf"
    answer = httpx.get(f"{platform.hub.url}/services/dashboards/{path}{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return re.findall(r'<a class="over" href="[^"]+">([^<]+)</a>', answer.text)


FIELDS, DROUGHT, HARVEST, GRASS = (title for _, title, *_ in TITLES)


@pytest.mark.parametrize("path", ["", "p/agriculture"])
@pytest.mark.parametrize(
    ("person", "titles"),
    [
        ("", [FIELDS]),
        ("ben", [FIELDS, DROUGHT]),
        ("ana", [FIELDS, DROUGHT, HARVEST, GRASS]),
        ("olga", [FIELDS, DROUGHT, HARVEST, GRASS]),
    ],
)
def test_each_sees_what_is_theirs(platform: Platform, shelf: Any, person: str, titles: list[str], path: str) -> None:
    assert _titles(platform, person, path) == titles


def test_filters_and_order_are_in_the_address(platform: Platform, shelf: Any) -> None:
    assert _titles(platform, "ana", "?tag=shelf&tag=crops&sort=title") == [FIELDS, GRASS, HARVEST]
    assert _titles(platform, "ana", "?tag=shelf&q=wheat") == [FIELDS]
    assert _titles(platform, "ana", "?tag=shelf&state=waiting") == [FIELDS]
    assert _titles(platform, "ana", "?tag=shelf&state=draft") == [GRASS]
    assert _titles(platform, "ben", "?tag=shelf&state=waiting") == []  # what waits is theirs who edit or review it
    assert _titles(platform, "", "?tag=shelf&page=99") == [FIELDS]


def test_a_project_that_shows_nothing_is_not_there(platform: Platform, shelf: Any) -> None:
    def status(person: str, project: str) -> int:
        headers = {**platform.hub.bearer(person), "Accept": "text/html"}
        return httpx.get(f"{platform.hub.url}/services/dashboards/p/{project}", headers=headers).status_code

    assert [status(*each) for each in (("ben", "forest"), ("pia", "forest"), ("ana", "nowhere"))] == [200, 404, 404]


def test_a_picture_goes_to_those_who_may_see_the_dashboard(platform: Platform, shelf: Any) -> None:
    def status(person: str, slug: str) -> int:
        headers = platform.hub.bearer(person) if person else {}
        url = f"{platform.hub.url}/services/dashboards/d/agriculture/shelf-{slug}/picture"
        return httpx.get(url, headers=headers).status_code

    seen = {
        (person, slug): status(person, slug) for person in ("", "ben", "ana") for slug in ("fields", "drought", "grass")
    }
    assert [seen["", slug] for slug in ("fields", "drought", "grass")] == [200, 404, 404]
    assert [seen["ben", slug] for slug in ("fields", "drought", "grass")] == [200, 200, 404]
    assert [seen["ana", slug] for slug in ("fields", "drought", "grass")] == [200, 200, 200]
    assert status("ana", "harvest") == 404  # has none


def test_a_picture_is_that_of_the_live_version_and_is_kept_by_browsers(platform: Platform, shelf: Any) -> None:
    url = f"{platform.hub.url}/services/dashboards/d/agriculture/shelf-fields/picture"
    answer = httpx.get(url)
    records = Records(connect(platform.settings.database))
    (found,) = entries(records.sessions, "agriculture", "shelf-fields")
    assert hashlib.sha256(answer.content).hexdigest() == found.thumbnail == records.releases(found.row)[1].thumbnail
    assert answer.headers["content-type"] == "image/png" and found.waiting == (2,)
    assert httpx.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_gallery_by_keyboard_and_without_scripts(
    platform: Platform, shelf: Any, chromium: Browser, artifacts: Path, width: int
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{platform.hub.url}/services/dashboards/login")
    page.fill("input[name=username]", "ana")
    page.fill("input[name=password]", "test")
    page.click("input[type=submit], button[type=submit]")
    page.goto(f"{platform.hub.url}/services/dashboards/?tag=shelf")
    assert page.locator("html").evaluate("e => e.scrollWidth <= innerWidth")
    assert page.get_by_role("img", name=f"Picture of {FIELDS}").evaluate("e => e.complete && e.naturalWidth") == 640
    page.screenshot(path=artifacts / f"gallery-of-{width}.png", full_page=True)
    page.get_by_role("link", name="Tag crops").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("3 of")
    page.get_by_label("Sort by").select_option("title")
    page.get_by_role("button", name="Show").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text([FIELDS, GRASS, HARVEST])
    page.get_by_role("link", name="Agriculture", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Agriculture")
    page.screenshot(path=artifacts / f"gallery-project-{width}.png", full_page=True)
    context.close()


@pytest.mark.parametrize(
    ("person", "reason", "review"), [("ana", True, False), ("olga", True, True), ("ben", False, False)]
)
def test_the_page_says_how_visitors_get_it_and_what_waits(
    platform: Platform, shelf: Any, person: str, reason: bool, review: bool
) -> None:
    headers = {**platform.hub.bearer(person), "Accept": "text/html"}
    page = httpx.get(f"{platform.hub.url}/services/dashboards/d/agriculture/shelf-fields", headers=headers)
    assert page.status_code == 200 and "How much land" in page.text
    assert ("The whole notebook runs anew" in page.text) is reason
    assert ("a thread runs in cell 3" in page.text) is reason
    assert ("Waiting for review" in page.text) is reason
    assert ("Version 2 waits for your review" in page.text) is review


@pytest.mark.parametrize(
    ("slug", "query", "version"),
    [("fields", "", 1), ("fields", "?version=2", 2), ("fields", "?version=9", 1), ("grass", "", 1)],
)
def test_the_log_is_that_of_the_live_version_or_of_one_that_waits(
    platform: Platform, shelf: Any, slug: str, query: str, version: int
) -> None:
    headers = {**platform.hub.bearer("ana"), "Accept": "text/html"}
    page = httpx.get(f"{platform.hub.url}/services/dashboards/d/agriculture/shelf-{slug}{query}", headers=headers)
    assert f'data-log="/services/dashboards/d/agriculture/shelf-{slug}/log?version={version}"' in page.text


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_reviewers_page_fits(platform: Platform, shelf: Any, chromium: Browser, artifacts: Path, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(f"{platform.hub.url}/services/dashboards/login")
    page.fill("input[name=username]", "olga")
    page.fill("input[name=password]", "test")
    page.click("input[type=submit], button[type=submit]")
    page.goto(f"{platform.hub.url}/services/dashboards/d/agriculture/shelf-fields")
    expect(page.get_by_role("heading", name="Version 2 waits for your review")).to_be_visible()
    expect(page.get_by_label("Comment for the author")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=artifacts / f"dashboard-review-{width}.png", full_page=True)
    context.close()
