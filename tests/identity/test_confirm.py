"""Asking the provider again: its yes, its no, and whom it is asked about."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub.handlers.base import BaseHandler

from bdap_hub.identity import kept, people, sessions
from bdap_hub.identity.handlers import CallbackHandler
from bdap_hub.identity.id_token import IdToken, LoginRefused
from bdap_hub.settings import Settings

from .confirming import AT, GROUPS, Person, World, answer, login
from .tokens import ISSUER, KEYS, NONCE, claims, signed


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda **section: World(settings, monkeypatch, **section)


async def test_a_refresh_brings_groups_and_a_new_token(world: Any) -> None:
    there, person = world(claims_from="id_token"), Person(login(refresh_token="r1"))
    there.provider.tokens["r1"] = answer("r2", groups=["bdap-admins"])
    assert await there.confirm(person) == ["bdap-admins"]
    assert person.state["refresh_token"] == "r2"
    assert 290 < person.state["access_until"] - time.time() <= 300
    there.checked(200)
    there.provider.tokens["r2"] = answer(groups=[])  # no new one: r2 goes on
    assert await there.confirm(person) == []
    assert person.state["refresh_token"] == "r2" and person.state["auth_time"] == AT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": "ben"}, "other-person"),
        ({"auth_time": AT + 1}, "auth-time-changed"),
        ({"nonce": "another"}, "nonce-changed"),
        ({"amr": None}, "mfa-not-stated"),
        ({"amr": ["pwd"]}, "mfa-not-proven"),
        ({"amr": "mfa"}, "amr-not-a-list"),
        ({"iss": "https://evil.example"}, "wrong-issuer"),
        ({"aud": "other"}, "wrong-audience"),
        ({"groups": "bdap-admins"}, "bad-groups"),
        ({"exp": AT}, "expired"),
    ],
)
async def test_a_refresh_is_checked_wholly(world: Any, changes: dict[str, Any], reason: str) -> None:
    there = world(claims_from="id_token")
    there.provider.tokens["r1"] = answer(**changes)
    with pytest.raises(LoginRefused) as refused:
        await there.confirm(Person(login(refresh_token="r1")))
    assert refused.value.reason == reason
    there.provider.tokens["r1"] = answer()
    assert await there.confirm(Person(login(refresh_token="r1"))) == GROUPS


async def test_a_key_that_is_not_known_yet_is_no_no(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    there, person = world(claims_from="id_token"), Person(login(refresh_token="r1"))
    there.provider.tokens |= {"r1": answer("r2"), "r2": answer("r3")}
    known = dict(KEYS)
    monkeypatch.setattr("tests.identity.confirming.KEYS", {"older": KEYS["rsa"]})
    assert await there.confirm(person) is None
    assert person.state["refresh_token"] == "r2" and there.account.unanswered is not None
    monkeypatch.setattr("tests.identity.confirming.KEYS", known)
    there.made.confirmation._failed.clear()
    assert await there.confirm(person) == GROUPS


@pytest.mark.parametrize("claims_from", ["id_token", "userinfo", "both"])
async def test_the_providers_no(world: Any, claims_from: str) -> None:
    there = world(claims_from=claims_from)
    with pytest.raises(LoginRefused, match="no longer confirms"):
        await there.confirm(Person(login(refresh_token="revoked")))
    if claims_from != "id_token":
        with pytest.raises(LoginRefused, match="no longer confirms"):
            await there.confirm(Person(login(access_token="revoked")))


@pytest.mark.parametrize(
    ("claims_from", "kept"),
    [
        ("id_token", {}),
        ("both", {"access_until": time.time() - 1}),
        ("userinfo", {"access_until": time.time() - 1}),
        ("both", {"access_token": ""}),
    ],
)
async def test_nothing_to_ask_is_no_no(world: Any, claims_from: str, kept: dict[str, Any]) -> None:
    there, person = world(claims_from=claims_from), Person(login(**kept))
    assert await there.confirm(person) is None
    assert there.provider.asked == []
    there.checked(25 * 3600)
    with pytest.raises(LoginRefused) as refused:
        await there.confirm(person)
    assert refused.value.reason == "not-confirmed"


@pytest.mark.parametrize(
    ("claims_from", "stated", "by_token", "groups"),
    [
        ("both", {"groups": ["a"]}, False, ["a"]),
        ("both", {"groups": ["a"]}, True, ["a"]),
        ("both", {}, False, []),  # UserInfo stated them, and does so no more
        ("both", {}, True, None),  # only the id_token stated them: UserInfo cannot say
        ("userinfo", {}, True, []),
    ],
)
async def test_where_groups_come_from(world: Any, claims_from: str, stated: Any, by_token: bool, groups: Any) -> None:
    there = world(claims_from=claims_from)
    there.provider.claims["access"] = {"sub": "ana", **stated}
    assert await there.confirm(Person(login(groups_by_token=by_token))) == groups


@pytest.mark.parametrize(
    ("claims_from", "stated", "groups"),
    [
        ("both", {"groups": ["b"]}, ["b"]),
        ("both", {}, GROUPS),
        ("userinfo", {"groups": ["b"]}, ["b"]),
        ("userinfo", {}, []),
        ("id_token", {"groups": ["b"]}, GROUPS),
    ],
)
async def test_refresh_and_userinfo(world: Any, claims_from: str, stated: Any, groups: Any) -> None:
    there = world(claims_from=claims_from)
    there.provider.tokens["r1"] = answer()
    there.provider.claims["access-2"] = {"sub": "ana", **stated}
    assert await there.confirm(Person(login(refresh_token="r1"))) == groups
    there.checked(200)
    there.provider.claims["access-2"] = {"sub": "ben", "groups": ["b"]}
    if claims_from != "id_token":
        with pytest.raises(LoginRefused) as refused:
            await there.confirm(Person(login(refresh_token="r1")))
        assert refused.value.reason == "other-person"


async def test_parallel_requests_ask_once(world: Any) -> None:
    there, person = world(), Person(login(refresh_token="r1"))
    there.provider.tokens["r1"] = answer("r2")
    there.provider.claims["access-2"] = {"sub": "ana", "groups": ["b"]}
    answers = await asyncio.gather(*(there.made.refresh_user(person) for _ in range(10)))
    assert there.provider.asked == ["refresh r1", "userinfo access-2"]
    assert all(answers) and person.groups == ["b"]


async def test_a_new_refresh_token_is_kept_though_the_rest_failed(world: Any) -> None:
    there, person = world(), Person(login(refresh_token="r1"))
    there.provider.tokens["r1"] = answer("r2")
    there.provider.claims["access-2"] = None
    assert await there.confirm(person) is None
    assert person.state["refresh_token"] == "r2"


async def test_a_login_that_came_in_between_stays(world: Any) -> None:
    there, person = world(claims_from="id_token"), Person()
    person.state = {**login(refresh_token="r1", session="old"), "others": []}
    there.provider.tokens["r1"] = answer("r2")
    asking = asyncio.create_task(there.confirm(person))
    await asyncio.sleep(0.005)
    person.state = {**login(refresh_token="n1", session="new"), "others": []}
    assert await asking == GROUPS and person.state["refresh_token"] == "n1"


async def test_the_groups_of_a_login_that_came_in_between_stay(world: Any) -> None:
    there, person = world(claims_from="id_token"), Person(login(refresh_token="r1"))
    there.provider.tokens["r1"] = answer("r2")
    asking = asyncio.create_task(there.confirm(person))
    await asyncio.sleep(0.005)
    proven = IdToken("ana", "ana", "Ana", frozenset({"bdap-admins"}), ("mfa",), AT, level="mfa")
    people.recognise(there.made.store, ISSUER, proven, standing="approved")
    assert await asking == there.account.groups == ["bdap-admins"]
    there.checked(200)
    there.provider.tokens["r2"] = answer("r3", groups=["asked-after-it"])
    assert await there.confirm(person) == there.account.groups == ["asked-after-it"]


async def test_a_refresh_and_a_login_at_once_lose_nothing(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider may honour the old refresh token no more, and a login that it says no to would be ended."""
    there = world(claims_from="id_token")
    person = Person(there.session("desk"))
    there.provider.tokens["desk"] = answer("desk-2")
    handler = CallbackHandler.__new__(CallbackHandler)
    handler.application = SimpleNamespace(settings={"authenticator": there.made})
    monkeypatch.setattr(BaseHandler, "find_user", lambda *_: person)

    async def kept_later(_: Any, model: dict[str, Any], user: Any = None) -> None:
        await asyncio.sleep(0.03)  # meanwhile the provider has answered
        await person.save_auth_state(model["auth_state"])

    monkeypatch.setattr(BaseHandler, "auth_to_user", kept_later)
    model = there.made.model(there.account, there.session("laptop"))
    _, groups = await asyncio.gather(handler.auth_to_user(model), there.confirm(person))
    assert groups == GROUPS and [one["refresh_token"] for one in kept.split(person.state)] == ["laptop", "desk-2"]


