"""Publishing from the command line's side."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bdap_hub import cli
from bdap_hub.dashboards.bundles.client import publish, read_manifest
from bdap_hub.dashboards.bundles.manifest import NAME, Manifest
from bdap_hub.errors import BadRequest, BdapError

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


def test_what_a_folder_says_of_itself(tmp_path):
    assert read_manifest(tmp_path) == Manifest()
    (tmp_path / NAME).write_text("title: Wheat\nvisibility: public\n")
    assert read_manifest(tmp_path).said() == {"title": "Wheat", "visibility": "public"}
    (tmp_path / NAME).write_bytes(b"title: \xff")
    with pytest.raises(BadRequest, match="no text in UTF-8"):
        read_manifest(tmp_path)


def test_who_publishes_says_it_themselves_where_more_people_are_to_see_it(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "index.ipynb").write_bytes(notebook("1"))
    (folder / NAME).write_text("title: Shared\nvisibility: public\n")
    monkeypatch.setenv("BDAP_TOKEN", platform.hub.token("ana"))
    monkeypatch.setenv("BDAP_DASHBOARDS_URL", f"{platform.hub.url}/services/dashboards")
    command = ["publish", str(folder), "--project", "agriculture"]
    refused = CliRunner().invoke(cli.main, command)
    assert refused.exit_code == 1 and "asks for visibility 'public'" in refused.output
    address = platform.settings.dashboards.address("agriculture", "shared")
    for visibility in ("public", "project"):
        made = CliRunner().invoke(cli.main, [*command, "--visibility", visibility])
        assert made.output == f"{address} (visibility: {visibility})\n", made.output
    with monkeypatch.context() as patch:
        patch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True)
        assert "asks for visibility" in CliRunner().invoke(cli.main, command, input="n\n").output
        assert "(visibility: public)" in CliRunner().invoke(cli.main, command, input="y\n").output
    (folder / NAME).write_text("title: Shared\nvisibility: project\n")
    assert "(visibility: project)" in CliRunner().invoke(cli.main, command).output
