"""The sweeper: groups and local decisions, servers that are starting or will not stop, and a provider that is down."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from jupyterhub import orm
from sqlalchemy import func, select, update

from bdap_hub import database
from bdap_hub.access import GpuGrant, Image, Policy, Project, Requirement, Size
from bdap_hub.entitlements import edit
from bdap_hub.identity import people, sessions
from bdap_hub.identity.id_token import LoginRefused
from bdap_hub.identity.sweeper import Sweeper, not_allowed
from bdap_hub.identity.tables import Account, SeenLogoutToken, Session, now
from bdap_hub.settings import Settings

from .conftest import Browser, Platform, eventually, launch
from .processes import Process
from .test_revocation import OPTIONS, block, call, events, server_pid, working

EU_LOGIN = pytest.mark.parametrize("platform", ["eulogin-like"], indirect=True)
GRACE, LOGGED_OUT = 9.0, 5.0
# A spawner whose stop fails while a file says so, and whose start takes its time for whoever is called slow.
STUBBORN = """
import asyncio
from bdap_hub.spawning.process import BdapProcessSpawner

class Stubborn(BdapProcessSpawner):
    async def start(self):
        if self.user.name.startswith("slow"):
            await asyncio.sleep(3)
        return await super().start()

    async def stop(self, now=False):
        if (settings.var / f"stubborn-{self.user.name}").exists():
            raise RuntimeError("it will not")
        await super().stop(now)

c.JupyterHub.spawner_class = Stubborn
"""


@pytest.fixture(scope="module")
def stubborn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of its own, for what cannot be done to the others: its provider goes down, its servers do not stop."""
    with ExitStack() as stack:
        patience = {"provider_grace": GRACE, "logged_out_hours": LOGGED_OUT / 3600}
        yield launch("eulogin-like", tmp_path_factory.mktemp("stubborn"), stack, STUBBORN, **patience)


POLICY = Policy(
    projects=(
        Project("farms", "Farms", "g-farms", ("lab", "gpu", "safe", "pair"), sizes=("small",), gpus=(GpuGrant("", 1),)),
        Project("woods", "Woods", "g-woods", ("lab",)),
        Project("ended", "Ended", "g-ended", ("lab",), ends=date(2026, 3, 31)),
        Project("shelf", "Shelf", "g-shelf", ("lab",), archived=True),
    ),
    sizes=(Size("small"),),
    former={"timber": "woods"},
    today=date(2026, 4, 1),
    images=(
        Image("lab", "bdap/lab", "Lab"),
        Image("gpu", "bdap/gpu", "GPU", gpu=True),
        Image("pair", "bdap/gpu", "Two GPUs", gpu=True, gpus=2),
        Image("safe", "bdap/safe", "Safe", requires=Requirement("mfa", 1)),
    ),
)


@pytest.mark.parametrize(
    ("groups", "options", "allowed"),
    [
        ({"g-farms"}, {"project": "farms", "image": "lab"}, True),
        ({"g-farms-leads"}, {"project": "farms", "image": "lab"}, False),
        ({"g-woods"}, {"project": "farms", "image": "lab"}, False),
        ({"g-farms"}, {"project": "farms", "image": "gone"}, False),
        ({"g-farms"}, {"project": "gone", "image": "lab"}, False),
        ({"g-farms"}, {"project": "farms", "image": "gpu"}, True),  # this host's GPUs were counted at the start
        ({"g-farms"}, {"project": "farms", "image": "safe"}, True),  # so was the login's age
        ({"g-farms"}, {"project": "farms", "image": "lab", "size": "small"}, True),
        ({"g-farms"}, {"project": "farms", "image": "lab", "size": "gone"}, False),
        ({"g-farms"}, {"project": "farms", "image": "lab", "size": ["small"]}, False),
        ({"g-ended"}, {"project": "ended", "image": "lab"}, False),
        ({"g-ended"}, {}, False),
        ({"g-shelf"}, {"project": "shelf", "image": "lab"}, False),
        ({"g-timber"}, {"project": "timber", "image": "lab"}, False),  # woods had that name once
        ({"g-farms"}, {"project": "farms", "image": "pair"}, False),  # more GPUs than it is granted
        (set(), {"project": "farms", "image": "safe"}, False),
        ({"g-woods"}, {}, True),
        (set(), {}, False),
        (set(), None, False),
        (set(), {"project": ["farms"], "image": "lab"}, False),
    ],
)
def test_which_servers_go_on(groups: set[str], options: dict[str, str] | None, allowed: bool) -> None:
    assert (not_allowed(POLICY, "ana", frozenset(groups), options) == "") is allowed


