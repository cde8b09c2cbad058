"""How the stage decides what a notebook can: static, fork, fork-after-imports, plain, or that it fails."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import nbformat
import pytest

from bdap_hub.dashboards.stage.stage import wire
from bdap_hub.dashboards.stage.stage.execution import leading_imports
from bdap_hub.dashboards.stage.stage.identity import HEADER, VALID_SECONDS, read, sign
from bdap_hub.dashboards.stage.stage.zygote import Zygote

from .conftest import SLIDER, notebook
from .staged import Visitor, staged

THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), name='clock', daemon=True).start()"
TASK = "import asyncio\ntask = asyncio.ensure_future(asyncio.sleep(600))"
TIMER = "import asyncio\nasyncio.get_running_loop().call_later(600, print)"
PIPE = "import subprocess\nother = subprocess.Popen(['cat'], stdin=subprocess.PIPE)"
DATABASE = "class Connection: open, __module__ = True, 'pymysql.connections'\nconnection = Connection()"  # no real one
LISTENS = "import socket\nserver = socket.create_server(('127.0.0.1', 0))"


@pytest.mark.parametrize(
    ("cells", "mode", "why"),
    [
        (("print('only text')",), "static", ""),
        ((SLIDER,), "fork", ""),
        ((SLIDER, "import asyncio\nawait asyncio.sleep(0)"), "fork", ""),
        ((THREAD, SLIDER), "fork-after-imports", "clock"),
        ((TASK, SLIDER), "fork-after-imports", "asyncio"),
        ((LISTENS, SLIDER), "fork-after-imports", "listens"),
        ((TIMER, SLIDER), "fork-after-imports", "timer"),
        ((PIPE, SLIDER), "fork-after-imports", "pipe"),
        ((DATABASE, SLIDER), "fork-after-imports", "database is open after its last cell (pymysql)"),
        ((DATABASE, "connection.open = False", SLIDER), "fork", ""),
        ((SLIDER, "import comm\nc = comm.create_comm('of.mine')"), "plain", "of.mine"),
        (("from IPython.display import display\ndisplay({'application/vnd.x+json': {}}, raw=True)",), "plain", "vnd.x"),
    ],
)
def test_the_mode(tmp_path: Path, cells: tuple[str, ...], mode: str, why: str):
    with staged(tmp_path, *cells) as stage:
        state = stage.state()
        assert (state["status"], state["mode"]) == ("ready", mode), state
        assert why in state["why"], state["why"]
        page = stage.get()
        assert page.status_code == 200 and "Fields of wheat" in page.text
        if mode == "fork-after-imports":  # a process for this page, in which threads and tasks live
            kernel = json.loads(page.text.partition('id="bdap-stage" type="application/json">')[2].partition("<")[0])
            with Visitor(stage, kernel["kernel"]) as ana:
                assert ana.hello["alive"] is True
                assert any(
                    s.get("value") == "<b id='square'>square is 25</b>"
                    for s in ana.set(_slider(page.text), value=5).values()
                )


def test_what_failed_is_run_again_after_a_while(tmp_path: Path):
    cell = "from pathlib import Path\nprint('sown:', Path('sown.txt').read_text())"
    with staged(tmp_path / "soon", cell, again=0) as stage:
        assert stage.state()["status"] == "failed"
        assert stage.get().status_code == 500
        (tmp_path / "soon" / "sown.txt").write_text("wheat")
        assert "sown: wheat" in stage.get().text
        assert (stage.state()["status"], stage.state()["failure"]) == ("ready", None)
    with staged(tmp_path / "later", cell) as stage:
        assert stage.state()["status"] == "failed"
        (tmp_path / "later" / "sown.txt").write_text("wheat")
        assert stage.get().status_code == 500


def test_a_failing_cell_is_named_and_its_reason_kept_from_visitors(tmp_path: Path):
    with staged(tmp_path, "1", "raise ValueError('no such band: B99')") as stage:
        state = stage.state()
        assert (state["status"], state["failure"]["cell"]) == ("failed", 2)
        assert "no such band: B99" in state["failure"]["traceback"]
        page = stage.get()
        assert page.status_code == 500 and "B99" not in page.text
        assert "no such band: B99" in stage.log.read_text()


def test_a_cell_that_may_fail_does_not_stop_the_others(tmp_path: Path):
    made = nbformat.reads(notebook("1/0", "print('after all')").decode(), 4)
    made.cells[1].metadata["tags"] = ["raises-exception"]
    with staged(tmp_path, content=nbformat.writes(made).encode()) as stage:
        assert stage.state()["status"] == "ready"
        assert "after all" in stage.get().text


def test_a_page_fits_a_later_run_where_all_its_widgets_are_the_same(tmp_path: Path):
    cell = "import ipywidgets as widgets\nfrom pathlib import Path\nwidgets.HTML(value=Path('crop.txt').read_text())"
    content = notebook(cell)
    digests = []
    for text in ("wheat", "wheat", "maize"):
        (tmp_path / "crop.txt").write_text(text)
        with staged(tmp_path, content=content) as stage:
            digests.append(stage.state()["page"])
    assert digests[0] == digests[1] != digests[2]


def test_a_cell_to_be_skipped_is_skipped(tmp_path: Path):
    made = nbformat.reads(notebook("1/0", "print('after all')").decode(), 4)
    made.cells[1].metadata["tags"] = ["skip-execution"]
    with staged(tmp_path, content=nbformat.writes(made).encode()) as stage:
        assert stage.state()["status"] == "ready"
        assert "after all" in stage.get().text


def test_cells_for_each_visitor_know_who_it_is(tmp_path: Path):
    made = nbformat.reads(notebook("shared = 41", WHO, text="Fields").decode(), 4)
    made.cells[2].metadata["tags"] = ["per-visitor"]
    with staged(tmp_path, content=nbformat.writes(made).encode()) as stage:
        assert stage.state()["mode"] == "fork-after-imports"
        header = sign(b"k" * 32, {"name": "ana"})
        assert "42 for ana" in stage.get(headers={HEADER: header}).text
        assert "42 for nobody" in stage.get().text
        assert "42 for nobody" in stage.get(headers={HEADER: header[:-1] + ("0" if header[-1] != "0" else "1")}).text


WHO = """
import json, os
visitor = json.loads(os.environ.get("BDAP_VISITOR", "{}"))
print(shared + 1, "for", visitor.get("name", "nobody"), "key", os.environ.get("BDAP_VISITOR_KEY"))
"""


def test_who_it_is_is_known_at_a_gesture_long_after_the_page_was_opened(tmp_path: Path):
    with staged(tmp_path, ASKED) as stage:
        stage.state()
        ask, said = stage.widget(description="ask"), stage.widget(value="who")
        header = sign(b"k" * 32, {"name": "ana"}, time.time() - VALID_SECONDS + 4)
        with Visitor(stage, headers={HEADER: header}) as ana:
            time.sleep(4.5)
            assert read(b"k" * 32, header) is None  # no longer believed
            assert json.loads(ana.set(ask, value="x")[said]["value"]) == {"name": "ana"}


ASKED = """
import os, ipywidgets as widgets
ask, said = widgets.Text(description="ask"), widgets.HTML(value="who")
ask.observe(lambda _: setattr(said, "value", os.environ.get("BDAP_VISITOR", "null")), "value")
widgets.VBox([ask, said])
"""


def test_a_name_longer_than_a_socket_gives_at_once_ends_nobody(tmp_path: Path):
    with staged(tmp_path, ASKED) as stage:
        stage.state()
        ask, said = stage.widget(description="ask"), stage.widget(value="who")
        with Visitor(stage, headers={HEADER: sign(b"k" * 32, {"name": "a" * 40_000})}) as ana, Visitor(stage) as ben:
            assert json.loads(ana.set(ask, value="x")[said]["value"]) == {"name": "a" * 40_000}
            assert json.loads(ben.set(ask, value="x")[said]["value"]) is None


@pytest.mark.parametrize("data", [b"\0\0\0\1\0\0\0\4{id}", wire.pack({"name": "no id"})])
def test_a_request_that_cannot_be_read_does_not_end_the_executed_process(data: bytes):
    zygote = object.__new__(Zygote)
    server, zygote.link = socket.socketpair()
    visitor, other = socket.socketpair()
    with server, zygote.link, visitor, other:
        socket.send_fds(server, [data], [visitor.fileno()])
        assert zygote._request([]) is True
        server.close()
        assert zygote._request([]) is False  # only the server's end does


def test_a_signed_visitor_is_believed_for_two_minutes():
    assert read(b"key", sign(b"key", {"name": "ana"})) == {"name": "ana"}
    assert read(b"other", sign(b"key", {"name": "ana"})) is None
    assert read(b"", sign(b"", {"name": "ana"})) is None
    assert read(b"key", sign(b"key", {"name": "ana"}, now=0)) is None
    assert read(b"key", "nonsense") is None


def test_a_query_reaches_the_notebook_that_reads_it(tmp_path: Path):
    cell = "import os\nprint('region', os.environ.get('QUERY_STRING') or 'none')"
    with staged(tmp_path, cell, SLIDER) as stage:
        assert stage.state()["mode"] == "fork"
        assert "region none" in stage.get().text
        assert "region region=IT" in stage.get("/?region=IT").text
        assert "region none" in stage.get().text


def test_the_environment_is_that_of_a_request_to_voila(tmp_path: Path):
    names = (
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "SERVER_PROTOCOL",
        "SERVER_NAME",
        "VOILA_BASE_URL",
        "SERVER_PORT",
        "VOILA_REQUEST_URL",
    )
    with staged(tmp_path, f"import os\nprint('|'.join(os.environ[name] for name in {names}))") as stage:
        assert "/|||HTTP/1.1|localhost|/||http://localhost/" in stage.get().text
        assert "region=IT" in stage.get("/?region=IT").text
        host, name = {"Host": "forest--maize.example:8443"}, "forest--maize.example"
        asked = f"/||region=IT|HTTP/1.1|{name}|/|8443|"
        assert f"{asked}http://{name}:8443/?region=IT" in stage.get("/?region=IT", headers=host).text
        secure = {**host, "X-Forwarded-Proto": "https"}
        assert f"{asked}https://{name}:8443/?region=IT" in stage.get("/?region=IT", headers=secure).text
        assert stage.get("/?region=" + "x" * 2**15).status_code == 414
        assert "region=x" in stage.get("/?region=" + "x" * 2**12).text


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        (["import a\nfrom b import c\nx = 1\nimport d"], "import a\nfrom b import c"),
        (['"""Text."""\nimport a', "import b\nb.go()", "import c"], "import a\nimport b"),
        (["x ="], ""),
        (["import a\n%%bad"], ""),
    ],
)
def test_leading_imports(sources: list[str], found: str):
    assert leading_imports(sources) == found


def _slider(page: str) -> str:
    text = page.partition('type="application/vnd.jupyter.widget-state+json">')[2].partition("</script>")[0]
    models = json.loads(text)["state"]
    return next(key for key, model in models.items() if model["model_name"] == "IntSliderModel")
