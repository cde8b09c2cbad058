"""What is refused, on the running platform: each with a readable page, and beside it the same request that works."""

from __future__ import annotations

import time

import httpx
import pytest
from playwright.sync_api import expect

from .conftest import Demo, log_in, rules

pytestmark = [pytest.mark.docker, pytest.mark.browser]


def test_wrong_totp_is_refused_and_the_right_one_is_not(demo: Demo, person):
    page = person().new_page()
    account = demo.account("pia")
    page.goto(f"{demo.hub}/hub/home")
    page.fill("input[name=login]", "pia")
    page.fill("input[type=password]", account["password"])
    page.click("button[type=submit]")
    page.fill("input[name=code]", "000000")
    page.click("button[type=submit]")
    expect(page.locator("body")).to_contain_text("Incorrect code")
    assert "/hub/" not in page.url
    log_in(demo, person().new_page(), "pia")


def test_a_person_without_a_project_gets_an_explanation_and_no_server(demo: Demo, person):
    page = person("pia").new_page()
    page.goto(f"{demo.hub}/hub/spawn")
    expect(page.locator("body")).to_contain_text("project")
    assert page.locator("input[type=radio]").count() == 0
    answer = post_spawn(demo, page, "pia", {"choice": "agriculture/lab", "project": "agriculture", "image": "lab"})
    assert "not a member of project agriculture" in answer


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"choice": "agriculture/lab", "project": "agriculture", "image": "lab"},
            "not a member of project agriculture",
        ),
        ({"choice": "forest/gpu", "project": "forest", "image": "gpu"}, "has no image"),
        ({"choice": "forest/nothing", "project": "forest", "image": "nothing"}, "has no image"),
    ],
)
def test_a_tampered_form_is_refused_when_it_takes_effect(demo: Demo, person, fields, sentence):
    page = person("ben").new_page()
    assert sentence in post_spawn(demo, page, "ben", fields)
    server = demo_api(demo, "/users/ben").json()
    assert not server.get("servers")
    page.goto(f"{demo.hub}/hub/home")
    assert "restarted" not in page.locator("main").inner_text()  # a refusal is no server that ended


def post_spawn(demo: Demo, page, name: str, fields: dict[str, str]) -> str:
    """Send the spawn form with these fields from the person's own browser; the text of the page that follows."""
    page.goto(f"{demo.hub}/hub/spawn")
    xsrf = next(c["value"] for c in page.context.cookies() if c["name"] == "_xsrf" and c["path"].startswith("/hub"))
    answer = page.context.request.post(
        f"{demo.hub}/hub/spawn/{name}?_xsrf={xsrf}", form={**fields, "_xsrf": xsrf}, max_redirects=0
    )
    if answer.status != 302:  # refused while the browser still waited
        return str(answer.text())
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        page.goto(f"{demo.hub}/hub/spawn-pending/{name}")
        text = page.locator("body").inner_text()
        if "not a member" in text or "has no image" in text:
            return text
        time.sleep(0.5)
    return text


def demo_api(demo: Demo, path: str) -> httpx.Response:
    """The hub's API with the demo's token."""
    headers = {"Authorization": f"token {demo.facts['tokens']['hub_api']}"}
    return httpx.get(f"{demo.hub}/hub/api{path}", headers=headers)


def test_a_tile_needs_a_signature(demo: Demo):
    answer = httpx.get(f"{demo.hub}/services/processing/tiles/unknown/10/500/300.png")
    assert answer.status_code in (401, 403)
    assert answer.json()["message"]


def test_another_projects_collection_is_refused_with_a_page(demo: Demo, person):
    for name, status in (("ana", 404), ("ben", 200)):
        page = person(name).new_page()
        answer = page.goto(f"{demo.hub}/services/catalogue/collections/forest-plots")
        assert answer is not None and answer.status == status
        text = page.locator("main").inner_text()
        assert ("no collection 'forest-plots' that you may read" in text) is (name == "ana")


def test_the_hosts_ports_are_closed_to_servers(demo: Demo):
    """What that means is tried from inside in tests/hub/test_isolation.py; no rule is left behind by the demo."""
    assert [line for line in rules(demo) if line.startswith(("-A INPUT ", "-A DOCKER-USER "))]
    assert "Warning:" not in demo.log.read_text()


def test_the_admin_panel_is_for_admins(demo: Demo, person):
    page = person("ben").new_page()
    answer = page.goto(f"{demo.hub}/services/admin/")
    assert answer is not None and answer.status == 403
    assert "Ben is not in group" in page.locator("main").inner_text()
    boss = person("olga").new_page()
    boss.goto(f"{demo.hub}/services/admin/audit")
    expect(boss.locator("main")).to_contain_text("ben is not in group bdap-admins")