async def test_one_browsers_end_is_not_the_others(world: Any) -> None:
    there = world(claims_from="id_token")
    person = Person(there.session("desk"), there.session("laptop"))
    there.provider.tokens["laptop"] = answer("laptop-2")
    assert await there.confirm(person) == GROUPS
    assert [row.id for row in sessions.live_of(there.made.store, "ana")] == [sessions.digest("laptop")]
    assert person.state["refresh_token"] == "laptop-2" and person.state["others"] == []
    there.checked(200)
    for _ in range(2):  # the last one's is, and stays so
        with pytest.raises(LoginRefused) as refused:
            await there.confirm(person)
        assert refused.value.reason == "session-ended"


async def test_logging_out_is_no_no_of_the_provider(world: Any) -> None:
    there = world(claims_from="id_token")
    person = Person(there.session("desk"), there.session("laptop"))
    sessions.end(there.made.store, [sessions.digest("desk")], "logged out")
    there.provider.tokens["laptop"] = answer("laptop-2")
    assert await there.confirm(person) == GROUPS
    assert there.provider.asked == ["refresh laptop"]
    there.checked(200)
    sessions.end(there.made.store, [sessions.digest("laptop")], "logged out")
    assert await there.confirm(person) is None  # a server may go on; `logged_out_hours` says how long
    assert there.provider.asked[1:] == ["refresh desk", "refresh laptop-2"]
    assert kept.split(person.state) == []  # refused tokens are not asked with again
    there.checked(3500)
    assert await there.confirm(person) is None
    there.checked(3700)
    assert await there.confirm(person) is None  # the logout is less than an hour ago
    there.ended_since(3700)
    with pytest.raises(LoginRefused) as refused:
        await there.confirm(person)
    assert refused.value.reason == "not-confirmed"


