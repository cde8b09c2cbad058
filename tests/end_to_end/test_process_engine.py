"""`make demo ENGINE=process` with one's own imagery: the thin path without Docker, and nothing left after Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from .conftest import ROOT, Demo, ask, leftovers, log_in, start_demo, stop_demo

pytestmark = [pytest.mark.docker, pytest.mark.browser]  # docker: its imagery comes from the other demo


@pytest.fixture(scope="module")
def processes(demo: Demo, artifacts: Path, tmp_path_factory):
    """A second demo beside the first, without Docker, on the first one's imagery."""
    var = tmp_path_factory.mktemp("process") / "var"
    store = str((demo.var / "store" / "data").resolve())
    running = start_demo(var, artifacts / "demo-process.log", ENGINE="process", BDAP_STORE=store)
    yield running
    stop_demo(running)
    assert leftovers(running) == []


def test_it_says_what_it_lacks(processes: Demo):
    assert "no isolation" in processes.log.read_text()


def test_a_server_with_data_and_a_dashboard(processes: Demo, chromium, tmp_path):
    context = chromium.new_context()
    page = context.new_page()
    log_in(processes, page, "ana")
    page.goto(f"{processes.hub}/hub/spawn")
    page.locator("input[type=radio][value='agriculture/lab']").check(force=True)
    page.locator("#spawn_form button[type=submit]").click()
    page.wait_for_url("**/user/ana/lab**", timeout=120_000)
    assert urlsplit(page.url).hostname == "ana.localhost"
    status, home = ask(page, "/user/ana/api/contents/")
    assert status == 200
    names = {entry["name"] for entry in home["content"]}
    assert {"first-map.ipynb", "ndvi-dashboard.ipynb"} <= names

    url = publish(processes, token_of(processes, page))
    assert ".dashboards.localhost:" in url
    with httpx.Client(timeout=120) as client:
        host = httpx.URL(url).netloc.decode()
        port = httpx.URL(url).port
        for _ in range(60):
            answer = client.get(f"http://127.0.0.1:{port}/", headers={"Host": host, "Accept": "text/html"})
            if answer.status_code == 200 and "jupyter" in answer.text.lower():
                break
            time.sleep(1)
        assert answer.status_code == 200, answer.text[:500]
    context.close()


def token_of(processes: Demo, page) -> str:
    """An API token of the person, made as people make one: on the hub's token page."""
    xsrf = next(c["value"] for c in page.context.cookies() if c["name"] == "_xsrf" and c["path"] == "/hub/")
    answer = page.context.request.post(
        f"{processes.hub}/hub/api/users/ana/tokens",
        data={"note": "publish", "expires_in": 600},
        headers={"X-XSRFToken": xsrf, "Referer": f"{processes.hub}/hub/token"},
    )
    assert answer.status == 201, answer.text()
    return str(answer.json()["token"])


def publish(processes: Demo, token: str) -> str:
    """By the documented command."""
    command = [str(Path(sys.executable).parent / "bdap"), "publish", "bdap_hub/demo/notebooks/ndvi-dashboard.ipynb"]
    done = subprocess.run(
        [*command, "--project", "agriculture", "--title", "NDVI", "--slug", "ndvi", "--visibility", "public"],
        env={**os.environ, "BDAP_TOKEN": token, "BDAP_CONFIG": str(processes.var / "bdap.yaml"),
             "BDAP_DASHBOARDS_URL": f"{processes.hub}/services/dashboards"},
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
