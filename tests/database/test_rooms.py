"""What each room keeps, on both databases: the statements where they differ, not the rooms' own rules."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from bdap_hub import database
from bdap_hub.access import Grant
from bdap_hub.dashboards.bundles.remote import Place
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.releases.git_sources import GitSources
from bdap_hub.dashboards.sharing.shares import Sharing
from bdap_hub.dashboards.tables import Dashboard, DashboardGrant, Release
from bdap_hub.errors import Conflict
from bdap_hub.identity import people, sessions
from bdap_hub.identity.id_token import IdToken, LoginRefused
from bdap_hub.processing.service.tables import Services
from bdap_hub.spawning.uids import gid_of, uid_of


@pytest.fixture
def store(database_url: str) -> Any:
    return database.connect(database_url)


def proven(subject: str, name: str) -> IdToken:
    return IdToken(subject, name, "Ana", frozenset({"b", "a"}), ("pwd", "otp"), time.time(), level="mfa", sid="s1")


def test_people_and_their_sessions(store: Any) -> None:
    ana = people.recognise(store, "https://idp", proven("1", "ana"), standing="approved")
    assert people.recognise(store, "https://idp", proven("1", "renamed"), standing="approved").name == ana.name
    with pytest.raises(LoginRefused, match="belongs to somebody else"):
        people.recognise(store, "https://idp", proven("2", "ana"), standing="approved")
    found = people.find(store, "ana")
    assert found is not None and found.groups == ["a", "b"]
    for cookie in ("one", "two"):
        sessions.begin(store, cookie, "ana", proven("1", "ana"), hours=1)
    sessions.begin(store, "old", "ana", proven("1", "ana"), hours=-1)
    assert len(sessions.live_of(store, "ana")) == len(sessions.by_sid(store, "s1")) - 1 == 2
    assert sessions.end(store, [sessions.digest("one")], "logged out") == 1
    assert sessions.live(store, sessions.digest("one")) is None
    sessions.end_expired(store)
    sessions.prune(store)
    assert sessions.people_with_live(store) == {"ana"}
    assert sessions.end_all(store, "ana", "revoked") == 1
    assert sessions.people_with_live(store) == set()


def test_a_very_long_acr_is_cut_not_refused(store: Any) -> None:
    login = replace(proven("1", "ana"), acr="urn:" + "x" * 1000)
    people.recognise(store, "https://idp", login, standing="approved")
    sessions.begin(store, "one", "ana", login, hours=1)
    assert [len(row.acr) for row in sessions.live_of(store, "ana")] == [255]


def crops(owner: str) -> tuple[Dashboard, Release]:
    dashboard = Dashboard(
        project="forest", slug="crops", title="Crops", visibility="public", owner=owner, status="draft", version=0
    )
    return dashboard, version(1, owner)


def version(number: int, publisher: str) -> Release:
    words = {"title": f"Crops {number}", "visibility": "public"}
    return Release(version=number, bundle=str(number) * 64, entry="x.ipynb", publisher=publisher, **words)


def test_dashboards(store: Any) -> None:
    records = Records(store)
    kept, first = crops("ana")
    records.add(kept, first)
    assert records.live("forest", "crops") is None  # a draft
    with pytest.raises(Conflict):
        records.add(*crops("ben"))
    kept = records.make_live(kept, 1)
    records.visited(kept.id)
    live = records.live("forest", "crops")
    assert live is not None and (live.owner, live.bundle, live.title) == ("ana", "1" * 64, "Crops 1")
    records.seen(live)
    assert abs(records.last_seen()["forest--crops--v1"] - time.time()) < 60
    assert [records.redeem("t", time.time() + 60) for _ in range(2)] == [True, False]


def states(records: Records) -> tuple[str, int, list[tuple[int, str]]]:
    found = records.find("forest", "crops")
    assert found is not None
    return found.status, found.version, [(one.version, one.status) for one in records.releases(found)]


def test_one_version_is_live_and_the_others_are_kept(store: Any) -> None:
    records = Records(store)
    kept, first = crops("ana")
    records.add(kept, first)
    kept = records.make_live(kept, 1)
    records.add(kept, version(2, "ana"))
    assert states(records) == ("live", 1, [(2, "draft"), (1, "live")])
    kept = records.make_live(kept, 2)
    assert states(records) == ("live", 2, [(2, "live"), (1, "retired")]) and kept.title == "Crops 2"
    records.show(kept, "project")
    with pytest.raises(Conflict, match="changed who sees"):
        records.make_live(kept, 1)  # decided on when everybody saw it
    kept = records.get("forest", "crops")
    kept = records.make_live(kept, 1)  # back again: content, not who sees it
    assert (kept.title, kept.visibility) == ("Crops 1", "project")
    records.retire(kept)
    assert states(records) == ("retired", 1, [(2, "retired"), (1, "retired")])
    with pytest.raises(Conflict, match="took forest/crops down"):
        records.add(kept, version(3, "ben"))  # decided on when it was live
    kept = records.find("forest", "crops")
    records.add(kept, version(3, "ben"))  # whoever publishes there anew owns it
    found = records.find("forest", "crops")
    assert found is not None and (found.owner, found.status) == ("ben", "draft")


def test_who_shares_it_meanwhile_is_seen_or_refused(store: Any) -> None:
    """Else a link shows what nobody approved, or is there for whoever publishes at that address next."""
    records, sharing = Records(store), Sharing(store)
    kept, first = crops("ana")
    records.add(kept, first)
    beyond = records.beyond(kept)
    sharing.make_link(kept, "ana", "", 7)
    with pytest.raises(Conflict, match="shared forest/crops with more people"):
        records.make_live(kept, 1, beyond)
    assert states(records) == ("draft", 0, [(1, "draft")])
    kept = records.make_live(kept, 1, records.beyond(kept))
    acts = (
        lambda: sharing.grant(kept, "person", "ben", "owner"),
        lambda: sharing.make_link(kept, "ana", "", 7),
        lambda: sharing.take_alias(kept, "maize"),
    )
    for act in acts:
        act()
    records.retire(kept)
    sharing.withdraw_all(kept)
    for act in acts:
        with pytest.raises(Conflict, match="taken down just now"):
            act()
    assert sharing.links(kept) == [] and sharing.aliases(kept) == []


def test_no_version_undoes_what_its_owners_narrowed(store: Any) -> None:
    records = Records(store)
    kept, first = crops("ana")
    records.add(kept, first)
    kept = records.make_live(kept, 1)
    records.add(kept, version(2, "ana"))  # waits, for everybody
    records.show(records.get("forest", "crops"), "project")
    records.add(kept, version(3, "ana"))  # decided on when everybody saw it
    assert [one.visibility for one in records.releases(kept)] == ["project", "project", "public"]
    assert records.make_live(records.get("forest", "crops"), 2).visibility == "project"
    records.add(records.get("forest", "crops"), version(4, "ana"))  # its owner says anew that it is for everybody
    assert records.make_live(records.get("forest", "crops"), 4).visibility == "public"


def test_where_a_dashboard_is_published_from(store: Any) -> None:
    records, sources = Records(store), GitSources(store)
    kept, first = crops("ana")
    records.add(kept, first)
    token = sources.set(kept, Place("https://git.example.org/a.git", "main", "maps"), "", "ana")
    found = sources.of(kept)
    assert found is not None and found.place.folder == "maps" and token not in (found.digest, found.hook)
    assert sources.known(found.hook, token) is not None
    assert not any(sources.known(*one) for one in ((found.hook, token + "x"), (found.hook, ""), ("none", token)))
    assert sources.set(kept, Place("https://git.example.org/b.git", "v1"), "key", "ben") == ""  # the same webhook
    renewed = sources.renew(kept)
    assert sources.known(found.hook, token) is None and sources.known(found.hook, renewed) is not None
    sources.note(kept.id, "waiting")
    assert sources.unfinished() == [kept.id]
    sources.note(kept.id, "published", "version 1", "c" * 40)
    now = sources.of(kept)
    assert now is not None and (now.url[-5:], now.person, now.commit) == ("b.git", "ben", "c" * 40)
    assert [sources.write(kept.id) for _ in range(2)] == [True, False] and sources.unfinished() == []
    sources.remove(kept)
    assert sources.of(kept) is None and sources.known(found.hook, renewed) is None


def test_what_was_decided_meanwhile_stays(store: Any) -> None:
    records = Records(store)
    kept, first = crops("ana")
    records.add(kept, first)
    records.move(first, ("draft",), status="submitted")
    assert [(row.name, one.version) for row, one in records.submitted()] == [("forest/crops", 1)]
    records.move(first, ("submitted",), status="rejected")
    for act in (lambda: records.move(first, ("submitted",), status="approved"), lambda: records.make_live(kept, 1)):
        with pytest.raises(Conflict):
            act()
    assert states(records) == ("draft", 0, [(1, "rejected")]) and not records.submitted()
    records.move(first, ("rejected",), status="submitted")
    kept = records.make_live(kept, 1)
    records.add(kept, version(2, "ana"))
    records.make_live(kept, 2)
    with pytest.raises(Conflict, match="another version"):
        records.show(kept, "people")  # decided on for version 1
    records.show(records.get("forest", "crops"), "people")


def test_who_may_do_what_with_a_dashboard_comes_along(store: Any) -> None:
    records = Records(store)
    kept, first = crops("ana")
    records.add(kept, first)
    records.make_live(kept, 1)
    with store.begin() as session:
        session.add(DashboardGrant(dashboard_id=kept.id, kind="group", name="readers", role="viewer"))
    live = records.live("forest", "crops")
    assert live is not None and live.grants == (Grant("group", "readers", "viewer"),)


def test_services_and_numbers(store: Any) -> None:
    services = Services(store)
    for title in ("first", "second"):
        services.add("p1", "{}", "{}", "ana", title)
    assert [row.title for row in services.of("ana")] == ["second"]
    assert services.remove("p1", "ana") and not services.remove("p1", "ana")
    assert [uid_of(store, name, 20000) for name in ("ana", "ben", "ana")] == [20000, 20001, 20000]
    assert gid_of(store, "forest", 30000) == 30000
