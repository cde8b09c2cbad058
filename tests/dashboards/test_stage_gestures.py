"""A first gesture in a real browser has its effect: on a page that an earlier run made, or that is only painted yet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from bdap_hub.dashboards.running.runtime import STAGE
from bdap_hub.dashboards.snapshots.painted import clean, embed

from .conftest import notebook
from .staged import Staged, staged

pytestmark = pytest.mark.browser

COUNTS = """
import json, time
import ipywidgets as w
told = json.load(open("told.json"))
print(told.get("season", "spring"))
more = [w.Label(f"row {number}") for number in range(told["rows"])]
day = w.HTML(f"<b id='day'>{told['day']}</b>")
count, button = w.HTML("<i id='count'>0 times</i>"), w.Button(description=told["button"])
def counted(_):
    time.sleep(told.get("nap", 0))
    count.value = f"<i id='count'>{int(count.value.split('>')[1].split()[0]) + 1} times</i>"
button.on_click(counted)
size = w.Text(description="size", continuous_update=True)
twice = w.HTML("<i id='twice'></i>")
size.observe(lambda change: setattr(twice, "value", f"<i id='twice'>{change.new}{change.new}</i>"), "value")
w.VBox([*more, day, button, count, size, twice])
"""
NOTEBOOK = notebook(COUNTS)
FIRST = '{"rows": 0, "day": "Monday", "button": "Count"}'
PAINTED = '<div><button class="widget-button" style="width:148px;height:28px">Count</button></div>'
NO_PLACE = '<div><button style="display:contents"><b style="display:block;height:28px">Count</b></button></div>'
SOONER = """
const later = window.setTimeout;  // html-manager's own patience with a process, of four seconds
window.setTimeout = (call, ms, ...more) => later(call, ms === 4000 ? 100 : ms, ...more);
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page as the first run made it."""
    folder = tmp_path_factory.mktemp("kept")
    with _run(folder, FIRST) as stage:
        assert stage.state()["mode"] == "fork", stage.state()
        return stage.get().text


def _run(folder: Path, told: str) -> AbstractContextManager[Staged]:
    folder.mkdir(exist_ok=True)
    folder.joinpath("told.json").write_text(told)
    return staged(folder, content=NOTEBOOK)


def _open(
    chromium: Browser, stage: Staged, html: str, hold: str = "/none", script: str = ""
) -> tuple[Page, list[Route]]:
    """The dashboard, whose page is that one as long as nothing of it is loaded anew."""
    size, own = {"width": 1280, "height": 800}, ["local-network-access"]  # Chromium takes the page for one from outside
    page = chromium.new_context(viewport=size, permissions=own).new_page()
    page.route(f"http://localhost:{stage.port}/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.add_init_script(script)
    held: list[Route] = []
    page.route(hold, lambda route: held.append(route))
    page.goto(f"http://localhost:{stage.port}/", wait_until="domcontentloaded", timeout=60_000)
    return page, held


def _drawn(chromium: Browser, stage: Staged, html: str, script: str = "") -> Page:
    page, _ = _open(chromium, stage, html, script=script)
    page.wait_for_selector("html[data-stage=ready]", timeout=60_000)
    page.evaluate("window.here = document.getElementById('bdap-stage')")
    return page


def test_where_only_values_differ_they_are_taken_and_the_click_counts(tmp_path: Path, chromium: Browser, kept: str):
    with _run(tmp_path, FIRST.replace("Monday", "Tuesday")) as stage:
        stage.state()
        page = _drawn(chromium, stage, kept)
        expect(page.locator("#day")).to_have_text("Monday")
        page.get_by_role("button", name="Count").click()
        expect(page.locator("#count")).to_have_text("1 times", timeout=30_000)
        expect(page.locator("#day")).to_have_text("Tuesday", timeout=30_000)
        assert page.evaluate("window.here.isConnected")  # the page itself stayed
        page.context.close()


def test_they_are_taken_however_long_the_first_gesture_takes(tmp_path: Path, chromium: Browser, kept: str):
    with _run(tmp_path, FIRST.replace("Monday", "Tuesday").replace("}", ', "nap": 1}')) as stage:
        stage.state()
        page = _drawn(chromium, stage, kept, SOONER)
        page.get_by_role("button", name="Count").click()
        page.get_by_label("size").fill("12")  # while the process is busy
        expect(page.locator("#day")).to_have_text("Tuesday", timeout=30_000)
        expect(page.locator("#twice")).to_have_text("1212", timeout=30_000)
        expect(page.get_by_label("size")).to_have_value("12")
        expect(page.locator("#count")).to_have_text("1 times")
        page.context.close()


AT_ONCE = """async (id) => {  // the page asks for its values, and the button is pressed in the same moment
  const manager = await window.bdapStage.manager, day = await manager.get_model(id);
  day.set_state({ value: "<b id='day'>Sunday</b>" });
  manager.refresh();
  document.querySelector("button.widget-button").click();
}"""


def test_who_only_looks_has_the_new_values_without_a_process(tmp_path: Path, chromium: Browser, kept: str):
    with _run(tmp_path, FIRST.replace("Monday", "Tuesday")) as stage:
        stage.state()
        page = _drawn(chromium, stage, kept)
        page.mouse.move(300, 300)
        expect(page.locator("#day")).to_have_text("Tuesday", timeout=30_000)
        assert stage.state()["visitors"] == 0
        page.evaluate(AT_ONCE, stage.widget(value="<b id='day'>Tuesday</b>"))
        expect(page.locator("#count")).to_have_text("1 times", timeout=30_000)
        expect(page.locator("#day")).to_have_text("Tuesday", timeout=30_000)
        page.context.close()


def test_where_there_are_other_widgets_the_gesture_goes_to_its_successor(tmp_path: Path, chromium: Browser, kept: str):
    with _run(tmp_path, FIRST.replace('"rows": 0', '"rows": 3')) as stage:
        stage.state()
        page = _drawn(chromium, stage, kept)
        page.get_by_role("button", name="Count").click()
        expect(page.get_by_text("row 2")).to_be_visible(timeout=30_000)  # made anew
        expect(page.locator("#count")).to_have_text("1 times", timeout=30_000)
        page.get_by_role("button", name="Count").click()
        expect(page.locator("#count")).to_have_text("2 times", timeout=30_000)
        page.context.close()


def test_where_something_else_than_widgets_differs_the_page_is_made_anew(tmp_path: Path, chromium: Browser, kept: str):
    with _run(tmp_path, FIRST.replace("}", ', "season": "autumn"}')) as stage:
        stage.state()
        page = _drawn(chromium, stage, kept)
        expect(page.get_by_text("spring")).to_be_visible()
        page.get_by_role("button", name="Count").click()
        expect(page.get_by_text("autumn")).to_be_visible(timeout=30_000)
        expect(page.locator("#count")).to_have_text("1 times", timeout=30_000)
        page.context.close()


TOLD = """() => {  // what stands there 20 seconds after it was told, and if another notice took its place
  const { connection } = window.bdapStage, wait = window.setTimeout, later = [];
  window.setTimeout = (call) => later.push(call);
  connection.tell("once");
  later.pop()();
  const place = document.getElementById("bdap-notice"), found = [place.textContent];
  connection.tell("once");
  connection.end();
  later.pop()();
  window.setTimeout = wait;
  return [...found, place.textContent];
}"""


def test_where_no_widget_is_left_the_visitor_is_told_and_other_notices_stay(
    tmp_path: Path, chromium: Browser, kept: str
):
    with staged(tmp_path, "print('no widgets')") as stage:
        assert stage.state()["mode"] == "static"
        page = _drawn(chromium, stage, kept)
        page.get_by_role("button", name="Count").click()
        expect(page.get_by_text("no widgets")).to_be_visible(timeout=30_000)
        expect(page.get_by_text("Please do your last step once more")).to_be_visible(timeout=30_000)
        once, ended = page.evaluate(TOLD)
        assert once == "" and ended.startswith("This dashboard has ended")
        page.context.close()


def test_what_was_typed_is_in_the_new_page_too(tmp_path: Path, chromium: Browser, kept: str):
    with _run(tmp_path, FIRST.replace('"rows": 0', '"rows": 1')) as stage:
        stage.state()
        page = _drawn(chromium, stage, kept)
        page.get_by_label("size").fill("12")
        expect(page.get_by_text("row 0")).to_be_visible(timeout=30_000)
        expect(page.locator("#twice")).to_have_text("1212", timeout=30_000)
        expect(page.get_by_label("size")).to_have_value("12")
        page.context.close()


def test_where_its_widget_is_gone_the_visitor_is_asked_to_do_it_again(
    tmp_path: Path, chromium: Browser, kept: str, artifacts: Path
):
    with _run(tmp_path, '{"rows": 2, "day": "Monday", "button": "Add"}') as stage:
        stage.state()
        page = _drawn(chromium, stage, kept)
        page.get_by_role("button", name="Count").click()
        expect(page.get_by_text("Please do your last step once more")).to_be_visible(timeout=30_000)
        page.screenshot(path=artifacts / "stage-once-more.png")
        page.get_by_role("button", name="Add").click()
        expect(page.locator("#count")).to_have_text("1 times", timeout=30_000)
        page.context.close()


@pytest.mark.parametrize("painted", [PAINTED, NO_PLACE])
def test_a_click_on_what_is_only_painted_counts_once_it_is_drawn(
    tmp_path: Path, chromium: Browser, kept: str, painted: str
):
    """Where it cannot be found again, the page works all the same. Either way it takes the values of this run."""
    with _run(tmp_path, FIRST.replace("Monday", "Tuesday")) as stage:
        stage.state()
        page, held = _open(chromium, stage, embed(kept, [clean(painted)]), "**/html-manager/dist/manager.js")
        box = page.locator("[inert] button, [inert] b").last.bounding_box()
        assert box
        page.wait_for_function("window.bdapStage")
        page.mouse.click(box["x"] + 20, box["y"] + 10)
        deadline = time.monotonic() + 60
        while not held:
            assert time.monotonic() < deadline
            page.wait_for_timeout(50)
        expect(page.locator("[inert] button")).to_have_count(1)  # it was painted all the time
        held[0].continue_()
        expect(page.locator("#day")).to_have_text("Tuesday", timeout=60_000)
        expect(page.locator("#count")).to_have_text("1 times" if painted is PAINTED else "0 times", timeout=60_000)
        page.wait_for_selector("html[data-stage=ready]")
        page.context.close()


DELIVERED = """async ([before, after]) => {
  const said = [], to = (id) => ({ send: () => said.push(id) });
  const model = ([name, state]) => ({ model_module: "controls", model_name: name, state });
  const run = (models) => Object.fromEntries(Object.entries(models).map(([id, one]) => [id, model(one)]));
  const gestures = Object.keys(before).map((id) => ({ kind: "comm_msg", content: { comm_id: id, data: {} } }));
  window.bdapGestures.carry(run(before), gestures);
  const connection = { wake() {}, tell: () => said.push("again"), comms: { get: to } };
  await window.bdapGestures.deliver(run(after), null, connection);
  return said;
}"""
ONE, TWO = {"description": "one"}, {"description": "two"}
MAIZE, WHEAT = {"_options_labels": ["maize", "wheat"]}, {"_options_labels": ["wheat", "maize"]}
Models = dict[str, tuple[str, dict[str, object]]]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"a": ("Text", {})}, {"x": ("Text", {})}, ["x"]),
        ({"a": ("Text", {})}, {"x": ("Int", {})}, ["again"]),
        ({"a": ("Text", ONE), "b": ("Text", TWO)}, {"x": ("Text", TWO), "y": ("Text", ONE)}, ["y", "x"]),
        ({"a": ("Text", ONE), "b": ("Text", ONE)}, {"x": ("Text", ONE), "y": ("Text", ONE)}, ["x", "y"]),
        ({"a": ("Text", {}), "b": ("Text", {})}, {"x": ("Text", {}), "y": ("Text", {})}, ["again"]),
        ({"a": ("Drop", MAIZE)}, {"x": ("Drop", MAIZE)}, ["x"]),
        ({"a": ("Drop", MAIZE)}, {"x": ("Drop", WHEAT)}, ["again"]),
        ({"a": ("Text", ONE)}, {}, ["again"]),
    ],
)
def test_which_widget_of_another_run_a_gesture_goes_to(blank: Page, before: Models, after: Models, said: list[str]):
    assert blank.evaluate(DELIVERED, [before, after]) == said


@pytest.fixture(scope="module")
def blank(chromium: Browser) -> Iterator[Page]:
    """A page of nothing but what carries gestures."""
    page = chromium.new_context().new_page()
    page.add_script_tag(path=STAGE / "stage/static/gestures.js")
    yield page
    page.context.close()
