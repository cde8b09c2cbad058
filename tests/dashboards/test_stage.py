"""The stage: a notebook executed once, a copy of its process for each visitor."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import SLIDER
from .staged import Staged, Visitor, gone, staged

STATE = """
import random, ipywidgets as widgets
seen = []
box = widgets.Text(description="write")
shown = widgets.HTML(value="nobody")
dice = widgets.HTML(value="dice")
log = widgets.Output()
def wrote(change):
    seen.append(change["new"])
    shown.value = ",".join(seen)
    dice.value = str(random.random())
    with log:
        print("saw", change["new"])
box.observe(wrote, "value")
widgets.VBox([box, shown, dice, log])
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    """Of one notebook, shared by the tests that leave it as it is."""
    with staged(tmp_path_factory.mktemp("stage"), STATE, keep=1) as running:
        assert running.state()["mode"] == "fork"
        yield running


def test_the_page_has_the_state_of_its_widgets_and_no_source(stage: Staged):
    page = stage.get()
    assert page.status_code == 200 and page.headers["bdap-stage"] == "fork"
    assert "Fields of wheat" in page.text and "nobody" in page.text
    assert "box.observe" not in page.text
    assert stage.state()["visitors"] == 0  # looking needs no process


def test_each_visitor_has_their_own_state(stage: Staged):
    box, shown, dice = (stage.widget(description="write"), stage.widget(value="nobody"), stage.widget(value="dice"))
    with Visitor(stage) as ana, Visitor(stage) as ben:
        first = ana.set(box, value="of ana")
        assert first[shown]["value"] == "of ana"
        second = ben.set(box, value="of ben")
        assert second[shown]["value"] == "of ben"
        assert ana.set(box, value="more")[shown]["value"] == "of ana,more"
        assert first[dice]["value"] != second[dice]["value"]  # no two draw the same random numbers
    assert "nobody" in stage.get().text


def test_outputs_go_to_the_widget_that_captures_them(stage: Staged):
    with Visitor(stage) as ana:
        states = ana.set(stage.widget(description="write"), value="x")
    outputs = [state["outputs"] for state in states.values() if state.get("outputs")]
    assert outputs[-1] == [{"output_type": "stream", "name": "stdout", "text": "saw x\n"}]


def test_what_needs_no_process_is_answered_from_the_snapshot(stage: Staged):
    before = set(stage.processes())
    with Visitor(stage) as ana:
        assert ana.hello["alive"] is False
        ana.say("kernel_info_request")
        assert ana.receive()["content"]["implementation"] == "bdap-stage"
        assert ana.receive()["content"]["execution_state"] == "idle"
        ana.say("comm_open", comm_id="c1", target_name="jupyter.widget.control", data={})
        assert ana.receive()["header"]["msg_type"] == "status"
        ana.say("comm_msg", comm_id="c1", data={"method": "request_states"})
        states = ana.receive()["content"]["data"]["states"]
        assert stage.widget(value="nobody") in states
        assert set(stage.processes()) <= before  # those of visitors who left a moment ago may end meanwhile


@pytest.mark.parametrize("frame", ["no json", "[]", '{"header": {}}', '{"header": {"msg_type": "execute_request"}}'])
def test_other_messages_are_not_answered(stage: Staged, frame: str):
    with Visitor(stage) as ana:
        ana.socket.send(frame)
        ana.say("kernel_info_request")
        assert ana.receive()["header"]["msg_type"] == "kernel_info_reply"
    assert stage.state()["status"] == "ready"


def test_a_visitor_whose_connection_broke_goes_on_and_misses_nothing(tmp_path: Path):
    with staged(tmp_path, STATE, keep=30) as stage:
        stage.state()
        box, shown = stage.widget(description="write"), stage.widget(value="nobody")
        with Visitor(stage) as ana:
            ana.set(box, value="one")
            ana.say("comm_msg", comm_id=box, data={"method": "update", "state": {"value": "two"}, "buffer_paths": []})
            last = ana.last
        with Visitor(stage, ana.kernel, f"after={last}") as again:
            assert (again.hello["alive"], again.hello["complete"]) == (True, True)
            values: list[str] = []
            while "one,two" not in values:
                data = again.receive()["content"].get("data", {})
                values.append(str(data.get("state", {}).get("value")))
            assert again.set(box, value="three")[shown]["value"] == "one,two,three"


def test_a_message_that_comes_twice_is_heard_once(stage: Staged):
    box, shown = stage.widget(description="write"), stage.widget(value="nobody")
    with Visitor(stage) as ana:
        ana.set(box, "first", value="one")
        ana.set(box, value="two")
        assert ana.set(box, "first", value="one") == {}  # answered, as the page may have missed the answer
        assert ana.set(box, value="three")[shown]["value"] == "one,two,three"


