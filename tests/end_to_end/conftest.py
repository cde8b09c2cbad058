"""The whole demo, started by its own command in a folder of its own, and browsers that use it as people do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest
from docker.errors import DockerException
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import Error as PlaywrightError

from bdap_hub.errors import Unavailable
from bdap_hub.settings import Settings
from bdap_hub.spawning import firewall
from bdap_hub.spawning.images import debian

from ..conftest import ROOT, free_port
from ..totp import code_of

START_SECONDS = 420
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@dataclass
class Demo:
    """A running demo: its addresses, accounts and process."""

    process: subprocess.Popen[bytes] | None
    var: Path
    facts: dict[str, Any]
    log: Path
    seconds: float
    api_port: str = ""

    @property
    def hub(self) -> str:
        """The address people open."""
        return str(self.facts["addresses"]["hub"])

    def account(self, name: str) -> dict[str, Any]:
        """The account of that person."""
        return next(a for a in self.facts["accounts"] if a["name"] == name)


def start_demo(var: Path, log: Path, **extra: str) -> Demo:
    """`bdap demo` on free ports; returns when it says that it is ready."""
    public, gateway, issuer = free_port(), free_port(), free_port()
    env = {
        **os.environ,
        "BDAP_VAR": str(var),
        "BDAP_HUB__PUBLIC_URL": f"http://localhost:{public}",
        "BDAP_HUB__API_PORT": str(free_port()),
        "BDAP_HUB__PROXY_API_PORT": str(free_port()),
        "BDAP_IDENTITY__ISSUER": f"http://localhost:{issuer}",
        "BDAP_DASHBOARDS__GATEWAY_PORT": str(gateway),
        "BDAP_DASHBOARDS__ORIGIN": f"http://dashboards.localhost:{gateway}",
        **{f"BDAP_{room}__NETWORK": name for room, name in bridges(var).items()},
        **{f"BDAP_{n.upper()}__PORT": str(free_port()) for n in ("processing", "catalogue", "dashboards", "admin")},
    }
    engine = extra.pop("ENGINE", "docker")
    store = extra.pop("BDAP_STORE", "")
    command = [str(Path(sys.executable).parent / "bdap"), "demo", "--engine", engine]
    begun = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *(["--store", store] if store else [])],
            cwd=ROOT,
            env={**env, **extra},
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
        )
    while "is ready" not in log.read_text():
        if process.poll() is not None or time.monotonic() - begun > START_SECONDS:
            process.terminate()
            pytest.fail(f"the demo did not start:\n{log.read_text()[-6000:]}")
        time.sleep(0.2)
    seconds = time.monotonic() - begun
    facts = json.loads((var / "demo.json").read_text())
    return Demo(process, var, facts, log, seconds, env["BDAP_HUB__API_PORT"])


def bridges(var: Path) -> dict[str, str]:
    """Networks of its own: the firewall of another demo on this machine stands before those of that one."""
    return {"SPAWNING": f"bdaptest-servers-{var.name}", "DASHBOARDS": f"bdaptest-boards-{var.name}"}


def stop_demo(demo: Demo) -> None:
    """Ctrl-C, and wait until it is gone; then its networks go."""
    demo.process.send_signal(signal.SIGINT)
    try:
        demo.process.wait(60)
    except subprocess.TimeoutExpired:
        demo.process.kill()
        raise
    with suppress(DockerException):
        for network in docker.from_env().networks.list(names=list(bridges(demo.var).values())):
            network.remove()


def rules(demo: Demo) -> list[str]:
    """What the host's firewall holds of that demo."""
    suffix, root = Settings(environment="demo", var=demo.var).install_id[:8], debian.as_root() or []
    with suppress(Unavailable):
        shown = firewall._run(root, firewall._tool(root), "-S").stdout
        return [line for line in shown.splitlines() if suffix in line]
    return []


def leftovers(demo: Demo) -> list[str]:
    """Processes, containers and firewall rules of that demo which are still there."""
    config = str((demo.var / "bdap.yaml").resolve())
    found = rules(demo)
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            environment = process.environ()
            of_hub = f":{demo.api_port}/" in environment.get("JUPYTERHUB_API_URL", "")  # what the hub started
            if environment.get("BDAP_CONFIG") == config or of_hub:
                found.append(f"process {process.pid}: {' '.join(process.info['cmdline'] or [])}")
    with suppress(DockerException):
        engine = docker.from_env()
        label = f"bdap.hub={Settings(environment='demo', var=demo.var).install_id}"
        found += [
            f"container {c.name}"
            for c in engine.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        ]
    return found


