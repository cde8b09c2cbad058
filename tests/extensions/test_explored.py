"""From the explorer to a notebook in a real JupyterLab: what an address makes there, and who may follow it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import nbformat
import pytest
from bdap.recipe import Recipe, Sheet

from tests.extensions.lab import TOKEN, Lab, jupyterlab

AUTHORIZED = {"Authorization": f"token {TOKEN}"}
SHEET = Sheet((Recipe("sentinel-2-demo", (("during", ("2025-07",)), ("index", ("NDVI",)), ("median", ())), "NDVI"),))
HUGE = '[[["s2","t",[["stretch",0,1' + "0" * 400 + "]]]],null]"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with our extension."""
    with jupyterlab(tmp_path_factory.mktemp("explored")) as running:
        yield running


def follow(lab: Lab, view: str, **options: object) -> httpx.Response:
    return httpx.get(f"{lab.url}bdap/explored", params={"view": view}, timeout=30, trust_env=False, **options)


def made(lab: Lab) -> list[str]:
    return sorted(path.name for path in lab.home.glob("explored-*"))


def test_an_address_makes_a_notebook_once_and_opens_it(lab: Lab) -> None:
    answer = follow(lab, SHEET.text(), headers=AUTHORIZED)
    (name,) = made(lab)
    assert answer.status_code == 302 and answer.headers["location"] == f"/lab/tree/{name}"
    notebook = nbformat.read(lab.home / name, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[1].source == SHEET.code().rstrip()
    (lab.home / name).write_text(json.dumps({**notebook, "metadata": {"mine": True}}))
    assert follow(lab, SHEET.text(), headers=AUTHORIZED).headers["location"] == f"/lab/tree/{name}"
    assert nbformat.read(lab.home / name, as_version=4).metadata.mine and made(lab) == [name]


@pytest.mark.parametrize("view", ["", "x", '[[["s2","t",[["to_json"]]]],null]', HUGE])
def test_an_address_that_describes_nothing_is_refused(lab: Lab, view: str) -> None:
    before = made(lab)
    answer = follow(lab, view, headers=AUTHORIZED)
    assert answer.status_code == 400 and "does not describe a picture" in answer.text and made(lab) == before


def test_nobody_without_the_server_s_token(lab: Lab) -> None:
    before, other = made(lab), Sheet((Recipe("other", (), "other"),)).text()
    answer = follow(lab, other)
    assert answer.status_code == 302 and "/login" in answer.headers["location"] and made(lab) == before
    assert follow(lab, other, headers=AUTHORIZED).status_code == 302 and len(made(lab)) == len(before) + 1
