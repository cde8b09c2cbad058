"""The hub's own pages: one look with the services', nothing for somebody without a project to submit."""

from __future__ import annotations

import pytest

from .conftest import Platform

pytestmark = pytest.mark.docker


def test_the_spawn_page_offers_ones_own_choices_only(platform: Platform) -> None:
    with platform.browser("ana") as ana, platform.browser("olga") as olga:
        first, second = ana.get(f"{platform.url}/hub/spawn").text, olga.get(f"{platform.url}/hub/spawn").text
    assert 'value="agriculture/lab"' in first and "forest" not in first and 'value="agriculture/gpu"' not in first
    assert 'value="agriculture/lab"' in second and 'value="forest/lab"' in second


def test_without_a_project_there_is_an_explanation_and_no_form(platform: Platform) -> None:
    with platform.browser("pia") as pia:
        page = pia.get(f"{platform.url}/hub/spawn").text
        home = pia.get(f"{platform.url}/hub/home").text
    assert "You are in no project yet" in page and "<form" not in page
    assert "nothing to start" in home and 'id="start"' not in home


@pytest.mark.parametrize(("name", "admin"), [("ana", False), ("pia", False), ("olga", True)])
def test_the_header_links_to_what_one_may_open(platform: Platform, name: str, admin: bool) -> None:
    with platform.browser(name) as browser:
        home = browser.get(f"{platform.url}/hub/home").text
    for service in ("catalogue", "dashboards"):
        assert f'href="/services/{service}/"' in home
    assert ('href="/services/admin/"' in home) is admin


def test_our_style_sheets_are_served_and_nothing_else(platform: Platform) -> None:
    with platform.browser("ana") as browser:
        home = browser.get(f"{platform.url}/hub/home")
        assert "/hub/bdap/bdap.css" in home.text and "frame-ancestors 'none'" in home.headers["content-security-policy"]
        for sheet in ("bdap.css", "hub.css"):
            answer = browser.get(f"{platform.url}/hub/bdap/{sheet}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css")
        for path in ("../app.py", "..%2Fapp.py", "app.py", "bdap.css/../../app.py"):
            assert browser.get(f"{platform.url}/hub/bdap/{path}").status_code == 404


def test_an_unknown_page_is_an_error_page_of_ours(platform: Platform) -> None:
    with platform.browser("ana") as browser:
        answer = browser.get(f"{platform.url}/hub/nothing-here")
    assert answer.status_code == 404 and "Not found" in answer.text and "To my servers" in answer.text
    assert "None" not in answer.text
