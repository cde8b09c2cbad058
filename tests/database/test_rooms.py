"""What each room keeps, on both databases: the statements where they differ, not the rooms' own rules."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from bdap_hub import database
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.tables import Dashboard
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


def test_dashboards(store: Any) -> None:
    records = Records(store)
    crops = Dashboard(project="forest", slug="crops", title="Crops", visibility="public", owner="ana", version=1)
    kept = records.publish(crops, "b" * 64, "x.ipynb", "ana")
    again = Dashboard(project="forest", slug="crops", title="Crops", visibility="public", owner="ben", version=1)
    with pytest.raises(Conflict):
        records.publish(again, "c" * 64, "x.ipynb", "ben")
    records.visited(kept.id)
    live = records.live("forest", "crops")
    assert live is not None and (live.owner, live.bundle) == ("ana", "b" * 64)
    records.seen(live)
    assert abs(records.last_seen()["forest--crops--v1"] - time.time()) < 60
    assert [records.redeem("t", time.time() + 60) for _ in range(2)] == [True, False]


def test_services_and_numbers(store: Any) -> None:
    services = Services(store)
    for title in ("first", "second"):
        services.add("p1", "{}", "{}", "ana", title)
    assert [row.title for row in services.of("ana")] == ["second"]
    assert services.remove("p1", "ana") and not services.remove("p1", "ana")
    assert [uid_of(store, name, 20000) for name in ("ana", "ben", "ana")] == [20000, 20001, 20000]
    assert gid_of(store, "forest", 30000) == 30000
