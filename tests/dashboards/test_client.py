"""Publishing from the command line's side."""

from __future__ import annotations

from pathlib import Path

import pytest

from bdap_hub.dashboards.client import publish
from bdap_hub.errors import BdapError

from .conftest import Platform, notebook


def test_a_folder_and_a_notebook(platform: Platform, tmp_path: Path):
    folder = tmp_path / "Wheat Fields_2024"
    folder.mkdir()
    (folder / "index.ipynb").write_bytes(notebook("open('data.csv').read()"))
    (folder / "data.csv").write_text("a,b\n")
    url, token = f"{platform.hub.url}/services/dashboards", platform.hub.token("ana")
    made = publish(url, token, folder, project="agriculture", visibility="public")
    assert (made["id"], made["version"]) == ("agriculture/wheat-fields-2024", 1)
    with pytest.raises(BdapError, match="not a member of project forest"):
        publish(url, token, folder / "index.ipynb", project="forest")


def test_links_do_not_leave_the_folder(tmp_path: Path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(BdapError, match="is a link"):
        publish("http://127.0.0.1:9", "t", tmp_path, project="agriculture")
