"""The folder by which work travels: each line is read once, also by the next service and on the next machine."""

from __future__ import annotations

import stat
from pathlib import Path

from bdap_hub.batch.handover import HandOver


def test_lines_are_read_once_and_whole(tmp_path: Path) -> None:
    files = HandOver(tmp_path / "ana" / "j1.batch")
    files.write("task")
    output = files.folder / "output"
    assert files.lines(1) == []
    output.write_text("a\nb\nhalf")
    assert files.lines(1) == ["a", "b"] and files.lines(1) == []
    output.write_text("a\nb\nhalf of it\n")
    assert HandOver(files.folder).lines(1) == ["half of it"]  # another service
    assert files.tail() == ["a", "b", "half of it"]


def test_the_next_machine_begins_anew(tmp_path: Path) -> None:
    files = HandOver(tmp_path)
    (tmp_path / "output").write_text("a\nb\n")
    assert files.lines(1) == ["a", "b"]
    (tmp_path / "output").write_text("a\nb\nc\n")
    assert files.lines(2) == ["a", "b", "c"]
    (tmp_path / "output").write_text("d\n")
    assert files.lines(2) == ["d"]  # shorter than what was read: written anew


def test_nobody_else_may_look_and_nothing_is_left(tmp_path: Path) -> None:
    files = HandOver(tmp_path / "ana" / "j1.batch")
    files.write("task")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (files.folder.parent, files.folder)] == [0o700, 0o700]
    (files.folder / "errors").write_text("x" * 5000 + "end")
    assert files.complaint().endswith("end") and len(files.complaint()) == 2000
    files.remove()
    files.remove()
    assert files.complaint() == "" and list(files.folder.parent.iterdir()) == []
