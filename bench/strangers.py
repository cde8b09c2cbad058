"""Notebooks that nobody here wrote, published and opened in a real browser, with a screenshot of each.

`python -m bench.strangers FOLDER [--image IMAGE] [--opens N] [NOTEBOOK ...]`: each notebook in FOLDER (with all that
lies beside it) becomes a dashboard. Nothing of FOLDER is kept. What came of each is printed and stands in
bench/results/strangers.json, pictures go to --pictures.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import tempfile
import zipfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.releases.publish import Publisher, Wish
from bdap_hub.errors import BdapError
from tests.browser import FLAGS, deaf_chromium

from .common import RESULTS, machine
from .dashboards.sides import gateway_of, settings_of

SETTLED = """() => {
 const seen = document.body.querySelectorAll('*').length, before = window.__seen || 0;
 window.__seen = seen;
 return seen === before && seen > 30 }"""
FAILED = ("There was an error when executing cell", "Traceback (most recent call last)", "Error displaying widget")
QUIET = 3
"""So many looks in a row, a second apart, must find the page as it was."""


@dataclass
class Seen:
    """What came of a notebook: of how many opens how many failed, and why; what the page shows, and how it runs."""

    notebook: str
    image: str
    opens: int = 0
    failures: list[str] = field(default_factory=list)
    widgets: int = 0
    words: int = 0
    mode: str = ""
    why: str = ""

    def __str__(self) -> str:
        reasons = f" ({'; '.join(sorted(set(self.failures)))})" if self.failures else ""
        shown = f"{self.widgets} widgets, {self.words} words; {self.mode} {self.why}".strip()
        return f"{len(self.failures)} of {self.opens} opens failed{reasons}; {shown}"


def main() -> None:
    """Publish, open, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("notebooks", nargs="*")
    parser.add_argument("--image", default="bdap/dashboard:latest")
    parser.add_argument("--engine", default="docker")
    parser.add_argument("--opens", type=int, default=1)
    parser.add_argument("--pictures", type=Path, default=Path("var/bench/strangers"))
    wanted = parser.parse_args()
    wanted.pictures.mkdir(parents=True, exist_ok=True)
    names = wanted.notebooks or sorted(path.name for path in wanted.folder.glob("*.ipynb"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = settings_of(folder, wanted.engine, image=wanted.image)
        publisher = gateway_of(stack, settings)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=deaf_chromium(folder), args=FLAGS)
        stack.callback(browser.close)
        for name in names:
            seen = _seen(publisher, browser, wanted, name)
            print(f"{name}: {seen}", flush=True)
            _record(seen)


def _record(seen: Seen) -> None:
    """In the file, in place of what was found before."""
    path = RESULTS / "strangers.json"
    rows = {row["notebook"]: row for row in (json.loads(path.read_text()) if path.exists() else [])}
    rows[seen.notebook] = {**asdict(seen), "failures": len(seen.failures), "reasons": sorted(set(seen.failures))}
    rows[seen.notebook]["machine"] = machine()
    path.write_text(json.dumps([rows[name] for name in sorted(rows)], indent=2, ensure_ascii=False) + "\n")


def _seen(publisher: Publisher, browser: Browser, wanted: argparse.Namespace, name: str) -> Seen:
    slug = re.sub(r"[^a-z0-9]+", "-", Path(name).stem.lower()).strip("-")
    slug, seen = slug if slug[0].isalpha() else f"n-{slug}", Seen(name, wanted.image)
    try:
        bundle = read_bundle("folder.zip", _packed(wanted.folder), 50 * 2**20, name)
        publisher.publish(Wish("bench", slug, slug, "", "public"), bundle, "bench")
    except BdapError as error:
        seen.why = f"not published: {error.message}"
        return seen
    url = publisher.settings.dashboards.address("bench", slug)
    for number in range(wanted.opens):
        _open(browser, url, wanted.pictures / f"{slug}.png" if number == 0 else None, seen)
    made = publisher.records.get("bench", slug)
    release = publisher.records.release(made, made.version)
    publisher.stop_all(made)
    seen.mode, seen.why = release.mode, release.why
    return seen


def _packed(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                archive.write(path, path.relative_to(folder))
    return packed.getvalue()


def _open(browser: Browser, url: str, picture: Path | None, seen: Seen) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.route(lambda address: "localhost" not in address, lambda route: route.abort())
    page, errors = context.new_page(), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error).splitlines()[0][:160]))
    seen.opens += 1
    try:
        page.goto(url, wait_until="commit", timeout=90_000)
        _settle(page)
        text = page.inner_text("body")
        failed = [each for each in FAILED if each in text]
        seen.words = len(text.split())
        seen.widgets = page.locator(".jupyter-widgets, .v-application, .leaflet-container, .lm-Widget").count()
        if failed or errors or (seen.widgets == 0 and seen.words < 5):
            seen.failures.append(", ".join([*failed, *errors]) or "an empty page")
    except BrowserError as error:
        seen.failures.append(str(error).splitlines()[0][:160])
    if picture:
        page.screenshot(path=picture)
    context.close()


def _settle(page: Page) -> None:
    """Until nothing is added to the page any more."""
    still = 0
    for _ in range(60):
        page.wait_for_timeout(1000)
        still = still + 1 if page.evaluate(SETTLED) else 0
        if still == QUIET:
            return
    raise BrowserError("the page still changes after a minute")


if __name__ == "__main__":
    main()
