"""The Publish button in a real JupyterLab: what is asked, sent and shown; who may call its two addresses."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyterlab_bdap.publish import Place, PublishError, Wish, bundle, publish
from playwright.sync_api import Browser, Page, expect

from bdap_hub.dashboards.bundles.bundle import read_bundle
from tests.extensions.lab import HUB_TOKEN, TOKEN, Lab, Publisher, jupyterlab, publisher

AUTHORIZED = {"Authorization": f"token {TOKEN}"}
GOOD = {"path": "field-notes.ipynb", "title": "Notes", "slug": "notes", "visibility": "people", "description": "d"}


@pytest.fixture(scope="module")
def dashboards() -> Iterator[Publisher]:
    """The stand-in of the dashboards service."""
    with publisher() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(dashboards: Publisher) -> None:
    dashboards.posts.clear()
    dashboards.headers.clear()
    dashboards.refusal = None


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, dashboards: Publisher) -> Iterator[Lab]:
    """JupyterLab as the hub would start it for a member of agriculture."""
    environment = {
        "BDAP_PROJECT": "agriculture",
        "BDAP_DASHBOARDS_URL": dashboards.url,
        "JUPYTERHUB_API_TOKEN": HUB_TOKEN,
    }
    with jupyterlab(tmp_path_factory.mktemp("lab"), **environment) as running:
        yield running


def call(lab: Lab, method: str, path: str, **options: Any) -> httpx.Response:
    return httpx.request(method, f"{lab.url}bdap/{path}", timeout=30, trust_env=False, **options)


# --- the two addresses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [("GET", "info"), ("GET", "folder?path=x/y.ipynb"), ("POST", "publish")])
def test_nobody_without_the_server_s_token(lab: Lab, dashboards: Publisher, method: str, path: str) -> None:
    assert call(lab, method, path, json=GOOD).status_code == 403
    assert not dashboards.posts
    assert call(lab, method, path, json=GOOD, headers=AUTHORIZED).status_code == 200


def test_another_site_cannot_publish_with_the_cookie(lab: Lab, dashboards: Publisher) -> None:
    with httpx.Client(timeout=30, trust_env=False) as browser:
        browser.get(f"{lab.url}lab?token={TOKEN}", follow_redirects=True)
        assert browser.get(f"{lab.url}bdap/info").status_code == 200
        assert browser.post(f"{lab.url}bdap/publish", json=GOOD).status_code == 403
        assert not dashboards.posts
        xsrf = {"X-XSRFToken": browser.cookies["_xsrf"]}
        assert browser.post(f"{lab.url}bdap/publish", json=GOOD, headers=xsrf).status_code == 200


def test_what_is_sent(lab: Lab, dashboards: Publisher) -> None:
    answer = call(lab, "POST", "publish", json=GOOD, headers=AUTHORIZED)
    assert answer.json() == {
        "id": "agriculture/notes",
        "url": "http://agriculture--notes.dashboards.localhost:8030/",
        "version": 1,
        "status": "live",
    }
    (sent,), (headers,) = dashboards.posts, dashboards.headers
    assert headers["Authorization"] == f"Bearer {HUB_TOKEN}" and HUB_TOKEN not in answer.text
    assert {name: sent[name] for name in ("project", "slug", "title", "visibility", "description", "filename")} == {
        "project": "agriculture",
        "slug": "notes",
        "title": "Notes",
        "visibility": "people",
        "description": "d",
        "filename": "field-notes.ipynb",
    }
    cells = json.loads(sent["bundle"])["cells"]
    assert [(cell["source"], cell["outputs"]) for cell in cells] == [("1 + 1", [])]


def test_further_fields_are_sent_as_a_manifest(lab: Lab, dashboards: Publisher) -> None:
    more = {"tags": ["wheat"], "data": [], "memory": "2G", "keep_warm": True}
    assert call(lab, "POST", "publish", json={**GOOD, "more": more}, headers=AUTHORIZED).status_code == 200
    said = json.loads(dashboards.posts[-1]["manifest"])
    assert said == {"tags": ["wheat"], "keep_warm": True, "resources": {"memory": "2G"}}
    assert call(lab, "POST", "publish", json={**GOOD, "more": {"data": []}}, headers=AUTHORIZED).status_code == 200
    assert "manifest" not in dashboards.posts[-1]


@pytest.mark.parametrize(
    ("change", "status", "part"),
    [
        ({"slug": "Not good"}, 400, "'Not good' cannot be an address"),
        ({"slug": "a" * 41}, 400, "cannot be an address"),
        ({"title": " "}, 400, "the title is empty"),
        ({"visibility": "friends"}, 400, "nobody knows who 'friends' is"),
        ({"path": "notes.txt"}, 400, "'notes.txt' is not a notebook"),
        ({"path": "../../etc/x.ipynb"}, 404, "cannot be read"),
        ({"path": "none.ipynb"}, 404, "cannot be read"),
        ({"path": 7}, 400, "path is not text"),
        ({"folder": "yes"}, 400, "folder is neither true nor false"),
        ({"folder": True}, 400, "lies in your home folder itself"),
        ({"path": "../../etc/x.ipynb", "folder": True}, 404, "cannot be read"),
        ({"more": ["tags"]}, 400, "more is not a JSON object"),
        ({"more": {"image": "x"}}, 400, "more: nobody knows 'image'"),
    ],
)
def test_wrong_wishes_are_refused_with_a_remedy(
    lab: Lab, dashboards: Publisher, change: dict[str, Any], status: int, part: str
) -> None:
    answer = call(lab, "POST", "publish", json={**GOOD, **change}, headers=AUTHORIZED)
    assert answer.status_code == status and part in answer.json()["message"]
    assert not dashboards.posts


@pytest.fixture
def maps(lab: Lab) -> Iterator[Path]:
    """A folder with a notebook that imports a module of its own, and what nobody publishes."""
    made = lab.home / "work" / "maps"
    left = (".ipynb_checkpoints/mine.py", "__pycache__/mine.pyc", "env/pyvenv.cfg", "env/lib.py", ".~map.ipynb")
    for name in ("mine.py", "data/a.csv", *left):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text("answer = 42\n")
    for name in ("map.ipynb", "draft.ipynb"):
        shutil.copy(lab.home / "field-notes.ipynb", made / name)
    yield made
    shutil.rmtree(made.parent)


MAP = {**GOOD, "path": "work/maps/map.ipynb"}
ALONG = ("data/a.csv", "draft.ipynb", "map.ipynb", "mine.py")


def test_a_folder_goes_along_with_the_notebook_without_its_outputs(lab: Lab, dashboards: Publisher, maps: Path) -> None:
    told = call(lab, "GET", f"folder?path={MAP['path']}", headers=AUTHORIZED).json()
    assert told.pop("bytes") == sum((maps / name).stat().st_size for name in ALONG)
    assert told == {"name": "maps", "files": 4, "meant": False}
    assert call(lab, "POST", "publish", json={**MAP, "folder": True}, headers=AUTHORIZED).status_code == 200
    sent = dashboards.posts[-1]
    assert (sent["filename"], sent["entry"]) == ("maps.zip", "map.ipynb")
    bundle = read_bundle("maps.zip", bytes(sent["bundle"]), 2**20, str(sent["entry"]))
    assert tuple(sorted(bundle.files)) == ALONG and bundle.entry == "map.ipynb"
    assert not any(b"an old output" in content for content in bundle.files.values())
    assert bundle.files["mine.py"] == b"answer = 42\n"
    assert "an old output" in (maps / "map.ipynb").read_text()
    for said, meant in (("tags: [wheat]\n", True), ("kind: voila\n", True), ("title: x\nkind: static\n", False)):
        (maps / "bdap-dashboard.yaml").write_text(said)
        assert call(lab, "GET", f"folder?path={MAP['path']}", headers=AUTHORIZED).json()["meant"] is meant

    assert call(lab, "POST", "publish", json=MAP, headers=AUTHORIZED).status_code == 200
    assert dashboards.posts[-1]["filename"] == "map.ipynb" and "entry" not in dashboards.posts[-1]


@pytest.mark.parametrize(
    ("refusal", "status", "message"),
    [
        ((409, {"message": "it belongs to olga", "remedy": "take another"}), 409, "it belongs to olga"),
        ((403, {"message": "ana is no member"}), 403, "ana is no member"),
        ((401, {}), 502, "answered with status 401"),
        ((500, {}), 502, "answered with status 500"),
    ],
)
def test_the_service_s_words_reach_the_browser(
    lab: Lab, dashboards: Publisher, refusal: tuple[int, dict[str, str]], status: int, message: str
) -> None:
    dashboards.refusal = refusal
    answer = call(lab, "POST", "publish", json=GOOD, headers=AUTHORIZED)
    assert answer.status_code == status and message in answer.json()["message"] and answer.json()["remedy"]


def test_where_one_gets_the_login_that_is_missing(lab: Lab, dashboards: Publisher) -> None:
    body = {"message": "this needs a login", "remedy": "log in again", "step_up": "http://hub/hub/step-up?level=high"}
    dashboards.refusal = (403, body)
    answer = call(lab, "POST", "publish", json=GOOD, headers=AUTHORIZED)
    assert answer.json()["link"] == body["step_up"]
    dashboards.refusal = (403, {"message": "no", "remedy": "r"})
    assert call(lab, "POST", "publish", json=GOOD, headers=AUTHORIZED).json()["link"] == ""


@pytest.mark.parametrize("missing", ["url", "project", "token"])
def test_a_server_that_the_hub_did_not_start_says_so(missing: str) -> None:
    place = Place(**{"project": "p", "url": "http://127.0.0.1:9", "token": "t", missing: ""})
    with pytest.raises(PublishError, match="is not known") as error:
        asyncio.run(publish(place, Wish.read(GOOD), b""))
    assert error.value.status == 503


def test_a_service_that_is_down_says_so() -> None:
    with pytest.raises(PublishError, match="does not answer"):
        asyncio.run(publish(Place("p", "http://127.0.0.1:9", "t"), Wish.read(GOOD), b""))


def test_a_bundle_leaves_the_notebook_itself_alone() -> None:
    notebook = {
        "cells": [{"cell_type": "code", "outputs": ["secret"], "execution_count": 3}],
        "metadata": {"widgets": {}},
    }
    assert b"secret" not in bundle(notebook) and b"widgets" not in bundle(notebook)
    assert notebook["cells"][0]["outputs"] == ["secret"]


# --- the button ------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(chromium: Browser, lab: Lab) -> Iterator[Page]:
    """The notebook open in JupyterLab."""
    context = chromium.new_context(viewport={"width": 1200, "height": 820})
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    opened.goto(lab.open("field-notes.ipynb"))
    opened.locator(".jp-NotebookPanel-toolbar").get_by_role("button", name="Publish").wait_for()
    yield opened
    context.close()


def open_dialog(page: Page) -> None:
    page.locator(".jp-NotebookPanel-toolbar").get_by_role("button", name="Publish").click()
    expect(page.get_by_role("dialog")).to_contain_text("project “agriculture”")


@pytest.mark.browser
def test_publish_by_button(page: Page, dashboards: Publisher, artifacts: Path) -> None:
    open_dialog(page)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Title")).to_be_focused()
    dialog.get_by_label("Title").fill("Grüne Felder, 2025")
    expect(dialog.get_by_label("Address")).to_have_value("grune-felder-2025")
    expect(dialog).to_contain_text("agriculture--grune-felder-2025")
    expect(dialog.get_by_label("Members of the project")).to_be_checked()
    dialog.get_by_label("Everyone", exact=False).last.check()
    page.screenshot(path=artifacts / "publish-dialog.png")

    dashboards.refusal = (409, {"message": "the dashboard belongs to olga", "remedy": "take another address"})
    dialog.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("The dashboard belongs to olga.")
    page.screenshot(path=artifacts / "publish-refused.png")
    expect(page.get_by_label("Title")).to_have_value("Grüne Felder, 2025")
    expect(page.get_by_role("alert").get_by_role("link")).to_have_count(0)
    words = {"message": "this needs a login of level high", "remedy": "publish it for the project's members first"}
    for address, links in (("javascript:alert(1)", 0), ("http://127.0.0.1:8000/hub/step-up?level=high", 1)):
        dashboards.refusal = (403, {**words, "step_up": address})
        page.get_by_role("dialog").get_by_role("button", name="Publish").click()
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("This needs a login of level high.")
        expect(page.get_by_role("alert").get_by_role("link", name="Log in again")).to_have_count(links)
    page.screenshot(path=artifacts / "publish-step-up.png")
    dashboards.refusal = None
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    link = page.get_by_role("link", name="dashboards.localhost")
    expect(link).to_have_attribute("href", "http://agriculture--grune-felder-2025.dashboards.localhost:8030/")
    page.screenshot(path=artifacts / "publish-done.png")
    assert dashboards.posts[-1]["visibility"] == "public"
    assert json.loads(dashboards.posts[-1]["bundle"])["metadata"]["bdap"]["dashboard"]["slug"] == "grune-felder-2025"
    page.get_by_role("dialog").get_by_role("button", name="Close").click()

    open_dialog(page)
    expect(page.get_by_label("Title")).to_have_value("Grüne Felder, 2025")


@pytest.mark.browser
def test_publish_the_folder_by_button(page: Page, lab: Lab, dashboards: Publisher, maps: Path, artifacts: Path) -> None:
    open_dialog(page)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("This notebook alone")).to_be_checked()
    expect(dialog.get_by_label("Its folder")).to_be_disabled()
    expect(dialog).to_contain_text("The notebook lies in your home folder itself; put it into a folder of its own")
    page.screenshot(path=artifacts / "publish-home.png")
    dialog.get_by_role("button", name="Cancel").click()

    page.goto(lab.open("work/maps/map.ipynb"))
    page.locator(".jp-NotebookPanel-toolbar").get_by_role("button", name="Publish").wait_for()
    open_dialog(page)
    expect(dialog).to_contain_text("4 files, 2 kB")
    cell = {"number": 1, "index": 0, "source": "import mine", "traceback": "Traceback"}
    words = {"message": "the notebook fails", "remedy": "r"}
    dashboards.refusal = (400, {**words, "cell": {**cell, "error": "ModuleNotFoundError: No module named 'mine'"}})
    dialog.get_by_role("button", name="Publish").click()
    expect(dialog.get_by_role("alert")).to_contain_text("if it needs a file beside it, publish its folder")
    dashboards.refusal = None
    dialog.get_by_label("Its folder “maps”").check()
    page.screenshot(path=artifacts / "publish-folder.png")
    page.set_viewport_size({"width": 390, "height": 800})
    page.screenshot(path=artifacts / "publish-folder-390.png")
    page.set_viewport_size({"width": 1200, "height": 820})
    dialog.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("link", name="dashboards.localhost")).to_be_visible()
    assert dashboards.posts[-1]["filename"] == "maps.zip"
    dialog.get_by_role("button", name="Close").click()

    open_dialog(page)
    expect(dialog.get_by_label("Its folder “maps”")).to_be_checked()


@pytest.mark.browser
def test_publish_by_keyboard_and_cancel(page: Page, dashboards: Publisher) -> None:
    expect(page.get_by_text("| Idle")).to_be_visible(timeout=30_000)
    page.locator(".jp-Notebook .jp-Cell").click()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Shift+C")
    search = page.get_by_role("region", name="Command Palette Section").get_by_role("textbox")
    expect(search).to_be_focused()
    page.keyboard.type("publish notebook")
    expect(page.get_by_role("menuitem", name="Publish Notebook as Dashboard").first).to_be_visible()
    page.keyboard.press("Enter")
    title = page.get_by_role("dialog").get_by_label("Title")
    expect(title).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert not dashboards.posts

    open_dialog(page)
    title.fill("By keyboard")
    page.get_by_label("Address").fill("Not An Address")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("cannot be an address")
    assert not dashboards.posts
    page.get_by_label("Address").fill("by-keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="by-keyboard.dashboards.localhost")).to_be_visible()
    assert dashboards.posts[-1]["title"] == "By keyboard"


FAILED = {
    "message": "code cell 1 of index.ipynb failed: ZeroDivisionError: division by zero",
    "remedy": "correct it, and publish again",
    "cell": {
        "number": 1, "index": 0, "source": "1 / 0", "error": "ZeroDivisionError: division by zero",
        "traceback": "Cell In[1], line 1\n----> 1 1 / 0\n\nZeroDivisionError: <b>division</b> by zero",
    },
}  # fmt: skip


@pytest.mark.browser
def test_the_cell_that_failed_and_the_further_fields(page: Page, dashboards: Publisher, artifacts: Path) -> None:
    dashboards.refusal = (400, FAILED)
    open_dialog(page)
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Tags, data, secrets, memory").click()
    dialog.get_by_label("Tags").fill("wheat, crops")
    dialog.get_by_label("Data").fill("/eos/data/fields")
    dialog.get_by_label("Memory").fill("2G")
    dialog.get_by_role("button", name="Publish").click()
    alert = page.get_by_role("dialog").get_by_role("alert")
    expect(alert).to_contain_text("Code cell 1 of index.ipynb failed: ZeroDivisionError")
    expect(alert.get_by_label("Traceback")).to_contain_text("<b>division</b> by zero")  # as text, never as HTML
    expect(alert.locator("b")).to_have_count(0)
    expect(page.locator(".jp-Notebook .jp-Cell").first).to_have_class(re.compile("jp-mod-active"))
    page.screenshot(path=artifacts / "publish-failed-cell.png")
    expect(page.get_by_label("Tags")).to_have_value("wheat, crops")
    said = json.loads(dashboards.posts[-1]["manifest"])
    assert said == {"tags": ["wheat", "crops"], "data": ["/eos/data/fields"], "resources": {"memory": "2G"}}
