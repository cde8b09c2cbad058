"""A SpawnPlan is plain data: compared whole. What can be chosen and what a wish means, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from bdap_hub.access import Person
from bdap_hub.errors import BadRequest, BadSettings
from bdap_hub.settings import Settings
from bdap_hub.spawning import Choice, Limits, Mount, Site, SpawnPlan, choices, plan, wish
from bdap_hub.spawning.names import safe_name, server_name
from bdap_hub.spawning.store.mounts import written
from bdap_hub.units import bytes_of


def choice(settings: Settings, project: str, image: str) -> Choice:
    policy = settings.policy()
    found = policy.project(project), policy.image(image)
    assert found[0] and found[1]
    return Choice(found[0], found[1])


def test_the_plan_of_a_member(settings: Settings, people: dict[str, Person]) -> None:
    var, install = settings.var.resolve(), settings.install_id
    site = Site(address="172.18.0.1", uid=20000, projects={"agriculture": 20007}, hidden=("forest-plots",))
    address = "http://172.18.0.1"
    store = (
        Mount(f"{var}/store/data", "/eos/data", read_only=True),
        Mount(f"{var}/empty", "/eos/data/forest-plots", read_only=True),
        Mount(f"{var}/store/projects/agriculture", "/eos/projects/agriculture", read_only=False),
    )
    assert plan(settings, people["ana"], choice(settings, "agriculture", "lab"), site) == SpawnPlan(
        image="bdap/lab:latest",
        name=f"bdap-{install}-ana",
        hostname="agriculture-ana",
        uid=20000,
        gid=20007,
        groups=(),
        working_dir="/home/ana",
        mounts=(
            Mount(f"{var}/homes/ana", "/home/ana", read_only=False),
            Mount(f"{var}/names/ana", "/var/lib/extrausers", read_only=True),
            *store,
        ),
        limits=Limits(memory=2 * 2**30, cpus=1.0, pids=512),
        gpus=(),
        network="bdap-servers",
        environment={
            "HOME": "/home/ana",
            "USER": "ana",
            "JUPYTER_RUNTIME_DIR": "/tmp/jupyter-runtime",
            "BDAP_PROJECT": "agriculture",
            "BDAP_STORE": "/eos",
            "BDAP_PROCESSING_URL": f"{address}:{settings.processing.port}/services/processing",
            "BDAP_CATALOGUE_URL": f"{address}:{settings.catalogue.port}/services/catalogue",
            "BDAP_DASHBOARDS_URL": f"{address}:{settings.dashboards.port}/services/dashboards",
        },
        labels={
            "bdap.hub": install,
            "bdap.kind": "server",
            "bdap.person": "ana",
            "bdap.server": "",
            "bdap.project": "agriculture",
            "bdap.image": "lab",
            "bdap.size": "standard",
            "bdap.gpus": "",
            "bdap.store": written(store),
        },
        cap_drop=("ALL",),
        security_options=("no-new-privileges:true",),
        umask="002",
    )


def test_another_own_project_is_there_to_read_only(settings: Settings, people: dict[str, Person]) -> None:
    site = Site("h", 20003, {"agriculture": 20007, "forest": 20008}, propagation="rslave", gpus=("GPU-1",))
    found = plan(settings, people["olga"], choice(settings, "forest", "lab"), site)
    folders = {m.target: (m.read_only, m.propagation) for m in found.mounts if "/projects/" in m.target}
    assert folders == {
        "/eos/projects/agriculture": (True, "rslave"),
        "/eos/projects/forest": (False, "rslave"),
    }
    assert (found.gid, found.groups, found.gpus, found.labels["bdap.gpus"]) == (20008, (20007,), ("GPU-1",), "GPU-1")


def test_a_named_server_has_its_own_container_and_the_same_home(settings: Settings, people: dict[str, Person]) -> None:
    site, lab = Site("h", 20000, {"agriculture": 20007}), choice(settings, "agriculture", "lab")
    one, other = plan(settings, people["ana"], lab, site), plan(settings, people["ana"], lab, site, "train")
    assert other.name == f"bdap-{settings.install_id}-{server_name('ana', 'train')}" != one.name
    assert (other.labels["bdap.server"], other.hostname) == ("train", "agriculture-ana-train")
    assert (other.mounts, other.uid, other.environment) == (one.mounts, one.uid, one.environment)


@pytest.mark.parametrize("address", ["", "https://gitlab.example.org/code"])
def test_the_gitlab_of_the_platform_is_told_where_there_is_one(
    settings: Settings, people: dict[str, Person], address: str
) -> None:
    settings.spawning.gitlab = address
    found = plan(settings, people["ana"], choice(settings, "agriculture", "lab"), Site("h", 1, {"agriculture": 2}))
    assert found.environment.get("BDAP_GITLAB_URL", "") == address
    assert ("BDAP_GITLAB_URL" in found.environment) == bool(address)


@pytest.mark.parametrize(
    ("name", "gpus", "expected"),
    [
        ("ana", 0, ["agriculture/lab"]),
        ("ana", 1, ["agriculture/lab", "agriculture/gpu"]),
        ("ben", 1, ["forest/lab"]),
        ("olga", 0, ["agriculture/lab", "forest/lab"]),
        ("pia", 1, []),
    ],
)
def test_what_one_can_choose(
    settings: Settings, people: dict[str, Person], name: str, gpus: int, expected: list[str]
) -> None:
    found = choices(settings.policy(gpus), people[name])
    assert [f"{c.project.name}/{c.image.name}" for c in found] == expected


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("ana", {"project": "agriculture", "image": "lab"}, ("agriculture", "lab", "")),
        ("ana", {}, ("agriculture", "lab", "")),  # the only choice
        ("ana", {"project": "forest", "image": "lab"}, ("forest", "lab", "")),  # understood; access refuses it later
        ("olga", {}, "no project and image were chosen"),
        ("pia", {}, "no project and image were chosen"),
        ("ana", {"project": "agriculture"}, "must both be given"),
        ("ana", {"image": "lab"}, "must both be given"),
        ("ana", {"project": ["agriculture"], "image": "lab"}, "must both be given"),
        ("ana", {"project": "agriculture", "image": {"reference": "evil"}}, "must both be given"),
        ("ana", {"project": "agriculture", "image": "lab", "size": "large"}, ("agriculture", "lab", "large")),
        ("ana", {"size": "large"}, ("agriculture", "lab", "large")),
        ("ana", {"project": "agriculture", "image": "lab", "size": ["large"]}, "'size' must be text"),
        ("ana", {"project": "agriculture", "image": "lab", "size": {"cpus": 64}}, "'size' must be text"),
        ("ana", {"project": "agriculture", "image": "lab", "volumes": "/:/host"}, "unknown options"),
    ],
)
def test_what_a_wish_means(
    settings: Settings, people: dict[str, Person], name: str, options: dict[str, Any], expected: Any
) -> None:
    possible = choices(settings.policy(), people[name])
    if isinstance(expected, tuple):
        assert wish(options, possible) == expected
        return
    with pytest.raises(BadRequest, match=expected):
        wish(options, possible)


@pytest.mark.parametrize(
    ("text", "expected"), [("512M", 512 * 2**20), ("2G", 2 * 2**30), ("1.5g", 3 * 2**29), ("7", 7)]
)
def test_sizes(text: str, expected: int) -> None:
    assert bytes_of(text) == expected


@pytest.mark.parametrize("text", ["", "much", "2Q", "G"])
def test_a_size_that_is_none_is_named(text: str) -> None:
    with pytest.raises(BadSettings, match=r"spawning\.memory"):
        bytes_of(text)


PLAIN = ["ana", "a-b", "x1", "0"]
ODD = ["Ana", "a.b", "a_b", "../root", "a--b", "-a", "a-", "", "ä", "a" * 33, "a b", "a/b", "ana\n", "x{username}"]


def test_names_are_safe_and_do_not_collide() -> None:
    assert [safe_name(name) for name in PLAIN] == PLAIN
    found = {safe_name(name) for name in ODD}
    assert len(found) == len(ODD)
    for name in found:
        assert len(name) <= 32 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and "--" in name


def test_servers_of_anybody_do_not_collide() -> None:
    people = ["ana", "ana-train", "ana--3897bc2805", "ana/train", "a"]
    servers = ["", "train", "run-2", "x" * 30, "3897bc2805"]
    found = [server_name(person, server) for person in people for server in servers]
    assert len(set(found)) == len(found) == 25
    assert all(len(name) <= 32 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in found)
