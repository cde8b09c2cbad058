"""What is looked up or made on the host: uids, folders, hidden collections, GPUs, propagation, the form."""

from __future__ import annotations

import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bdap_hub import database
from bdap_hub.access import Person
from bdap_hub.settings import Settings
from bdap_hub.spawning import choices, plan
from bdap_hub.spawning.engines import docker_arguments
from bdap_hub.spawning.host import propagation_of
from bdap_hub.spawning.page import form
from bdap_hub.spawning.page.choosing import Known, start_page
from bdap_hub.spawning.plan import Site
from bdap_hub.spawning.store import folders as store
from bdap_hub.spawning.uids import gid_of, uid_of

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to other uids: needs root")


def test_uids_start_at_first_uid_and_stay(settings: Settings) -> None:
    sessions = database.connect(settings.database)
    assert [uid_of(sessions, name, 20000) for name in ("ana", "ben", "ana")] == [20000, 20001, 20000]
    assert [gid_of(sessions, name, 20000) for name in ("forest", "agriculture")] == [20000, 20001]
    again = database.connect(settings.database)
    assert uid_of(again, "ben", 20000) == 20001


def test_two_at_once_never_get_one_uid(settings: Settings) -> None:
    connections = [database.connect(settings.database) for _ in range(4)]
    names = [f"p{n}" for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: uid_of(connections[hash(n) % 4], n, 20000), names + names))
    assert found[:24] == found[24:]
    assert sorted(found[:24]) == list(range(20000, 20024))


@as_root
def test_a_home_is_its_owners_alone_and_a_projects_folder_its_members(settings: Settings) -> None:
    home = store.ensure_home(settings, "ana", 20000, 20001)
    store.ensure_store(settings, {"agriculture": 20001})
    (home / "kept.txt").write_text("x")
    assert store.ensure_home(settings, "ana", 20000, 20001) == home and (home / "kept.txt").exists()
    folder = settings.store.projects / "agriculture"
    assert (home.stat().st_uid, home.stat().st_mode & 0o7777) == (20000, 0o700)
    assert (folder.stat().st_gid, folder.stat().st_mode & 0o7777) == (20001, 0o2770)


@as_root
def test_a_new_home_starts_with_the_skeleton_and_an_old_one_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    skeleton = tmp_path / "skeleton"
    (skeleton / "notebooks").mkdir(parents=True, mode=0o755)
    (skeleton / "notebooks" / "first.ipynb").write_text("{}")
    settings.spawning.skeleton = skeleton
    home = store.ensure_home(settings, "ana", 20000, 20001)
    copied = home / "notebooks" / "first.ipynb"
    assert (copied.read_text(), copied.stat().st_uid, home.stat().st_mode & 0o777) == ("{}", 20000, 0o700)
    assert (home / "eos").readlink() == Path("/eos") and (home / "eos").lstat().st_uid == 20000
    copied.unlink()
    store.ensure_home(settings, "ana", 20000, 20001)
    assert not copied.exists()


