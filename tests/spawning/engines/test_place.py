"""Where a server runs, and what a swarm says in the contract's words: tables of plain data."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from bdap_hub.errors import BadSettings, Unavailable
from bdap_hub.settings import Settings
from bdap_hub.spawning.engines import Node, State, swarm_arguments
from bdap_hub.spawning.engines.contract import for_people
from bdap_hub.spawning.engines.place import choose, unfit
from bdap_hub.spawning.engines.swarm_states import named, node_of, state_of
from bdap_hub.spawning.gpu import nodes as gpu_nodes
from bdap_hub.spawning.gpu.placement import Device
from bdap_hub.spawning.plan import Limits, Mount, Placement, SpawnPlan

GIB = 2**30
LABEL = {"bdap.servers": "true"}
PLAN = SpawnPlan(
    image="bdap/lab",
    name="bdap-x-ana",
    hostname="forest-{{ana",
    uid=20011,
    gid=20012,
    groups=(20013,),
    working_dir="/home/ana",
    mounts=(Mount("/srv/eos", "/eos/data", propagation="rslave"),),
    limits=Limits(2 * GIB, 1.5, 512),
    gpus=(),
    network="bdap-servers",
    environment={"A": "{{.Node.ID}}"},
    labels={"bdap.kind": "server"},
    placement=Placement(labels=LABEL),
)
A = Node("a", "ready", 4, 16 * GIB, "192.0.2.1", "26.1.5", LABEL)
B = replace(A, name="b", address="192.0.2.2")
G = replace(A, name="g", memory=64 * GIB, resources={"GPU-1": 1, "GPU-2": 1})


@pytest.mark.parametrize(
    ("nodes", "used", "plan", "expected"),
    [
        ([A, B], {}, PLAN, "a"),
        ([A, B], {"a": 2 * GIB}, PLAN, "b"),  # most to spare
        ([A, replace(B, memory=32 * GIB)], {"b": 8 * GIB}, PLAN, "b"),
        ([A, G], {"a": 15 * GIB}, PLAN, "a"),  # who needs no GPU leaves those machines alone
        ([G], {}, PLAN, "g"),  # unless there is no other
        ([A, G], {}, replace(PLAN, gpus=("GPU-2",), placement=Placement("g", LABEL)), "g"),
    ],
)
def test_the_node_with_most_to_spare(nodes: list[Node], used: dict[str, int], plan: SpawnPlan, expected: str) -> None:
    assert choose(nodes, used, plan).name == expected


@pytest.mark.parametrize(
    ("node", "changes", "reason"),
    [
        (A, {}, ""),
        (replace(A, state="paused"), {}, "takes no new servers"),
        (replace(A, state="drained"), {}, "is being emptied"),
        (replace(A, state="down"), {}, "does not answer"),
        (replace(A, engine="20.10.24+dfsg1"), {}, "has Docker 20.10.24+dfsg1, older than 26"),
        (replace(A, labels={}), {}, "lacks the label bdap.servers=true"),
        (replace(A, labels={"bdap.servers": "no"}), {}, "lacks the label bdap.servers=true"),
        (A, {"placement": Placement(labels={**LABEL, "disk": "ssd"})}, "lacks the label disk=ssd"),
        (A, {"placement": Placement("g", LABEL)}, "is not g, where its GPU is"),
        (replace(G, resources={"GPU-1": 1}), {"gpus": ("GPU-2",)}, "does not name the GPU GPU-2 to the swarm"),
        (A, {"limits": Limits(17 * GIB, 1, 512)}, "is too small"),
        (A, {"limits": Limits(GIB, 5, 512)}, "is too small"),
    ],
)
def test_why_a_node_does_not_fit(node: Node, changes: dict[str, Any], reason: str) -> None:
    plan = replace(PLAN, **changes)
    assert unfit(node, plan) == reason
    if reason:
        with pytest.raises(Unavailable, match=f"no node can run this server now: {node.name} {reason[:20]}"):
            choose([node], {}, plan)


def test_without_nodes() -> None:
    with pytest.raises(Unavailable, match="the swarm has none"):
        choose([], {}, PLAN)


def test_the_service_of_a_plan() -> None:
    """Compared whole: what is missing here is missing there."""
    plan = replace(PLAN, gpus=("GPU-2",))
    assert swarm_arguments.service(plan, "sha256:1", ("n7", "g"), ["serve"], {"TOKEN": "t"}, 8888) == {
        "name": "bdap-x-ana",
        "labels": {"bdap.kind": "server", "bdap.node": "g"},
        "mode": {"Replicated": {"Replicas": 0}},
        "endpoint_spec": {
            "Mode": "dnsrr",
            "Ports": [{"Protocol": "tcp", "TargetPort": 8888, "PublishMode": "host"}],
        },
        "task_template": {
            "ContainerSpec": {
                "Image": "sha256:1",
                "Args": ["sh", "-c", 'umask 002; exec "$@"', "server", "serve"],
                "Hostname": 'forest-{{"{{"}}ana',
                "Env": [
                    "TOKEN=t",
                    'A={{"{{"}}.Node.ID}}',
                    "NVIDIA_VISIBLE_DEVICES=GPU-2",
                    "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
                ],
                "Labels": {"bdap.kind": "server"},
                "Dir": "/home/ana",
                "User": "20011:20012",
                "Groups": ["20013"],
                "Privileges": {"NoNewPrivileges": True},
                "CapabilityDrop": ["ALL"],
                "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
                "Init": True,
                "Mounts": [
                    {
                        "Type": "bind",
                        "Source": "/srv/eos",
                        "Target": "/eos/data",
                        "ReadOnly": True,
                        "BindOptions": {"Propagation": "rslave"},
                    }
                ],
                "StopGracePeriod": 10 * 10**9,
                "Secrets": [],
            },
            "Resources": {
                "Limits": {"MemoryBytes": 2 * GIB, "NanoCPUs": 1_500_000_000, "Pids": 512},
                "Reservations": {"GenericResources": [{"DiscreteResourceSpec": {"Kind": "GPU-2", "Value": 1}}]},
            },
            "RestartPolicy": {"Condition": "none"},
            "Placement": {"Constraints": ["node.id==n7"]},
            "LogDriver": {"Name": "json-file", "Options": {"max-size": "5m", "max-file": "2"}},
            "Networks": [{"Target": "bdap-servers"}],
        },
    }


def test_nothing_of_a_plan_is_left_out() -> None:
    """A field that is added to the plan must be carried out, or refused, before this list names it."""
    assert {field.name for field in fields(SpawnPlan)} == swarm_arguments.CARRIED_OUT


def test_without_a_gpu_none_is_seen_whatever_the_image_asks_for() -> None:
    assert swarm_arguments.gpu_variables(())["NVIDIA_VISIBLE_DEVICES"] == "void"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("no-new-privileges:true",), {"NoNewPrivileges": True}),
        (("no-new-privileges",), {"NoNewPrivileges": True}),
        (('seccomp={"a":1}',), {"Seccomp": {"Mode": "custom", "Profile": "eyJhIjoxfQ=="}}),
        (("apparmor=own",), None),
        (("seccomp=unconfined",), None),
    ],
)
def test_security_options_are_carried_out_or_refused(options: tuple[str, ...], expected: Any) -> None:
    if expected is not None:
        assert swarm_arguments.privileges(options) == expected
        return
    with pytest.raises(BadSettings, match="no words for the security option"):
        swarm_arguments.privileges(options)


NODE = {
    "ID": "n7",
    "Spec": {"Availability": "active", "Labels": {"bdap.servers": "true"}},
    "Status": {"State": "ready", "Addr": "192.0.2.9"},
    "Description": {
        "Hostname": "g",
        "Resources": {
            "NanoCPUs": 4 * 10**9,
            "MemoryBytes": 16 * GIB,
            "GenericResources": [
                {"DiscreteResourceSpec": {"Kind": "GPU-1", "Value": 2}},
                {"NamedResourceSpec": {"Kind": "NVIDIA-GPU", "Value": "GPU-2"}},
            ],
        },
        "Engine": {"EngineVersion": "26.1.5", "Labels": {"bdap.gpu.model": "T4", "bdap.servers": "no"}},
    },
}


def test_a_node_in_the_contracts_words() -> None:
    assert node_of(NODE) == Node(
        "g",
        "ready",
        4.0,
        16 * GIB,
        "192.0.2.9",
        "26.1.5",
        {"bdap.gpu.model": "T4", "bdap.servers": "true"},
        {"GPU-1": 2},
    )
    assert named([NODE]) == ["g: NVIDIA-GPU=GPU-2"]
    everywhere = {**NODE, "Status": {"State": "ready", "Addr": "0.0.0.0"}, "ManagerStatus": {"Addr": "192.0.2.8:2377"}}
    assert node_of(everywhere).address == "192.0.2.8"


@pytest.mark.parametrize(
    ("status", "availability", "expected"),
    [
        ("ready", "active", "ready"),
        ("ready", "pause", "paused"),
        ("ready", "drain", "drained"),
        ("down", "drain", "down"),
    ],
)
def test_the_states_of_a_node(status: str, availability: str, expected: str) -> None:
    said = {**NODE, "Status": {"State": status}, "Spec": {"Availability": availability}}
    assert node_of(said).state == expected


def task(state: str, desired: str = "running", error: str = "", code: int | None = None) -> dict[str, Any]:
    status = {"State": state, "Err": error, "ContainerStatus": {} if code is None else {"ExitCode": code}}
    return {"CreatedAt": "2026-01-01", "NodeID": "n7", "DesiredState": desired, "Status": status}


@pytest.mark.parametrize(
    ("replicas", "tasks", "node", "expected"),
    [
        (0, [], "ready", State("created", node="g")),
        (1, [], "ready", State("waiting", "it waits for g", node="g")),
        (
            1,
            [task("pending", error="no suitable node (insufficient resources on 1 node)")],
            "ready",
            State("waiting", "it waits for g: no suitable node (insufficient resources on 1 node)", node="g"),
        ),
        (1, [task("preparing")], "ready", State("waiting", "the image is being fetched on g", node="g")),
        (1, [task("running")], "ready", State("running", node="g")),
        (0, [task("running", "remove")], "ready", State("ending", "it was stopped", node="g")),
        (
            1,
            [task("running", "shutdown")],
            "drained",
            State("ending", "the operator is emptying g, the machine that it ran on", node="g", moved=True),
        ),
        (
            1,
            [task("shutdown", "shutdown", code=0)],
            "drained",
            State("ended", "the operator is emptying g, the machine that it ran on", 0, node="g", moved=True),
        ),
        (
            1,
            [task("running", "shutdown")],
            "down",
            State("lost", "g, the machine that it ran on, does not answer any more", node="g", moved=True),
        ),
        (
            1,
            [task("orphaned", "shutdown")],
            "ready",
            State("lost", "g, the machine that it ran on, does not answer any more", node="g", moved=True),
        ),
        (1, [task("complete", "shutdown", code=0)], "ready", State("ended", "it ended by itself", 0, node="g")),
        (
            1,
            [task("failed", "shutdown", "task: non-zero exit (137)", 137)],
            "ready",
            State("ended", "it was killed, most likely because it ran out of memory", 137, node="g"),
        ),
        (
            1,
            [task("rejected", "shutdown", "No such image: bdap/x")],
            "ready",
            State("ended", "its image is not on g", node="g"),
        ),
        (
            1,
            [task("failed", "shutdown", "starting container failed: no mount", 128)],
            "ready",
            State("ended", "g could not start it: starting container failed: no mount", 128, node="g"),
        ),
        (
            1,
            [
                task(
                    "rejected",
                    "shutdown",
                    'invalid mount config for type "bind": bind source path does not exist: /s/x',
                )
            ],
            "ready",
            State(
                "ended",
                "g could not start it: a folder that the server needs is not there: the data store may be away",
                node="g",
            ),
        ),
    ],
)
def test_what_became_of_a_service(replicas: int, tasks: list[Any], node: Any, expected: State) -> None:
    service = {"Spec": {"Labels": {"bdap.node": "g"}, "Mode": {"Replicated": {"Replicas": replicas}}}}
    assert state_of(service, tasks, {"n7": replace(G, state=node)}) == expected


def test_one_that_was_stopped_and_is_forgotten_by_its_node() -> None:
    labels = {"bdap.node": "g", "bdap.stopped": "true"}
    service = {"Spec": {"Labels": labels, "Mode": {"Replicated": {"Replicas": 0}}}}
    assert state_of(service, [], {}) == State("ended", "it was stopped", node="g")


def test_gpus_are_those_of_nodes_that_may_be_used(settings: Settings) -> None:
    labelled = {**LABEL, "bdap.gpu.model": "T4", "bdap.gpu.memory": "16G"}
    nodes = [
        replace(G, labels=labelled, resources={"GPU-1": 2, "MIG-1": 1, "SSD": 4}),
        replace(G, name="p", state="paused"),
        replace(G, name="d", state="down"),
        replace(G, name="u", labels={}),
    ]
    expected = (Device("g", "GPU-1", "T4", 16 * GIB, 2), Device("g", "MIG-1", "T4", 16 * GIB, 1))
    assert gpu_nodes.devices_of(nodes, settings) == expected


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("error while creating mount source path '/srv/eos/x': file exists", "…': file exists"),
        ("open /var/lib/docker/tmp/a.json: no such file", "open …: no such file"),
        ("no such image: registry.example:5000/bdap/lab:1", "no such image: registry.example:5000/bdap/lab:1"),
        ("Get https://registry.example/v2/: EOF", "Get https://registry.example/v2/: EOF"),
        ("conflict: unable to remove a/b", "conflict: unable to remove a/b"),
    ],
)
def test_people_read_no_paths_of_machines(said: str, told: str) -> None:
    assert for_people(said).endswith(told) and "/srv" not in for_people(said) and "/var" not in for_people(said)
