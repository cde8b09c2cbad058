"""A push publishes: set up on the dashboard's page, heard by its webhook, in the name of who set it up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from bdap_hub import cli
from bdap_hub.dashboards.app import Doors
from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.releases import from_git
from bdap_hub.dashboards.releases.from_git import Calls, FromGit
from bdap_hub.dashboards.releases.git_sources import State
from bdap_hub.dashboards.releases.vault import Vault
from bdap_hub.dashboards.tables import Release
from bdap_hub.database import connect
from bdap_hub.errors import BadRequest, Busy, Conflict
from bdap_hub.web import HubLogin

from .conftest import API, Platform, notebook, zipped
from .repositories import GitServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    there = GitServer(tmp_path_factory.mktemp("git"))
    yield there
    there.close()


@pytest.fixture
def fetching(platform: Platform, server: GitServer, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The platform, whose operator named that server."""
    monkeypatch.setattr(platform.settings.dashboards, "git_hosts", (server.host,))
    monkeypatch.setattr(platform.settings.dashboards, "git_ca", server.ca)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return platform


def ask(platform: Platform, name: str, method: str, path: str, **options: Any) -> httpx.Response:
    """The API of publishing from git of agriculture's dashboard, as that person."""
    url = f"{platform.hub.url}{API}/agriculture/{path}"
    return httpx.request(method, url, headers=platform.hub.bearer(name), timeout=60, **options)


def doors_of(platform: Platform) -> Doors:
    return Doors(
        platform.settings, HubLogin(platform.settings, "dashboards"), Records(connect(platform.settings.database))
    )


def event(ref: str = "refs/heads/main", after: str = "1" * 40, kind: str = "Push Hook", **more: Any) -> dict[str, Any]:
    """What GitLab sends."""
    headers = {"X-Gitlab-Event": kind, "X-Gitlab-Token": more.pop("token", "")}
    return {"headers": headers, "json": {"object_kind": "push", "ref": ref, "after": after, **more}, "timeout": 60}


