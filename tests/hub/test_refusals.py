"""Who may start what: by API and by form, tampered or not. Each refusal is read by people and recorded."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import Any

import httpx
import pytest

from bdap_hub import audit, database

from .conftest import Platform

pytestmark = pytest.mark.docker

LAB = {"project": "agriculture", "image": "lab"}


@pytest.fixture(scope="module", autouse=True)
def nobody_runs(platform: Platform) -> None:
    for name in ("ana", "ben"):
        platform.stop(name)


REFUSED = [
    # person, options, status, what the message says
    ("ana", {"project": "forest", "image": "lab"}, 403, "ana is not a member of project forest"),
    ("ben", {"project": "forest", "image": "gpu"}, 403, "project forest has no image 'gpu'"),
    ("ana", {"project": "agriculture", "image": "gpu"}, 403, "needs a GPU and this platform has none"),
    ("ana", {"project": "agriculture", "image": "root"}, 403, "project agriculture has no image 'root'"),
    ("ana", {"project": "agriculture", "image": "bdap/lab:latest"}, 403, "has no image"),
    ("ana", {"project": "agriculture", "image": "../lab"}, 403, "has no image"),
    ("ana", {"project": "agriculture/../forest", "image": "lab"}, 403, "there is no project"),
    ("ana", {"project": "Agriculture", "image": "lab"}, 403, "there is no project 'Agriculture'"),
    ("ana", {"project": "agriculture", "image": "LAB"}, 403, "has no image 'LAB'"),
    ("ana", {"project": "agriculture ", "image": "lab"}, 403, "there is no project"),
    ("ana", {"project": "agriculture"}, 400, "must both be given"),
    ("ana", {"project": ["agriculture"], "image": "lab"}, 400, "must both be given"),
    ("ana", {**LAB, "volumes": {"/": "/host"}}, 400, "unknown options ['volumes']"),
    ("olga", {}, 400, "no project and image were chosen"),
    ("olga", None, 400, "no project and image were chosen"),
    ("pia", {}, 400, "no project and image were chosen"),
    ("pia", LAB, 403, "pia is not a member of project agriculture"),
]


@pytest.mark.parametrize(("name", "options", "status", "message"), REFUSED)
def test_refused_by_api(platform: Platform, name: str, options: Any, status: int, message: str) -> None:
    body = None if options is None else {"user_options": options}
    answer = platform.api("POST", f"/users/{name}/server", token=platform.token_of(name), json=body)
    assert (answer.status_code, message in answer.json()["message"]) == (status, True), answer.text
    assert "SpawnException" not in answer.text
    assert not platform.api("GET", f"/users/{name}").json()["servers"]
    newest = audit.latest(database.connect(platform.settings.database), 1)[0]
    assert (newest.person, newest.action, newest.outcome) == (name, "start-server", "refused")
    assert message.removeprefix("unknown ") in newest.reason


def submit(browser: httpx.Client, url: str, data: dict[str, Any]) -> httpx.Response:
    """Post the spawn form as a browser would, with its XSRF token."""
    page = browser.get(f"{url}/hub/spawn")
    assert page.status_code == 200, page.text
    form = page.text.split('id="spawn_form" action="')[1]
    action, xsrf = form.split('"')[0].replace("&amp;", "&"), form.split('name="_xsrf" value="')[1].split('"')[0]
    return browser.post(f"{url}{action}", data={**data, "_xsrf": xsrf})


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("forest/lab", "ana is not a member of project forest"),
        ("agriculture/gpu", "needs a GPU"),
        ("agriculture/bdap/gpu:latest", "has no image"),
        ("agriculture/../../lab", "has no image"),
        ("", None),
    ],
)
def test_a_tampered_form_is_refused_on_a_readable_page(platform: Platform, choice: str, message: str | None) -> None:
    with platform.browser("ana") as browser:
        if message is None:
            data: dict[str, Any] = {"choice": "agriculture"}
            message = "must both be given"
        else:
            data = {"choice": choice}
        answer = submit(browser, platform.url, data)
    assert answer.status_code in (400, 403)
    assert message in answer.text.replace("&#39;", "'") and "SpawnException" not in answer.text
    assert not platform.api("GET", "/users/ana").json()["servers"]


def test_a_form_without_its_xsrf_token_is_refused(platform: Platform) -> None:
    with platform.browser("ana") as browser:
        answer = browser.post(f"{platform.url}/hub/spawn", data={"choice": "agriculture/lab"})
    assert answer.status_code == 403
    assert not platform.api("GET", "/users/ana").json()["servers"]


def test_the_form_starts_what_is_allowed_and_progress_is_told(platform: Platform) -> None:
    with platform.browser("ana") as browser:
        answer = submit(browser, platform.url, {"choice": "agriculture/lab"})
        assert answer.status_code == 200, answer.text
        told = browser.get(
            f"{platform.url}/hub/api/users/ana/server/progress", headers={"Referer": f"{platform.url}/hub/home"}
        )
    assert told.status_code == 200 and '"ready": true' in told.text
    model = platform.api("GET", "/users/ana").json()["servers"][""]
    assert (model["ready"], model["user_options"]) == (True, LAB)
    newest = audit.latest(database.connect(platform.settings.database), 1)[0]
    assert (newest.person, newest.subject, newest.outcome) == ("ana", "agriculture/lab", "allowed")
    platform.stop("ana")


def test_what_a_start_decided_is_in_the_hubs_database(platform: Platform) -> None:
    """The requests of the server that starts end meanwhile, and with each what nobody has written yet."""
    platform.start("ana", {**LAB, "size": ""})
    asked = "SELECT spawners.user_options FROM spawners JOIN users ON users.id = user_id WHERE users.name = 'ana'"
    with contextlib.closing(sqlite3.connect(platform.settings.var / "hub.sqlite")) as hub:
        written = [json.loads(options) for (options,) in hub.execute(asked)]
    assert written == [LAB]
    platform.stop("ana")


def test_rights_taken_away_take_effect_at_the_next_start(platform: Platform) -> None:
    group = "/groups/project-forest/users"
    platform.start("ben", {"project": "forest", "image": "lab"})
    platform.stop("ben")
    platform.api("DELETE", group, json={"users": ["ben"]}).raise_for_status()
    try:
        # also when nothing is asked for: the choice of last time is decided anew
        for body in (None, {"user_options": {"project": "forest", "image": "lab"}}):
            answer = platform.api("POST", "/users/ben/server", json=body)
            assert answer.status_code == 403 and "not a member" in answer.text
    finally:
        platform.api("POST", group, json={"users": ["ben"]}).raise_for_status()
    platform.start("ben", None)  # and the last choice again, once the right is back
    platform.stop("ben")
