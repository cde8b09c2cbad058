"""Every widget library of the notebook images is drawn in a real JupyterLab by a real browser, without the internet."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from bdap_hub.spawning.images import platform as images

pytestmark = [pytest.mark.docker, pytest.mark.browser]

TOKEN = "token-of-the-test"
START = (
    "cp /opt/bdap-verify/verify.ipynb /tmp/ && exec python -c 'import os; "
    "from bdap_server.gitlab_panel import turn_on; turn_on(os.environ); from jupyterlab.labapp import main; main()' "
    "--ServerApp.ip=0.0.0.0 --ServerApp.port=8888 "
    f"--no-browser --ServerApp.root_dir=/tmp --IdentityProvider.token={TOKEN}"
)
"""As a person's server begins."""
MINUTE = 60_000
GITLAB = ".jp-SideBar [data-id='gitlab-file-browser']"
VIEW = {"width": 1280, "height": 4400}
"""All cells at once."""
DRAWN = {
    "ipywidgets": ".verify-ipywidgets .noUi-handle",
    "ipyvuetify": ".verify-ipyvuetify button.v-btn",
    "ipyleaflet": ".verify-ipyleaflet .leaflet-container path.leaflet-interactive",
    "bqplot": ".verify-bqplot svg path.line",
    "plotly": ".verify-plotly .js-plotly-plot .scatterlayer path.js-line",
    "plotly, without a widget": ".js-plotly-plot .barlayer path",
    "bokeh": ".verify-bokeh .bk-Figure canvas",
    "matplotlib": ".jp-RenderedImage img[src^='data:image/png']",
    "ipycanvas": ".verify-ipycanvas canvas",
    "ipytree": ".verify-ipytree .jstree-anchor",
    "itables": ".verify-itables table.dataTable td",
    "bdap": ".verify-bdap .leaflet-container",
}
"""What a browser makes of each, and of nothing else."""
VOIS = {
    "vois": ".verify-vois .v-input--switch",
    "vois' map": ".verify-vois-map .leaflet-container path.leaflet-interactive:not([d='M0 0'])",
}


@contextmanager
def jupyterlab(image: str, **environment: str) -> Iterator[str]:
    """The address of a JupyterLab in a container of the image, with the image's notebook."""
    name = f"bdaptest-widgets-{secrets.token_hex(4)}"
    limits = ["--user=23456:23456", "--cap-drop=ALL", "--env=HOME=/tmp"]
    limits += [f"--env={key}={value}" for key, value in environment.items()]
    command = [images.docker_client(), "run", "-d", "--rm", f"--name={name}", *limits, image, "sh", "-c", START]
    subprocess.run(command, check=True, capture_output=True)
    try:
        form = "{{.NetworkSettings.IPAddress}}"
        told = subprocess.run(
            [command[0], "inspect", "--format", form, name], capture_output=True, text=True, check=True
        )
        url = f"http://{told.stdout.strip()}:8888/"
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{url}api", timeout=2, trust_env=False).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.3)
        else:
            log = subprocess.run([command[0], "logs", name], capture_output=True, text=True, check=False)
            pytest.fail(f"JupyterLab did not start:\n{log.stderr[-3000:]}")
        yield url
    finally:
        subprocess.run([command[0], "rm", "-f", name], capture_output=True, check=False)


@contextmanager
def looked_at(chromium: Browser, image: str, shot: Path) -> Iterator[Page]:
    """The image's notebook in its JupyterLab, after all its cells ran: none failed, and nobody else was asked."""
    with jupyterlab(image) as url:
        page = chromium.new_page(viewport=VIEW)
        asked: set[str] = set()
        page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        page.goto(f"{url}lab/tree/verify.ipynb?token={TOKEN}&reset", timeout=2 * MINUTE)
        run(page)
        yield page
        page.screenshot(path=shot)
        errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").all_inner_texts()
        assert errors == []
        assert asked - {urlsplit(url).netloc, ""} == set(), "others are asked"
        page.close()


def check(page: Page, drawn: dict[str, str], timeout: float = 2 * MINUTE) -> None:
    """Each is drawn; a click reaches Python; language server and git panel are there, no GitLab is."""
    for name, selector in drawn.items():
        expect(page.locator(selector).first, f"{name} is not drawn").to_be_visible(timeout=timeout)
    page.get_by_text("ipyevents: click here", exact=True).click()
    answered = page.get_by_text("ipyevents: clicked", exact=True)
    expect(answered, "an event did not reach Python").to_be_visible(timeout=MINUTE)
    expect(page.get_by_text("Fully initialized"), "the language server").to_be_visible(timeout=MINUTE)
    expect(page.locator(".jp-SideBar [data-id='jp-git-sessions']"), "the git panel").to_be_visible()
    expect(page.locator(GITLAB)).to_have_count(0)


def compare(page: Page) -> None:
    """nbdime, which no start loads, answers those who are logged in, and shows all others the login."""
    parts = urlsplit(page.url)
    url, login = f"{parts.scheme}://{parts.netloc}/nbdime", {"Authorization": f"token {TOKEN}"}
    with httpx.Client(trust_env=False, timeout=30) as http:
        assert "/login" in http.get(f"{url}/difftool").headers["location"]
        assert http.get(f"{url}/difftool", headers=login).status_code == 200
        answer = http.post(f"{url}/api/isgit", json={"path": "verify.ipynb"}, headers=login)
        assert (answer.status_code, answer.json()) == (200, {"is_git": False})
        assert http.post(f"{url}/api/nothing", json={}, headers=login).status_code == 404


def run(page: Page) -> None:
    """All cells, from the menu, once the kernel is there."""
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=2 * MINUTE)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    expect(page.get_by_text("dask 1000000.0")).to_be_visible(timeout=2 * MINUTE)  # the last one's


def test_every_widget_is_drawn_in_lab(chromium: Browser, artifacts: Path) -> None:
    images.build(["lab"])
    with looked_at(chromium, "bdap/lab", artifacts / "widgets-lab.png") as page:
        check(page, DRAWN)
        compare(page)
        with pytest.raises(AssertionError, match="nobody's is not drawn"):  # the positive control
            check(page, {"nobody's": ".verify-nobody"}, timeout=500)


def test_every_widget_is_drawn_in_lab_vois(chromium: Browser, artifacts: Path) -> None:
    if images.image_id("bdap/lab-vois") is None:
        pytest.skip("bdap/lab-vois is not built here: it is built on demand, `bdap images build lab-vois`")
    images.build(["lab-vois"])
    assert "vois 1.0.44 with ipyvuetify 1." in images.verify("lab-vois")
    with looked_at(chromium, "bdap/lab-vois", artifacts / "widgets-lab-vois.png") as page:
        check(page, DRAWN | VOIS)
