"""Choosing and starting servers as people do it: in a real browser, on the real hub and engine, on laptop and phone."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from bdap_hub import audit, database
from bdap_hub.settings import ImageSettings, Settings, SizeSettings
from bdap_hub.spawning.page.progress import Progress
from bdap_hub.spawning.plan import container_name
from tests.conftest import make_settings

from .conftest import Platform, on_own_network

pytestmark = [pytest.mark.docker, pytest.mark.browser]

MINUTE = 60_000
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
IMAGES = (
    ImageSettings(name="lab", title="JupyterLab", reference="bdap/lab:latest", description="Notebooks with maps."),
    ImageSettings(name="gpu", title="JupyterLab with GPU", reference="bdap/lab:latest", gpu=True),
    ImageSettings(name="broken", title="Not there", reference="bdaptest/none:latest"),
)
SIZES = (
    SizeSettings(name="small", title="Small", cpus=0.5, memory="700M"),
    SizeSettings(name="large", title="Large", cpus=1, memory="1G"),
)


def shape(settings: Settings) -> Settings:
    """Agriculture has three images in two sizes, the forest one in one."""
    agriculture, forest = settings.projects
    settings.images, settings.sizes = IMAGES, SIZES
    settings.projects = (
        agriculture.model_copy(update={"images": ("lab", "gpu", "broken"), "sizes": ("small", "large")}),
        forest.model_copy(update={"sizes": ("small",)}),
    )
    return settings


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A hub with sizes and one GPU, which is a number in the settings."""
    folder = tmp_path_factory.mktemp("chosen")

    def made(network: str, bound: dict[str, Any]) -> Settings:
        spawning = {"network": network, "pids": 200, "idle_timeout": 0, "gpus": 1, "named_servers": 2}
        return shape(make_settings(folder / "var", spawning=spawning, **bound))

    with on_own_network(made) as found:
        yield found


@pytest.fixture
def person(chromium: Browser, chosen: Platform) -> Iterator[Callable[..., Page]]:
    """Makes a page of a browser in which that person is logged in."""
    contexts: list[BrowserContext] = []

    def new(name: str, viewport: dict[str, int] = LAPTOP, **more: Any) -> Page:
        context = chromium.new_context(viewport=viewport, **more)  # type: ignore[arg-type]
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{chosen.url}/hub/login")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill("test")
        page.keyboard.press("Enter")
        page.wait_for_url("**/hub/home")
        return page

    yield new
    for context in contexts:
        context.close()


