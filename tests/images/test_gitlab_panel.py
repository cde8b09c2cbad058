"""What answers JupyterLab's GitLab panel: groups in groups, projects, files; the token goes to no other host."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.extensions.lab import EXTENSION, Lab, jupyterlab
from tests.extensions.lab import TOKEN as LOGIN
from tests.images.gitlab import NOTEBOOK, TOKEN, Host, gitlab

LAB = Path(__file__).parents[2] / "images" / "lab"
sys.path.insert(0, str(LAB))
from bdap_server.gitlab_panel import turn_on  # noqa: E402

RELEASE = "projects/forest%2Fmaps/releases/v1/downloads/asset"


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    """GitLab and another host."""
    with gitlab() as both:
        yield both


def started(tmp: Path, url: str, token: str = "") -> Any:
    """JupyterLab as the image begins it where the platform names that GitLab."""
    environment = {"BDAP_GITLAB_URL": url, "JUPYTER_RUNTIME_DIR": str(tmp / "runtime")}
    turn_on(environment)
    found = [str(tmp / "config"), environment.get("JUPYTER_CONFIG_PATH", "")]
    (tmp / "config").mkdir()
    if token:
        own = {"GitLabConfig": {"access_token": token}}
        (tmp / "config" / "jupyter_server_config.json").write_text(json.dumps(own))
    path = {"PYTHONPATH": f"{EXTENSION}:{LAB}", "JUPYTER_CONFIG_PATH": ":".join(filter(None, found))}
    return jupyterlab(tmp, **environment | path)


@pytest.fixture(scope="module")
def lab(hosts: tuple[Host, Host], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Of somebody who has a token."""
    with started(tmp_path_factory.mktemp("gitlab"), f"{hosts[0].url}/", TOKEN) as running:
        yield running


def ask(lab: Lab, what: str, **query: str) -> httpx.Response:
    """As the panel asks."""
    coded = base64.urlsafe_b64encode(what.encode()).decode()
    login = {"Authorization": f"token {LOGIN}"}
    return httpx.get(f"{lab.url}gitlab/{coded}", params=query, headers=login, timeout=30, trust_env=False)


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each.get("path_with_namespace") or each["name"] for each in answer.json()]


def test_from_a_group_to_a_file(lab: Lab, hosts: tuple[Host, Host]) -> None:
    assert names(ask(lab, "groups/forest/projects")) == ["forest/alps", "forest/maps", "forest/secret"]
    tree = "projects/forest%2Fmaps/repository/tree"
    assert names(ask(lab, tree)) == ["README.md", "code", "look.ipynb"]
    assert names(ask(lab, tree, path="code")) == ["area.py"]
    told = ask(lab, "projects/forest%2Fmaps/repository/files/code%2Farea.py", ref="").json()
    assert base64.b64decode(told["content"]) == b"print('hectares')"
    told = ask(lab, "projects/forest%2Fmaps/repository/files/look.ipynb", ref="a branch of another project").json()
    assert base64.b64decode(told["content"]).decode() == NOTEBOOK
    assert names(ask(lab, "users/ana/projects")) == ["forest/maps"]
    assert {token for _, token in hosts[0].asked} == {TOKEN}


def test_groups_in_groups(lab: Lab) -> None:
    """The panel takes the second name of a path for a project."""
    tree = "projects/forest%2Falps/repository/tree"
    assert names(ask(lab, tree)) == ["height"]
    assert names(ask(lab, tree, path="height")) == ["README.md"]
    told = ask(lab, "projects/forest%2Falps/repository/files/height%2FREADME.md", ref="HEAD").json()
    assert base64.b64decode(told["content"]) == b"# Heights"


def test_long_lists_come_whole(lab: Lab) -> None:
    assert names(ask(lab, "groups/many/projects")) == [f"many/p{number:03}" for number in range(230)]


@pytest.mark.parametrize("path", ["groups/nobody/projects", "users/nobody/projects", "projects/a%2Fb/repository/tree"])
def test_what_gitlab_does_not_have_is_said(lab: Lab, path: str) -> None:
    answer = ask(lab, path)
    assert answer.status_code == 404 and "GitLab has no" in answer.json()["message"]


@pytest.mark.parametrize("path", [RELEASE, "projects/1/packages/pypi/simple/numpy", "user", "projects", "../../admin"])
def test_nothing_else_is_asked(lab: Lab, hosts: tuple[Host, Host], path: str) -> None:
    """Among it what GitLab sends elsewhere: a notebook's picture may lie at such an address."""
    before = len(hosts[0].asked)
    assert ask(lab, path).status_code == 404
    assert len(hosts[0].asked) == before and hosts[1].asked == []


def test_it_is_not_led_to_another_host(tmp_path: Path, hosts: tuple[Host, Host]) -> None:
    """Where all that one asks is answered with the way to another host."""
    with started(tmp_path, f"{hosts[0].url}/releases/", TOKEN) as lab:
        before = len(hosts[0].asked)
        answer = ask(lab, "groups/forest/projects")
        assert answer.status_code == 502 and "302" in answer.json()["message"]
        assert len(hosts[0].asked) == before + 1 and hosts[1].asked == []


def test_who_is_not_logged_in_asks_nothing(lab: Lab, hosts: tuple[Host, Host]) -> None:
    before = len(hosts[0].asked)
    coded = base64.urlsafe_b64encode(b"groups/forest/projects").decode()
    assert httpx.get(f"{lab.url}gitlab/{coded}", trust_env=False).status_code in (302, 403)
    assert len(hosts[0].asked) == before


def test_without_a_token_and_with_a_wrong_one(tmp_path: Path, hosts: tuple[Host, Host]) -> None:
    with started(tmp_path / "none", hosts[0].url) as lab:
        assert ask(lab, "templates/licenses").json() == []
        assert names(ask(lab, "groups/forest/projects")) == ["forest/alps", "forest/maps"]
    with started(tmp_path / "wrong", hosts[0].url, "glpat-wrong") as lab:
        answer = ask(lab, "groups/forest/projects")
        assert answer.status_code == 403 and "read_api" in answer.json()["message"]
        assert "glpat-wrong" not in answer.text + (tmp_path / "wrong" / "lab.log").read_text()


def test_a_gitlab_that_is_away_is_said(tmp_path: Path) -> None:
    with started(tmp_path, "http://127.0.0.1:9") as lab:
        answer = ask(lab, "groups/forest/projects")
        assert answer.status_code == 502 and "does not answer" in answer.json()["message"]


def test_it_is_off_where_the_platform_names_none(tmp_path: Path) -> None:
    with started(tmp_path, "") as lab:
        assert ask(lab, "templates/licenses").status_code == 404
    assert not (tmp_path / "runtime" / "bdap-gitlab").exists()
