"""Publishing with the notebook library, from a notebook and from its command line, against the real service."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Platform, notebook

SOURCE = Path(__file__).parents[2] / "extensions" / "bdap" / "src"


@pytest.fixture
def bdap(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library in the environment that ana's notebook server in agriculture has."""
    monkeypatch.syspath_prepend(str(SOURCE))
    monkeypatch.setenv("BDAP_DASHBOARDS_URL", f"{platform.hub.url}/services/dashboards")
    monkeypatch.setenv("BDAP_PROJECT", "agriculture")
    monkeypatch.delenv("BDAP_TOKEN", raising=False)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", platform.hub.token("ana"))
    import bdap
    import bdap.client

    monkeypatch.setattr(bdap.client, "_default", bdap.client.Client())
    return bdap


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with what nobody wants to send."""
    found = tmp_path / "Wheat_2025"
    (found / ".git").mkdir(parents=True)
    (found / ".git" / "config").write_text("[core]")
    (found / "index.ipynb").write_bytes(notebook("open('a.csv').read()"))
    (found / "a.csv").write_text("1")
    return found


def test_from_a_notebook(bdap: Any, platform: Platform, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("BDAP_DASHBOARDS_URL")
    bdap.configure(hub=platform.hub.url)  # as from a laptop
    made = bdap.publish(folder, "Wheat of 2025", tags=["wheat"], memory="512M", visibility="public")
    assert (made.id, made.version, made.status) == ("agriculture/wheat-2025", 1, "live")
    assert made.url in made._repr_html_()
    row = platform.gateway.records.get("agriculture", "wheat-2025")
    assert (row.title, row.tags, row.visibility) == ("Wheat of 2025", ["wheat"], "public")
    live = platform.gateway.records.live("agriculture", "wheat-2025")
    assert live.manifest["resources"] == {"memory": "512M"}
    assert bdap.publish(folder, slug="draft-of-wheat", draft=True).status == "draft"
    (folder / "index.html").write_text("<h1>Wheat</h1>")
    assert bdap.publish(folder, slug="page-of-wheat", kind="static").status == "live"
    assert platform.gateway.records.get("agriculture", "page-of-wheat").kind == "static"


def test_what_is_refused_is_said(bdap: Any, folder: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(bdap.ServiceError, match=r"resources.memory: 64G is more than 4G"):
        bdap.publish(folder, memory="64G")
    with pytest.raises(bdap.ServiceError, match="tags: a list names 'a' twice"):
        bdap.publish(folder, tags=["a", "a"])
    with pytest.raises(bdap.ServiceError, match="not a member of project forest"):
        bdap.publish(folder, project="forest")
    (folder / "index.ipynb").write_bytes(notebook("1", "no_such_name"))
    with pytest.raises(bdap.ServiceError, match=r"code cell 2 of index\.ipynb failed: NameError") as refused:
        bdap.publish(folder)
    assert "Cell In[2], line 1" in refused.value.remedy
    with pytest.raises(bdap.BdapError, match="there is no"):
        bdap.publish(folder / "none.ipynb")
    monkeypatch.delenv("BDAP_PROJECT")
    with pytest.raises(bdap.BdapError, match="of which project"):
        bdap.publish(folder)


def test_from_its_command_line(bdap: Any, platform: Platform, folder: Path, capsys: pytest.CaptureFixture[str]):
    from bdap.__main__ import main

    (folder / "bdap-dashboard.yaml").write_text("slug: told  # as it is known\n")
    command = ["publish", str(folder), "--hub", platform.hub.url]
    assert main([*command, "--title", "Told"]) == 0
    assert capsys.readouterr().out.strip() == platform.settings.dashboards.address("agriculture", "told")
    (folder / "bdap-dashboard.yaml").write_text("slug: told\nvisibility: public\n")
    assert main(command) == 1
    assert "asks for visibility 'public'" in capsys.readouterr().err
    assert "bdap_hub" not in {name for name in sys.modules if name.startswith("bdap.")}
