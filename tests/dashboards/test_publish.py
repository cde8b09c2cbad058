"""Publishing: who may, what comes of it, and that nothing half-published stays."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import httpx
import pytest

from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.releases.publish import Publisher, Wish
from bdap_hub.dashboards.running.keeper import Keeper
from bdap_hub.dashboards.running.runtime import make_runtime
from bdap_hub.dashboards.tables import Dashboard, Release
from bdap_hub.database import connect
from bdap_hub.errors import Conflict, NotAllowed, Unavailable
from bdap_hub.settings import Settings
from bdap_hub.web import HubLogin

from .conftest import API, Platform, notebook


def test_a_notebook_becomes_a_page_anyone_may_open(platform: Platform, published):
    made = published("public")
    assert made["id"] == "agriculture/shown-public"
    assert made["url"] == platform.settings.dashboards.address("agriculture", "shown-public")
    assert (made["version"], made["status"]) == (1, "live")
    page = platform.open("agriculture--shown-public")
    assert page.status_code == 200
    assert "Fields of wheat" in page.text  # the notebook's text
    assert "<title>Shown-Public</title>" in page.text  # and not its file's name
    assert "application/vnd.jupyter.widget-view+json" in page.text  # its output
    assert "slider.observe" not in page.text  # but not its source
    assert "set-cookie" not in page.headers


@pytest.mark.parametrize(
    ("person", "project", "status"),
    [("ana", "agriculture", 201), ("ben", "agriculture", 403), ("pia", "forest", 403), ("ana", "nowhere", 403)],
)
def test_publishing_needs_membership(platform: Platform, person: str, project: str, status: int):
    answer = platform.publish(person, "member-only", notebook("1"), project=project)
    assert answer.status_code == status, answer.text
    event = platform.audit("dashboard.publish")[0]
    assert (event.person, event.outcome) == (person, "allowed" if status == 201 else "refused")


def test_publishing_needs_login(platform: Platform):
    answer = httpx.post(f"{platform.hub.url}{API}", data={"slug": "x"}, files={"bundle": b"{}"})
    assert answer.status_code == 401


def test_a_release_token_reads_and_never_publishes(platform: Platform):
    token = HubLogin(platform.settings, "dashboards").release_token("agriculture/x", "project-agriculture", 60)
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{platform.hub.url}{API}", headers=headers).status_code == 200
    sent = httpx.post(
        f"{platform.hub.url}{API}",
        headers=headers,
        data={"project": "agriculture", "slug": "by-release"},
        files={"bundle": ("index.ipynb", notebook("1"))},
    )
    assert sent.status_code == 403


def test_a_failing_notebook_leaves_nothing_behind(platform: Platform):
    answer = platform.publish(
        "ana", "broken", notebook("password='hunter2hunter2'\nraise ValueError('no such band: B99')")
    )
    assert answer.status_code == 400
    assert "no such band: B99" in answer.json()["remedy"]
    assert "hunter2" not in answer.text
    assert platform.open("agriculture--broken").status_code == 404
    assert not [name for name in make_runtime(platform.settings).running() if "broken" in name]


def test_a_new_version_replaces_the_old_one_and_a_broken_one_does_not(platform: Platform):
    for number, text in ((1, "first text"), (2, "second text")):
        made = platform.publish("ana", "versions", notebook("1", text=text), visibility="public")
        assert made.json()["version"] == number
    assert "second text" in _eventually(platform, "agriculture--versions", "second text")
    assert platform.publish("ana", "versions", notebook("1/0"), visibility="public").status_code == 400
    assert "second text" in platform.open("agriculture--versions").text
    versions = httpx.get(f"{platform.hub.url}{API}/agriculture/versions").json()["versions"]
    assert [v["version"] for v in versions] == [2, 1]
    assert platform.publish("olga", "versions", notebook("1")).status_code == 201  # an administrator may
    answer = platform.publish("ben", "versions", notebook("1"))
    assert answer.status_code == 403


def test_what_somebody_else_published_meanwhile_is_not_replaced(settings: Any, monkeypatch: pytest.MonkeyPatch):
    """Access was asked when there was no such dashboard yet; by now it is ana's."""

    class Idle:
        def running(self) -> dict[str, float]:
            return {}

        def stop(self, name: str) -> None:
            pass

        def address(self, name: str) -> None:
            return None

    login = HubLogin(settings, "dashboards")
    records = Records(connect(settings.database))
    publisher = Publisher(settings, records, Idle(), login)  # type: ignore[arg-type]
    monkeypatch.setattr("bdap_hub.dashboards.releases.publish.try_out", lambda runtime, launch, tell: "")
    monkeypatch.setattr("bdap_hub.dashboards.releases.publish.how", lambda runtime, launch: ("", ""))
    wish = Wish("agriculture", "raced", "Raced", "", "project")
    bundle = read_bundle("index.ipynb", notebook("1"), 2**20)
    publisher.publish(wish, bundle, "ana", None)
    with pytest.raises(Conflict):
        publisher.publish(wish, bundle, "olga", None)
    found = records.get("agriculture", "raced")
    assert (found.owner, found.version, [r.publisher for r in records.releases(found)]) == ("ana", 1, ["ana"])
    assert publisher.publish(wish, bundle, "ana", found).version == 2


