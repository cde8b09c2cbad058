"""What a project was granted, on the host: folders without a way out, pinned images, GPUs at once, quotas."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bdap_hub.access import GpuGrant, Person, Policy, Quota, Size, StoreGrant, Usage
from bdap_hub.errors import NotAllowed
from bdap_hub.settings import Settings
from bdap_hub.spawning import Choice, Mount, Site, plan
from bdap_hub.spawning.gpu.placement import Device, Held, Place, Wish, place, possible
from bdap_hub.spawning.grants import granted, pinned
from bdap_hub.spawning.quota import usage
from bdap_hub.spawning.store import folders as store

ANA = Person("ana", frozenset({"project-agriculture"}))
PIN = f"sha256:{'a' * 64}"


def policy(settings: Settings, *grants: StoreGrant, **fields: Any) -> Policy:
    """The settings' own, with something more for agriculture."""
    ours = settings.policy(gpus=1)
    farms = ours.project("agriculture")
    assert farms
    return replace(ours, projects=(replace(farms, store=grants, **fields), *ours.projects[1:]))


def mounts(settings: Settings, *grants: StoreGrant) -> list[tuple[str, str, bool]]:
    found = policy(settings, *grants)
    project = found.project("agriculture")
    assert project
    got = granted(settings, found, ANA, project)
    root = settings.store.root.resolve()
    return [(str(Path(one.source).relative_to(root)), one.target, one.read_only) for one in got.mounts]


@pytest.fixture
def tree(settings: Settings) -> Settings:
    """Folders, and links out of them."""
    data, projects = settings.store.data, settings.store.projects
    (data / "sand" / "dunes").mkdir(parents=True)
    (data / "near").symlink_to("sand")
    (data / "out").symlink_to("/etc")
    (data / "over").symlink_to("../projects/forest")
    (data / "sand" / "up").symlink_to("../..")
    (projects / "linked").symlink_to("forest")
    return settings


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (StoreGrant("/eos/data/sand", True), [("data/sand", "/eos/data/sand", False)]),
        (StoreGrant("/eos/data/sand/dunes", True), [("data/sand/dunes", "/eos/data/sand/dunes", False)]),
        (StoreGrant("/eos/data/near", True), [("data/sand", "/eos/data/near", False)]),  # a link, and still in the data
        (StoreGrant("/eos/data/sand"), []),  # all data is there to read
        (StoreGrant("/eos/data/nothing", True), []),
        (StoreGrant("/eos/projects/forest"), [("projects/forest", "/eos/projects/forest", True)]),
        (StoreGrant("/eos/projects/forest", True), [("projects/forest", "/eos/projects/forest", False)]),
        (StoreGrant("/eos/projects/nix"), []),
        # however a grant came to stand in the database, it leads nowhere else
        (StoreGrant("/eos/data/../projects/forest", True), []),
        (StoreGrant("/etc", True), []),
        (StoreGrant("/eos/data//sand", True), []),
        (StoreGrant("/eos/data/sand/.", True), []),
    ],
)
def test_which_folders_are_mounted(tree: Settings, grant: StoreGrant, expected: list[Any]) -> None:
    assert mounts(tree, grant) == expected


