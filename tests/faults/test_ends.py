"""Servers that end by themselves: memory, errors, a shutdown from within; and starts that cannot be."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest

from bdap_hub.spawning.lifecycle import reasons
from tests.own_engine import IMAGE

from .conftest import GPU, LAB, Rig

pytestmark = pytest.mark.docker


def test_one_that_takes_more_memory_than_it_may_ends_and_its_person_reads_that(rig: Rig) -> None:
    rig.platform.start("ana", GPU)
    with suppress(httpx.HTTPError):
        rig.visit("eat")
    rig.platform.wait(rig.nothing_left, 30, "the hub to notice")
    assert rig.told() == reasons.out_of_memory(200 * 2**20)
    rig.platform.start("ana", GPU)


def test_one_that_fails_says_so(rig: Rig) -> None:
    rig.platform.start("ana", LAB)
    with suppress(httpx.HTTPError):
        rig.visit("fail")
    rig.platform.wait(rig.nothing_left, 20, "the hub to notice")
    assert "exit code 3" in rig.told()


def test_until_the_hub_knows_its_page_says_that_it_does_not_answer(rig: Rig) -> None:
    platform = rig.platform
    with platform.browser("ana") as browser:
        for _ in range(3):  # the hub may look between the two
            platform.start("ana", LAB)
            rig.container().kill()
            answer = browser.get(f"{platform.url}/user/ana/lab")
            if "is not running" not in answer.text:
                break
            platform.wait(rig.nothing_left, 20, "the hub to tidy")
        assert answer.status_code == 503 and "Your server does not answer" in answer.text
        assert 'http-equiv="refresh"' in answer.text
        platform.wait(rig.nothing_left, 20, "the hub to notice")
        answer = browser.get(f"{platform.url}/user/ana/lab")
        assert "Your server is not running" in answer.text and reasons.KILLED in answer.text


def test_what_its_person_stops_is_not_told(rig: Rig) -> None:
    rig.platform.start("ana", LAB)
    rig.platform.stop("ana")
    assert rig.told() == ""


def test_an_image_that_is_missing(rig: Rig) -> None:
    rig.client.images.get(IMAGE).tag("bdaptest/kept")
    rig.client.images.remove(IMAGE)
    try:
        answer = rig.platform.api("POST", "/users/ana/server", json=GPU)
        assert answer.status_code == 503
        assert "The image gpu is not" in answer.json()["message"]
        assert rig.nothing_left()
    finally:
        rig.client.images.get("bdaptest/kept").tag(*IMAGE.split(":"))
    rig.platform.start("ana", GPU)
