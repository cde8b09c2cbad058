"""The GitLab panel in the image's JupyterLab, with a real browser: from a group in a group to a file that opens."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from bdap_hub.spawning.images import platform as images
from tests.images.gitlab import gitlab
from tests.images.test_widgets import GITLAB, MINUTE, TOKEN, jupyterlab

pytestmark = [pytest.mark.docker, pytest.mark.browser]


def gateway() -> str:
    """This host as containers see it."""
    command = [images.docker_client(), "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_from_a_group_to_a_notebook(chromium: Browser, artifacts: Path) -> None:
    images.build(["lab"])
    with gitlab(gateway()) as (host, _), jupyterlab("bdap/lab", BDAP_GITLAB_URL=host.url) as url:
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        asked: set[str] = set()
        page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        page.goto(f"{url}lab?token={TOKEN}&reset", timeout=2 * MINUTE)
        page.locator(GITLAB).click(timeout=MINUTE)
        assert host.asked == []  # before somebody does
        panel = page.locator("#gitlab-file-browser")
        panel.get_by_placeholder("GitLab User or Group").fill("forest")
        page.keyboard.press("Enter")
        for name in ("alps", "height"):
            panel.get_by_role("listitem", name=name).dblclick(timeout=MINUTE)
        panel.get_by_role("listitem", name="README.md").dblclick(timeout=MINUTE)
        expect(page.locator("#jp-main-dock-panel")).to_contain_text("# Heights", timeout=MINUTE)
        panel.get_by_placeholder("GitLab User or Group").fill("ana")
        page.keyboard.press("Enter")
        panel.get_by_role("listitem", name="maps").dblclick(timeout=MINUTE)
        panel.get_by_role("listitem", name="look.ipynb").dblclick(timeout=MINUTE)
        page.locator(".jp-NotebookPanel .cm-content", has_text="'hectares'.upper()").click(timeout=MINUTE)
        expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=2 * MINUTE)
        page.keyboard.press("Shift+Enter")
        expect(page.locator(".jp-NotebookPanel .jp-OutputArea-output")).to_have_text("'HECTARES'", timeout=MINUTE)
        page.screenshot(path=artifacts / "gitlab-panel.png")
        assert asked - {urlsplit(url).netloc, ""} == set(), "others are asked"
        page.close()
