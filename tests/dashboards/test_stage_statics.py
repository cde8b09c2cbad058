"""Widget packages without a build for plain pages in Jupyter's folders: the one in their Python package is taken."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.dashboards.running.runtime import INSTALLED
from tests.dashboards.staged import STAGE


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a page can load where these packages are installed."""
    monkeypatch.syspath_prepend(str(STAGE))
    from stage import statics
    from stage.surroundings import NPM

    for name, script in {
        "flashy/nbextension/static": 'define(["@jupyter-widgets/base"], e => e)',
        "plain/static": "console.log('no widget')",
    }.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "index.js").write_text(script)
    monkeypatch.setenv(NPM, str(INSTALLED))
    monkeypatch.setattr(statics.sysconfig, "get_path", lambda _: str(tmp_path))
    yield statics.Statics()
    for name in [each for each in sys.modules if each.partition(".")[0] == "stage"]:
        del sys.modules[name]


def test_the_build_inside_a_package_is_served_and_nothing_that_is_no_widget(modules: Any) -> None:
    assert modules.modules["flashy"] == "nbextensions/flashy/index"
    assert modules.read("nbextensions/flashy/index.js").startswith(b"define(")
    assert "plain" not in modules.modules and modules.read("nbextensions/plain/index.js") is None


def test_what_no_page_uses_of_a_script_is_left_out(modules: Any) -> None:
    """Of html-manager's bundle, what draws widgets; of packed style sheets, their source maps."""
    manager, bundle = (
        modules.read(f"npm/@jupyter-widgets/html-manager/dist/{n}.js") for n in ("manager", "libembed-amd")
    )
    defined = [line[8 : line.index(b'"', 8)] for line in manager.splitlines() if line.startswith(b"define(")]
    assert defined == [b"@jupyter-widgets/base", b"@jupyter-widgets/controls", b"@jupyter-widgets/html-manager"]
    assert len(manager) < 0.7 * len(bundle)
    for one in (manager, bundle):
        assert b"{version:3,sources:" not in one
    assert b"fa-" in manager  # the style sheets themselves are there


@pytest.mark.parametrize(
    ("script", "sent"),
    [
        (
            b'a.push([e.id,"b{}","",{version:3,sources:["x.css"],names:[],mappings:"A;B",sourcesContent:[\'"q]}\'],'
            b'sourceRoot:""}]);go()',
            b'a.push([e.id,"b{}",""]);go()',
        ),
        (b'p([1,{version:3,sources:[],names:[],mappings:`A`,sourceRoot:""}])', b"p([1])"),
        (b'f({version:3,sources:["x"]})', None),  # another kind of object
        (b'p([1,{version:3,sources:[],names:[],mappings:`A${b}`,sourceRoot:""}])', None),  # computed
        (b"p([1,{version:3,sources:['x'],names:[],mappings:'A", None),  # cut off
    ],
)
def test_source_maps_of_style_sheets_are_left_out_and_nothing_else(modules: Any, script: bytes, sent: bytes | None):
    slim = sys.modules["stage.slim"]
    assert slim.without_style_maps(script) == (script if sent is None else sent)


def test_a_bundle_that_lacks_a_module_is_sent_whole(modules: Any):
    slim = sys.modules["stage.slim"]
    bundle = b'/*! licence */\ndefine("a",[],1)\n//# map\n\ndefine("b",[],2)\n'
    assert slim.only(bundle, frozenset("a")) == b'/*! licence */\ndefine("a",[],1)\n//# map\n\n'
    assert slim.only(bundle, frozenset("ac")) == bundle
