"""A failing cell, as its author sees it: which one, its first lines, and the traceback without ours."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from bdap_hub.dashboards.releases.failures import failed_cell, shortened

from .conftest import API, Platform, notebook, zipped

TRACE = """---------------------------------------------------------------------------
ValueError                                Traceback (most recent call last)
Cell In[2], line 1
----> 1 helper.work()

File /srv/var/bundles/0a1b/helper.py:3, in work()
      1 def work():
----> 3     frame.apply(bad)

File /opt/bdap/lib/python3.13/site-packages/pandas/core/frame.py:10, in apply(f)
---> 10 f()

File /opt/bdap/lib/python3.13/site-packages/IPython/core/magic.py:7, in magic(f)
----> 7 secret_machinery()

File ~/tools/mine.py:1, in bad()
----> 1 raise ValueError("/eos/data/x is empty")

ValueError: /eos/data/x is empty"""


def _log(source: str, trace: str) -> str:
    block = f"An error occurred while executing the following cell:\n------------------\n{source}\n------------------\n"
    return f"[Voila] ERROR | Error at server\nTraceback (most recent call last):\n{block}\n\n{trace}\n\n[Voila] ended\n"


def test_the_traceback_has_no_frame_of_ours_and_no_path_of_the_server():
    shown = shortened(TRACE, "/srv/var/bundles/0a1b")
    for part in ("File helper.py:3, in work()", "File pandas/core/frame.py:10", "File …/mine.py:1", "Cell In[2]"):
        assert part in shown, part
    for part in ("/srv", "/opt", "~", "secret_machinery"):
        assert part not in shown, part
    assert shown.endswith("ValueError: /eos/data/x is empty")  # what the author's own words say stays


def test_the_cell_is_found_by_its_source_and_counted_among_code_cells():
    cells = notebook("1", "", "\n".join(f"line{n}" for n in range(9)), "same()", "same()")
    found = failed_cell(_log("\n".join(f"line{n}" for n in range(9)), TRACE), cells, "/x")
    assert (found.number, found.index) == (3, 3)  # a text comes first, and is no code cell
    assert found.source == "line0\nline1\nline2\nline3\nline4\n…"
    assert (found.error, "[Voila]" in found.traceback) == ("ValueError: /eos/data/x is empty", False)
    assert failed_cell(_log("same()", TRACE.replace("In[2]", "In[4]")), cells, "/x").number == 5
    assert failed_cell(_log("same()", TRACE.replace("In[2]", "In[3]")), cells, "/x").number == 4
    assert failed_cell(_log("another()", TRACE), cells, "/x") is None
    assert failed_cell("[Voila] killed", cells, "/x") is None


def test_secrets_are_cut_and_long_tracebacks_too():
    found = failed_cell(_log("password = 'hunter2hunter2'", f"{'-' * 75}\n" + "x\n" * 500 + "E: last"), notebook(
        "password = 'hunter2hunter2'"), "/x")  # fmt: skip
    assert "hunter2" not in found.source and len(found.traceback.splitlines()) <= 61
    assert (found.error, found.traceback.splitlines()[20]) == ("E: last", "…")


@pytest.fixture(scope="module")
def refused(platform: Platform) -> httpx.Response:
    """What the API says of a folder whose second code cell fails in a module beside it."""
    helper = b"import json\n\ndef work(text):\n    return json.loads(text)\n"
    cells = notebook("import helper", "# the answer\nhelper.work('{bad')", "3")
    answer = platform.publish("ana", "failing", zipped({"index.ipynb": cells, "helper.py": helper}), file="x.zip")
    assert answer.status_code == 400, answer.text
    return answer


def test_the_api_names_the_cell(platform: Platform, refused: httpx.Response):
    body = refused.json()
    assert body["code"] == "NotebookFailed"
    assert body["message"].startswith("code cell 2 of index.ipynb failed: JSONDecodeError: Expecting property name")
    cell = body["cell"]
    assert (cell["number"], cell["index"]) == (2, 2)
    assert cell["source"] == "# the answer\nhelper.work('{bad')"
    assert "helper.py:4, in work(text)" in cell["traceback"] and "json/decoder.py" in cell["traceback"]
    for ours in (str(platform.settings.var.resolve()), "site-packages", "nbclient", "voila", str(Path.home())):
        assert ours not in refused.text, ours


def test_the_steps_are_told_line_by_line(platform: Platform):
    def lines(slug: str, source: str) -> list[dict[str, object]]:
        headers = {**platform.hub.bearer("ana"), "Accept": "application/x-ndjson"}
        form, files = {"project": "agriculture", "slug": slug}, {"bundle": ("index.ipynb", notebook(source))}
        answer = httpx.post(f"{platform.hub.url}{API}", headers=headers, data=form, files=files, timeout=120)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
        return [json.loads(line) for line in answer.text.splitlines() if line]

    *steps, last = lines("told", "1")
    assert [step["step"] for step in steps][:2] == ["starting it", "running the notebook"]
    assert last["dashboard"]["id"] == "agriculture/told"
    *steps, last = lines("told", "1/0")
    assert len(steps) == 2 and last["status"] == 400
    assert last["error"]["cell"]["error"] == "ZeroDivisionError: division by zero"
