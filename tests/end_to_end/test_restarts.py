"""The hub is killed while somebody works: the server lives on, its kernel keeps its memory, the hub finds it again."""

from __future__ import annotations

import os
import signal
import time

import httpx
import psutil
import pytest
from playwright.sync_api import expect

from .conftest import Demo, ask
from .test_journey import MINUTE, open_notebook, spawn

pytestmark = [pytest.mark.docker, pytest.mark.browser]


def test_killing_the_hub_leaves_notebooks_alive_and_they_are_found_again(demo: Demo, person):
    page = person("ana").new_page()
    spawn(demo, page, "agriculture", "lab", lambda _: None)
    status, started = ask(page, "/user/ana/api/status")
    assert status == 200
    hub = hub_process(demo)
    os.kill(hub.pid, signal.SIGKILL)
    hub.wait(10)

    assert ask(page, "/user/ana/api/status")[0] == 200, "the server did not answer while the hub was down"
    wait_for(lambda: httpx.get(f"{demo.hub}/hub/health", timeout=5).status_code == 200)
    assert hub_process(demo).pid != hub.pid

    page.goto(f"{demo.hub}/hub/home")
    expect(page.locator("#stop")).to_be_visible(timeout=MINUTE)
    open_notebook(demo, page, "first-map.ipynb")
    now = ask(page, "/user/ana/api/status")[1]
    assert now["started"] == started["started"], "it is another server than before"


def hub_process(demo: Demo) -> psutil.Process:
    """The hub of this demo, found among the processes by its settings file."""
    config = str((demo.var / "bdap.yaml").resolve())
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "jupyterhub" in command and process.environ().get("BDAP_CONFIG") == config:
            return process
    raise AssertionError("no hub is running")


def wait_for(check, seconds: float = 60) -> None:
    """Until `check` holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if check():
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError("not in time")
