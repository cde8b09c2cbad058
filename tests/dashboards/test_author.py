"""What a dashboard's authors see on its page, and nobody else: usage, the last error, and the log as it is written."""

from __future__ import annotations

import re
import time
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from bdap_hub.dashboards.pages.charts import charts, highest
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.running.faults import Faults
from bdap_hub.dashboards.usage import DashboardVisit, Day
from bdap_hub.database import connect

from .conftest import Platform, notebook

SPEAKS = 'import sys\nprint("token=abcdef0123456789abcdef0123456789", file=sys.__stderr__, flush=True)\n1'


@pytest.fixture(scope="module")
def watched(platform: Platform) -> str:
    """ana's dashboard of a module, with a month of usage and an error; its page below the hub."""
    assert platform.publish("ana", "watched", notebook(SPEAKS), visibility="public").status_code == 201
    records = Records(connect(platform.settings.database))
    live = records.live("agriculture", "watched")
    assert live is not None
    with records.sessions.begin() as session:
        for number in range(1, 28):
            day = date.today() - timedelta(days=number)
            values = {"visits": 40 - number, "visitors": 12, "sessions": 8, "peak_mb": 150 + number, "start_ms": 900}
            session.add(DashboardVisit(dashboard_id=live.id, day=day, **values))
    Faults(records.sessions).keep(
        live, "cell", "Cell In[1], line 1\nValueError: no such band: B99 <script>alert(1)</script>", "x"
    )
    return f"{platform.hub.url}/services/dashboards/d/agriculture/watched"


@pytest.mark.parametrize(("value", "end"), [(0, 1), (1, 1), (1.2, 2), (3, 5), (7, 10), (10, 10), (11, 20), (480, 500)])
def test_axes_end_at_round_numbers(value: float, end: float) -> None:
    assert highest(value) == end


def test_a_chart_says_what_it_draws() -> None:
    first = date(2026, 6, 1)
    days = [Day(first), Day(first + timedelta(1), 10, 4, 1, 200, 1500), Day(first + timedelta(2), 5, 5)]
    visits, sessions, memory, start = charts(days)
    assert visits.sentence == "15 visits, at most 5 visitors a day" and sessions.sentence == "1 session"
    assert (memory.sentence, start.sentence) == ("at most 200 MiB", "at most 1.5 s")
    assert [bar.says for bar in visits.bars] == [
        "2 Jun: 10 visits",
        "3 Jun: 5 visits",
        "2 Jun: 4 visitors",
        "3 Jun: 5 visitors",
    ]
    highest_bar = max(visits.bars, key=lambda bar: bar.height)
    assert highest_bar.says == "2 Jun: 10 visits" and highest_bar.y == pytest.approx(12)
    assert all(bar.y >= 0 and bar.y + bar.height == pytest.approx(visits.base) for bar in visits.bars)
    assert [chart.bars for chart in charts([])] == [(), (), (), ()]


@pytest.mark.parametrize(("person", "sees"), [("ana", True), ("olga", True), ("ben", False), ("", False)])
def test_authors_alone_see_usage_errors_and_log(platform: Platform, watched: str, person: str, sees: bool) -> None:
    headers = {**(platform.hub.bearer(person) if person else {}), "Accept": "text/html"}
    page = httpx.get(watched, headers=headers).text
    assert ("no such band: B99" in page, "Visits and visitors" in page, "data-log=" in page) == (sees, sees, sees)
    assert "<script>alert" not in page
    log = httpx.get(f"{watched}/log", headers={**headers, "Accept": "text/plain"})
    assert log.status_code == (200 if sees else 401 if not person else 404)
    assert ("token=[redacted]" in log.text) is sees and "abcdef0123456789" not in log.text
    if sees:
        assert httpx.get(f"{watched}/log?version=7", headers=headers).status_code == 400


def test_the_log_is_followed(platform: Platform, watched: str) -> None:
    headers = {**platform.hub.bearer("ana"), "Accept": "text/event-stream"}
    with httpx.stream("GET", f"{watched}/log", headers=headers, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        first = next(line for line in lines if line.startswith("data: "))
        assert first
        assert any("token=[redacted]" in line for line in lines if line.startswith("data: "))


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_follows(
    platform: Platform, watched: str, chromium: Browser, artifacts: Path, width: int
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{platform.hub.url}/services/dashboards/login")
    page.fill("input[name=username]", "ana")
    page.fill("input[name=password]", "test")
    page.click("input[type=submit], button[type=submit]")
    page.goto(watched)
    expect(page.locator("[data-log-state]")).to_have_text(re.compile("Followed live"), timeout=20_000)
    expect(page.locator("[data-log]")).to_contain_text("token=[redacted]", timeout=20_000)
    assert page.locator("svg rect").count() > 100
    page.get_by_text("The numbers as a table").click()
    expect(page.get_by_role("row").filter(has_text="39").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=artifacts / f"dashboard-author-{width}.png", full_page=True)
    assert errors == []
    context.close()


FAILS = """
import ipywidgets as widgets
button = widgets.Button(description="Draw B99")
def draw(_):
    raise ValueError("no such band: B99")
button.on_click(draw)
button
"""


@pytest.mark.browser
def test_what_fails_at_a_visitors_click_is_seen_by_the_author(platform: Platform, chromium: Browser) -> None:
    made = platform.publish("ana", "clicks", notebook(FAILS), visibility="public").json()
    page = chromium.new_page()
    page.goto(made["url"])
    page.get_by_role("button", name="Draw B99").click(timeout=60_000)
    keeper, row = platform.gateway.keeper, Records(connect(platform.settings.database)).get("agriculture", "clicks")
    deadline = time.monotonic() + 60
    while (found := keeper.faults.last(row.id)) is None and time.monotonic() < deadline:
        time.sleep(0.5)
        keeper.clean_up()
    assert found is not None and found.reason == "error" and "ValueError: no such band: B99" in found.trace
    assert row.id not in keeper.faults.due()  # others still see the dashboard: nobody is written to
    page.close()