def test_old_rows_are_forgotten(settings: Settings) -> None:
    store = database.connect(settings.database)
    login = {"person": "ana", "level": "mfa", "auth_time": 0, "amr": []}
    with store.begin() as session:
        session.add(Account(name="ana", issuer="i", subject="ana"))
        session.flush()
        for key, ends, ended in (("old", -100, -91), ("recent", -2, -1), ("grown old", -1, None), ("live", 1, None)):
            ended_at = now() + timedelta(days=ended) if ended is not None else None
            session.add(Session(id=key, **login, ends=now() + timedelta(days=ends), ended=ended_at))
        session.add(SeenLogoutToken(jti="old", seen=now() - timedelta(days=2)))
        session.add(SeenLogoutToken(jti="new"))
    sessions.end_expired(store)
    sessions.prune(store)
    with store() as session:
        assert set(session.scalars(select(Session.id))) == {"recent", "grown old", "live"}
        assert session.get(Session, "grown old").ended_why == "expired"
        assert session.scalar(select(func.count()).select_from(SeenLogoutToken)) == 1
    assert sessions.people_with_live(store) == {"ana"}


async def test_a_slow_answer_about_one_person_holds_up_nobody_else(settings: Settings) -> None:
    """The provider is asked about eight people at a time, each once; whoever it says no to is revoked."""
    names = [f"p{n:02}" for n in range(20)]
    store = database.connect(settings.database)
    with store.begin() as session:
        for name in names:
            session.add(Account(name=name, issuer="i", subject=name, standing="approved", checked=now() - timedelta(1)))
    asked: list[str] = []
    at_once, most, never = 0, 0, asyncio.Event()

    async def confirm(_user: Any, account: Account) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        asked.append(account.name)
        await (never.wait() if account.name == "p00" else asyncio.sleep(0.01))
        at_once -= 1
        if account.name == "p19":
            raise LoginRefused("session-ended", "no")
        return None

    revoked: list[tuple[str, str]] = []
    hub_user = SimpleNamespace(groups=[], admin=False, spawners={}, sync_groups=lambda groups: None)
    revoker = SimpleNamespace(
        user=lambda name: hub_user, revoke=lambda name, why: revoked.append((name, why)), drop_tokens=lambda user: None
    )
    authenticator = SimpleNamespace(settings=settings, store=store, confirm=confirm)
    sweeper = Sweeper(None, authenticator, revoker)  # type: ignore[arg-type]
    for _ in range(2):  # the second sweep comes while the first one's answers are still awaited
        for name in names:
            sweeper._look(name, sweeper._standing(name))
    for _ in range(100):
        await asyncio.sleep(0.01)
        if len(asked) == len(names) and not at_once - 1:
            break
    assert sorted(asked) == names and most == 8 and revoked == [("p19", "session-ended")]
    never.set()
    await asyncio.gather(*sweeper._asking.values())