@pytest.fixture
def look(artifacts: Path) -> Callable[[Page, str], None]:
    """Keeps a picture, and looks at what a person with poor eyes, a screen reader or a phone would meet."""

    def take(page: Page, name: str) -> None:
        width = page.viewport_size["width"] if page.viewport_size else 0
        page.screenshot(path=artifacts / f"spawn-{name}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width} px"
        assert page.evaluate(UNREADABLE) == [], name
        assert page.evaluate(UNNAMED) == [], name

    return take


# Texts with a contrast below 4.5 against what lies behind them; of disabled fields nobody demands it.
UNREADABLE = """() => {
  const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c[3] === 1) return c; } return [255, 255, 255]; };
  const texts = [...document.body.querySelectorAll('*')]
    .filter((e) => e.checkVisibility() && !e.closest('.off, .hidden')
      && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()));
  return texts.map((e) => { const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    return [e.textContent.trim().slice(0, 40), (Math.max(a, b) + .05) / (Math.min(a, b) + .05)]; })
    .filter(([, contrast]) => contrast < 4.5);
}"""
# Fields and buttons without a name, ids that stand twice, groups of fields without a legend.
UNNAMED = """() => [
  ...[...document.querySelectorAll('input:not([type=hidden]), select, textarea, button')]
    .filter((e) => e.checkVisibility() && !(e.labels && e.labels.length) && !e.textContent.trim() && !e.ariaLabel),
  ...[...document.querySelectorAll('[id]')].filter((e) => document.querySelectorAll('#' + CSS.escape(e.id)).length > 1),
  ...[...document.querySelectorAll('fieldset')].filter((e) => !e.querySelector('legend')),
  ...(document.querySelectorAll('h1').length === 1 ? [] : [document.body]),
].map((e) => e.outerHTML.slice(0, 80))"""


@pytest.fixture
def taken(chosen: Platform) -> Iterator[Any]:
    """Olga's server has the one GPU: a container in its place, as this machine has none. Who comes next is in line."""
    chosen.start("olga", {"project": "forest", "image": "lab"})
    engine, name = docker.from_env(), container_name(chosen.settings, "olga")
    chosen.processes["hub"].send_signal(signal.SIGSTOP)  # else it may look in between, and tidy up
    try:
        before = engine.containers.get(name)
        before.remove(force=True)
        labels = {**before.labels, "bdap.gpus": "0"}
        holder = engine.containers.run("bdap/lab:latest", ["sleep", "300"], detach=True, labels=labels, name=name)
    finally:
        chosen.processes["hub"].send_signal(signal.SIGCONT)
    yield holder
    chosen.stop("olga")
    engine.close()


def test_choose_watch_work_stop_and_start_again(chosen: Platform, person: Any, look: Any, artifacts: Path) -> None:
    page = person("ana")
    look(page, "home-nothing")
    page.get_by_role("link", name="Start a server").click()
    expect(page.get_by_role("group", name="Agriculture")).to_be_visible()
    expect(page.get_by_role("button", name="Same as last time")).to_have_count(0)
    expect(page.locator(".detail").first).to_contain_text("GB")  # as the engine says
    expect(page.locator(".free")).to_contain_text("Free now: ")
    look(page, "choose")
    page.get_by_role("radio", name="Large").check()
    kept: list[Route] | None = []  # news, while one looks: else the page leads on when the server is ready
    page.route("**/progress*", lambda route: route.continue_() if kept is None else kept.append(route))
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/hub/spawn-pending/ana|/user/ana/"))
    if "/hub/" in page.url:
        expect(page.locator("[aria-current=step]")).to_have_count(1)
        look(page, "pending")
    news, kept = kept, None  # to take the route away would let go of some by itself
    for one in news:
        one.continue_()
    work(page, artifacts)
    container = docker.from_env().containers.get(container_name(chosen.settings, "ana"))
    assert container.attrs["HostConfig"]["Memory"] == 2**30

    page.goto(f"{chosen.url}/hub/home")
    expect(page.locator(".server")).to_contain_text(re.compile("running.*agriculture.*lab.*large", re.DOTALL))
    look(page, "home-running")
    page.get_by_role("button", name="Stop my server").click()
    expect(page.get_by_role("status")).to_contain_text("has stopped", timeout=MINUTE)
    look(page, "home-stopped")

    page.get_by_role("link", name="Start a server").click()
    expect(page.get_by_role("heading", name="JupyterLab · Agriculture · Large")).to_be_visible()
    look(page, "again")
    page.get_by_role("button", name="Same as last time").click()
    page.wait_for_url(re.compile("/user/ana/"), timeout=MINUTE)
    model = chosen.api("GET", "/users/ana").json()["servers"][""]
    assert model["user_options"] == {"project": "agriculture", "image": "lab", "size": "large"}


def work(page: Page, artifacts: Path) -> None:
    """Run a cell, and read what it printed."""
    page.wait_for_url(re.compile("/user/ana/.*lab"), timeout=MINUTE)
    page.locator(".jp-LauncherCard[data-category=Notebook]").first.click(timeout=MINUTE)
    idle = page.get_by_text("Python 3 (ipykernel) | Idle")
    expect(idle).to_be_visible(timeout=MINUTE)
    page.wait_for_timeout(1000)  # JupyterLab may change the session while it loads
    expect(idle).to_be_visible(timeout=MINUTE)
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.type("print(6 * 7)")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".jp-OutputArea-output").first).to_have_text("42\n", timeout=MINUTE)
    page.screenshot(path=artifacts / "spawn-work-1280.png")