@pytest.mark.parametrize("name", ["out", "over", "sand/up"])
def test_a_link_that_leads_out_is_refused(tree: Settings, name: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(NotAllowed, match=f"the folder /eos/data/{name} is a link that leads out") as refused:
        mounts(tree, StoreGrant(f"/eos/data/{name}", True))
    assert str(tree.var) not in refused.value.message and "leads to" in caplog.text


def test_a_projects_folder_that_is_a_link_is_refused(tree: Settings) -> None:
    store.ensure_store(tree, {"forest": 20001})
    with pytest.raises(NotAllowed, match="the folder /eos/projects/linked is a link"):
        store.ensure_store(tree, {"linked": 20002})
    (tree.store.projects / "dangling").symlink_to("nothing")
    with pytest.raises(NotAllowed, match="the folder /eos/projects/dangling is a link"):
        store.ensure_store(tree, {"dangling": 20002})
    assert not (tree.store.projects / "nothing").exists()


def test_who_else_belongs_to_the_folder_gives_its_group_to_the_server(tree: Settings) -> None:
    found = policy(tree, StoreGrant("/eos/projects/forest"))
    project = found.project("agriculture")
    assert project and granted(tree, found, ANA, project).projects == ("forest",)


def test_grants_in_the_plan(tree: Settings) -> None:
    """Own folders, what is granted, and below a hidden collection the way to what one may write there."""
    grants = (StoreGrant("/eos/data/sand/dunes", True), StoreGrant("/eos/projects/forest", True))
    found = policy(tree, *grants)
    project, image = found.project("agriculture"), found.image("lab")
    assert project and image
    got = granted(tree, found, ANA, project)
    site = Site("h", 1, {"agriculture": 7, "forest": 8}, hidden=("sand",), granted=got.mounts, groups=(9,))
    made = plan(tree, ANA, Choice(project, image, size=Size("l", "L", 4, 2**34)), site)
    root, var = tree.store.root.resolve(), tree.var.resolve()
    assert made.mounts[2:] == (
        Mount(f"{root}/data", "/eos/data"),
        Mount(f"{var}/covers/agriculture/sand", "/eos/data/sand"),
        Mount(f"{root}/projects/agriculture", "/eos/projects/agriculture", read_only=False),
        Mount(f"{root}/projects/forest", "/eos/projects/forest", read_only=False),
        Mount(f"{root}/data/sand/dunes", "/eos/data/sand/dunes", read_only=False),
    )
    assert [path.name for path in (var / "covers/agriculture/sand").iterdir()] == ["dunes"]
    assert (made.groups, made.limits.memory, made.limits.cpus) == ((8, 9), 2**34, 4)


def test_a_granted_collection_is_hidden_no_more(tree: Settings) -> None:
    record = tree.var / "catalogue" / "sand" / "collection.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"bdap:visibility": "project", "bdap:project": "forest"}))
    hidden = [
        store.hidden_collections(tree, policy(tree, *grants), ANA, "agriculture")
        for grants in ((), (StoreGrant("/eos/data/sand"),), (StoreGrant("/eos/data/sand/dunes", True),))
    ]
    assert hidden == [("sand",), (), ("sand",)]


@pytest.mark.parametrize(
    ("pins", "there", "expected"),
    [
        ((), (), ("", "")),
        ((("lab", PIN),), (f"bdap/lab@{PIN}", "bdap/lab:latest"), (PIN, f"bdap/lab@{PIN}")),
        ((("lab", PIN),), (PIN, "bdap/lab:latest"), (PIN, PIN)),
        ((("lab", PIN),), ("bdap/lab:latest",), "pinned to sha256:a"),
        ((("gpu", PIN),), (), ("", "")),
        ((("lab", PIN), "registry:5000/"), (), (PIN, f"registry:5000/bdap/lab@{PIN}")),  # to be pulled, as exactly that
    ],
)
async def test_a_pinned_image_is_that_or_nothing(settings: Settings, pins: Any, there: Any, expected: Any) -> None:
    registry = next((one for one in pins if isinstance(one, str)), "")
    found = policy(settings, pins=tuple(one for one in pins if not isinstance(one, str)))
    project, image = found.project("agriculture"), found.image("lab")
    assert project and image
    image = replace(image, reference=f"{registry}{image.reference}")

    async def has_image(name: str) -> bool:
        return name in there

    if isinstance(expected, tuple):
        assert await pinned(found, Choice(project, image), has_image) == expected
        return
    with pytest.raises(NotAllowed, match=expected):
        await pinned(found, Choice(project, image), has_image)


A0, A1, A2 = (Device("n", name, "NVIDIA A100") for name in ("a0", "a1", "a2"))
H0 = Device("n", "h0", "NVIDIA H100")
ONE_A100 = (GpuGrant("a100", 1),)


@pytest.mark.parametrize(
    ("held", "grants", "expected"),
    [
        ((), (GpuGrant(),), {"mine": ["a0"], "other": ["a1"]}),
        ((), ONE_A100, {"mine": ["a0"], "other": ["a1"]}),
        # one's project has as many as it may: the other is served, though behind
        (("a0",), ONE_A100, {"other": ["a1"]}),
        (("a0",), (GpuGrant("a100", 2),), {"other": ["a1"], "mine": ["a2"]}),
        (("a0",), (GpuGrant("a100", 1), GpuGrant("h100", 1)), {"mine": ["h0"], "other": ["a1"]}),
        (("a0", "h0"), (GpuGrant("a100", 1), GpuGrant("h100", 1)), {"other": ["a1"]}),
        ((), (GpuGrant("h100"),), {"mine": ["h0"], "other": ["a0"]}),
    ],
)
def test_how_many_gpus_a_project_holds_at_once(held: Any, grants: Any, expected: Any) -> None:
    taken = [Held(Place("n", name), f"before-{name}", "p") for name in held]
    waiting = [Wish("mine", "p", 1, grants=grants), Wish("other", "q", 2)]
    found = place([A0, A1, A2, H0], taken, waiting)
    assert {holder: [one.device for one in places] for holder, places in found.items()} == expected


def test_two_of_a_project_that_may_have_one(settings: Settings) -> None:
    waiting = [Wish("first", "p", 1, grants=ONE_A100), Wish("second", "p", 2, grants=ONE_A100)]
    assert list(place([A0, A1], [], waiting)) == ["first"]
    assert possible(waiting[0], [A0]) and not possible(waiting[0], [H0])


def spawner(name: str, project: str, size: str = "", *, ready: bool = True, active: bool = True, **kw: Any) -> Any:
    options = {"project": project, "image": "lab", "size": size}
    return SimpleNamespace(user_options=options, ready=ready, active=active, user=SimpleNamespace(name=name), **kw)


def test_what_counts_for_a_quota(settings: Settings) -> None:
    """Running servers, and starts that were admitted; not one's own, not those that failed or were not decided yet."""
    sizes = (Size("s", "S", 1, 2**30), Size("l", "L", 4, 2**34))
    found = replace(policy(settings, sizes=("s", "l"), quota=Quota(servers=2)), sizes=sizes)
    ana = [spawner("ana", "agriculture"), spawner("ana", "agriculture", "l"), spawner("ana", "forest")]
    eva = [
        spawner("eva", "agriculture", "l", ready=False, admitted=True),
        spawner("eva", "agriculture", "l", ready=False, admitted=False),
        spawner("eva", "agriculture", "l", ready=False, active=False, admitted=True),
    ]
    people = {
        name: SimpleNamespace(name=name, spawners=dict(enumerate(theirs)))
        for name, theirs in (("ana", ana), ("eva", eva))
    }
    for one in ana + eva:
        one.user.settings = {"users": people}
    assert usage(ana[0], found, "agriculture") == Usage(servers=1, cpus=8, memory=2 * 2**34)
    assert usage(eva[0], found, "agriculture") == Usage(servers=0, cpus=5, memory=2**34 + 2**30)
    assert usage(ana[0], found, "forest") == Usage(1, 1.0, 2**30)
