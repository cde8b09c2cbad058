"""What whoever has just come sees of a release: kept on disk, and sent without asking the release's container.

A folder a release: its page, and those of its files that have a hash in their address. The page is taken from the
release when it has started and before anybody talks to it: nothing that a visitor does changes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ...settings import Settings
from .assets import Asset, make_asset
from .painted import embed
from .reading import Answer, read
from .styles import Rules, with_first_rules

STATIC = re.compile(r"/_stage/static/[0-9a-f]{16}/[\w@./+~-]+")
MOST_AHEAD = 400
MOST_PAGES, MOST_PAGE_BYTES = 100, 256 * 2**20  # of all releases, in memory
SHARED = ("static", "fork")  # modes in which all visitors begin with the same page
RUN_SECONDS = 180.0
MOST_FILES, MOST_BYTES = 4000, 256 * 2**20  # of one release
SAFE = re.compile(r"[a-z0-9-]+")
_STATE = re.compile(r'<script[^>]*type="application/vnd\.jupyter\.widget-state\+json"[^>]*>(.*?)</script>', re.S)
TOLD = ("components", "template")  # states that the gateway's filter has to know


States = dict[str, dict[str, Any]]
"""Of widgets, by their ids."""


@dataclass(frozen=True)
class Page:
    """A release's page as it is sent, and what its widgets declare."""

    asset: Asset
    states: States


class Snapshots:
    """All releases' snapshots in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._pages: dict[str, tuple[tuple[int, int], Page]] = {}

    def take(self, release: str, address: str) -> bool:
        """Ask the release for its page and keep it; False where it has none that all visitors could share."""
        answer = _page_of(address)
        if answer is None:
            self.drop(release)
            return False
        self._home(release).mkdir(parents=True, exist_ok=True)
        self.fetch(release, address, STATIC.findall(answer.text))  # first: the page is made of some of them
        self._write(self._home(release) / "page.html", answer.content)
        return True

    def fetch(self, release: str, address: str, paths: Iterable[str]) -> None:
        """Keep those files of the release that are not kept yet; one that cannot be had is left out."""
        for path in list(dict.fromkeys(paths))[:MOST_AHEAD]:
            if not STATIC.fullmatch(path) or ".." in path or self._entry(release, path).exists():
                continue
            with contextlib.suppress(httpx.HTTPError):
                answer = read(f"http://{address}{path}", 60)
                if answer.status == 200:
                    self.keep(release, path, answer.content, answer.kind)

    def paint(self, release: str, places: list[str], rules: Rules | None = None) -> None:
        """Keep what the page's widgets look like, in their order, and which rules of its style sheets draw it."""
        kept = {self._sheet(release, address)[0]: pairs for address, pairs in (rules or {}).items()}
        painted = {"places": places, "rules": kept}
        self._write(self._home(release) / "painted.json", json.dumps(painted).encode())

    def drop(self, release: str) -> None:
        """Forget the release's snapshot."""
        shutil.rmtree(self._home(release), ignore_errors=True)

    def page(self, release: str) -> Page | None:
        """The page with what is painted in it, None where there is no snapshot."""
        home = self._home(release)
        version = (_changed(home / "page.html"), _changed(home / "painted.json"))
        if not version[0]:
            return None
        kept = self._pages.get(release)
        if kept is None or kept[0] != version:
            kept = (version, self._made(release))
            with self._lock:
                self._pages.pop(release, None)
                self._pages[release] = kept
                while len(self._pages) > MOST_PAGES or (len(self._pages) > 1 and self._held() > MOST_PAGE_BYTES):
                    del self._pages[next(iter(self._pages))]
        return kept[1]

    def _held(self) -> int:
        return sum(page.asset.size for _, page in self._pages.values())

    def file(self, release: str, path: str) -> Asset | None:
        """A file that was kept, by its address."""
        home, entry = self._home(release) / "files", _read_json(self._entry(release, path))
        try:
            body = (home / entry["content"]).read_bytes()
            zipped = (home / f"{entry['content']}.gz").read_bytes() if entry["zipped"] else None
        except (OSError, TypeError, KeyError):
            return None
        return Asset(body, zipped, entry["kind"], f'"{entry["content"]}"', True)

    def keep(self, release: str, path: str, body: bytes, kind: str) -> Asset:
        """Keep a file of the release: its address has a hash of what all such files hold.

        It is sent in any case, also where the release is forgotten at this moment or the disk is full.
        """
        asset = make_asset(body, kind, True)
        with contextlib.suppress(OSError):
            self._keep(release, path, asset)
        return asset

    def _keep(self, release: str, path: str, asset: Asset) -> None:
        home = self._home(release) / "files"
        kept = list(home.glob("*.json")) if home.is_dir() else []
        held = sum(one.stat().st_size for one in home.iterdir()) if kept else 0
        if self._home(release).is_dir() and len(kept) < MOST_FILES and held + len(asset.body) < MOST_BYTES:
            content = asset.tag.strip('"')
            self._write(home / content, asset.body)
            if asset.zipped is not None:
                self._write(home / f"{content}.gz", asset.zipped)
            entry = {"content": content, "kind": asset.kind, "zipped": asset.zipped is not None}
            self._write(self._entry(release, path), json.dumps(entry).encode())

    def _entry(self, release: str, path: str) -> Path:
        """Where it stands what a file holds and of what type it is."""
        return self._home(release) / "files" / f"{hashlib.sha256(path.encode()).hexdigest()}.json"

    def _made(self, release: str) -> Page:
        text = (self._home(release) / "page.html").read_text("utf-8")
        painted = _read_json(self._home(release) / "painted.json")
        if not isinstance(painted, dict):  # of an earlier version, or none
            painted = {"places": painted if isinstance(painted, list) else []}
        page = embed(text, painted.get("places", []))
        drawn = with_first_rules(page, painted.get("rules", {}), lambda address: self._sheet(release, address))
        return Page(make_asset(drawn.encode(), "text/html; charset=utf-8", False), _declaring(text))

    def _sheet(self, release: str, address: str) -> tuple[str, str | None]:
        """What tells the file from all others, and its text; None where it is not kept."""
        asset = self.file(release, address)
        return (asset.tag, asset.body.decode("utf-8", "replace")) if asset else ("", None)

    def _home(self, release: str) -> Path:
        if not SAFE.fullmatch(release):
            raise ValueError(f"{release!r} is no release's name")
        return self._folder / release

    def _write(self, path: Path, content: bytes) -> None:
        """All of it or nothing: several processes may write and read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        Path(file.name).replace(path)


def snapshots_of(settings: Settings) -> Snapshots:
    """Those of this install."""
    return Snapshots(settings.var / "dashboards" / "snapshots")


def _page_of(address: str) -> Answer | None:
    """The page of a release once it has run its notebook; None where visitors do not share one."""
    deadline = time.monotonic() + RUN_SECONDS
    try:
        while True:
            state = read(f"http://{address}/_stage/state", 30)
            told = state.json() if state.status == 200 else {}
            if told.get("status") != "running" or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        if told.get("mode") not in SHARED:
            return None
        answer = read(f"http://{address}/_stage/page", 60)
    except (httpx.HTTPError, ValueError, AttributeError):
        return None
    shared = answer.status == 200 and answer.mode in SHARED
    return answer if shared and STATIC.search(answer.text) else None


def _declaring(text: str) -> States:
    """The states in the page that say what a visitor's messages may ask for."""
    found = _STATE.search(text)
    try:
        models = json.loads(found[1])["state"] if found else {}
        return {one: model["state"] for one, model in models.items() if set(TOLD) & set(model["state"])}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