def test_a_page_made_by_a_process_that_is_gone_is_joined_to_no_other(stage: Staged):
    with Visitor(stage, query="after=0&own=1") as ana:
        ana.say(
            "comm_msg", comm_id=stage.widget(description="write"), data={"method": "update", "state": {"value": "x"}}
        )
        assert ana.receive()["content"]["stage"] == {"ended": True}


def test_a_process_ends_some_time_after_its_visitor_left(stage: Staged):
    before = stage.processes()
    with Visitor(stage) as ana:
        ana.set(stage.widget(description="write"), value="x")
        (own,) = set(stage.processes()) - set(before)
    assert gone([own])
    with Visitor(stage, ana.kernel) as again:
        assert again.hello["alive"] is False


def test_no_more_visitors_than_there_is_room_for(tmp_path: Path):
    with staged(tmp_path, SLIDER, children=1) as stage:
        stage.state()
        slider = stage.widget(description="n")
        with Visitor(stage) as ana, Visitor(stage) as ben:
            ana.set(slider, value=4)
            ben.say("comm_msg", comm_id=slider, data={"method": "update", "state": {"value": 5}, "buffer_paths": []})
            assert ben.receive()["content"]["stage"] == {"full": True}
            with pytest.raises(Exception, match="1013"):
                ben.receive()
            assert ana.set(slider, value=6)
        with Visitor(stage) as cleo:  # ana has left, though her process waits for her still
            assert cleo.set(slider, value=7)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind(tmp_path: Path, sign: signal.Signals):
    with staged(tmp_path, SLIDER + "\nimport subprocess\nchild = subprocess.Popen(['sleep', '300'])") as stage:
        stage.state()
        with Visitor(stage) as ana:
            ana.set(stage.widget(description="n"), value=4)
            pids = [pid for pid in stage.processes() if b"sleep" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
            sleeping = [pid for pid in stage.processes() if pid not in pids]
            assert len(pids) == 2 and len(sleeping) == 1  # the executed process and ana's copy
            stage.process.send_signal(sign)
            stage.process.wait(20)
            assert gone(pids)
        os.kill(sleeping[0], signal.SIGKILL)  # of the notebook's own; in a container it ends with it


def test_a_lost_executed_process_ends_the_stage(tmp_path: Path):
    with staged(tmp_path, SLIDER) as stage:
        stage.state()
        (zygote,) = stage.processes()
        os.kill(zygote, signal.SIGKILL)
        assert stage.process.wait(20) == 1


def test_only_pictures_of_the_bundle_are_served(tmp_path: Path):
    with staged(tmp_path, "1") as stage:
        (tmp_path / "field.png").write_bytes(b"png")
        (tmp_path / "secret.txt").write_text("no")
        assert stage.get("/voila/files/field.png").content == b"png"
        for path in ("secret.txt", "index.ipynb", "home/../secret.txt", "home/..%2fsecret.txt"):
            assert stage.get(f"/voila/files/{path}").status_code == 403, path
        (tmp_path.parent / "field.png").write_bytes(b"of another")
        for path in ("../field.png", "%2e%2e/field.png", "..%2ffield.png", "none.png"):
            assert stage.get(f"/voila/files/{path}").status_code == 404, path
        digest = stage.state()["static"]
        assert stage.get(f"/_stage/static/{digest}/stage/live.js").headers["cache-control"].endswith("immutable")
        for path in (f"{digest}/stage/../live.js", f"{digest}/stage/../../server.py", f"{'0' * 16}/stage/live.js"):
            assert stage.get(f"/_stage/static/{path}").status_code == 404, path


FEW = """
import os, pathlib
really = os.fork
def fork():
    if pathlib.Path("none-left").exists():
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return really()
os.fork = fork
"""


def test_no_process_left_for_a_visitor_costs_the_others_nothing(tmp_path: Path):
    """STAND-IN for a container at its limit of processes: the notebook's own fork, which the stage calls."""
    with staged(tmp_path, FEW, SLIDER) as stage:
        stage.state()
        slider = stage.widget(description="n")
        with Visitor(stage) as ana:
            ana.set(slider, value=4)
            (tmp_path / "none-left").touch()
            with Visitor(stage) as ben:
                ben.say(
                    "comm_msg", comm_id=slider, data={"method": "update", "state": {"value": 5}, "buffer_paths": []}
                )
                assert ben.receive()["content"]["stage"] == {"full": True}
            (tmp_path / "none-left").unlink()
            assert ana.set(slider, value=6)
            with Visitor(stage, ben.kernel) as ben:
                assert ben.set(slider, value=7)
