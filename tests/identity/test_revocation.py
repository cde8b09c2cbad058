"""What somebody holds ends within the bound, also when they do nothing: logins, tokens, server, open connections."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from bdap_hub import audit, database

from .conftest import Browser, Platform

OPTIONS = {"project": "agriculture", "image": "lab"}


@dataclass
class Working:
    """Somebody with a browser, a running server with a kernel, its open websocket, and an API token."""

    platform: Platform
    name: str
    browser: Browser
    token: str
    socket: ClientConnection
    pid: int

    def holds(self) -> dict[str, bool]:
        """What of it all still works."""
        me = {"Authorization": f"token {self.token}"}
        answer = httpx.get(f"{self.platform.url}/hub/api/user", headers=me, trust_env=False)
        return {
            "login": bool(self.browser.whoami()),
            "token": answer.status_code == 200,
            "server": psutil.pid_exists(self.pid) and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE,
            "websocket": is_open(self.socket),
        }

    def until_nothing(self, since: float, at_most: float = 20) -> dict[str, float]:
        """After how many seconds, counted from `since`, each thing no longer worked."""
        ended: dict[str, float] = {}
        while len(ended) < 4:
            for name in [name for name, works in self.holds().items() if not works]:
                ended.setdefault(name, round(time.monotonic() - since, 2))
            assert time.monotonic() - since < at_most, f"only {ended} ended within {at_most} s"
            time.sleep(0.05)
        return ended


def is_open(socket: ClientConnection) -> bool:
    """Read what has come; False once the other side has closed."""
    try:
        while True:
            socket.recv(timeout=0)
    except TimeoutError:
        return True
    except ConnectionClosed:
        return False


def call(browser: Browser, method: str, path: str, **kwargs: Any) -> httpx.Response:
    """The hub's API as its pages call it."""
    headers = {
        "X-XSRFToken": browser.client.cookies.get("_xsrf", path="/hub/"),
        "Referer": f"{browser.platform.url}/hub/home",
    }
    return browser.client.request(method, f"{browser.platform.url}/hub/api{path}", headers=headers, **kwargs)


@contextmanager
def working(platform: Platform, name: str, options: dict[str, str] = OPTIONS) -> Iterator[Working]:
    """That person, logged in and at work."""
    browser = Browser(platform)
    browser.log_in(name)
    answer = call(browser, "POST", f"/users/{name}/tokens", json={"note": "mine"})
    assert answer.status_code == 201, answer.text
    assert call(browser, "POST", f"/users/{name}/server", json=options).status_code in (201, 202)
    deadline = time.monotonic() + 60
    while not call(browser, "GET", f"/users/{name}").json()["servers"].get("", {}).get("ready"):
        assert time.monotonic() < deadline, platform.log.read_text()[-4000:]
        time.sleep(0.1)
    with kernel_socket(platform, browser, name) as socket:
        yield Working(platform, name, browser, answer.json()["token"], socket, server_pid(platform, name))
    browser.client.close()


def server_pid(platform: Platform, name: str) -> int:
    """The process of somebody's server, as the hub's database knows it."""
    with sqlite3.connect(platform.settings.var / "hub.sqlite") as hub:
        query = "SELECT s.state FROM spawners s JOIN users u ON u.id = s.user_id WHERE u.name = ?"
        return int(json.loads(hub.execute(query, (name,)).fetchone()[0])["pid"])


@contextmanager
def kernel_socket(platform: Platform, browser: Browser, name: str) -> Iterator[ClientConnection]:
    """A kernel in somebody's server, and the websocket that a notebook holds open to it."""
    home = f"{platform.url}/user/{name}"
    assert browser.get(f"{home}/lab").status_code == 200
    xsrf = browser.client.cookies.get("_xsrf", path=f"/user/{name}/")
    made = browser.client.post(f"{home}/api/kernels", json={}, headers={"X-XSRFToken": xsrf or "", "Referer": home})
    assert made.status_code == 201, made.text
    cookies = "; ".join(f"{c.name}={c.value}" for c in browser.client.cookies.jar if c.path in ("/", f"/user/{name}/"))
    url = f"{home.replace('http', 'ws', 1)}/api/kernels/{made.json()['id']}/channels"
    header = {"msg_id": "1", "username": "", "session": "s", "msg_type": "kernel_info_request", "version": "5.3"}
    message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": {}}
    with connect(url, additional_headers={"Cookie": cookies, "Origin": platform.url}, proxy=None) as socket:
        socket.send(json.dumps(message))
        while "kernel_info_reply" not in str(socket.recv(timeout=20)):
            pass
        yield socket


def events(platform: Platform, name: str, action: str) -> list[audit.Event]:
    return [
        e for e in audit.latest(database.connect(platform.settings.database), 300, person=name) if e.action == action
    ]


def block(platform: Platform, name: str) -> None:
    """As an operator would, in another process: in the database."""
    with sqlite3.connect(platform.settings.var / "bdap.sqlite", timeout=10) as ours:
        ours.execute("UPDATE identity_accounts SET standing = 'blocked' WHERE name = ?", (name,))


LOCKED_OUT: dict[str, tuple[Callable[[Platform, str], None], str]] = {
    "disabled at the provider": (lambda platform, name: platform.provider.disable(name), "session-ended"),
    "blocked here": (block, "blocked"),
}


@pytest.mark.parametrize("how", LOCKED_OUT)
def test_whoever_is_locked_out_loses_everything_within_the_bound(platform: Platform, how: str) -> None:
    lock_out, reason = LOCKED_OUT[how]
    name = platform.guest()
    with working(platform, name) as person:
        time.sleep(2 * platform.settings.identity.revocation_seconds)
        assert all(person.holds().values()), person.holds()  # the control: with a good standing nothing ends
        since = time.monotonic()
        lock_out(platform, name)
        ended = person.until_nothing(since)
        print(f"{how}: {ended}")
        assert max(ended.values()) <= platform.bound
        time.sleep(2)
    assert [event.reason for event in events(platform, name, "revoke")] == [reason]  # once, not at every sweep


@pytest.mark.parametrize("platform", ["eulogin-like"], indirect=True)
def test_a_copied_cookie_of_a_server_is_worthless_soon_after_the_logout(platform: Platform) -> None:
    name = platform.guest()
    with working(platform, name) as person:
        copy = httpx.Client(trust_env=False, timeout=20)
        for cookie in person.browser.client.cookies.jar:
            if cookie.path == f"/user/{name}/":
                copy.cookies.jar.set_cookie(cookie)
        status = f"{platform.url}/user/{name}/api/status"
        assert copy.get(status).status_code == 200
        home = {"Sec-Fetch-Site": "same-origin"}
        assert person.browser.client.get(f"{platform.url}/hub/logout", headers=home).is_redirect
        time.sleep(max(1, int(platform.settings.identity.cache_seconds)) + 0.2)
        assert copy.get(status).status_code == 403
        held = person.holds()
        assert held["server"] and held["token"] and not held["login"]  # a logout of one browser is no more than that
