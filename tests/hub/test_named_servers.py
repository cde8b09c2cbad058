"""Servers with a name, and links to the start page: what is refused, and where one is led. Processes here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import Platform

LAB = {"project": "agriculture", "image": "lab"}
FORM = {"choice": "agriculture/lab"}
ELSEWHERE = [
    "//evil.example",
    "https:evil.example",
    "/\\evil.example",
    "/%2Fevil.example",
    "/hub/logout",
    "/user/ben/lab",
]


@pytest.fixture(scope="module")
def hub(process_platform: Platform) -> Platform:
    return process_platform


@pytest.fixture
def ana(hub: Platform) -> Iterator[httpx.Client]:
    """Ana's browser; at the end none of her servers is left."""
    with hub.browser("ana") as browser:
        yield browser
    for name in hub.api("GET", "/users/ana", params={"include_stopped_servers": 1}).json()["servers"]:
        path = f"/users/ana/servers/{name}" if name else "/users/ana/server"
        hub.api("DELETE", path, json={"remove": bool(name)})
    hub.wait(lambda: not servers(hub), 40, "ana's servers to stop")


def servers(hub: Platform, stopped: bool = False) -> dict[str, Any]:
    parameters = {"include_stopped_servers": "1"} if stopped else {}
    found: dict[str, Any] = hub.api("GET", "/users/ana", params=parameters).json()["servers"]
    return found


def post(browser: httpx.Client, url: str, **data: str) -> httpx.Response:
    """As a form of the hub's pages would."""
    page = browser.get(re.sub("/hub/.*", "/hub/home", url))
    xsrf = re.search('name="_xsrf" value="([^"]+)"', page.text) or re.search('xsrf_token: "([^"]+)"', page.text)
    assert xsrf
    return browser.post(url, data={**data, "_xsrf": xsrf[1]})


def start(hub: Platform, name: str) -> None:
    path = f"/users/ana/servers/{name}" if name else "/users/ana/server"
    answer = hub.api("POST", path, json={"user_options": LAB})
    assert answer.status_code in (201, 202), answer.text
    hub.wait(lambda: servers(hub)[name]["ready"], 60, f"ana's server {name!r}")


@pytest.mark.parametrize("name", ["Train", "a--b", "-a", "2runs", "x" * 31, "a b", "ä", "a_b"])
def test_other_names_are_refused_by_page_and_api(hub: Platform, ana: httpx.Client, name: str) -> None:
    answer = post(ana, f"{hub.url}/hub/spawn", **FORM, server=name)
    assert answer.status_code == 400 and "Invalid server_name" in answer.text
    assert hub.api("POST", f"/users/ana/servers/{name}", json=LAB).status_code in (400, 404)
    assert "" not in servers(hub) and set(servers(hub, stopped=True)) <= {""}


def test_a_refused_start_leaves_no_name_behind(hub: Platform, ana: httpx.Client) -> None:
    answer = post(ana, f"{hub.url}/hub/spawn", choice="forest/lab", server="train")
    assert answer.status_code == 403 and "ana is not a member of project forest" in answer.text.replace("&#39;", "'")
    assert 'value="train"' in answer.text  # what was typed is still there
    assert "train" not in servers(hub, stopped=True)
    assert ana.get(f"{hub.url}/hub/spawn/ana/train").status_code == 200  # nor does it appear by looking
    assert "train" not in servers(hub, stopped=True)


def test_named_servers_run_beside_each_other_up_to_the_limit(hub: Platform, ana: httpx.Client) -> None:
    start(hub, "")
    for number in range(3):
        answer = post(ana, f"{hub.url}/hub/spawn", **FORM, server=f"run-{number}")
        assert answer.status_code == 200, answer.text
    hub.wait(lambda: [s["ready"] for s in servers(hub).values()] == [True] * 4, 60, "four servers")
    home = ana.get(f"{hub.url}/hub/home").text
    assert home.count('class="card server"') == 4 and "You have all 3 further servers" in home
    answer = post(ana, f"{hub.url}/hub/spawn", **FORM, server="run-3")
    assert answer.status_code == 400 and "already has the maximum of 3 named servers" in answer.text


def test_the_page_of_a_name_that_is_not_there_yet(hub: Platform, ana: httpx.Client) -> None:
    start(hub, "")  # which runs: the page is about another one
    page = ana.get(f"{hub.url}/hub/spawn/ana/fresh", follow_redirects=False)
    assert page.status_code == 200 and "Start the server fresh" in page.text
    answer = post(ana, f"{hub.url}/hub/spawn/ana/fresh", **FORM)
    assert answer.status_code == 200
    hub.wait(lambda: set(servers(hub)) == {"", "fresh"}, 30, "both servers")


def test_stop_and_remove_touch_that_server_alone(hub: Platform, ana: httpx.Client) -> None:
    for name in ("", "one", "two"):
        start(hub, name)
    answer = post(ana, f"{hub.url}/hub/servers", act="stop", server="one")
    assert answer.status_code == 200 and "has stopped" in answer.text
    assert set(servers(hub)) == {"", "two"}
    assert "is removed" in post(ana, f"{hub.url}/hub/servers", act="remove", server="two").text  # also a running one
    assert set(servers(hub, stopped=True)) == {"", "one"} and set(servers(hub)) == {""}


