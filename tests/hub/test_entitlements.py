"""Ways to ask the real hub for what is not yours: form, link, API, a container left behind, a project that changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import docker
import httpx
import pytest

from bdap_hub import audit, database, renaming
from bdap_hub.entitlements import edit
from bdap_hub.spawning.plan import container_name

from .conftest import Platform
from .test_refusals import submit
from .test_servers import Server

pytestmark = pytest.mark.docker

OPERATOR = edit.Editor("operator:test")
WOODS = {"project": "woods", "image": "lab"}
MEMBER, NOBODY = "wim", "una"
TOO_SMALL = "has 0.586 of its 0.586 GiB of memory left"
OTHER = f"sha256:{'0' * 64}"


class Woods:
    """A project of the database, of which wim is a member; what is changed here counts within a second."""

    def __init__(self, platform: Platform) -> None:
        self.settings, self.store = platform.settings, database.connect(platform.settings.database)

    def set(self, name: str = "woods", **fields: Any) -> None:
        edit.change(self.settings, self.store, OPERATOR, name, fields)
        time.sleep(1)  # the hub is another process


@pytest.fixture(scope="module")
def woods(platform: Platform) -> Iterator[Woods]:
    for name in (MEMBER, NOBODY):
        platform.api("POST", f"/users/{name}")
    platform.api("POST", "/groups/project-woods")
    platform.api("POST", "/groups/project-woods/users", json={"users": [MEMBER]}).raise_for_status()
    found = Woods(platform)
    edit.create(found.settings, found.store, OPERATOR, "woods", {"title": "Woods", "sizes": ["standard", "large"]})
    yield found
    platform.stop(MEMBER)


def ask(platform: Platform, name: str, body: Any) -> httpx.Response:
    """Start by the API, as the person."""
    token = platform.token_of(name)
    return platform.api("POST", f"/users/{name}/server", token=token, json=body)


def refused(platform: Platform, name: str, body: Any, status: int, words: str) -> None:
    """Refused with these words, for people and in the audit log; nothing runs, and nothing is left on the engine."""
    answer = ask(platform, name, body)
    assert (answer.status_code, words in answer.json()["message"]) == (status, True), answer.text
    assert not platform.api("GET", f"/users/{name}").json()["servers"]
    newest = audit.latest(database.connect(platform.settings.database), 1, person=name)[0]
    assert (newest.action, newest.outcome) == ("start-server", "refused")
    with pytest.raises(docker.errors.NotFound):
        docker.from_env().containers.get(container_name(platform.settings, name))


OPTIONS = [
    ({**WOODS, "size": "huge"}, 403, "project woods has no size 'huge'"),
    ({**WOODS, "size": "Large"}, 403, "project woods has no size 'Large'"),
    ({**WOODS, "size": ["large"]}, 400, "'size' must be text"),
    ({**WOODS, "size": {"cpus": 64, "memory": "1T"}}, 400, "'size' must be text"),
    ({**WOODS, "size": 64}, 400, "'size' must be text"),
    ({**WOODS, "image": {"reference": "debian"}}, 400, "must both be given"),
    ({**WOODS, "project": ["woods", "forest"]}, 400, "must both be given"),
    ({**WOODS, "image": f"lab@{OTHER}"}, 403, "has no image"),
    ({**WOODS, "digest": OTHER}, 400, "unknown options ['digest']"),
    ({**WOODS, "mem_limit": "64G", "cpu_limit": 32}, 400, "unknown options ['cpu_limit', 'mem_limit']"),
    ({**WOODS, "environment": {"BDAP_PROJECT": "forest"}}, 400, "unknown options ['environment']"),
    ({**WOODS, "user": "0:0"}, 400, "unknown options ['user']"),
    ({**WOODS, "": "x"}, 400, "unknown options ['']"),
    ({"project": "wооds", "image": "lab"}, 403, "there is no project"),  # Cyrillic
    ({"project": "woods\u0000", "image": "lab"}, 403, "there is no project"),
    ({"project": "woods/../forest", "image": "lab"}, 403, "there is no project"),
    ({"project": "forest", "image": "lab"}, 403, "wim is not a member of project forest"),
]


def test_options_that_no_page_offers(platform: Platform, woods: Woods) -> None:
    for options, status, words in OPTIONS:
        refused(platform, MEMBER, {"user_options": options}, status, words)
        refused(platform, MEMBER, options, status, words)  # as older clients send them
    refused(platform, NOBODY, {"user_options": WOODS}, 403, "una is not a member of project woods")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"choice": "woods/lab", "size": "huge"}, "project woods has no size 'huge'"),
        ({"choice": "forest/lab", "size": "large"}, "wim is not a member of project forest"),
        ({"choice": "woods/lab", "project": "forest", "image": "gpu"}, TOO_SMALL),  # one's own choice counts
        ({"choice": ["woods/lab", "forest/lab"]}, TOO_SMALL),  # two are none, and then the only one there is counts
        ({"project": ["woods", "forest"], "image": "lab"}, "must both be given"),
        ({"choice": "woods/lab@sha256:0"}, "has no image"),
        ({"choice": "woods%2Flab"}, "must both be given"),
    ],
)
def test_a_tampered_form(platform: Platform, woods: Woods, data: dict[str, Any], words: str) -> None:
    woods.set(quota={"memory": "600M"})  # nothing starts that need not; what would is told by this
    with platform.browser(MEMBER) as browser:
        answer = submit(browser, platform.url, data)
    woods.set(quota={})
    text = answer.text.replace("&#39;", "'").replace("&#34;", '"')
    assert answer.status_code in (400, 403), text
    assert words in text
    assert not platform.api("GET", f"/users/{MEMBER}").json()["servers"]


@pytest.mark.parametrize(
    "query",
    [
        "opt-project=forest&opt-image=lab",
        "project=forest&image=lab",
        "project=woods&image=lab&size=huge",
        "image=debian",
    ],
)
def test_a_link_starts_nothing(platform: Platform, woods: Woods, query: str) -> None:
    with platform.browser(MEMBER) as browser:
        answer = browser.get(f"{platform.url}/hub/spawn?{query}")
    assert answer.status_code in (200, 400, 403), answer.text
    assert not platform.api("GET", f"/users/{MEMBER}").json()["servers"]


def test_what_the_project_no_longer_has(platform: Platform, woods: Woods) -> None:
    """Each edit counts for the next start, and is undone by the next one."""
    wanted = {"user_options": {**WOODS, "size": "large"}}
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    real = woods.settings.store.projects / "woods"
    changes: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"ends": yesterday}, {"ends": None}, f"project woods ended on {yesterday}"),
        ({"archived": True}, {"archived": False}, "project woods is archived"),
        ({"sizes": ["standard"]}, {"sizes": ["standard", "large"]}, "has no size 'large'"),
        ({"images": []}, {"images": ["lab"]}, "has no image 'lab'"),
        ({"quota": {"cpus": 1}}, {"quota": {}}, "has 1 of its 1 CPUs left, and this needs 1.5"),
        ({"images": [f"lab@{OTHER}"]}, {"images": ["lab"]}, "which is not here"),
    ]
    for change, back, words in changes:
        woods.set(**change)
        refused(platform, MEMBER, wanted, 403, words)
        woods.set(**back)
    real.symlink_to("forest")
    try:
        refused(platform, MEMBER, wanted, 403, "the folder /eos/projects/woods is a link that leads out")
    finally:
        real.unlink()


def test_a_container_left_behind_is_never_started_again(platform: Platform, woods: Woods) -> None:
    """It has other rights: another image, root, the host's folders. What starts is new, and as the grants say."""
    engine = docker.from_env()
    name = container_name(platform.settings, MEMBER)
    left = engine.containers.create(
        "bdap/lab:latest",
        ["sleep", "1000"],
        name=name,
        user="0:0",
        volumes={"/etc": {"bind": "/eos/etc", "mode": "rw"}},
        labels={"bdap.hub": platform.settings.install_id, "bdap.kind": "server", "bdap.person": MEMBER},
    )
    left.start()
    data = platform.settings.store.data / "sand"
    data.mkdir(exist_ok=True)
    data.chmod(0o777)
    image = engine.images.get("bdap/lab:latest").id
    woods.set(
        images=[f"lab@{image}"],
        store=[{"path": "/eos/data/sand", "mode": "write"}, {"path": "/eos/projects/forest"}],
        quota={"servers": 1},
    )
    (platform.settings.store.projects / "forest" / "theirs.txt").write_text("trees")
    platform.start(MEMBER, {**WOODS, "size": "large"})
    server = Server(platform, MEMBER)
    assert server.attrs["Id"] != left.id and server.attrs["Image"] == image
    assert server.attrs["Config"]["Image"] == image  # by content, not by name
    assert server.attrs["HostConfig"]["Memory"] == 900 * 2**20 and server.attrs["HostConfig"]["CpuQuota"] == 150_000
    assert server.sh("id -u")[1] != "0" and server.sh("ls /eos/etc")[0] != 0
    with pytest.raises(docker.errors.NotFound):
        engine.containers.get(left.id)
    assert server.sh("echo sand > /eos/data/sand/x && cat /eos/data/sand/x") == (0, "sand")
    assert server.sh("touch /eos/data/x")[0] != 0
    assert server.sh("cat /eos/projects/forest/theirs.txt") == (0, "trees")
    assert server.sh("touch /eos/projects/forest/mine.txt")[0] != 0
    assert server.sh("touch /eos/projects/woods/mine.txt")[0] == 0
    options = platform.api("GET", f"/users/{MEMBER}").json()["servers"][""]["user_options"]
    assert options == {**WOODS, "size": "large"}
    # one server a person, which is this one
    second = platform.api("POST", f"/users/{MEMBER}/servers/second", json=WOODS)
    assert second.status_code == 403 and "wim has 1 of 1 servers in project woods" in second.text, second.text
    platform.stop(MEMBER)


def test_the_last_choice_of_a_renamed_project(platform: Platform, woods: Woods) -> None:
    """An empty body repeats the last choice; by its former name that is nobody's."""
    renaming.rename(woods.settings, woods.store, OPERATOR, "woods", "timber")
    time.sleep(1)
    refused(platform, MEMBER, None, 403, "there is no project 'woods': it was renamed to 'timber'")
    assert (platform.settings.store.projects / "timber" / "mine.txt").exists()
    with pytest.raises(edit.Conflict):
        edit.create(woods.settings, woods.store, OPERATOR, "woods", {"title": "W", "group": "project-woods-2"})
    woods.set("timber", archived=True)