def test_a_second_server_beside_it_on_a_phone(chosen: Platform, person: Any, look: Any) -> None:
    page = person("ana", PHONE)
    chosen.api("POST", "/users/ana/server", json={"project": "agriculture", "image": "lab"})
    chosen.wait(lambda: chosen.api("GET", "/users/ana").json()["servers"][""]["ready"], 60, "ana's server")
    page.goto(f"{chosen.url}/hub/home")
    page.get_by_role("link", name="Start another server").click()
    look(page, "another")
    name = page.get_by_label("Name of this server")
    name.fill("Not a name")
    page.get_by_role("button", name="Start", exact=True).click()
    assert page.evaluate("document.activeElement.id") == "server"  # the browser says what is wrong with it
    name.fill("train")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile("/user/ana/train/"), timeout=MINUTE)
    engine = docker.from_env()
    first, second = (engine.containers.get(container_name(chosen.settings, "ana", s)) for s in ("", "train"))
    assert first.status == second.status == "running" and second.labels["bdap.server"] == "train"
    assert first.attrs["Config"]["User"] == second.attrs["Config"]["User"]
    assert second.exec_run(["sh", "-c", "touch ~/seen-by-both"]).exit_code == 0
    assert first.exec_run(["ls", "/home/ana/seen-by-both"]).exit_code == 0
    runtime = "ls /tmp/jupyter-runtime/jpserver-*.json"
    assert all(one.exec_run(["sh", "-c", runtime]).exit_code == 0 for one in (first, second))

    page.goto(f"{chosen.url}/hub/home")
    expect(page.locator(".server")).to_have_count(2)
    look(page, "home-two")
    page.get_by_role("button", name="Stop the server train").click()
    expect(page.get_by_role("status")).to_contain_text("has stopped", timeout=MINUTE)
    page.get_by_role("button", name="Remove the server train").click()
    expect(page.get_by_role("status")).to_contain_text("removed")
    expect(page.locator(".server")).to_have_count(1)
    expect(page.locator(".server")).to_contain_text("running")  # the other one was not touched
    chosen.stop("ana")


def test_in_line_for_a_gpu_and_cancelled(chosen: Platform, person: Any, look: Any, taken: Any) -> None:
    for viewport in (LAPTOP, PHONE):
        page = person("ana", viewport)
        page.goto(f"{chosen.url}/hub/spawn?project=agriculture&image=gpu")
        look(page, "linked")
        assert not chosen.api("GET", "/users/ana").json()["servers"]
        page.get_by_role("button", name="Start it").click()
        expect(page.locator("#message")).to_contain_text("You are number 1 in line for a GPU")
        expect(page.locator("[aria-current=step]")).to_contain_text("In line")
        expect(page.locator("#elapsed")).to_contain_text(re.compile(r"Begun \d+ s ago"))
        look(page, "in-line")
        page.goto(f"{chosen.url}/hub/home")
        expect(page.locator(".server")).to_contain_text("starting")
        look(page, "home-starting")
        page.get_by_role("link", name="Watch the start").click()
        page.get_by_role("button", name="Cancel the start").click()
        expect(page.get_by_role("status")).to_contain_text("has stopped", timeout=MINUTE)
        expect(page.locator(".server")).to_contain_text("stopped")
        page.goto(f"{chosen.url}/hub/spawn")
        expect(page.get_by_role("heading", name="Start a server")).to_be_visible()
    chosen.start("ana", {"project": "agriculture", "image": "lab"})  # nothing is left of the cancelled ones
    chosen.stop("ana")


def test_a_failed_start_says_what_one_can_do(chosen: Platform, person: Any, look: Any) -> None:
    for viewport in (LAPTOP, PHONE):
        page = person("ana", viewport)
        page.goto(f"{chosen.url}/hub/spawn?project=agriculture&image=broken&size=small")
        page.get_by_role("button", name="Start it").click()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("The image broken is not built on this host")
        assert "Exception" not in page.content() and "Traceback" not in page.content()
        look(page, "failed")
        assert "Not there" not in page.locator(".again").inner_text()  # it was not used
        page.goto(f"{chosen.url}/hub/spawn-pending/ana")
        expect(page.get_by_role("heading", name="Your server is not running")).to_be_visible()


def test_a_start_that_fails_while_one_watches(chosen: Platform, person: Any, look: Any, taken: Any) -> None:
    """By a right that is lost in line; what the page then offers works."""
    page = person("ana", PHONE)
    page.goto(f"{chosen.url}/hub/spawn?project=agriculture&image=gpu")
    page.get_by_role("button", name="Start it").click()
    expect(page.locator("#message")).to_contain_text("You are number 1 in line")
    group = "/groups/project-agriculture/users"
    chosen.api("DELETE", group, json={"users": ["ana"]}).raise_for_status()
    try:
        taken.remove(force=True)
        expect(page.get_by_role("heading", name="Your server did not start")).to_be_visible(timeout=MINUTE)
        expect(page.get_by_role("alert")).to_contain_text("ana is not a member of project agriculture")
        look(page, "failed-later")
    finally:
        chosen.api("POST", group, json={"users": ["ana"]}).raise_for_status()
    page.get_by_role("link", name="Choose another image").click()
    expect(page.get_by_role("radio", name="JupyterLab Notebooks")).to_be_visible()