def outcome(platform: Platform, slug: str, *states: str) -> dict[str, Any]:
    """What came of a push, once something did."""
    deadline = time.monotonic() + 120
    while (found := ask(platform, "ana", "GET", f"{slug}/git").json())["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    assert found["state"] in states, found
    return dict(found)


def test_a_push_is_a_new_live_version(fetching: Platform, server: GitServer) -> None:
    assert fetching.publish("ana", "pushed", notebook("1"), visibility="people", title="Wheat").status_code == 201
    work = server.make("private-fields.git")
    server.push(work, {"maps/index.ipynb": notebook("1", text="as pushed first")})
    Vault(fetching.settings).keep("agriculture", "git_token", server.token.encode())
    place = {"url": server.url("private-fields.git"), "ref": "main", "folder": "maps", "secret": "git_token"}
    made = ask(fetching, "ana", "PUT", "pushed/git", json=place).json()
    hook, token = made["hook"], made["token"]
    assert "token" not in ask(fetching, "ana", "PUT", "pushed/git", json=place).json()  # it is told once
    assert token not in ask(fetching, "ana", "GET", "pushed/git").text

    assert httpx.post(hook, **event(token=token)).status_code == 202
    commit = server.push(work, {"maps/index.ipynb": notebook("1", text="as pushed second")})
    assert httpx.post(hook, **event(token=token)).status_code == 202  # while the first is under way
    deadline = time.monotonic() + 120
    while outcome(fetching, "pushed", "published", "unchanged")["commit"] != commit:  # the first one's, for a moment
        assert time.monotonic() < deadline
        time.sleep(0.2)
    one = ask(fetching, "ana", "GET", "pushed").json()
    assert (one["visibility"], one["title"], one["status"]) == ("people", "Wheat", "live")
    version = one["versions"][0]
    assert version["status"] == "live" and version["publisher"] == "ana" and version["version"] == one["version"]
    published = next(e for e in fetching.audit("dashboard.publish") if "from git" in e.reason)
    assert (published.person, published.subject, published.outcome) == ("ana", "agriculture/pushed", "allowed")

    assert httpx.post(hook, **event(token=token)).status_code == 202  # GitLab sends it again
    assert outcome(fetching, "pushed", "unchanged")["told"].startswith("nothing new")
    assert ask(fetching, "ana", "GET", "pushed").json()["version"] == one["version"]
    server.push(work, {"maps/index.ipynb": notebook("1/0")})
    assert ask(fetching, "ana", "POST", "pushed/git/publish").status_code == 202  # without a push
    failed = outcome(fetching, "pushed", "failed")
    assert "ZeroDivisionError" in failed["told"] and server.token not in failed["told"]
    assert ask(fetching, "ana", "GET", "pushed").json()["version"] == one["version"]


@pytest.fixture(scope="module")
def quiet(platform: Platform, server: GitServer) -> dict[str, Any]:
    """A dashboard of which nothing that is refused may publish anything: its repository is empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platform.settings.dashboards, "git_hosts", (server.host,))
        assert platform.publish("ana", "quiet", notebook("1")).status_code == 201
        made = ask(platform, "ana", "PUT", "quiet/git", json={"url": server.url("nothing.git"), "folder": "maps"})
    assert made.status_code == 200, made.text
    return dict(made.json())


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        ({"token": "other"}, 403, "no such webhook"), ({"token": ""}, 403, "no such webhook"),
        ({"ref": "refs/heads/other"}, 200, "is not 'main'"), ({"ref": "refs/heads/main2"}, 200, "is not 'main'"),
        ({"kind": "Issue Hook"}, 200, "is no push"), ({"after": "0" * 40}, 200, "deleted"),
        ({"ref": "refs/tags/main", "kind": "Tag Push Hook"}, 202, "waiting"),
    ],
)  # fmt: skip
def test_which_events_publish(
    fetching: Platform,
    quiet: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, str],
    status: int,
    reason: str,
) -> None:
    asked: list[int] = []

    async def ask_(_self: FromGit, id: int) -> None:
        asked.append(id)

    monkeypatch.setattr(FromGit, "ask", ask_)
    monkeypatch.setattr(Calls, "count", lambda *_: None)
    answer = httpx.post(quiet["hook"], **event(**{"token": quiet["token"], **said}))
    assert (answer.status_code, bool(asked)) == (status, status == 202) and reason in answer.text


def test_who_lost_the_project_publishes_nothing_more(
    fetching: Platform, quiet: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    letters: list[dict[str, str]] = []

    async def wrote(_self: Any, path: str, body: dict[str, str]) -> bool:
        letters.append({"path": path, **body})
        return True

    monkeypatch.setattr("bdap_hub.web.login.HubLogin.ask_hub", wrote)
    monkeypatch.setattr(Calls, "count", lambda *_: None)
    fetching.hub.set_group("project-agriculture", "ana", False)
    try:
        time.sleep(0.5)  # the hub's answers serve for 0.4 s
        answers = [httpx.post(quiet["hook"], **event(token=quiet["token"])) for _ in range(2)]
    finally:
        fetching.hub.set_group("project-agriculture", "ana", True)
    time.sleep(0.5)
    assert [one.status_code for one in answers] == [403, 403] and "ana, who set it up" in answers[0].json()["message"]
    assert [one["reason"] for one in letters] == ["git-refused"] and letters[0]["person"] == "ana"  # once an hour
    found = ask(fetching, "ana", "GET", "quiet/git").json()
    assert found["state"] == "refused" and "not a member" in found["told"]
    refused = fetching.audit("dashboard.publish")[0]
    assert (refused.subject, refused.outcome, bool(refused.address)) == ("agriculture/quiet", "refused", True)
    assert httpx.post(quiet["hook"], **event(token=quiet["token"])).status_code == 202  # a member again
    assert "git fetch failed" in outcome(fetching, "quiet", "failed")["told"]


def test_a_push_that_was_heard_is_carried_out_after_a_crash(fetching: Platform, quiet: dict[str, Any]) -> None:
    doors = doors_of(fetching)
    row = doors.records.get("agriculture", "quiet")

    async def back(*states: State) -> None:
        for state in states:
            doors.from_git.sources.note(row.id, state)
            async with doors.from_git.working():
                await asyncio.wait(doors.from_git._tasks, timeout=60)
            assert "git fetch failed" in outcome(fetching, "quiet", "failed")["told"]  # there is nothing yet

    asyncio.run(back("running", "waiting"))


def test_by_the_forms_of_its_page(fetching: Platform, quiet: dict[str, Any], server: GitServer) -> None:
    browser = fetching.hub.browser("ana")
    address = f"{fetching.hub.url}/services/dashboards/d/agriculture/quiet"
    page = browser.get(address).text
    assert "Published from git" in page and quiet["hook"] in page and quiet["token"] not in page
    words = {"_xsrf": page.partition('name="_xsrf" value="')[2].partition('"')[0], "folder": "maps"}
    assert browser.post(f"{address}/git/set", data=words).status_code == 400
    kept = browser.post(f"{address}/git/set", data={**words, "url": server.url("nothing.git")})
    assert kept.status_code == 200 and kept.url.path.endswith("/d/agriculture/quiet")
    assert browser.post(f"{address}/git/token", data={"folder": "maps"}).status_code == 403  # without _xsrf


def test_by_the_command_line(
    fetching: Platform, quiet: dict[str, Any], server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BDAP_TOKEN", fetching.hub.token("ana"))
    monkeypatch.setenv("BDAP_HUB_URL", fetching.hub.url)
    monkeypatch.delenv("BDAP_DASHBOARDS_URL", raising=False)
    said = ["agriculture/quiet", server.url("nothing.git"), "--folder", "maps"]
    for command, says in (
        (["set", *said], f"webhook: {quiet['hook']}\n"),
        (["show", "agriculture/quiet"], "folder: maps\n"),
        (["publish", "agriculture/quiet"], "is published soon"),
    ):
        made = CliRunner().invoke(cli.main, ["dashboards", "git", *command])
        assert made.exit_code == 0 and says in made.output and quiet["token"] not in made.output, made.output
    outcome(fetching, "quiet", "failed")
    other = CliRunner().invoke(cli.main, ["dashboards", "git", "set", "agriculture/quiet", "file:///etc"])
    assert other.exit_code == 1 and "no address" in other.output


def test_what_happened_since_the_last_try_counts(
    fetching: Platform, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken down, or its setting removed, while the first try was under way; the control is tried again."""
    assert fetching.publish("ana", "meanwhile", notebook("1")).status_code == 201
    place = {"url": server.url("nothing.git"), "folder": "maps"}
    assert ask(fetching, "ana", "PUT", "meanwhile/git", json=place).status_code == 200
    doors = doors_of(fetching)
    row = doors.records.get("agriculture", "meanwhile")
    tries: list[int] = []
    meanwhile: list[Callable[[], object]] = []
    monkeypatch.setattr(from_git, "PAUSE", 0)

    def publish(_self: FromGit, _source: Any, _row: Any) -> str:
        tries.append(1)
        for act in meanwhile:
            act()
        raise Conflict("it is being published just now")

    monkeypatch.setattr(FromGit, "_publish", publish)

    def told() -> str:
        """What its page says after a push, or that it has no setting any more."""
        tries.clear()
        asyncio.run(doors_of(fetching).from_git._carry_out(row.id))  # a client of the hub is of one loop
        found = doors.from_git.sources.of(row)
        return found.told if found else "gone"

    assert "being published" in told() and len(tries) == 4
    meanwhile.append(lambda: doors.from_git.sources.remove(row))
    assert told() == "gone" and len(tries) == 1
    assert ask(fetching, "ana", "PUT", "meanwhile/git", json=place).status_code == 200
    meanwhile[:] = [lambda: doors.records.retire(doors.records.get("agriculture", "meanwhile"))]
    assert "was taken down" in told() and len(tries) == 1
    found = doors.records.find("agriculture", "meanwhile")
    assert found is not None and found.status == "retired"


def test_a_project_leaves_room_for_others(fetching: Platform, quiet: dict[str, Any]) -> None:
    doors = doors_of(fetching)
    row = doors.records.get("agriculture", "quiet")
    queue = doors.from_git
    queue._tasks = {None, False}  # type: ignore[arg-type]  # nobody works: they wait
    queue._waiting = dict.fromkeys(range(-9, 0), "agriculture") | dict.fromkeys(range(-39, -20), "forest")
    asyncio.run(queue.ask(row.id))
    assert row.id in queue._waiting
    del queue._waiting[row.id]
    queue._waiting[-10] = "agriculture"
    with pytest.raises(Busy, match="too many"):
        asyncio.run(queue.ask(row.id))
    found = queue.sources.of(row)
    assert found is not None and found.state == "failed" and "too many" in found.told


@pytest.mark.parametrize(
    ("manifest", "refused"),
    [
        ("title: x", ""), ("secrets: [known]", ""), ("data: [/eos/data/fields]", ""), ("image: maps", ""),
        ("secrets: [known, other]", "secrets: 'other'"), ("data: [/eos/data/more]", "data: '/eos/data/more'"),
        ("image: other", "image: 'other'"),
    ],
)  # fmt: skip
def test_a_push_asks_for_no_more_than_was_published_by_hand(manifest: str, refused: str) -> None:
    files = {"index.ipynb": notebook("1"), "bdap-dashboard.yaml": manifest.encode()}
    bundle = read_bundle("x.zip", zipped(files), 2**20)
    live = Release(status="live", manifest={"secrets": ["known"], "image": "maps"})
    old = Release(status="retired", manifest={"secrets": ["other"]})
    versions = [Release(status="draft", manifest={"data": ["/eos/data/fields"]}), live, old]
    if refused:
        with pytest.raises(BadRequest, match=f"{refused} is new"):
            from_git.check_asked(bundle, versions)
    else:
        from_git.check_asked(bundle, versions)


def test_who_may_set_it_up(fetching: Platform, quiet: dict[str, Any], server: GitServer) -> None:
    place = {"url": server.url("nothing.git")}
    assert ask(fetching, "ben", "PUT", "quiet/git", json=place).status_code == 404  # who may not even see it
    assert ask(fetching, "ben", "GET", "quiet/git").status_code == 404
    assert ask(fetching, "ana", "PUT", "quiet/grants/person/ben", json={"role": "viewer"}).status_code == 204
    for method, path in (("PUT", ""), ("GET", ""), ("DELETE", ""), ("POST", "/token"), ("POST", "/publish")):
        answer = ask(fetching, "ben", method, f"quiet/git{path}", json=place)
        assert answer.status_code == 403, (method, path, answer.text)  # who sees it, and may not edit it
    elsewhere = ask(fetching, "ana", "PUT", "quiet/git", json={"url": "https://evil.example/x.git"})
    assert elsewhere.status_code == 400 and "is not among" in elsewhere.json()["message"]
    unknown = ask(fetching, "ana", "PUT", "quiet/git", json={**place, "secret": "of-others"})
    assert unknown.status_code == 404 and "no secret" in unknown.json()["message"]
    renewed = ask(fetching, "ana", "POST", "quiet/git/token").json()["token"]
    assert httpx.post(quiet["hook"], **event(token=quiet["token"])).status_code == 403
    bearer = {"Authorization": f"Bearer {renewed}"}
    assert httpx.post(quiet["hook"], headers=bearer).status_code == 202  # of no GitLab, and without a word
    assert ask(fetching, "ana", "DELETE", "quiet/git").status_code == 204
    assert httpx.post(quiet["hook"], headers=bearer).status_code == 403
    assert ask(fetching, "ana", "GET", "quiet/git").status_code == 404


def test_how_often_a_webhook_may_be_called() -> None:
    calls = Calls()
    for second in range(30):
        calls.count(1, second)
    with pytest.raises(Busy):
        calls.count(1, 30)
    calls.count(2, 30)
    calls.count(1, 60.5)
