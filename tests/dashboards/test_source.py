"""Publishing from a git repository: one commit of it, with the git and the rights of whoever publishes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from bdap_hub import cli
from bdap_hub.dashboards.bundles.source import checked_out
from bdap_hub.errors import BadRequest

from .conftest import Platform, notebook


def _git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=ana", "-c", "user.email=ana@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """With a tag, and another state on main."""
    folder = tmp_path / "fields"
    (folder / "maps").mkdir(parents=True)
    _git(folder, "init", "-q", "-b", "main")
    (folder / "maps" / "index.ipynb").write_bytes(notebook("1", text="as tagged"))
    _git(folder, "add", ".")
    _git(folder, "commit", "-qm", "first")
    _git(folder, "tag", "v1")
    (folder / "maps" / "index.ipynb").write_bytes(notebook("1", text="as on main"))
    _git(folder, "commit", "-qam", "second")
    return f"file://{folder}"


def test_a_branch_a_tag_and_a_commit(repository: str):
    commit = _git(Path(repository.removeprefix("file://")), "rev-parse", "main")
    for ref, text in (("main", "as on main"), ("v1", "as tagged"), (commit, "as on main")):
        said: list[str] = []
        with checked_out(repository, ref, "maps", said.append) as folder:
            assert text in (folder / "index.ipynb").read_text(), ref
        assert not folder.exists() and said[0] == f"fetching {ref}" and said[1].startswith("commit ")


@pytest.mark.parametrize(
    ("url", "ref", "path", "says"),
    [
        ("", "main", ".", "no address"), ("--upload-pack=id", "main", ".", "no address"),
        ("ext::sh -c id", "main", ".", "no address"), ("{here}", "--exec=id", ".", "is no branch"),
        ("{here}", "a..b", ".", "is no branch"), ("{here}", "none", ".", "git fetch failed"),
        ("{here}", "main", "../..", "has no"), ("{here}", "main", "none", "has no"),
        ("{here}x", "main", ".", "git fetch"),
    ],
)  # fmt: skip
def test_what_is_refused(repository: str, url: str, ref: str, path: str, says: str):
    with pytest.raises(BadRequest, match=says), checked_out(url.replace("{here}", repository), ref, path):
        pass


def test_by_the_command_line(platform: Platform, repository: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BDAP_TOKEN", platform.hub.token("ana"))
    monkeypatch.setenv("BDAP_HUB_URL", platform.hub.url)
    monkeypatch.delenv("BDAP_DASHBOARDS_URL", raising=False)
    command = ["publish", "maps", "--git", repository, "--ref", "v1", "--project", "agriculture"]
    made = CliRunner().invoke(cli.main, [*command, "--visibility", "public", "--slug", "from-git"])
    assert made.exit_code == 0, made.output
    assert "as tagged" in platform.open("agriculture--from-git").text
    missing = CliRunner().invoke(cli.main, ["publish", "/none/there", "--project", "agriculture"])
    assert missing.exit_code == 1 and "there is no /none/there" in missing.output
