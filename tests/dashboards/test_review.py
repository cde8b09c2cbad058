"""From draft to live and back: who may, what a visitor gets meanwhile, and that nobody is cut off."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from bdap_hub.database import connect
from bdap_hub.identity.tables import Account
from bdap_hub.settings.projects import ApprovalSettings, ProjectDashboardsSettings

from .conftest import API, Platform, notebook
from .sockets import answers, kernel_of, socket_to
from .visitors import BROWSERS, session_of, visitor_of

LEADS = "project-agriculture-leads"


@contextmanager
def approval(platform: Platform, **asked: Any) -> Iterator[None]:
    """While it lasts, project agriculture asks for these approvals, and pia leads it."""
    hub, before = platform.hub, platform.settings.projects
    rules = ProjectDashboardsSettings(approve=ApprovalSettings(**asked))
    changed = tuple(p.model_copy(update={"dashboards": rules}) if p.name == "agriculture" else p for p in before)
    if hub.api("GET", f"/groups/{LEADS}").status_code == 404:
        hub.api("POST", f"/groups/{LEADS}").raise_for_status()
    hub.set_group(LEADS, "pia", True)
    platform.settings.projects = changed
    try:
        yield
    finally:
        platform.settings.projects = before
        hub.set_group(LEADS, "pia", False)


@pytest.fixture
def led(platform: Platform) -> Iterator[None]:
    """What more people than the project's are to see needs a lead's approval."""
    with approval(platform, people="leads", public="leads"):
        yield


def act(platform: Platform, person: str, slug: str, step: str, **said: Any) -> httpx.Response:
    """`step` is such as versions/1/approve."""
    url = f"{platform.hub.url}{API}/agriculture/{slug}/{step}"
    return httpx.post(url, headers=platform.hub.bearer(person) if person else {}, json=said, timeout=60)


def text(number: int) -> bytes:
    return notebook("1", text=f"version number {number}")


@pytest.fixture
def rhea(platform: Platform) -> Iterator[str]:
    """An administrator with an address, as the hub knows her."""
    store = connect(platform.settings.database)
    words = {"issuer": "the test hub", "standing": "approved", "groups": ["bdap-admins"]}
    with store.begin() as session:
        session.merge(Account(name="rhea", subject="sub-rhea", email="rhea@example.eu", **words))
    yield "rhea"
    with store.begin() as session:
        session.delete(session.get_one(Account, "rhea"))


def test_those_who_may_approve_get_a_letter(platform: Platform, led: None, rhea: str):
    platform.hub.browser("ana")  # the hub writes of people whom it knows
    folder = platform.hub.settings.var / "mail"
    for number in (1, 2):  # one letter an hour
        assert platform.publish("ana", "told", text(number), visibility="public").json()["status"] == "submitted"
    deadline = time.monotonic() + 20
    while not (found := _letters(folder, "agriculture/told")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [one["Subject"].partition(": ")[2] for one in found] == ["Dashboard agriculture/told waits for a review"]
    assert "The account ana has submitted" in found[0].get_content()
    assert platform.publish("ana", "untold", text(1)).json()["status"] == "live"
    assert _letters(folder, "agriculture/untold") == [] and len(_letters(folder, "agriculture/told")) == 1
    url, body = f"{platform.hub.url}/hub/api/bdap/letters", {"dashboard": "agriculture/told", "reason": "review"}
    token = {"Authorization": f"token {platform.settings.secret('service-dashboards')}"}
    assert httpx.post(url, json=body, headers=token).status_code == 400
    said = {**body, "visibility": "public", "publisher": "ana"}
    assert httpx.post(url, json=said, headers=platform.hub.bearer("ana")).status_code == 403
    assert httpx.post(url, json=said, headers=token).json()["letters"] >= 1


def _letters(folder: Path, dashboard: str) -> list[Any]:
    found = [message_from_bytes(one.read_bytes(), policy=policy.default) for one in sorted(folder.glob("*.eml"))]
    return [one for one in found if one["To"] == "rhea@example.eu" and f"Dashboard {dashboard} " in one["Subject"]]


def test_the_public_sees_what_a_lead_has_approved(platform: Platform, led: None):
    made = platform.publish("ana", "asked", text(1), visibility="public")
    assert (made.status_code, made.json()["status"], made.json()["version"]) == (201, "submitted", 1)
    assert platform.open("agriculture--asked").status_code == 404
    assert httpx.get(f"{platform.hub.url}{API}/agriculture/asked").status_code == 404
    for person, status in (("", 401), ("ben", 404), ("ana", 403), ("olga", 200)):
        waiting = httpx.get(f"{platform.hub.url}/services/dashboards/api/reviews", headers=_bearer(platform, person))
        seen = waiting.status_code == 200 and "agriculture/asked" in waiting.text
        assert seen is (person == "olga"), person
        if person != "olga":
            assert act(platform, person, "asked", "versions/1/approve").status_code == status, person
    page = platform.hub.browser("ana").get(f"{platform.hub.url}/services/dashboards/d/agriculture/asked")
    assert page.status_code == 200 and "Nothing of it is live yet" in page.text
    refused = act(platform, "ana", "asked", "versions/1/promote")
    assert refused.status_code == 403 and "must approve this version" in refused.json()["message"]
    approved = act(platform, "pia", "asked", "versions/1/approve", comment="Well done")
    assert approved.status_code == 200, approved.text
    assert (approved.json()["status"], approved.json()["live"], approved.json()["reviewer"]) == ("live", 1, "pia")
    assert "version number 1" in platform.eventually("agriculture--asked", "version number 1")
    event = platform.audit("dashboard.approve")[0]
    assert (event.person, event.outcome, event.reason) == ("pia", "allowed", "version 1 for public, live")
    assert act(platform, "pia", "asked", "versions/1/approve").status_code == 409  # it is live already


def test_a_rejected_version_never_replaces_what_is_live(platform: Platform, led: None):
    assert platform.publish("ana", "judged", text(1)).json()["status"] == "live"  # for members nobody is asked
    again = platform.publish("ana", "judged", text(2), visibility="people", title="Second")
    assert again.json()["status"] == "submitted"
    told = _model(platform, "judged", "ana")
    assert (told["version"], told["title"], told["visibility"]) == (1, "Judged", "project")
    assert act(platform, "pia", "judged", "versions/2/reject", comment=" ").status_code == 400
    assert act(platform, "ana", "judged", "versions/2/reject", comment="no").status_code == 403
    assert act(platform, "pia", "judged", "versions/2/reject", comment="Say which year").status_code == 200
    versions = {one["version"]: one for one in _model(platform, "judged", "ana")["versions"]}
    assert (versions[2]["status"], versions[2]["comment"], versions[1]["status"]) == (
        "rejected",
        "Say which year",
        "live",
    )
    assert act(platform, "ana", "judged", "versions/2/promote").status_code in (403, 409)
    assert act(platform, "ana", "judged", "versions/2/submit").json()["status"] == "submitted"
    kept = act(platform, "pia", "judged", "versions/2/approve", live=False)
    assert (kept.json()["status"], kept.json()["live"]) == ("approved", 1)
    assert act(platform, "ana", "judged", "versions/2/promote").json()["live"] == 2
    told = _model(platform, "judged", "ana")
    assert (told["title"], told["visibility"]) == ("Second", "people")
    wider = _show(platform, "judged", "ana", "public")  # it was approved for everybody logged in
    assert wider.status_code == 403 and "must approve" in wider.text
    assert _show(platform, "judged", "ana", "project").status_code == 200
    assert _show(platform, "judged", "ana", "people").status_code == 200


def test_who_comes_by_a_link_or_as_a_group_sees_what_was_approved(platform: Platform, led: None):
    assert platform.publish("ana", "linked", text(1)).json()["status"] == "live"
    url, pia = f"{platform.hub.url}{API}/agriculture/linked", platform.hub.bearer("pia")
    made = httpx.post(f"{url}/links", headers=pia, json={"days": 1}, timeout=60)
    assert made.status_code in (200, 201), made.text
    assert platform.publish("ana", "linked", text(2)).json()["status"] == "submitted"
    assert act(platform, "ana", "linked", "versions/2/promote").status_code == 403
    assert act(platform, "pia", "linked", "versions/2/approve").json()["live"] == 2
    assert act(platform, "ana", "linked", "rollback").json()["live"] == 1  # who made the link saw that one
    gone = httpx.delete(f"{url}/links/{made.json()['id']}", headers=platform.hub.bearer("ana"), timeout=60)
    assert gone.status_code == 204, gone.text
    assert platform.publish("ana", "linked", text(3)).json()["status"] == "live"  # for members nobody is asked
    group = httpx.put(f"{url}/grants/group/project-forest", headers=pia, json={"role": "viewer"}, timeout=60)
    if group.status_code == 204:
        assert platform.publish("ana", "linked", text(4)).json()["status"] == "submitted"


def test_what_was_taken_down_begins_anew(platform: Platform, led: None):
    assert platform.publish("ana", "gone", text(1), visibility="public").json()["status"] == "submitted"
    assert act(platform, "pia", "gone", "versions/1/approve").json()["live"] == 1
    assert _model(platform, "gone", "ana")["visibility"] == "public"
    url = f"{platform.hub.url}{API}/agriculture/gone"
    assert httpx.delete(url, headers=platform.hub.bearer("ana"), timeout=60).status_code == 204
    assert platform.publish("ana", "gone", text(2), visibility="public", draft="1").json()["status"] == "draft"
    assert act(platform, "ana", "gone", "versions/2/promote").status_code == 403
    assert act(platform, "ana", "gone", "versions/1/promote").json()["live"] == 1
    assert _model(platform, "gone", "ana")["visibility"] == "project"  # no more: nobody approves it anew


def test_a_lead_does_not_share_their_own_work(platform: Platform, led: None):
    platform.hub.set_group("project-agriculture", "pia", True)
    try:
        assert platform.publish("pia", "mine", text(1)).json()["status"] == "live"
        url, days = f"{platform.hub.url}{API}/agriculture/mine/links", {"days": 1}
        assert httpx.post(url, headers=platform.hub.bearer("pia"), json=days, timeout=60).status_code == 403
        assert httpx.post(url, headers=platform.hub.bearer("olga"), json=days, timeout=60).status_code in (200, 201)
    finally:
        platform.hub.set_group("project-agriculture", "pia", False)


def test_those_who_see_a_dashboard_do_not_see_its_drafts(platform: Platform):
    assert platform.publish("ana", "drafted", text(1)).status_code == 201
    draft = platform.publish("ana", "drafted", text(2), draft="yes").json()
    assert (draft["status"], draft["version"]) == ("draft", 2)
    platform.hub.set_group("project-agriculture", "pia", True)
    try:
        assert [one["version"] for one in _model(platform, "drafted", "pia")["versions"]] == [1]
        assert act(platform, "pia", "drafted", "versions/2/promote").status_code == 403
    finally:
        platform.hub.set_group("project-agriculture", "pia", False)
    assert [one["version"] for one in _model(platform, "drafted", "ana")["versions"]] == [2, 1]
    assert act(platform, "ana", "drafted", "versions/2/submit").json()["status"] == "live"  # nobody must approve here
    assert act(platform, "ana", "drafted", "versions/3/promote").status_code == 404
    assert act(platform, "ana", "drafted", "versions/2/approve").status_code == 403


async def test_going_back_cuts_off_nobody(platform: Platform):
    for number in (1, 2):
        made = platform.publish("ana", "returned", text(number), visibility="public").json()
    host, origin = "agriculture--returned", made["url"].rstrip("/")
    kernel = kernel_of(platform.eventually(host, "version number 2"))
    path = f"/api/kernels/{kernel}/channels?session_id=s"
    async with socket_to(platform, path, origin, {}, host) as socket:
        assert await answers(socket, "kernel_info")
        back = act(platform, "ana", "returned", "rollback")
        assert (back.status_code, back.json()["live"]) == (200, 1), back.text
        assert "version number 1" in platform.eventually(host, "version number 1")
        platform.gateway.keeper.clean_up()  # as every half minute
        assert await answers(socket, "comm_info")
    await _until_nobody_looks(platform, "returned")
    async with socket_to(platform, path, origin, {}, host) as socket:  # the network was away
        assert await answers(socket, "comm_info")
        assert _watched(platform, "returned") == {"agriculture--returned--v2"}
    other = f"/api/kernels/{kernel[:-4]}ffff/channels"
    await _until_nobody_looks(platform, "returned")
    async with socket_to(platform, other, origin, {}, host) as socket:  # a kernel of nobody yet: of the live version
        assert await answers(socket, "comm_info")
        assert _watched(platform, "returned") == {"agriculture--returned--v1"}


def test_the_page_offers_each_what_they_may_do(platform: Platform, led: None):
    assert platform.publish("ana", "offered", text(1)).status_code == 201
    assert platform.publish("ana", "offered", text(2), visibility="people").status_code == 201
    path = f"{platform.hub.url}/services/dashboards/d/agriculture/offered"
    author, lead = platform.hub.browser("ana"), platform.hub.browser("pia")
    assert "Approve and make live" not in author.get(path).text
    page = lead.get(path).text
    assert "Approve and make live" in page and "everybody logged in" in page
    found = re.search(r'name="_xsrf" value="(\w+)"', page)
    assert found is not None
    step = f"{path}/versions/2/approve"
    assert lead.post(step, data={"comment": "Fine"}).status_code == 403  # without the form's token
    done = lead.post(step, data={"comment": "Fine", "_xsrf": found[1]})
    assert done.status_code == 200 and "pia: Fine" in done.text and "Approve and make live" not in done.text
    assert _model(platform, "offered", "ana")["version"] == 2


@pytest.mark.parametrize("form", ["versions/1/promote", "sharing/grant", "visibility"])
def test_a_form_is_read_once_it_is_known_whose_it_is_and_how_long(platform: Platform, form: str):
    path, ana = f"{platform.hub.url}/services/dashboards/d/agriculture/none/{form}", platform.hub.bearer("ana")
    large = {"files": {"comment": b"x" * 70_000}, "timeout": 60}
    assert httpx.post(path, **large).status_code == 401
    refused = httpx.post(path, headers=ana, **large)
    assert refused.status_code == 413 and "the limit is 65536" in refused.text
    pieces = {"Content-Type": "application/x-www-form-urlencoded", **ana}
    assert httpx.post(path, headers=pieces, content=iter([b"comment=x"]), timeout=60).status_code == 400
    small = {"visibility": "public", "comment": "x" * 60_000}
    assert httpx.post(path, headers=ana, data=small, timeout=60).status_code == 404  # it was read: there is no such


def test_a_version_is_looked_at_before_it_is_live(platform: Platform, led: None):
    """By those who edit or review the dashboard, at an address of its own, which counts no visits."""
    assert platform.publish("ana", "tried", text(1), visibility="people").json()["status"] == "submitted"
    host, name = "agriculture--tried--v1", "agriculture/tried/v1"
    assert platform.open("agriculture--tried").status_code == 404
    for person, status in (("ana", 200), ("pia", 200), ("ben", 403), ("", 302)):
        headers = session_of(platform, person, name) if person else {}
        assert platform.eventual(host, status, headers=headers).status_code == status, person
        assert not person or (_door(platform, person, "tried", 1).status_code == (303 if status == 200 else 403)), (
            person
        )
    assert platform.open(host, headers=session_of(platform, "ana", "agriculture/tried")).status_code == 302
    act(platform, "pia", "tried", "versions/1/approve")
    assert _model(platform, "tried", "ana")["visits"] == 0
    live = session_of(platform, "ben", "agriculture/tried")
    assert platform.eventual("agriculture--tried", 200, headers=live).status_code == 200  # whom the live one is for
    assert platform.open(host, headers=session_of(platform, "ben", name)).status_code == 403
    for wrong in ("v0", "v01", "v2", "x", "v", "v1--v1"):
        refused = platform.open(f"agriculture--tried--{wrong}", headers=session_of(platform, "ana", name))
        assert refused.status_code == 404, wrong


def _door(platform: Platform, person: str, slug: str, version: int) -> httpx.Response:
    """The hub's door to a preview, for a person's browser: the last answer before the ticket is used."""
    visitor_of(platform, person)
    to = platform.settings.dashboards.address("agriculture", slug, version)
    url, params = f"{platform.hub.url}/services/dashboards/enter", {"to": to, "begun": "x"}
    answer = BROWSERS[person].get(url, params=params, follow_redirects=False)
    while answer.is_redirect and answer.headers["location"].startswith(("/", platform.hub.url)):
        url = urljoin(platform.hub.url, answer.headers["location"])
        answer = BROWSERS[person].get(url, follow_redirects=False)
    return answer


def _bearer(platform: Platform, person: str) -> dict[str, str]:
    return platform.hub.bearer(person) if person else {}


def _watched(platform: Platform, slug: str) -> set[str]:
    """Versions of the dashboard that somebody looks at."""
    return {name for name in platform.gateway.keeper.looks.lives() if f"--{slug}--" in name}


async def _until_nobody_looks(platform: Platform, slug: str) -> None:
    """The gateway sees the end of a socket a moment later."""
    deadline = time.monotonic() + 30
    while _watched(platform, slug):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def _model(platform: Platform, slug: str, person: str) -> dict[str, Any]:
    answer = httpx.get(f"{platform.hub.url}{API}/agriculture/{slug}", headers=platform.hub.bearer(person))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _show(platform: Platform, slug: str, person: str, visibility: str) -> httpx.Response:
    browser = platform.hub.browser(person)
    path = f"{platform.hub.url}/services/dashboards/d/agriculture/{slug}"
    found = re.search(r'name="_xsrf" value="(\w+)"', browser.get(path).text)
    assert found is not None
    return browser.post(f"{path}/visibility", data={"visibility": visibility, "_xsrf": found[1]})
