"""The gateway's filter: what a visitor may say to widgets, and what they get of what a kernel says.

Each refusal stands beside the same message as a page sends it. The widgets' states are those that ipyvue itself makes.
"""

from __future__ import annotations

import json
from typing import Any

import ipyvue
import ipywidgets
import pytest
import traitlets

from bdap_hub.dashboards.gateway.frames import read
from bdap_hub.dashboards.gateway.sieve import Sieve
from bdap_hub.dashboards.gateway.stripping import SAID
from bdap_hub.dashboards.gateway.widgets import Declared

from .test_frames import FORMS, text, v1


class Deep(ipyvue.VueTemplate):
    """A template with a component of Python's, an object that it refers to, and a method that its text calls."""

    template = traitlets.Unicode(
        """<template><inner :value="{functionRef: 'allowed', args: [1]}" :rows="rows_ref"></inner></template>"""
    ).tag(sync=True)
    rows = traitlets.List([1, 2]).tag(sync_ref=True)
    components = traitlets.Dict({"inner": ipywidgets.IntSlider}, allow_none=True).tag(
        sync=True, **ipyvue.VueTemplate.class_component_serialization
    )


SLIDER = ["ipywidgets.widgets.widget_int", "IntSlider"]


@pytest.fixture
def sieve() -> Sieve:
    """Of a kernel that has told of three widgets: `deep` declares, `bare` does not, `words` is a template's text."""
    sieve = Sieve(Declared(), False, 2**20)
    states = {"deep": Deep().get_state(), "bare": ipyvue.VueTemplate(template="<b></b>").get_state()}
    for one, state in states.items():
        plain = json.loads(json.dumps(state, default=str))
        sieve.to_visitor(text("comm_open", {"comm_id": one, "target_name": "jupyter.widget", "data": {"state": plain}}))
    sieve.to_visitor(_told("words", {"template": "{functionRef: 'other'}", "source_url": "x"}))
    return sieve


def _told(one: str, state: Any, method: str = "update") -> str:
    return text("comm_msg", {"comm_id": one, "data": {"method": method, "state": state}})


def _custom(one: str, **content: Any) -> str:
    return text("comm_msg", {"comm_id": one, "data": {"method": "custom", "content": content}})


def _opens(target: str, one: str = "n") -> str:
    return text("comm_open", {"comm_id": one, "target_name": target, "data": {}})


@pytest.mark.parametrize("kind", [
    "execute_request", "shutdown_request", "interrupt_request", "debug_request", "complete_request", "inspect_request",
    "history_request", "is_complete_request", "input_reply", "connect_request", "create_subshell_request",
    "usage_request", "abort_request", "clear_request", "apply_request", "comm_msg ", "",
])  # fmt: skip
@pytest.mark.parametrize(("form", "newest"), FORMS)
def test_only_widget_traffic_passes(form: Any, newest: bool, kind: str):
    sieve = Sieve(Declared(), newest, 2**20)
    for channel in ("shell", "control", "stdin", "iopub"):
        assert sieve.refusal(form(kind, {}, channel))
    for allowed in ("kernel_info_request", "comm_info_request", "comm_close"):
        assert not sieve.refusal(form(allowed))
        assert sieve.refusal(form(allowed, {}, "control"))


def test_size(sieve: Sieve):
    assert not sieve.refusal(_told("x", {"value": "y" * 2**19}))
    assert "too large" in sieve.refusal(_told("x", {"value": "y" * 2**20}))


@pytest.mark.parametrize(("passes", "frame"), [
    (True, _opens("jupyter.widget")), (True, _opens("jupyter.widget.control")),
    (False, _opens("os.system")), (False, _opens("hv-extension-comm")), (False, _opens("")),
    (False, text("comm_open", {"comm_id": "n"})), (False, _opens("jupyter.widget", "deep")),
    (True, text("comm_msg", {"comm_id": "x", "data": {"method": "request_state"}})),
    (True, text("comm_msg", {"comm_id": "x", "data": {"method": "request_states"}})),
    (False, text("comm_msg", {"comm_id": "x", "data": {"method": "close"}})),
    (False, text("comm_msg", {"comm_id": "x"})),
    (True, _told("x", {"value": 4})), (True, _told("deep", {"value": 4})), (True, _custom("bare", event="click")),
    (True, _custom("x", type="zoom")),
])  # fmt: skip
def test_comms(sieve: Sieve, passes: bool, frame: str):
    assert (not sieve.refusal(frame)) is passes


def _make(one: str = "deep", asked: Any = SLIDER, props: Any = None, id: Any = "new") -> str:
    return _custom(one, create_widget=asked, id=id, props=props or {})


@pytest.mark.parametrize(("passes", "frame"), [
    (True, _make(props={"value": 3})), (True, _make(props={"value": {"functionRef": "allowed", "args": []}})),
    (True, _make(props={"value": {"objectRef": "rows", "path": [0]}})),
    (False, _make("bare")), (False, _make("unknown")), (False, _make("words")),
    (False, _make(asked=["os", "system"])), (False, _make(asked=["subprocess", "Popen"])),
    (False, _make(asked=["ipywidgets.widgets.widget_int", "IntText"])), (False, _make(asked="os")),
    (False, _make(asked=[*SLIDER, "x"])), (False, _make(asked=[SLIDER, SLIDER])),
    (False, _make(props={"comm": 1})), (False, _make(props=["value"])), (False, _make(id="deep")),
    (False, _make(id=["x"])), (False, _make(id="x" * 65)),
    (False, _make(props={"value": {"functionRef": "close"}})), (False, _make(props={"value": {"functionRef": []}})),
    (False, _make(props={"value": {"functionRef": "other"}})),
    (False, _make(props={"value": {"objectRef": "__class__"}})), (False, _make(props={"value": {"objectRef": "log"}})),
    (False, _custom("deep", update_ref={"objectRef": "rows"}, prop="value", id="bare")),
    (False, _custom("bare", update_ref={"functionRef": "close"}, prop="value", id="bare")),
    (False, _custom("deep", event="x", create_widget=["os", "system"], props={}, id="n")),
])  # fmt: skip
def test_templates_make_only_what_they_declare(sieve: Sieve, passes: bool, frame: str):
    assert (not sieve.refusal(frame)) is passes, sieve.refusal(frame)