@as_root
def test_two_first_servers_at_once_fill_one_home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go, fill = threading.Event(), threading.Event(), store.fill_home

    def slowly(*arguments: Any) -> None:
        begun.set()
        go.wait(0.5)  # the other comes meanwhile
        fill(*arguments)

    monkeypatch.setattr(store, "fill_home", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(store.ensure_home, settings, "ana", 20000, 20001)
        assert begun.wait(10)
        second = pool.submit(store.ensure_home, settings, "ana", 20000, 20001)
        homes = {first.result(10), second.result(10)}
    assert len(homes) == 1 and (homes.pop() / "eos").is_symlink()
    assert [path.name for path in (settings.var / "homes").iterdir()] == ["ana"]


@as_root
def test_an_odd_account_name_stays_in_homes(settings: Settings) -> None:
    home = store.ensure_home(settings, "../../etc", 20000, 20001)
    assert home.parent == settings.var.resolve() / "homes"


def catalogue(settings: Settings, name: str, text: str) -> None:
    folder = settings.var / "catalogue" / name
    folder.mkdir(parents=True)
    (folder / "collection.json").write_text(text)
    (settings.store.data / name).mkdir()


def test_collections_one_may_not_read_are_hidden(settings: Settings, people: dict[str, Person]) -> None:
    catalogue(settings, "sentinel", json.dumps({"bdap:visibility": "public"}))
    catalogue(settings, "plots", json.dumps({"bdap:visibility": "project", "bdap:project": "forest"}))
    catalogue(settings, "unsaid", "{}")
    catalogue(settings, "broken", "{")
    hidden = {n: store.hidden_collections(settings, settings.policy(), p) for n, p in people.items()}
    assert hidden == {
        "ana": ("broken", "plots", "unsaid"),
        "ben": ("broken", "unsaid"),
        "olga": ("broken", "unsaid"),
        "pia": ("broken", "plots", "unsaid"),
    }


def test_a_gpu_reaches_docker_by_its_id(settings: Settings, people: dict[str, Person]) -> None:
    (*_, choice) = choices(settings.policy(gpus=1), people["ana"])
    site = Site("h", 20000, {"agriculture": 20001}, gpus=("GPU-1",))
    asked = docker_arguments.host_config(plan(settings, people["ana"], choice, site))["device_requests"]
    assert [(dict(r)["DeviceIDs"], dict(r)["Capabilities"]) for r in asked] == [(["GPU-1"], [["gpu"]])]
    without = docker_arguments.host_config(plan(settings, people["ana"], choice, Site("h", 1, {"agriculture": 2})))
    assert "device_requests" not in without


def test_a_gpu_by_the_engines_own_name_for_it(settings: Settings, people: dict[str, Person]) -> None:
    (*_, choice) = choices(settings.policy(gpus=1), people["ana"])
    name, end = "nvidia.com/gpu=GPU-1", "2026-03-01T00:00:00Z"
    site = Site("h", 20000, {"agriculture": 20001}, gpus=("GPU-1",), cdi=(name,), gpu_until=end)
    found = plan(settings, people["ana"], choice, site)
    (asked,) = docker_arguments.host_config(found)["device_requests"]
    assert (asked["Driver"], asked["DeviceIDs"], asked["Capabilities"]) == ("cdi", [name], [])
    assert (found.labels["bdap.gpus"], found.environment["BDAP_GPU_UNTIL"]) == ("GPU-1", end)


MOUNTS = """
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:31 / /eos rw,relatime shared:7 - fuse eos rw
31 22 0:32 / /srv/with\\040space rw master:3 - ext4 x rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/eos/data", "rslave"), ("/eosx", "rprivate"), ("/srv/with space/d", "rslave"), ("/home", "rprivate")],
)
def test_propagation_is_what_the_mount_allows(path: str, expected: str) -> None:
    assert propagation_of(Path(path), MOUNTS.strip()) == expected


def test_the_form_offers_ones_choices_and_selects_the_last(settings: Settings, people: dict[str, Person]) -> None:
    possible = choices(settings.policy(), people["olga"])
    html = form.render(start_page("olga", possible, Known(), last={"project": "forest", "image": "lab"}))
    assert html.count('type="radio"') == 2 and html.count("checked") == 1
    assert re.search('value="forest/lab"[^>]* required checked', html)
    nothing = form.render(start_page("pia", (), Known()))
    assert "no project yet" in nothing and "radio" not in nothing


def test_the_form_escapes_what_the_operator_wrote(settings: Settings, people: dict[str, Person]) -> None:
    settings.projects[0].title = "<script>alert(1)</script>"
    html = form.render(start_page("ana", choices(settings.policy(), people["ana"]), Known()))
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert "<img" not in form.render(start_page("<img src=x onerror=alert(1)>", (), Known()))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"choice": ["forest/lab"]}, {"project": "forest", "image": "lab"}),
        ({"project": ["forest"], "image": ["lab"]}, {"project": "forest", "image": "lab"}),
        ({"choice": ["forest/../lab"]}, {"project": "forest", "image": "../lab"}),
        ({"choice": ["forest/lab", "x/y"]}, {}),
        ({"choice": ["forest"]}, {"project": "forest"}),
        ({}, {}),
    ],
)
def test_what_the_browser_sent(data: dict[str, list[str]], expected: dict[str, str]) -> None:
    assert form.options_from_form(data) == expected