@pytest.mark.parametrize(
    ("meanwhile", "revoked", "followed"),
    [
        ({}, [], [["project-forest"]]),
        ({"standing": "blocked"}, [("ana", "blocked")], []),
        ({"revoked": now() + timedelta(1)}, [("ana", "revoked")], []),
        ({"groups": ["asked-for-later"]}, [], [["asked-for-later"]]),
        ({"logged_in": now()}, [], []),
    ],
)
async def test_what_changes_while_the_provider_is_asked_counts(
    settings: Settings, meanwhile: dict[str, Any], revoked: list[tuple[str, str]], followed: list[list[str]]
) -> None:
    store = database.connect(settings.database)
    with store.begin() as session:
        row = {"name": "ana", "issuer": "i", "subject": "ana", "standing": "approved", "groups": ["project-forest"]}
        session.add(Account(**row, logged_in=now() - timedelta(1), checked=now() - timedelta(1)))

    async def confirm(_user: Any, account: Account) -> list[str]:
        with store.begin() as session:
            session.execute(update(Account).values(**meanwhile or {"name": "ana"}))
        return ["project-forest"]

    seen: dict[str, list[Any]] = {"revoked": [], "followed": []}
    hub_user = SimpleNamespace(name="ana", admin=False, spawners={}, sync_groups=seen["followed"].append)
    revoker = SimpleNamespace(user=lambda name: hub_user, revoke=lambda name, why: seen["revoked"].append((name, why)))
    authenticator = SimpleNamespace(settings=settings, store=store, confirm=confirm)
    sweeper = Sweeper(None, authenticator, revoker)  # type: ignore[arg-type]
    await sweeper._ask("ana", people.find(store, "ana"))  # type: ignore[arg-type]
    assert seen == {"revoked": revoked, "followed": followed}