def test_what_was_made_is_bound_to_what_is_declared(sieve: Sieve):
    bind = {"update_ref": {"objectRef": "rows", "path": [1]}, "prop": "value", "id": "new"}
    assert sieve.refusal(_custom("deep", **bind))  # nothing was made yet
    assert not sieve.refusal(_make())
    assert not sieve.refusal(_custom("deep", **bind))
    assert sieve.refusal(_make())  # in its place
    assert sieve.refusal(_custom("deep", **{**bind, "prop": "_handle_msg"}))
    assert sieve.refusal(_custom("deep", **{**bind, "update_ref": {"functionRef": "close"}}))


@pytest.mark.parametrize("state", [
    {"components": {"x": {"class": ["os", "system"], "props": []}}}, {"template": "{functionRef: 'close'}"},
    {"log_ref": {}}, {"_component_instances": []}, {"events": []},
])  # fmt: skip
def test_a_visitor_declares_nothing(sieve: Sieve, state: dict[str, Any]):
    assert sieve.refusal(_told("deep", state))
    sieve.to_visitor(_told("unheard", state, "echo_update"))  # the kernel says again what a visitor said
    assert sieve.refusal(_make("unheard", ["os", "system"]))
    assert sieve.refusal(_make("deep", ["os", "system"]))
    assert not sieve.refusal(_make())


def test_what_a_kernel_declares_is_remembered_up_to_a_bound():
    """It says as much as it likes; what it says anew takes the place of what it said before."""
    declared, reference = Declared(), "{functionRef: 'allowed'}"
    written = "x" * 3_000_000 + reference
    for _ in range(10):
        declared.learn_states({"one": {"template": written}})
    declared.learn_states({"two": {"template": written}, "three": {"template": written}})
    assert [declared._texts.get(one) is written for one in ("one", "two", "three")] == [True, True, False]
    declared.learn_states({"one": {"template": reference}, "three": {"template": written}})
    assert declared._texts["three"] is written
    left, component = declared._left, {"class": ["m", "C"], "props": ["comm", "keys", "value"]}
    for _ in range(3):
        declared.learn_states({"four": {"components": {"x": component}}, "n" * 1000: {"template": "x"}})
    assert left - declared._left == len("m" + "C" + "value") and len(declared._texts) == 3


def test_all_states_at_once_are_learned():
    sieve = Sieve(Declared(), False, 2**20)
    assert sieve.refusal(_make())
    states = {"deep": {"model_name": "m", "state": json.loads(json.dumps(Deep().get_state(), default=str))}}
    sieve.to_visitor(text("comm_msg", {"comm_id": "c", "data": {"method": "update_states", "states": states}}))
    assert not sieve.refusal(_make())


ERROR = {"ename": "ValueError", "evalue": "/opt/app/x.py has no fields", "traceback": ["/opt/app/x.py in <module>"]}
CAPTURED = [
    {"output_type": "error", **ERROR},
    {"output_type": "stream", "name": "stderr", "text": "/opt/app/x.py"},
    {"output_type": "stream", "name": "stdout", "text": "hello"},
]


@pytest.mark.parametrize(("form", "newest"), FORMS)
@pytest.mark.parametrize(("kind", "content", "left"), [
    ("error", ERROR, SAID), ("execute_input", {"code": "/opt/app"}, None), ("input_request", {}, None),
    ("stream", {"name": "stderr", "text": "/opt/app/x.py"}, None),
    ("stream", {"name": "stdout", "text": "hello"}, "hello"),
    ("comm_info_reply", {"status": "error", **ERROR}, SAID),
    ("comm_msg", {"comm_id": "o", "data": {"method": "update", "state": {"outputs": CAPTURED}}}, "hello"),
    ("comm_msg", {"comm_id": "o", "data": {"method": "update", "state": {"value": "hello"}}}, "hello"),
    ("execute_reply", {"status": "error", **ERROR}, None), ("debug_event", {}, None),
    ("status", {"execution_state": "hello"}, "hello"),
])  # fmt: skip
def test_no_traceback_and_no_path_reaches_a_visitor(
    form: Any, newest: bool, kind: str, content: dict[str, Any], left: str | None
):
    passed = Sieve(Declared(), newest, 2**20).to_visitor(form(kind, content, "iopub"))
    if left is None:
        assert passed is None
        return
    message = read(passed, newest)  # type: ignore[arg-type]
    assert message is not None and message.kind == kind and left in json.dumps(message.content)
    assert b"/opt/app" not in (passed if isinstance(passed, bytes) else passed.encode())  # type: ignore[union-attr]


def test_what_needs_no_change_is_handed_on_as_it_is():
    frame = v1("comm_msg", {"comm_id": "o", "data": {"method": "update", "state": {"value": [1] * 1000}}}, "iopub")
    assert Sieve(Declared(), True, 2**20).to_visitor(frame) is frame
