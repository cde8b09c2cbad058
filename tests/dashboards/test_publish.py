"""Publishing: who may, what comes of it, and that nothing half-published stays."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bdap_hub.dashboards.bundle import read_bundle
from bdap_hub.dashboards.publish import Publisher, Wish
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.runtime import make_runtime
from bdap_hub.database import connect
from bdap_hub.errors import Conflict
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
    monkeypatch.setattr("bdap_hub.dashboards.publish.try_out", lambda runtime, launch, tell: "")
    monkeypatch.setattr("bdap_hub.dashboards.publish.how", lambda runtime, launch: ("", ""))
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
    assert httpx.delete(url, headers=platform.hub.bearer("ana")).status_code == 204
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