async def test_trouble_with_one_person_leaves_nobody_else_unseen(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["ana", "ben", "cleo"]
    store = database.connect(settings.database)
    with store.begin() as session:
        for name in names:
            session.add(Account(name=name, issuer="i", subject=name, standing="blocked"))
    revoked: list[str] = []

    def revoke(name: str, why: str) -> None:
        if name == "ana":
            raise RuntimeError("ana's server is beyond us")
        revoked.append(name)

    revoker = SimpleNamespace(user=lambda name: None, revoke=revoke)
    sweeper = Sweeper(None, SimpleNamespace(settings=settings, store=store), revoker)  # type: ignore[arg-type]
    monkeypatch.setattr(sweeper, "_holders", lambda: set(names))
    monkeypatch.setattr(sweeper, "_forget", lambda holders: None)
    await sweeper.sweep()
    assert revoked == ["ben", "cleo"]
    assert "ana could not be looked at" in caplog.text and "beyond us" in caplog.text


async def test_the_tokens_of_whoever_holds_nothing_are_forgotten(settings: Settings) -> None:
    store, db = database.connect(settings.database), orm.new_session_factory("sqlite:///:memory:")()
    users = {name: orm.User(name=name, encrypted_auth_state=b"secret") for name in ("left", "here", "token", "new")}
    db.add_all(users.values())
    db.commit()
    db.add(orm.APIToken(token="0" * 32, user_id=users["token"].id))
    db.commit()
    with store.begin() as session:
        for name in users:
            logged_in = now() - timedelta(minutes=1 if name == "new" else 61)
            session.add(Account(name=name, issuer="i", subject=name, standing="approved", logged_in=logged_in))
        session.flush()
        login = {"level": "mfa", "auth_time": 0, "amr": [], "ends": now() + timedelta(1)}
        session.add(Session(id="s", person="here", **login))
    sweeper = Sweeper(
        SimpleNamespace(db=db, users={}), SimpleNamespace(settings=settings, store=store), SimpleNamespace(user=no_user)
    )  # type: ignore[arg-type]
    await sweeper.sweep()
    assert {name for name, row in users.items() if row.encrypted_auth_state} == {"here", "token", "new"}


def no_user(name: str) -> None:
    return None


@EU_LOGIN
def test_leaving_the_project_stops_its_server_and_nothing_else(platform: Platform) -> None:
    name = platform.guest("project-agriculture", "project-forest")
    with working(platform, name, OPTIONS) as person:
        since = time.monotonic()
        platform.provider.set_groups(name, ["project-forest"])
        while person.holds()["server"] or person.holds()["websocket"]:
            assert time.monotonic() - since < platform.bound
            time.sleep(0.05)
        held = person.holds()
        assert held["login"] and held["token"]
        assert person.browser.whoami()["groups"] == ["project-forest"]
        again, tidied = f"/users/{name}/server", time.monotonic() + platform.bound
        while (refused := call(person.browser, "POST", again, json=OPTIONS)).status_code == 400:
            assert "pending" in refused.text and time.monotonic() < tidied  # the hub tidies up after the server
            time.sleep(0.1)
        assert refused.status_code == 403 and "not a member" in refused.text
        assert "Your server was stopped: " in person.browser.get(f"{platform.url}/hub/home").text
    event = events(platform, name, "stop-server")[0]
    assert (event.subject, event.outcome) == ("agriculture/lab", "allowed") and "not a member" in event.reason


@EU_LOGIN
def test_a_choice_that_was_not_made_is_known_all_the_same(platform: Platform) -> None:
    """The only choice was started without naming it; in another project, that is no reason to let it run."""
    name = platform.guest("project-forest")
    with working(platform, name, {}) as person:
        platform.provider.set_groups(name, ["project-agriculture"])
        eventually(lambda: not person.holds()["server"], platform.bound)
        assert person.holds()["login"]


@EU_LOGIN
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ends": "2026-01-01"}, "project dunes0 ended on 2026-01-01"),
        ({"images": []}, "project dunes1 has no image 'lab'"),
    ],
)
def test_what_a_project_loses_stops_its_servers(platform: Platform, change: dict[str, Any], why: str) -> None:
    """A project of the database: its last day is over, or its image is taken away, while a server runs."""
    project, store = why.split()[1], database.connect(platform.settings.database)
    operator = edit.Editor("operator:test")
    edit.create(platform.settings, store, operator, project, {"title": "Dunes", "images": ["lab"]})
    time.sleep(1.5)  # the hub hears of it within a second
    name = platform.guest(f"project-{project}", "project-forest")
    with working(platform, name, {"project": project, "image": "lab"}) as person:
        time.sleep(4)  # as it is, it goes on
        assert person.holds()["server"]
        edit.change(platform.settings, store, operator, project, change)
        eventually(lambda: not person.holds()["server"], platform.bound + 1)
        assert person.holds()["login"] and person.holds()["token"]
    assert why in events(platform, name, "stop-server")[0].reason


@EU_LOGIN
def test_groups_follow_the_provider_for_who_does_nothing(platform: Platform, browser: Browser) -> None:
    name = platform.guest("bdap-admins")
    browser.log_in(name)
    assert groups_in_the_hub(platform, name) == {"bdap-admins"}
    platform.provider.set_groups(name, ["project-forest"])
    eventually(lambda: groups_in_the_hub(platform, name) == {"project-forest"}, platform.bound)


def groups_in_the_hub(platform: Platform, name: str) -> set[str]:
    """As JupyterHub's database has them, without a request that would refresh them."""
    of_person = (
        "SELECT groups.name FROM groups JOIN user_group_map ON groups.id = group_id "
        "JOIN users ON users.id = user_id WHERE users.name = ?"
    )
    with sqlite3.connect(platform.settings.var / "hub.sqlite") as hub:
        return {group for (group,) in hub.execute(of_person, (name,))}


