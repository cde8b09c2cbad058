"""What the platform fetches of a git repository, and all that it does not: with a real git server over TLS."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bdap_hub.dashboards.bundles import remote
from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.bundles.remote import fetch, place
from bdap_hub.errors import BadRequest, BdapError, NotFound, TooMuch, Unavailable
from bdap_hub.settings import Settings

from .conftest import notebook
from .repositories import GitServer, git


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    there = GitServer(tmp_path_factory.mktemp("git"))
    yield there
    there.close()


@pytest.fixture(scope="module")
def work(server: GitServer) -> Path:
    """fields.git: a folder with a notebook, a link and a file in LFS beside it."""
    made = server.make("fields.git")
    (made / "linked").mkdir()
    (made / "linked/index.ipynb").symlink_to("/etc/hostname")
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    server.push(
        made,
        {
            "maps/index.ipynb": notebook("1", text="as pushed"), "maps/data.csv": b"a,b\n",
            "maps/.gitattributes": b"* filter=evil export-ignore\n",
            "lfs/index.ipynb": lfs, "alone.ipynb": notebook("2", text="alone of 2"),
        },
    )  # fmt: skip
    return made


@pytest.fixture
def tree(settings: Settings, server: GitServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings.dashboards.git_hosts, settings.dashboards.git_ca = (server.host,), server.ca
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return settings


def test_a_folder_and_a_notebook_of_it(tree: Settings, server: GitServer, work: Path) -> None:
    commit = git(work, "rev-parse", "HEAD")
    found = fetch(tree, place(tree, server.url("fields.git"), "main", "/maps/"))
    bundle = read_bundle(found.name, found.content, 2**20)
    assert found.commit == commit and set(bundle.files) == {"index.ipynb", "data.csv", ".gitattributes"}
    alone = fetch(tree, place(tree, server.url("fields.git"), commit, "alone.ipynb"))
    assert alone.name == "alone.ipynb" and b"alone of 2" in alone.content
    assert not list((tree.var / "dashboards/git").iterdir())  # nothing of it stays


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc", "no address"), ("ext::sh -c id", "no address"), ("ssh://{host}/fields.git", "no address"),
        ("http://{host}/fields.git", "no address"), ("git://{host}/fields.git", "no address"),
        ("--upload-pack=id", "no address"), ("https://ana:secret1234567@{host}/fields.git", "no address"),
        ("https://{host}@evil.example/x.git", "no address"),
        ("https://{host}\\@evil.example/x.git", "no address"), ("https://{host}/a/../fields.git", "no address"),
        ("https://{host}", "no address"), ("https://{host}/-fields.git?x=1", "no address"),
        ("https://evil.example/fields.git", "is not among"), ("https://localhost/fields.git", "is not among"),
    ],
)  # fmt: skip
def test_other_addresses_are_refused(tree: Settings, server: GitServer, url: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as refused:
        place(tree, url.replace("{host}", server.host), "main", ".")
    assert "secret1234567" not in refused.value.message
    assert place(tree, f"HTTPS://{server.host.upper()}/Fields.git", "v1.2", "").url == server.url("Fields.git")


def test_without_hosts_no_repository_is_asked(settings: Settings) -> None:
    with pytest.raises(Unavailable, match="fetches from no git repository") as refused:
        place(settings, "https://gitlab.example.org/fields.git", "main", ".")
    assert "bdap publish" in refused.value.remedy


@pytest.mark.parametrize(
    ("ref", "folder", "kind", "says"),
    [
        ("--exec=id", ".", BadRequest, "is no branch"), ("a..b", ".", BadRequest, "is no branch"),
        ("main", "../x", BadRequest, "is no path"), ("main", "a/.git", BadRequest, "is no path"),
        ("none", ".", BadRequest, "git fetch failed"), ("main", "nowhere", NotFound, "has no 'nowhere'"),
        ("main", "linked", BadRequest, "is a link"), ("main", "lfs", BadRequest, "Git LFS"),
        ("main", ".", BadRequest, "is a link"),
    ],
)  # fmt: skip
def test_what_is_no_bundle_is_refused(
    tree: Settings, server: GitServer, work: Path, ref: str, folder: str, kind: type[BdapError], says: str
) -> None:
    with pytest.raises(kind, match=says):
        fetch(tree, place(tree, server.url("fields.git"), ref, folder))


def test_submodules_are_not_fetched(tree: Settings, server: GitServer, work: Path) -> None:
    made, other = server.make("nested.git"), git(work, "rev-parse", "HEAD")
    server.push(made, {"index.ipynb": notebook("1"), ".gitmodules": b'[submodule "x"]\npath = x\nurl = file:///etc\n'})
    git(made, "update-index", "--add", "--cacheinfo", f"160000,{other},x")
    git(made, "commit", "-qm", "a submodule")
    git(made, "push", "-q", str(server.root / "nested.git"), "HEAD:refs/heads/main")
    with pytest.raises(BadRequest, match="is a submodule"):
        fetch(tree, place(tree, server.url("nested.git"), "main", "."))
    assert fetch(tree, place(tree, server.url("nested.git"), "main", "index.ipynb")).name == "index.ipynb"


def test_a_redirect_is_not_followed(tree: Settings, server: GitServer, work: Path) -> None:
    server.elsewhere = f"https://{server.host}"
    with pytest.raises(BadRequest, match="git fetch failed"):
        fetch(tree, place(tree, server.url("moved/fields.git"), "main", "maps"), "glpat-secret-of-the-project")
    assert server.seen[-1][0].startswith("/moved/")  # nothing was asked after it


def test_too_large_and_too_slow(tree: Settings, server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    made = server.make("large.git")
    server.push(made, {"index.ipynb": notebook("1"), "large/noise.bin": os.urandom(9 * 2**19)})
    where = place(tree, server.url("large.git"), "main", "index.ipynb")
    tree.dashboards.max_bundle_mb = 1
    with pytest.raises(TooMuch, match="more than 4 MiB"):
        fetch(tree, where)
    tree.dashboards.max_bundle_mb = 4
    assert fetch(tree, where).name == "index.ipynb"
    monkeypatch.setattr(remote, "SECONDS", 0)
    with pytest.raises(BadRequest, match="did not end"):
        fetch(tree, where)
    assert not list((tree.var / "dashboards/git").iterdir())


def test_a_token_goes_to_its_host_by_no_command_line(
    tree: Settings, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = server.make("private.git")
    server.push(made, {"index.ipynb": notebook("1")})
    where, commands = place(tree, server.url("private.git"), "main", "."), []
    real = subprocess.Popen

    def noted(command: list[str], **options: object) -> object:
        commands.append(command)
        return real(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(remote.subprocess, "Popen", noted)
    with pytest.raises(BadRequest, match="git fetch failed"):
        fetch(tree, where)
    assert fetch(tree, where, server.token).name == "folder.zip"
    assert commands and not any("glpat" in " ".join(command) for command in commands)
    assert server.seen[-1][1].startswith("Basic ")


def test_an_authority_that_nobody_named_is_not_believed(tree: Settings, server: GitServer, work: Path) -> None:
    tree.dashboards.git_ca = None
    with pytest.raises(BadRequest, match="certificate"):
        fetch(tree, place(tree, server.url("fields.git"), "main", "maps"))