def test_only_ones_own_and_only_from_the_pages_themselves(hub: Platform, ana: httpx.Client) -> None:
    start(hub, "mine")
    url = f"{hub.url}/hub/servers"
    assert ana.post(url, data={"act": "stop", "server": "mine"}).status_code == 403  # without the form's token
    with hub.browser("ben") as ben:
        assert post(ben, url, act="stop", server="mine").status_code == 404
    headers = {"Authorization": f"token {hub.token_of('ana')}"}  # tokens are for the API
    assert httpx.post(url, data={"act": "stop", "server": "mine"}, headers=headers).status_code == 403
    for bad in ({"act": "explode", "server": "mine"}, {"act": "remove"}, {"act": "stop", "server": "../mine"}):
        assert post(ana, url, **bad).status_code in (400, 404)
    assert servers(hub)["mine"]["ready"]
    assert "has stopped" in post(ana, url, act="stop", server="mine").text  # the control
    assert not servers(hub)


@pytest.mark.parametrize("form", ["project={project}&image={image}", "opt-project={project}&opt-image={image}"])
def test_a_link_selects_and_starts_only_with_the_sessions_own_token(
    hub: Platform, ana: httpx.Client, form: str
) -> None:
    link = f"{hub.url}/hub/spawn?{form.format(**LAB)}"
    page = ana.get(link)
    assert page.status_code == 200 and "Nothing runs yet" in page.text and not servers(hub)
    assert ana.get(f"{link}&_xsrf=guessed").status_code == 200 and not servers(hub)
    own = re.search('name="_xsrf" value="([^"]+)"', page.text)
    assert own
    answer = ana.get(f"{link}&_xsrf={own[1]}", follow_redirects=False)
    assert answer.status_code == 302 and answer.headers["location"] == "/hub/spawn-pending/ana"
    hub.wait(lambda: servers(hub)[""]["ready"], 60, "ana's server")


def test_a_link_with_a_token_for_what_is_not_ones_own_is_refused_on_the_page(hub: Platform, ana: httpx.Client) -> None:
    own = re.search('name="_xsrf" value="([^"]+)"', ana.get(f"{hub.url}/hub/spawn").text)
    assert own
    for page in ("spawn", "spawn/ana/fresh"):
        answer = ana.get(f"{hub.url}/hub/{page}?project=forest&image=lab&_xsrf={own[1]}")
        assert answer.status_code == 403 and "is not a member of project forest" in answer.text
        assert not servers(hub) and "fresh" not in servers(hub, stopped=True)
    started = ana.get(f"{hub.url}/hub/spawn/ana/fresh?project=agriculture&image=lab&_xsrf={own[1]}")
    assert started.status_code == 200  # the control
    hub.wait(lambda: servers(hub)["fresh"]["ready"], 60, "ana's server")


def test_next_never_leads_elsewhere(hub: Platform, ana: httpx.Client) -> None:
    start(hub, "")
    for wanted in ELSEWHERE:
        for page in ("spawn", "spawn/ana", "spawn-pending/ana"):
            answer = ana.get(f"{hub.url}/hub/{page}", params={"next": wanted}, follow_redirects=False)
            assert (answer.status_code, answer.headers["location"]) == (302, "/user/ana/"), (page, wanted)


def test_next_leads_to_ones_own_server(hub: Platform, ana: httpx.Client) -> None:
    wanted = "/user/ana/lab/tree/first%20map.ipynb"
    page = ana.get(f"{hub.url}/hub/spawn", params={**LAB, "next": wanted})
    action = re.search('class="whole" action="([^"]+)"', page.text)
    assert action and "next=" in action[1]
    own = re.search('name="_xsrf" value="([^"]+)"', page.text)
    assert own
    url = f"{hub.url}{action[1].replace('&amp;', '&')}"
    answer = ana.post(url, data={**FORM, "_xsrf": own[1]}, follow_redirects=False)
    assert answer.status_code == 302 and answer.headers["location"].startswith("/hub/spawn-pending/ana?next=")
    hub.wait(lambda: servers(hub)[""]["ready"], 60, "ana's server")
    led = ana.get(f"{hub.url}{answer.headers['location']}", follow_redirects=False)
    assert (led.status_code, led.headers["location"]) == (302, wanted)


def test_a_link_to_something_else_than_what_runs_offers_a_second_server(hub: Platform, ana: httpx.Client) -> None:
    with hub.browser("olga") as olga:
        hub.start("olga", {"project": "forest", "image": "lab"})
        try:
            same = olga.get(f"{hub.url}/hub/spawn?project=forest&image=lab", follow_redirects=False)
            assert (same.status_code, same.headers["location"]) == (302, "/user/olga/")
            other = olga.get(f"{hub.url}/hub/spawn?project=agriculture&image=lab")
            assert other.status_code == 200 and "Your server runs already" in other.text
            assert 'name="server"' in other.text
        finally:
            hub.stop("olga")
