"""The bar of long work: HTML in a notebook's kernel, a line in a terminal, nothing elsewhere."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from bdap import progress
from bdap.progress import Bar
from IPython.core.interactiveshell import InteractiveShell


class Terminal(io.StringIO):
    """Somebody who looks."""

    def isatty(self) -> bool:
        return True


def test_in_a_notebook_it_is_drawn_once_and_then_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[dict[str, Any]] = []
    shell = InteractiveShell.instance()
    try:
        shell.kernel = SimpleNamespace()  # STAND-IN: what tells a notebook's shell from others
        monkeypatch.setattr(shell.display_pub, "publish", lambda data, **more: published.append({**more, "data": data}))
        bar = Bar("red <b>.tif")
        bar.update(None, "computing", now=True)
        bar.update(0.4, "4 MB", now=True)
        bar.close("10 MB")
    finally:
        InteractiveShell.clear_instance()
    drawn = [each["data"]["text/html"] for each in published]
    assert len(drawn) == 3 and [bool(each.get("update")) for each in published] == [False, True, True]
    assert "value=" not in drawn[0] and 'value="0.400"' in drawn[1] and 'value="1.000"' in drawn[2]
    assert "red &lt;b&gt;.tif: 10 MB" in drawn[2] and len({each["transient"]["display_id"] for each in published}) == 1


def test_in_a_terminal_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = Bar("job")
    bar.update(0.5, "running, 50 %", now=True)
    bar.update(0.6, "soon again")
    bar.close("finished")
    lines = terminal.getvalue().split("\r")[1:]
    assert len(lines) == 2 and lines[0].startswith(f"job {'█' * 12}{'░' * 12} running") and lines[1].endswith("\n")


def test_elsewhere_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = io.StringIO()
    monkeypatch.setattr(sys, "stderr", quiet)
    Bar("x").close("done")
    assert quiet.getvalue() == "" and progress.text("x", None, "…").count("…") == 25