@EU_LOGIN
def test_a_login_that_grows_too_old_ends_with_the_tokens_of_services(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    store = database.connect(platform.settings.database)
    with store.begin() as session:
        session.scalars(select(Session).where(Session.person == name)).one().ends = now()
    assert browser.whoami() == {}  # at once, whether it was swept or not
    eventually(lambda: ended_why(platform, name) == "expired")


def ended_why(platform: Platform, name: str) -> str:
    with database.connect(platform.settings.database)() as session:
        return str(session.scalars(select(Session).where(Session.person == name)).one().ended_why)


def test_a_server_that_is_still_starting_is_stopped(stubborn: Platform, browser_of: Callable[[], Browser]) -> None:
    name, browser = stubborn.guest(name="slow"), browser_of()
    browser.log_in(name)
    start = threading.Thread(target=call, args=(browser, "POST", f"/users/{name}/server"), kwargs={"json": OPTIONS})
    start.start()
    time.sleep(0.5)
    block(stubborn, name)
    eventually(lambda: events(stubborn, name, "revoke") != [])
    start.join(30)
    home = str(stubborn.settings.var.resolve() / "homes" / name)
    eventually(lambda: not servers_in(home))
    time.sleep(3)
    assert not servers_in(home)


def test_a_server_that_will_not_stop_is_not_forgotten(stubborn: Platform) -> None:
    name = stubborn.guest()
    hindrance = stubborn.settings.var / f"stubborn-{name}"
    with working(stubborn, name, OPTIONS) as person:
        hindrance.touch()
        block(stubborn, name)
        eventually(lambda: not person.holds()["login"])
        time.sleep(4)
        assert person.holds()["server"] and server_pid(stubborn, name) == person.pid  # it does its best
        hindrance.unlink()
        eventually(lambda: not any(person.holds().values()), stubborn.bound)
    assert [event.reason for event in events(stubborn, name, "revoke")] == ["blocked"]


def test_an_outage_of_the_provider_throws_nobody_out_before_its_grace(
    stubborn: Platform, browser_of: Callable[[], Browser]
) -> None:
    name, late, browser = stubborn.guest(), stubborn.guest(), browser_of()
    with working(stubborn, name, OPTIONS) as person:
        answer = browser.log_in(late, until="/hub/oauth_callback")
        down = time.monotonic()
        with stopped(stubborn.provider.process):
            while True:
                held = person.holds()
                if time.monotonic() - down > GRACE:  # it was over before they were looked at, maybe
                    break
                assert all(held.values()), held
                time.sleep(0.2)
            newcomer = browser.client.get(str(answer.next_request.url))  # all but the provider's word
            assert newcomer.status_code == 503 and browser.whoami() == {}
            # it is seen when the next question is due, half a bound later
            eventually(lambda: not any(person.holds().values()), 3 + stubborn.bound)
            assert [event.reason for event in events(stubborn, name, "revoke")] == ["provider-down"]
    browser.get(f"{stubborn.url}/hub/home")  # it had let this browser in before
    assert browser.whoami()["name"] == late


def test_who_has_logged_out_is_looked_at_all_the_same(stubborn: Platform) -> None:
    """Their server and token follow the provider; once it confirms them no more, they outlive it but for a while."""
    name, bound = stubborn.guest(), stubborn.bound
    with working(stubborn, name, OPTIONS) as person:
        person.browser.leave()
        person.browser = Browser(stubborn)
        time.sleep(LOGGED_OUT + 1)  # the provider goes on saying yes
        assert [what for what, works in person.holds().items() if works] == ["token", "server", "websocket"]
        stubborn.provider.set_groups(name, ["project-forest"])
        eventually(lambda: not person.holds()["server"], bound)
        assert person.holds()["token"]
        stubborn.provider.disable(name)
        assert person.holds()["token"]
        eventually(lambda: not person.holds()["token"], LOGGED_OUT + 2 * bound)
    eventually(lambda: [event.reason for event in events(stubborn, name, "revoke")] == ["not-confirmed"], bound)


@contextmanager
def stopped(process: Process) -> Iterator[None]:
    process.stop()
    try:
        yield
    finally:
        process.start()


@pytest.fixture
def browser_of(stubborn: Platform) -> Callable[[], Browser]:
    return lambda: Browser(stubborn)


def servers_in(home: str) -> list[int]:
    """The processes whose HOME is that folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOME") == home and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
