"""The folder of a notebook that is published with it: which folders can be, and what is said of those that cannot."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyterlab_bdap import folder
from jupyterlab_bdap.publish import PublishError


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("map.ipynb", "lies in your home folder itself"),
        ("./maps/../map.ipynb", "lies in your home folder itself"),
        ("../elsewhere/map.ipynb", "there is no folder 'elsewhere'"),
        ("none/map.ipynb", "there is no folder 'none'"),
        ("links/map.ipynb", "'passwd' is a link"),
        ("many/map.ipynb", "more than 5 files"),
        ("big/map.ipynb", "the largest seen is 'data.bin' (0.1 MiB)"),
        ("times/map.ipynb", "'10:30.csv' is no name that works everywhere"),
        ("bytes/map.ipynb", "'k?se.csv' is no name that works everywhere"),
        ("deep/map.ipynb", "or lies too deep"),
    ],
)
def test_folders_that_cannot_be_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, part: str
) -> None:
    monkeypatch.setattr(folder, "MOST_FILES", 5)
    monkeypatch.setattr(folder, "MOST_BYTES", 99_000)
    root = tmp_path / "home"
    for name in ("links", "many", "big", "../elsewhere", "maps", "times", "bytes", "deep"):
        (root / name).mkdir(parents=True)
        (root / name / "map.ipynb").write_text("{}")
    (root / "links" / "passwd").symlink_to("/etc/passwd")
    for number in range(5):
        (root / "many" / f"{number}.txt").touch()
    (root / "big" / "data.bin").write_bytes(bytes(100_000))
    (root / "times" / "10:30.csv").touch()
    (root / "bytes" / os.fsdecode(b"k\xe4se.csv")).touch()
    (root / "deep" / "/".join("d" * 12)).mkdir(parents=True)
    (root / "deep" / "/".join("d" * 12) / "x.txt").touch()
    assert folder.Folder.of(root, "maps/map.ipynb").files == ("map.ipynb",)
    with pytest.raises(PublishError, match=re.escape(part)) as error:
        folder.Folder.of(root, path)
    assert error.value.remedy


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "maps" / "secret").mkdir(parents=True)
    (tmp_path / "maps" / "a.csv").touch()
    found = folder.Folder.of(tmp_path, "maps/map.ipynb")
    (tmp_path / "maps" / "a.csv").unlink()
    with pytest.raises(PublishError, match=re.escape("'a.csv' in the folder 'maps' cannot be read")):
        found.packed("map.ipynb", b"{}")
    listed = Path.iterdir

    def refused(path: Path) -> Iterator[Path]:  # as to everybody but root
        if path.name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(PublishError, match=re.escape("'secret' in the folder 'maps' cannot be read")):
        folder.Folder.of(tmp_path, "maps/map.ipynb")
