"""User-defined processes: put into graphs as data, and stored, listed and called over HTTP; all errors of a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import inspect

from bdap_hub.database import connect
from bdap_hub.processing.graphs.expand import Own, calls, expand
from bdap_hub.processing.graphs.graph import GraphError, digest
from bdap_hub.processing.graphs.parse import parse, problems
from bdap_hub.processing.jobs.tables import Jobs
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.service.quotas import QuotaExceeded
from bdap_hub.processing.service.stored_processes import UserProcesses
from bdap_hub.web import HubLogin
from tests.conftest import make_settings

from .client import Client, tile
from .conftest import truth
from .engines import decoded
from .graphs import arg, band, call, load, node, of

PARAMETERS = ({"name": "data", "schema": {}}, {"name": "top", "schema": {"type": "number"}, "default": 4000})
STRETCH = Own(
    "stretch",
    {
        "scaled": node(
            "apply", data=arg("data"), process=call("linear_scale_range", x=arg("x"), inputMin=0, inputMax=arg("top"))
        ),
        "more": node("apply", True, data=of("scaled"), process=call("multiply", x=arg("x"), y=255)),
    },
    PARAMETERS,
)
TOPMOST = Own(
    "topmost",
    {
        # its parameter has the name of the reducer's own
        "max": node("reduce_dimension", data=arg("data"), reducer=call("max", data=arg("data")), dimension="t"),
        "out": {"process_id": "stretch", "namespace": "user", "arguments": {"data": of("max")}, "result": True},
    },
    ({"name": "data", "schema": {}},),
)
OWN = {one.id: one for one in (STRETCH, TOPMOST)}


def topmost(top: float = 4000) -> dict[str, Any]:
    """What `topmost` does, written out."""
    scale = call("linear_scale_range", x=arg("x"), inputMin=0, inputMax=top)
    return {
        "data": load(bands=["B04"]),
        "max": node("reduce_dimension", data=of("data"), reducer=call("max", data=arg("data")), dimension="t"),
        "scaled": node("apply", data=of("max"), process=scale),
        "more": node("apply", True, data=of("scaled"), process=call("multiply", x=arg("x"), y=255)),
    }


def same(one: Any, other: Any) -> bool:
    return digest(parse(one, REGISTRY)) == digest(parse(other, REGISTRY))


def test_a_call_means_what_its_graph_means() -> None:
    graph = {"data": load(bands=["B04"]), "own": node("topmost", True, data=of("data"))}
    assert calls(graph, REGISTRY) == {"topmost"} and calls(TOPMOST.graph, REGISTRY) == {"stretch"}
    assert same(expand(graph, OWN, REGISTRY), topmost())
    assert not same(expand(graph, OWN, REGISTRY), topmost(3000))  # what differs is seen


def test_values_of_parameters_reach_callbacks() -> None:
    start = dict(list(topmost().items())[:2])
    given = {**start, "own": node("stretch", True, data=of("max"), top=3000)}
    assert same(expand(given, OWN, REGISTRY), topmost(3000))
    default = {**start, "own": node("stretch", True, data=of("max"))}
    assert same(expand(default, OWN, REGISTRY), topmost())


def test_calls_in_callbacks_and_after_one_another() -> None:
    double = Own("double", {"only": node("multiply", True, x=arg("x"), y=2)}, ({"name": "x", "schema": {}},))
    inner = {"once": node("double", x=arg("x")), "twice": node("double", True, x=of("once"))}
    plain = {"once": node("multiply", x=arg("x"), y=2), "twice": node("multiply", True, x=of("once"), y=2)}
    graphs = [
        {"data": load(bands=["B04"]), "out": node("apply", True, data=of("data"), process={"process_graph": body})}
        for body in (inner, plain)
    ]
    assert same(expand(graphs[0], {"double": double}, REGISTRY), graphs[1])


def test_the_standards_processes_go_before_unless_ones_own_is_wanted() -> None:
    mine = {"max": Own("max", {"only": node("add", True, x=1, y=1)})}
    plain = {"a": node("max", True, data=[1, 2])}
    assert expand(plain, mine, REGISTRY) == plain
    wanted = {"a": {**plain["a"], "namespace": "user", "arguments": {}}}
    assert expand(wanted, mine, REGISTRY)["a"]["process_id"] == "add"


def loops(length: int) -> dict[str, Own]:
    names = [f"p{n}" for n in range(length)]
    bodies = {name: {"only": node(names[(n + 1) % length], True)} for n, name in enumerate(names)}
    return {name: Own(name, body) for name, body in bodies.items()}


def bomb() -> dict[str, Own]:
    """Each calls the next twice."""
    twice = {f"p{n}": {"a": node(f"p{n + 1}"), "b": node(f"p{n + 1}", True)} for n in range(20)}
    return {name: Own(name, body) for name, body in {**twice, "p20": {"a": node("pi", True)}}.items()}


@pytest.mark.parametrize(
    ("own", "arguments", "code", "words"),
    [
        (loops(1), {}, "ProcessGraphInvalid", "p0 → p0"),
        (loops(3), {}, "ProcessGraphInvalid", "p0 → p1 → p2 → p0"),
        (bomb(), {}, "ProcessGraphComplexity", "500"),
        ({"p0": Own("p0", STRETCH.graph, PARAMETERS)}, {}, "ProcessArgumentRequired", "'data'"),
        ({"p0": Own("p0", STRETCH.graph, PARAMETERS)}, {"data": 1, "x": 1}, "ProcessArgumentUnsupported", "'x'"),
        ({"p0": Own("p0", STRETCH.graph, PARAMETERS)}, {"data": 1, "top": of("a")}, "ProcessArgumentInvalid", "'top'"),
    ],
)
def test_what_cannot_be_put_in_is_told(own: Any, arguments: Any, code: str, words: str) -> None:
    with pytest.raises(GraphError) as refused:
        expand({"a": node("pi"), "call": node("p0", True, **arguments)}, own, REGISTRY)
    assert refused.value.code == code and words in refused.value.message


@pytest.mark.parametrize("raw", [None, 3, "x", [], {}, {"a": 1}, {"a": {"process_id": 7}}, {"a": {"process_id": {}}}])
def test_what_is_no_graph_is_left_for_the_parser(raw: Any) -> None:
    with pytest.raises(GraphError):
        parse(expand(raw, OWN, REGISTRY), REGISTRY)


@pytest.mark.parametrize(("nodes", "fits"), [(2, True), (400, False)])
def test_what_is_handed_over_to_many_nodes_is_bounded(nodes: int, fits: bool) -> None:
    """Each of them copies it: a post of a megabyte took gigabytes, and a minute."""
    graph = {f"n{n}": node("add", not n, x=arg("many"), y=n) for n in range(nodes)}
    own = {"spread": Own("spread", graph, ({"name": "many"},))}
    asked = {"call": node("spread", True, many=[[n, n] for n in range(60_000)])}
    if fits:
        assert len(expand(asked, own, REGISTRY)) == nodes
        return
    with pytest.raises(GraphError, match="arguments of more than 2000000 values") as caught:
        expand(asked, own, REGISTRY)
    assert caught.value.code == "ProcessGraphComplexity"


TEXT = arg("text")


@pytest.mark.parametrize(
    ("graph", "text", "fits"),
    [
        ({"all": node("array_create", True, data=[TEXT] * 20)}, "x" * 100_000, True),
        ({"all": node("array_create", True, data=[TEXT] * 200)}, "x" * 100_000, False),
        ({"all": node("array_create", True, data=[TEXT] * 100_000)}, 10**300, False),
        ({"all": node("array_create", True, data=[{"x" * 100_000: 1}, TEXT])}, [TEXT] * 200, True),
        ({f"n{n}": node("array_create", not n, data=TEXT) for n in range(20)}, "x" * 1000, True),
        ({f"n{n}": node("array_create", not n, data=TEXT) for n in range(400)}, "x" * 100_000, False),
    ],
)
def test_long_texts_that_are_handed_over_are_bounded(graph: Any, text: Any, fits: bool) -> None:
    """One text is shared by all that it is handed to, until it is written out for each."""
    own = {"spread": Own("spread", graph, ({"name": "text"},))}
    asked = {"call": node("spread", True, text=text)}
    if fits:
        assert len(expand(asked, own, REGISTRY)) == len(graph)
        return
    with pytest.raises(GraphError, match="texts of more than 16000000 characters") as caught:
        expand(asked, own, REGISTRY)
    assert caught.value.code == "ProcessGraphComplexity"


@pytest.mark.parametrize(("letters", "fits"), [(1000, True), (100_000, False)])
def test_the_names_that_nodes_get_are_bounded(letters: int, fits: bool) -> None:
    own = {"many": Own("many", {f"n{n}": node("pi", not n) for n in range(300)})}
    asked = {"x" * letters: node("many", True)}
    if fits:
        assert len(expand(asked, own, REGISTRY)) == 300
        return
    with pytest.raises(GraphError, match="texts of more than 16000000 characters"):
        expand(asked, own, REGISTRY)


def test_all_errors_are_told_at_once() -> None:
    graph = {
        "data": load(bands=["B04"]),
        "unknown": node("no_such_process", x=1),
        "arguments": node("filter_bands", data=of("data"), bands=7, more=1),
        "missing": node("add", x=1),
        "lost": node("absolute", x=of("nowhere")),
        "callback": node("apply", data=of("data"), process=call("add", x=arg("x"), y="text")),
        "cube": node("add", x=of("data"), y=1),
    }
    found = [(error.code, error.message) for error in problems(graph, REGISTRY)]
    assert sorted(code for code, _ in found) == [
        "ProcessArgumentInvalid",
        "ProcessArgumentInvalid",
        "ProcessArgumentRequired",
        "ProcessArgumentUnsupported",
        "ProcessGraphInvalid",
        "ProcessGraphInvalid",
        "ProcessUnsupported",
    ]
    names = ("unknown", "'bands'", "'more'", "missing", "nowhere", "'y'", "'result'")
    assert all(any(name in message for _, message in found) for name in names)
    circle = {"a": node("absolute", x=of("b")), "b": node("absolute", True, x=of("a"))}
    (cycle,) = problems(circle, REGISTRY)
    assert cycle.code == "ProcessGraphInvalid" and "wait for one another" in cycle.message
    assert problems(topmost(), REGISTRY) == []
    with pytest.raises(GraphError) as first:
        parse(graph, REGISTRY)
    assert (first.value.code, first.value.message) in found


def document(own: Own, **more: Any) -> dict[str, Any]:
    return {"process_graph": own.graph, "parameters": list(own.parameters), "summary": "Made here", **more}


def test_stored_listed_used_and_deleted(ana: Client, platform: Any) -> None:
    for own in (STRETCH, TOPMOST):
        assert ana.http.put(f"/process_graphs/{own.id}", json=document(own)).status_code == 200
    listed = ana.http.get("/process_graphs").json()["processes"]
    assert [one["id"] for one in listed] == ["stretch", "topmost"] and "process_graph" not in listed[0]
    assert ana.http.get("/process_graphs/topmost").json()["process_graph"] == TOPMOST.graph
    graph = {
        "data": load(bands=["B04"]),
        "own": node("topmost", data=of("data")),
        "save": node("save_result", True, data=of("own"), format="PNG"),
    }
    ben = Client(platform, "ben")  # they are ana's alone
    assert ben.http.get("/process_graphs").json()["processes"] == []
    assert ben.post(graph).json()["code"] == "ProcessUnsupported"
    service = ana.service(graph)
    index = decoded(tile(service).content)[0][..., 0]
    top = np.max([truth(date)["B04"] for date in range(3)], axis=0)[:256, :256].astype(float)
    want = np.where(top == 0, 0, 1 + np.clip(top, 0, 4000) / 4000 * 254)
    np.testing.assert_allclose(index, want, atol=0.51)
    assert ana.http.delete("/process_graphs/topmost").status_code == 204
    assert ana.http.delete("/process_graphs/topmost").json()["code"] == "ProcessGraphNotFound"
    assert ana.http.get("/process_graphs/topmost").status_code == 404
    assert tile(service).content  # a service stays what it was
    assert ana.http.delete("/process_graphs/stretch").status_code == 204


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("max", document(STRETCH), "PredefinedProcessExists"),
        ("a-b", document(STRETCH), "BadRequest"),
        ("mine", {}, "ProcessGraphMissing"),
        ("mine", document(STRETCH, process_graph={}), "ProcessGraphMissing"),
        ("mine", document(STRETCH, parameters={}), "ProcessInvalid"),
        ("mine", document(STRETCH, parameters=[]), "ProcessParameterMissing"),
        ("mine", document(Own("", {"a": node("mine", True)})), "ProcessGraphInvalid"),
        ("mine", document(STRETCH, process_graph={"a": node("none", True)}), "ProcessUnsupported"),
    ],
)
def test_what_is_no_process_is_not_stored(ana: Client, name: str, body: Any, code: str) -> None:
    answer = ana.http.put(f"/process_graphs/{name}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert ana.http.get("/process_graphs").json()["processes"] == []


def test_two_that_would_call_each_other_are_refused(ana: Client) -> None:
    one = document(Own("one", {"a": node("pi", True)}))
    assert ana.http.put("/process_graphs/one", json=one).status_code == 200
    other = document(Own("other", {"a": node("one", True)}))
    assert ana.http.put("/process_graphs/other", json=other).status_code == 200
    circle = document(Own("one", {"a": node("other", True)}))
    refused = ana.http.put("/process_graphs/one", json=circle).json()
    assert refused["code"] == "ProcessGraphInvalid" and "other → one → other" in refused["message"]
    for name in ("one", "other"):
        ana.http.delete(f"/process_graphs/{name}")


def test_validation_tells_all_and_looks_collections_up(ana: Client) -> None:
    def told(graph: Any, **more: Any) -> list[str]:
        answer = ana.http.post("/validation", json={"process_graph": graph, **more})
        assert answer.status_code == 200
        return [error["code"] for error in answer.json()["errors"]]

    assert told(band("B04")) == []
    assert told(band("B04", "none")) == ["CollectionNotFound"]
    assert told(band("B04", "plots")) == ["CollectionNotFound"]  # which is there, but not for her
    assert told({"a": node("nothing"), "b": node("add", True, x=1)}) == [
        "ProcessUnsupported",
        "ProcessArgumentRequired",
    ]
    assert told(STRETCH.graph, parameters=list(PARAMETERS)) == []
    assert told(STRETCH.graph) == ["ProcessParameterMissing", "ProcessParameterMissing"]


def test_a_dashboard_keeps_no_processes(platform: Any, ana: Client) -> None:
    release = HubLogin(platform.settings, "processing").release_token("d", "project-agriculture", 60)
    body = document(Own("mine", {"a": node("pi", True)}))
    refused = Client(platform, "", release).http.put("/process_graphs/mine", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "PermissionsInsufficient")
    assert ana.http.put("/process_graphs/mine", json=body).status_code == 200
    assert ana.http.delete("/process_graphs/mine").status_code == 204


def test_all_of_a_persons_processes_together_are_bounded(tmp_path: Path) -> None:
    """A few hundred of the largest would fill the memory of whoever lists or calls them."""
    stored = UserProcesses(connect(make_settings(tmp_path).database), 500)
    large = {"process_graph": {"a": node("add", True, x=1, y=1)}, "description": "x" * 900_000}
    for number in range(4):
        stored.put("ana", f"large{number}", large)
    with pytest.raises(QuotaExceeded, match="the limit is 4000000"):
        stored.put("ana", "large4", large)
    stored.put("ana", "large3", large)  # in its own place
    stored.put("ben", "large4", large)


def test_a_list_of_jobs_does_not_hold_their_graphs(tmp_path: Path) -> None:
    """A thousand of the largest would be gigabytes."""
    jobs = Jobs(connect(make_settings(tmp_path).database))
    row = jobs.add("ana", process={"process_graph": {"a": node("add", True, x=1, y=1)}})
    (listed,) = jobs.of("ana")
    assert listed.id == row.id and {"process", "graph", "plan"} <= inspect(listed).unloaded
    found = jobs.get(row.id, "ana")
    assert found is not None and "add" in found.process