PULLING = [
    Progress("queued", "You are number 2 in line").event(),
    {
        "progress": 32,
        "message": "Fetching the image lab: 43 % (2 min left)",
        "stage": "pulling",
        "percent": 43,
        "eta": 118,
    },
]


def test_what_the_hub_tells_is_shown(chosen: Platform, person: Any, look: Any, taken: Any) -> None:
    """The events are made here (a pull that lasts needs a registry far away); the page is the real one."""
    for viewport in (LAPTOP, PHONE):
        page = person("ana", viewport)
        page.route("**/server/progress*", tell)
        page.goto(f"{chosen.url}/hub/spawn?project=agriculture&image=gpu")
        page.get_by_role("button", name="Start it").click()
        expect(page.locator("#message")).to_have_text("Fetching the image lab: 43 % (2 min left)")
        expect(page.locator("[aria-current=step]")).to_have_text(re.compile("Fetching the image.*43 %", re.DOTALL))
        expect(page.locator(".steps .done")).to_contain_text("done")
        assert page.locator("#bar").evaluate("bar => bar.value") == 32
        look(page, "pulling")
        page.get_by_role("button", name="Cancel the start").click()
        expect(page.get_by_role("status")).to_contain_text("has stopped", timeout=MINUTE)


def tell(route: Route) -> None:
    """Answer as the hub would, and no more: the page keeps what it was told."""
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in PULLING) + "retry: 60000\n\n"
    route.fulfill(status=200, content_type="text/event-stream", body=body)


def test_by_keyboard_alone(chosen: Platform, person: Any) -> None:
    page = person("olga")
    page.goto(f"{chosen.url}/hub/spawn")

    def tab_to(what: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("e => document.activeElement.matches(e)", what):
                style = "getComputedStyle(document.activeElement.closest('label') ?? document.activeElement)"
                assert page.evaluate(f"{style}.outlineStyle") == "solid"  # one sees where one is
                return
        pytest.fail(f"{what} cannot be reached by Tab")

    tab_to("input[name=choice]")
    tab_to("summary")
    page.keyboard.press("Enter")  # unfolds the other project
    page.keyboard.press("Shift+Tab")
    for wanted in ("agriculture/lab", "forest/lab"):
        for _ in range(6):
            page.keyboard.press("ArrowDown")
            if page.locator(f"input[type=radio][value='{wanted}']").is_checked():
                break
        expect(page.locator(f"input[type=radio][value='{wanted}']")).to_be_checked()
    tab_to("input[name=size]")
    expect(page.get_by_role("radio", name="Large")).to_be_disabled()  # the forest has no such size
    tab_to("#spawn_form button")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/user/olga/"), timeout=MINUTE)
    model = chosen.api("GET", "/users/olga").json()["servers"][""]
    assert model["user_options"] == {"project": "forest", "image": "lab", "size": "small"}
    chosen.stop("olga")


def test_without_script_one_can_choose_start_and_stop(chosen: Platform, person: Any) -> None:
    page = person("ben", java_script_enabled=False)
    page.goto(f"{chosen.url}/hub/spawn")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile("/user/ben/"), timeout=MINUTE)  # the page that waits looks again by itself
    page.goto(f"{chosen.url}/hub/home")
    page.get_by_role("button", name="Stop my server").click()
    expect(page.get_by_role("status")).to_contain_text("has stopped", timeout=MINUTE)


def test_a_link_from_another_site_starts_nothing(chosen: Platform, person: Any) -> None:
    page = person("ana")
    link = f"{chosen.url}/hub/spawn?project=agriculture&image=lab&next=https://evil.example/"
    page.route("http://elsewhere.example/", lambda route: route.fulfill(body=f"<a href='{link}'>go</a>"))
    page.goto("http://elsewhere.example/")
    page.get_by_role("link", name="go").click()
    expect(page.get_by_role("button", name="Start it")).to_be_visible()
    assert "evil" not in page.locator("form.whole").evaluate("form => form.action")
    starts = started(chosen, "ana")
    assert not chosen.api("GET", "/users/ana").json()["servers"]
    page.get_by_role("button", name="Start it").click()  # the control
    page.wait_for_url(re.compile(f"{re.escape(chosen.url)}/user/ana/"), timeout=MINUTE)
    assert started(chosen, "ana") == starts + 1
    chosen.stop("ana")


def started(platform: Platform, name: str) -> int:
    """How often a start was decided about."""
    found = audit.latest(database.connect(platform.settings.database), 1000, person=name)
    return sum(event.action == "start-server" for event in found)
