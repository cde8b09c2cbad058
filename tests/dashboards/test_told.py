"""Who the visitor is, as a release is told: the header that the stage reads, and the one that nobody else can make."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bdap_hub.dashboards.running.told import HEADER, KEY, visitor_headers, visitor_key

from .conftest import Platform
from .test_snapshots import StandIn, stand_in  # noqa: F401  a fixture
from .visitors import HOST, session_of


def test_a_key_is_one_releases():
    keys = {visitor_key("s" * 64, release) for release in ("p--a--v1", "p--a--v2", "p--b--v1")}
    assert len(keys) == 3 and visitor_key("t" * 64, "p--a--v1") not in keys
    assert visitor_headers("key", "", time.time()) == {}


def test_the_stage_reads_it_and_no_other(monkeypatch: pytest.MonkeyPatch):
    identity = pytest.importorskip("bdap_hub.dashboards.stage.stage.identity")
    key, now = visitor_key("s" * 64, "p--a--v1"), time.time()
    header = visitor_headers(key, "ana", now)[HEADER]
    assert (identity.HEADER, identity.KEY) == (HEADER, KEY)
    assert identity.read(key.encode(), header) == {"name": "ana"}
    assert identity.read(visitor_key("s" * 64, "p--b--v1").encode(), header) is None
    assert identity.read(key.encode(), visitor_headers(key, "ana", now - 600)[HEADER]) is None
    body, _, mac = header.partition(".")
    forged = visitor_headers("another key", "olga", now)[HEADER].partition(".")[0]
    assert identity.read(key.encode(), f"{forged}.{mac}") is None and identity.read(key.encode(), body) is None


def test_the_gateway_says_it_itself(platform: Platform, published: Any, stand_in: StandIn):  # noqa: F811
    published("project")
    forged = {HEADER: "eyJuYW1lIjoib2xnYSJ9.00", "X-Forwarded-Proto": "ftp"}
    mine = platform.open(HOST, "/?a=1", headers={**session_of(platform, "ana"), **forged})
    assert mine.status_code == 200
    key = visitor_key(platform.settings.secret("signing"), "agriculture--shown-project--v1")
    said = stand_in.headers[-1].get(HEADER.lower(), "")
    assert said in [visitor_headers(key, "ana", time.time() - age)[HEADER] for age in range(60)]
    assert platform.open("agriculture--shown-public", "/?a=1", headers=forged).status_code == 200
    assert HEADER.lower() not in stand_in.headers[-1]  # nobody, whatever the browser says
    assert stand_in.headers[-1]["x-forwarded-proto"] == platform.settings.dashboards.origin.partition(":")[0]
