"""Widget packages without a build for plain pages in Jupyter's folders: the one in their Python package is taken."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.staged import STAGE


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a page can load where these packages are installed."""
    monkeypatch.syspath_prepend(str(STAGE))
    from stage import statics

    for name, script in {
        "flashy/nbextension/static": 'define(["@jupyter-widgets/base"], e => e)',
        "plain/static": "console.log('no widget')",
    }.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "index.js").write_text(script)
    monkeypatch.setattr(statics.sysconfig, "get_path", lambda _: str(tmp_path))
    yield statics.Statics()
    for name in [each for each in sys.modules if each.partition(".")[0] == "stage"]:
        del sys.modules[name]


def test_the_build_inside_a_package_is_served_and_nothing_that_is_no_widget(modules: Any) -> None:
    assert modules.modules["flashy"] == "nbextensions/flashy/index"
    assert modules.find("nbextensions/flashy/index.js").read_text().startswith("define(")
    assert "plain" not in modules.modules and modules.find("nbextensions/plain/index.js") is None
