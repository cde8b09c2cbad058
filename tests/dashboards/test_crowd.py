"""Visitors without an account: how many at once, how often from one address, and that they wait instead of failing."""

from __future__ import annotations

import pytest

from bdap_hub.dashboards.gateway.crowd import COMING, MINUTE, Crowd

from .conftest import Platform, notebook
from .sockets import kernel_of, socket_to
from .visitors import session_of


def test_an_address_opens_so_many_in_a_minute():
    crowd = Crowd(10, 2)
    assert [crowd.too_soon("10.0.0.1", now) for now in (0, 1, 2, MINUTE - 1)] == [False, False, True, True]
    assert not crowd.too_soon("10.0.0.2", 2)  # another one's
    assert not crowd.too_soon("10.0.0.1", MINUTE)
    assert [crowd.too_soon(f"2001:db8::{n}", 0) for n in (1, 2, 3)] == [False, False, True]  # one subscriber
    assert not crowd.too_soon("2001:db8:0:1::1", 0)


def test_a_page_that_was_sent_has_a_place_until_it_connects():
    crowd = Crowd(2, 100)
    with crowd.there(1, lambda: 0.0) as first:
        crowd.sent(1, 0)
        assert first and crowd.full(1, 1) and not crowd.full(2, 1)
        with crowd.there(1, lambda: 1.0) as second, crowd.there(1, lambda: 1.0) as third:
            assert (second, third) == (True, False)
        assert not crowd.full(1, 2)
        crowd.sent(1, 2)
        assert crowd.full(1, 2 + COMING - 1) and not crowd.full(1, 2 + COMING)  # it never came
    with crowd.there(1, lambda: 100.0), crowd.there(1, lambda: 100.0) as last:
        assert last  # those before have left


async def test_one_too_many_waits_and_comes_in_later(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    host = "agriculture--busy"
    made = platform.publish("ana", "busy", notebook("1", text="much to see"), visibility="public")
    assert made.status_code == 201
    kernel = kernel_of(platform.eventually(host, "much to see"))
    monkeypatch.setattr(platform.gateway, "crowd", Crowd(1, 3))
    path, origin = f"/api/kernels/{kernel}/channels", made.json()["url"].rstrip("/")
    async with socket_to(platform, path, origin, {}, host):
        waiting = platform.open(host)
        assert waiting.status_code == 503 and waiting.headers["retry-after"] == "10"
        assert "as soon as there is room" in waiting.text and 'http-equiv="refresh"' in waiting.text
    for number in range(3):
        platform.gateway.crowd._coming.clear()
        assert platform.eventual(host, 200).status_code == 200, number
    platform.gateway.crowd._coming.clear()
    assert platform.open(host).status_code == 503  # the fourth within a minute
    platform.gateway.crowd._minute.clear()
    assert platform.open(host).status_code == 200


def test_people_with_an_account_do_not_wait(platform: Platform, published, monkeypatch: pytest.MonkeyPatch):
    published("project")
    monkeypatch.setattr(platform.gateway, "crowd", Crowd(1, 1))
    for _ in range(3):
        assert (
            platform.eventual("agriculture--shown-project", 200, headers=session_of(platform, "ana")).status_code == 200
        )