def test_taking_down(platform: Platform):
    assert platform.publish("ana", "short-lived", notebook("1"), visibility="public").status_code == 201
    url = f"{platform.hub.url}{API}/agriculture/short-lived"
    assert httpx.delete(url).status_code == 401
    assert httpx.delete(url, headers=platform.hub.bearer("ben")).status_code == 403
    assert httpx.get(url).status_code == 200
    assert httpx.delete(url, headers=platform.hub.bearer("ana"), timeout=60).status_code == 204
    assert httpx.get(url, headers=platform.hub.bearer("ana")).status_code == 404
    assert not [name for name in make_runtime(platform.settings).running() if "short-lived" in name]


def test_an_upload_without_a_length_is_refused_before_it_is_read(platform: Platform):
    def chunks():
        yield b"x" * 10

    headers = {**platform.hub.bearer("ana"), "Content-Type": "multipart/form-data; boundary=b"}
    answer = httpx.post(f"{platform.settings.dashboards.url}{API}", content=chunks(), headers=headers)
    assert answer.status_code == 400
    assert "how long" in answer.json()["message"]


def _eventually(platform: Platform, host: str, text: str) -> str:
    import time

    deadline = time.monotonic() + 20
    while text not in (page := platform.open(host).text) and time.monotonic() < deadline:
        time.sleep(0.3)
    return page


def test_one_publication_of_a_dashboard_at_a_time(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bdap_hub.dashboards.releases.publish._under_way", {"agriculture/twice"})
    refused = platform.publish("ana", "twice", notebook("1"))
    assert refused.status_code == 409 and "is being published just now" in refused.json()["message"]
    assert platform.publish("ana", "once", notebook("1")).status_code == 201


def test_a_bundle_does_not_stand_in_for_what_runs_it(platform: Platform):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.ipynb", notebook("import secret_formulas as f; f.answer", text="it runs"))
        archive.writestr("secret_formulas.py", "answer = 42")
        for name in ("stage/__main__.py", "stage/__init__.py", "tornado.py"):
            archive.writestr(name, "raise SystemExit('not what is to run')")
    made = platform.publish("ana", "in-between", packed.getvalue(), file="folder.zip", entry="index.ipynb")
    assert made.status_code == 201, made.text


def test_what_ended_while_it_was_published_stays_ended(settings: Settings):
    records = Records(connect(settings.database))

    def release(version: int) -> Release:
        return Release(version=version, bundle="b", entry="e", publisher="ana", title="x", visibility="public")

    row = Dashboard(project="p", slug="x", title="x", visibility="public", owner="ana", status="draft", version=0)
    records.add(row, release(1))
    live = records.make_live(row, 1)
    assert live.visibility == "public" and records.release(live, 1).approved == "public"
    records.retire(live)
    with pytest.raises(Conflict, match="down"):
        records.add(live, release(2))  # asked about while it was live
    with pytest.raises(Conflict, match="taken down"):
        records.make_live(live, 1)
    gone = records.find("p", "x")
    assert gone is not None and (gone.status, gone.visibility) == ("retired", "project")
    assert records.release(gone, 1).approved == ""
    records.add(gone, release(2))  # who publishes there anew
    assert records.make_live(records.find("p", "x"), 2).version == 2


def test_a_take_down_counts_though_the_engine_is_away(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    assert platform.publish("ana", "ended", notebook("1"), visibility="public").status_code == 201

    def away(*_: Any) -> None:
        raise Unavailable("the Docker engine does not answer", "start it")

    monkeypatch.setattr(Publisher, "stop_all", away)
    url = f"{platform.hub.url}{API}/agriculture/ended"
    assert httpx.delete(url, headers=platform.hub.bearer("ana"), timeout=60).status_code == 204
    assert httpx.get(url, headers=platform.hub.bearer("ana")).status_code == 404
    event = platform.audit("dashboard.take-down")[0]
    assert (event.subject, event.outcome) == ("agriculture/ended", "allowed")


async def test_a_page_goes_with_the_right_to_its_data(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    records, login = Records(connect(settings.database)), HubLogin(settings, "dashboards")
    row = Dashboard(project="p", slug="x", title="x", visibility="public", owner="ana", status="draft", version=0)
    records.add(row, Release(version=1, bundle="b", entry="e", publisher="ana", title="x", visibility="public"))
    records.make_live(row, 1)
    live = records.live("p", "x")
    assert live is not None
    keeper = Keeper(settings, records, login)
    monkeypatch.setattr(keeper, "_look_at_ended", lambda _: None)
    for error, stays in ((Unavailable("the engine is away"), True), (NotAllowed("data: not for project p"), False)):

        class Starting:
            def start(self, _live: Any, error: Exception = error) -> None:
                raise error

        monkeypatch.setattr(keeper, "_publisher", Starting)
        (settings.var / "dashboards/snapshots" / live.release).mkdir(parents=True, exist_ok=True)
        (settings.var / "dashboards/snapshots" / live.release / "page.html").write_text("<p>wheat")
        await keeper._start(live)
        assert (keeper.snapshots.page(live.release) is not None) is stays
