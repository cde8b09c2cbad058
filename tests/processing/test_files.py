"""People's own files at the service: what one puts there one gets back, and nothing else of the machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bdap_hub.errors import BdapError
from bdap_hub.processing.service.workspace import FilePathInvalid, StorageQuotaExceeded, Workspace, parts
from bdap_hub.web import HubLogin

from .client import PREFIX, Client

SECRET = b"a secret of the machine"
BAD_PATHS = ("", "/", "/etc/passwd", "..", "a/../b", "a//b", "./a", "a/.", "a\\b", "a\0b", "a\nb", "x" * 300, "a/" * 20)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "files" / "ana", 100)


def content(workspace: Workspace, path: str) -> bytes:
    with os.fdopen(workspace.open(path), "rb") as file:
        return file.read()


@pytest.mark.parametrize("path", BAD_PATHS)
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(FilePathInvalid):
        parts(path)


def test_paths_that_are() -> None:
    assert parts("a/b.tif") == ["a", "b.tif"] and parts("ü ..x...") == ["ü ..x..."]


async def test_written_listed_read_replaced_removed(workspace: Workspace) -> None:
    assert workspace.entries() == []
    await workspace.write("a/b/one.txt", chunks(b"first ", b"try"))
    entry = await workspace.write("a/b/one.txt", chunks(b"second"))
    await workspace.write("two.txt", chunks())
    assert (entry.path, entry.size) == ("a/b/one.txt", 6) and content(workspace, "a/b/one.txt") == b"second"
    assert [(one.path, one.size) for one in workspace.entries()] == [("a/b/one.txt", 6), ("two.txt", 0)]
    workspace.remove("a/b/one.txt")
    assert [one.path for one in workspace.entries()] == ["two.txt"] and not (workspace.root / "a").exists()


async def test_more_than_the_bound_leaves_nothing_and_keeps_what_was(workspace: Workspace) -> None:
    await workspace.write("a", chunks(b"x" * 60))
    with pytest.raises(StorageQuotaExceeded):
        await workspace.write("b", chunks(b"x" * 30, b"x" * 11))
    with pytest.raises(StorageQuotaExceeded):
        await workspace.write("a", chunks(b"x" * 101))
    assert [(one.path, one.size) for one in workspace.entries()] == [("a", 60)]
    assert [path.name for path in workspace.root.iterdir()] == ["a"]
    await workspace.write("a", chunks(b"y" * 100))  # what it replaces does not count


async def test_an_upload_that_ends_halfway_leaves_nothing_and_keeps_what_was(workspace: Workspace) -> None:
    await workspace.write("a/b", chunks(b"whole"))
    came = asyncio.Event()

    async def halting() -> AsyncIterator[bytes]:
        yield b"half"
        came.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(workspace.write("a/b", halting()))
    await came.wait()
    assert len(list((workspace.root / "a").iterdir())) == 2
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert [path.name for path in (workspace.root / "a").iterdir()] == ["b"] and content(workspace, "a/b") == b"whole"


@pytest.mark.parametrize("path", ["link", "folder/secret", "way/link", "pipe", "plain/below", "plain", "none"])
async def test_links_and_other_things_are_no_files(workspace: Workspace, tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    await workspace.write("way/file", chunks(b"mine"))
    await workspace.write("plain/x", chunks(b"mine"))
    (workspace.root / "link").symlink_to(outside / "secret")
    (workspace.root / "folder").symlink_to(outside)
    (workspace.root / "way" / "link").symlink_to(outside / "secret")
    os.mkfifo(workspace.root / "pipe")
    with pytest.raises(BdapError) as refused:
        workspace.open(path)
    assert str(tmp_path) not in refused.value.message
    with pytest.raises(BdapError):
        workspace.remove(path)
    with pytest.raises(BdapError):
        await workspace.write(f"{path}/below", chunks(b"x")) if path in ("link", "pipe") else workspace.open(path)
    assert (outside / "secret").read_bytes() == SECRET and [p.name for p in outside.iterdir()] == ["secret"]
    assert [one.path for one in workspace.entries()] == ["plain/x", "way/file"] and content(
        workspace, "way/file"
    ) == b"mine"


async def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(SECRET)
    await workspace.write("a", chunks(b"x"))
    (workspace.root / "link").symlink_to(target)
    await workspace.write("link", chunks(b"mine"))
    assert target.read_bytes() == SECRET and content(workspace, "link") == b"mine"


def test_over_http(ana: Client, platform: Any) -> None:
    ben = Client(platform, "ben")
    put = ana.http.put("/files/maps/one.geojson", content=b"<html>")
    assert put.status_code == 200 and put.json()["path"] == "maps/one.geojson" and put.json()["size"] == 6
    assert [one["path"] for one in ana.http.get("/files").json()["files"]] == ["maps/one.geojson"]
    got = ana.http.get("/files/maps/one.geojson")
    assert (got.content, got.headers["content-type"]) == (b"<html>", "application/octet-stream")
    assert got.headers["content-disposition"] == "attachment" and got.headers["x-content-type-options"] == "nosniff"
    assert ben.http.get("/files").json()["files"] == []
    for path in ("maps/one.geojson", "../ana/maps/one.geojson", "..%2Fana%2Fmaps%2Fone.geojson", "%2Fetc%2Fpasswd"):
        refused = ben.http.get(f"/files/{path}")
        assert refused.status_code in (400, 404) and b"<html>" not in refused.content, path
    nobody = httpx.get(f"{platform.settings.hub.public_url}{PREFIX}/files")
    assert nobody.status_code == 401
    assert ana.http.delete("/files/maps/one.geojson").status_code == 204
    assert ana.http.get("/files/maps/one.geojson").json()["code"] == "FileNotFound"
    assert ana.http.get("/files/maps").json()["code"] in ("FileNotFound", "FileOperationUnsupported")


def test_a_dashboard_has_no_files(platform: Any) -> None:
    token = HubLogin(platform.settings, "processing").release_token("d", "project-agriculture", 60)
    assert Client(platform, "", token).http.get("/files").json()["code"] == "PermissionsInsufficient"