@pytest.fixture(scope="package")
def demo(artifacts: Path) -> Iterator[Demo]:
    """One demo for all end-to-end tests; its logs are kept beside the screenshots.

    While developing, BDAP_RUNNING_DEMO=<var of a demo that runs> saves its start.
    """
    if at_hand := os.environ.get("BDAP_RUNNING_DEMO"):
        yield Demo(None, Path(at_hand), json.loads((Path(at_hand) / "demo.json").read_text()), Path(), 0)
        return
    var = ROOT / "var" / "end-to-end"
    running = start_demo(var, artifacts / "demo.log")
    try:
        yield running
    finally:
        stop_demo(running)
    assert leftovers(running) == []


@pytest.fixture
def person(chromium: Browser, demo: Demo, artifacts: Path, request: Any) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser profiles, logged in as that person or anonymous; what each page shows last is kept as a picture."""
    contexts: list[BrowserContext] = []

    def new(name: str = "", viewport: dict[str, int] = LAPTOP) -> BrowserContext:
        context = chromium.new_context(viewport=viewport, storage_state=_sessions.get(name))
        context.set_default_timeout(30_000)
        contexts.append(context)
        if name and name not in _sessions:  # a TOTP code works once in 30 s: log in once, remember the cookies
            page = context.new_page()
            log_in(demo, page, name)
            _sessions[name] = context.storage_state()
            page.close()
        return context

    yield new
    (artifacts / "last").mkdir(exist_ok=True)
    for number, context in enumerate(contexts):
        for page in context.pages:
            with suppress(PlaywrightError):
                page.screenshot(path=artifacts / "last" / f"{request.node.name}-{number}.png")
        context.close()


@pytest.fixture(scope="session")
def shots(artifacts: Path) -> Callable[[Page], Callable[[str], None]]:
    """Numbered screenshots of each step."""
    folder = artifacts / "journey"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    count = 0

    def of(page: Page) -> Callable[[str], None]:
        def take(name: str) -> None:
            nonlocal count
            count += 1
            page.screenshot(path=folder / f"{count:02}-{name}.png")

        return take

    return of


_used: dict[str, str] = {}
_sessions: dict[str, Any] = {}


def fresh_code(name: str, secret: str) -> str:
    """A TOTP code that this person has not used yet: a provider rightly refuses a replayed one."""
    while _used.get(name) == (code := code_of(secret)):
        time.sleep(0.5)
    _used[name] = code
    return code


ASK = """async ([path, method, body]) => {
    const token = document.cookie.match(/_xsrf=([^;]+)/)[1];
    const headers = {"X-XSRFToken": token, "Content-Type": "application/json"};
    const answer = await fetch(path, {method, headers, body: body && JSON.stringify(body)});
    return [answer.status, await answer.json()];
}"""


def ask(page: Page, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    """Ask the server whose page this is, as JupyterLab would: status and answer."""
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(f"{request.method} {request.url}: {request.failure}"))
    try:
        status, answer = page.evaluate(ASK, [path, method, body])
    except PlaywrightError as error:
        raise AssertionError(f"{error.message}; given up: {failed}") from error
    return status, answer


def log_in(demo: Demo, page: Page, name: str, shot: Callable[[str], None] = lambda _: None) -> None:
    """Through the provider's pages: password, then TOTP; ends on a page of the hub."""
    account = demo.account(name)
    page.goto(f"{demo.hub}/hub/home")
    page.wait_for_selector("input[type=password]")
    shot("login")
    page.fill("input[name=login]", name)
    page.fill("input[type=password]", account["password"])
    page.click("button[type=submit]")
    page.wait_for_selector("input[name=code]")
    shot("totp")
    page.fill("input[name=code]", fresh_code(name, account["totp_secret"]))
    page.click("button[type=submit]")
    page.wait_for_url(f"{demo.hub}/hub/**")
