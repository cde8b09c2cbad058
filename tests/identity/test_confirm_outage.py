"""When the provider cannot say, or says it late."""

from __future__ import annotations

from typing import Any

import pytest

from bdap_hub.identity.id_token import LoginRefused
from bdap_hub.settings import Settings

from .confirming import Person, World, login


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda **section: World(settings, monkeypatch, **section)


async def test_an_outage_is_not_asked_about_by_everybody(world: Any) -> None:
    there = world()
    there.provider.claims["access"] = None
    for _ in range(5):
        assert await there.made.refresh_user(Person(login())) is True
    assert there.provider.asked == ["userinfo access"]


async def test_one_persons_broken_token_is_no_outage_for_the_others(world: Any) -> None:
    """Else whoever the provider answers with an error again and again would keep everybody from being looked at."""
    there = world()
    there.provider.claims |= {"broken": None, "ben": {"sub": "ben", "groups": ["b"]}}
    there.checked(200, "ben")
    assert await there.refresh("ana", "broken") == (True, None)
    assert await there.refresh("ben", "ben") == (True, ["b"])
    names = ["c1", "c2", "c3", "c4"]
    for name in names:  # several people: an outage
        there.checked(200, name)
        assert await there.refresh(name, "broken") == (True, None)
    assert there.provider.asked == ["userinfo broken", "userinfo ben", *["userinfo broken"] * 3]


async def test_an_outage_counts_from_when_the_hub_saw_it(world: Any) -> None:
    """A hub that was down for a day finds the provider down when it starts: everybody has the whole grace."""
    there = world(provider_grace=60)
    there.checked(86400)
    there.provider.claims["access"] = None
    assert await there.confirm(Person(login())) is None
    first = there.account.unanswered
    assert first is not None
    there.made.confirmation._failed.clear()
    assert await there.confirm(Person(login())) is None
    assert there.account.unanswered == first  # one more failure is no new beginning, nor is a restart: it is kept
    there.silent_since(55)
    assert await there.confirm(Person(login())) is None
    there.silent_since(61)
    with pytest.raises(LoginRefused) as refused:
        await there.confirm(Person(login()))
    assert refused.value.reason == "provider-down"
    there.provider.claims["access"] = {"sub": "ana"}
    there.made.confirmation._failed.clear()
    assert await there.confirm(Person(login())) is not None
    assert there.account.unanswered is None


async def test_an_outage_is_over_for_whom_there_is_nothing_to_ask(world: Any) -> None:
    there = world(claims_from="id_token")
    there.silent_since(86400)
    assert await there.confirm(Person(login())) is None
    assert there.account.unanswered is None


async def test_no_grace_is_none(world: Any) -> None:
    there = world(provider_grace=0)
    there.provider.claims["access"] = None
    with pytest.raises(LoginRefused) as refused:
        await there.confirm(Person(login()))
    assert refused.value.reason == "provider-down"


@pytest.mark.parametrize(("seconds", "told"), [(200, False), (235, False), (241, True)])
async def test_an_answer_that_comes_late_is_told_of(
    world: Any, caplog: pytest.LogCaptureFixture, seconds: float, told: bool
) -> None:
    """The bound is 300 s; the services may use an old answer for 30 s, twice."""
    there = world()
    there.provider.claims["access"] = {"sub": "ana"}
    for _ in range(2):
        there.checked(seconds)
        await there.confirm(Person(login()))
    assert caplog.text.count("identity.revocation_seconds (300) may have been exceeded") == told


async def test_an_answer_after_an_outage_is_not_late(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    there = world()
    there.checked(400)
    there.silent_since(100)
    there.provider.claims["access"] = {"sub": "ana"}
    await there.confirm(Person(login()))
    assert "may have been exceeded" not in caplog.text