async def test_who_has_logged_out_is_asked_about_as_long_as_the_provider_answers(world: Any) -> None:
    there = world(claims_from="id_token")
    person = Person(there.session("desk"))
    sessions.end(there.made.store, [sessions.digest("desk")], "logged out")
    there.provider.tokens |= {"desk": answer("desk-2"), "desk-2": answer("desk-3", groups=["bdap-admins"])}
    assert await there.confirm(person) == GROUPS
    there.checked(7200)
    there.ended_since(7200)
    assert await there.confirm(person) == ["bdap-admins"]
    assert person.state["refresh_token"] == "desk-3"
    there.checked(200)
    there.provider.tokens["desk-3"] = answer("desk-4", sub="ben")  # not even an answer about somebody else
    assert await there.confirm(person) is None and there.account.groups == GROUPS
    there.checked(3700)
    there.ended_since(60)
    assert await there.confirm(person) is None
    there.checked(25 * 3600)  # and never longer than where nobody has logged out
    with pytest.raises(LoginRefused) as refused:
        await there.confirm(person)
    assert refused.value.reason == "not-confirmed"


async def test_a_logout_while_the_provider_is_asked_makes_its_no_none(world: Any) -> None:
    there = world(claims_from="id_token")
    person = Person(there.session("desk"))
    asking = asyncio.create_task(there.confirm(person))
    await asyncio.sleep(0.005)
    sessions.end(there.made.store, [sessions.digest("desk")], "logged out")
    assert await asking is None


async def test_a_second_login_keeps_the_first(world: Any) -> None:
    there = world(claims_from="id_token")
    person = Person(there.session("desk"), there.session("gone"))
    sessions.end(there.made.store, [sessions.digest("gone")], "logged out")
    tokens = {"access_token": "a", "refresh_token": "r", "id_token": signed(claims(auth_time=AT))}
    proven, kept = await there.made.confirmation.login(tokens, NONCE, "new")
    state = await there.made.confirmation.beside(kept, person)
    assert (proven.level, state["refresh_token"], state["nonce"]) == ("mfa", "r", NONCE)
    assert [other["refresh_token"] for other in state["others"]] == ["desk"]
    assert (await there.made.confirmation.beside(kept, None))["others"] == []
