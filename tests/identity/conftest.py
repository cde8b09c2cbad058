"""A real hub that logs people in through the real demo provider, and a browser that walks through its pages."""

from __future__ import annotations

import html
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from sqlalchemy import select

from bdap_hub import audit, database
from bdap_hub.identity import sessions
from bdap_hub.identity.tables import Session
from bdap_hub.settings import Settings
from tests.conftest import PROXY, ROOT, free_port, make_settings
from tests.totp import code_of
from tests.until import BUSY_SECONDS

from .drivers import DemoProvider, Driver, EULoginLike
from .processes import Process, running, wait_until_healthy

__all__ = ["CONFIG", "Browser", "Platform", "eventually", "running", "wait_until_healthy", "with_query"]

# What a person proves at the stand-in for EU Login. The demo's provider knows `mfa` alone.
FACTORS = {"basic": "pwd", "mfa": "pwd otp", "high": "pwd hwk"}
TERMS = "Be kind & careful.\n\nDo not <b>share</b> your account.\n" + "\nUse what is here for your project.\n" * 12
CONFIG = """
import json, os
from bdap_hub import hub, identity
from bdap_hub.proxy import IDLE_SECONDS
from bdap_hub.settings import Settings

settings = Settings(**json.load(open(os.environ["T_SETTINGS"])))
settings.spawning.engine = "process"
identity.configure(c, settings)
hub.logs(c, settings)
hub.pages(c, settings)
hub.spawner(c, settings)
c.CryptKeeper.keys = [settings.secret("hub-crypt-key")]
c.JupyterHub.bind_url = settings.hub.public_url
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{settings.hub.api_port}"
c.JupyterHub.db_url = f"sqlite:///{settings.var}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{settings.var}/cookie_secret"
c.Spawner.default_url = "/api"
c.JupyterHub.log_level = "DEBUG"
services = ("processing", "catalogue", "dashboards")
c.JupyterHub.services = [dict(name=name, api_token=settings.secret(f"service-{name}")) for name in services]
c.ConfigurableHTTPProxy.command = [os.environ["T_PROXY"], "--keep-alive-timeout", str(IDLE_SECONDS * 1000)]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{settings.hub.proxy_api_port}"
c.ConfigurableHTTPProxy.pid_file = f"{settings.var}/proxy.pid"
"""


def with_query(url: str, **changes: str | None) -> str:
    """`url` with parameters changed, or removed where None."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **changes}
    return parts._replace(query=urlencode({k: v for k, v in query.items() if v is not None})).geturl()


def eventually(holds: Callable[[], bool], seconds: float = 60) -> float:
    """After how many seconds something holds; fails if it does not in time."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s"
        time.sleep(0.1)
    return time.monotonic() - begun


@dataclass
class Browser:
    """A person's browser: follows no redirect by itself, so that a test can look at each and change it."""

    platform: Platform

    def __post_init__(self) -> None:
        self.client = httpx.Client(timeout=30, trust_env=False, headers={"Accept": "text/html"})

    def leave(self) -> None:
        """Out of the hub, which then no longer asks the provider about this login."""
        with suppress(httpx.HTTPError):
            self.client.get(f"{self.platform.url}/hub/logout", headers={"Referer": f"{self.platform.url}/hub/home"})
        self.client.close()

    def get(self, url: str, until: str = "") -> httpx.Response:
        """Follow redirects up to a page, or up to a redirect to an address that contains `until`."""
        answer = self.client.get(url)
        while answer.is_redirect:
            target = str(answer.next_request.url)
            if until and until in target.split("?")[0]:
                return answer
            answer = self.client.get(target)
        return answer

    def submit(self, page: httpx.Response, until: str = "", **fields: str) -> httpx.Response:
        """Fill in and send the first form of a page."""
        form = re.search(r'<form[^>]*action="([^"]*)".*?</form>', page.text, re.DOTALL)
        assert form, page.text
        hidden = {}
        for tag in re.findall(r"<input[^>]*>", form[0]):
            attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            if attributes.get("type") == "hidden":
                hidden[attributes["name"]] = html.unescape(attributes.get("value", ""))
        url = page.url.join(html.unescape(form[1]))
        answer = self.client.post(url, data={**hidden, **fields}, headers={"Referer": str(page.url)})
        if not answer.is_redirect:
            return answer
        target = str(answer.next_request.url)
        return answer if until and until in target.split("?")[0] else self.get(target, until)

    def to_password(self, start: str = "") -> httpx.Response:
        """From the hub to the provider's log-in page."""
        return self.get(start or f"{self.platform.url}/hub/home")

    def to_code(self, name: str, start: str = "") -> httpx.Response:
        """At the demo's provider: past the password, to the page that asks for the authenticator code."""
        page = self.to_password(start)
        return self.submit(page, login=name, password=self.platform.accounts[name]["password"])

    def log_in(self, name: str, start: str = "", until: str = "", level: str = "mfa") -> httpx.Response:
        """A login with the factors of `level` (FACTORS); the page it ends on, or the redirect `until`.

        At the demo's provider the level "basic" ends where the second factor is asked for: it gives out no less.
        """
        if self.platform.provider.kind == "demo":
            page = self.to_code(name, start)
            return page if level == "basic" else self.submit(page, until, code=self.platform.unused_code(name))
        password = self.platform.accounts[name]["password"]
        page = self.to_password(start)
        page = self.submit(page, until, login=name, password=password, factors=FACTORS[level])
        # It logs out whoever was there before, by a form that a browser sends by itself.
        return self.submit(page, until) if "/session/end/confirm" in page.text else page

    def to_provider_logout(self) -> httpx.Response:
        """Out of the platform; the provider's page that asks whether to log out there, too."""
        return self.submit(self.get(f"{self.platform.url}/hub/logout"))

    def log_out(self) -> httpx.Response:
        """Out of the platform and of the provider; the page it ends on."""
        page = self.to_provider_logout()
        demo = self.platform.provider.kind == "demo"
        return self.submit(page, **({"action": "logout"} if demo else {"logout": "yes"}))

    def whoami(self) -> dict[str, Any]:
        """What the hub knows of the person who is logged in; empty if nobody is."""
        answer = self.client.get(
            f"{self.platform.url}/hub/api/user",
            headers={"Accept": "application/json", "Referer": f"{self.platform.url}/hub/home"},
        )
        return dict(answer.json()) if answer.status_code == 200 else {}


@dataclass
class Platform:
    """The running hub and its provider, and the accounts that were drawn for this run."""

    settings: Settings
    provider: Driver
    log: Path
    used_codes: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The hub's address."""
        return self.settings.hub.public_url

    @property
    def bound(self) -> float:
        """Seconds within which what is taken back is gone: the stated bound, and the pauses of a busy machine."""
        return self.settings.identity.revocation_seconds + BUSY_SECONDS

    @property
    def accounts(self) -> dict[str, dict[str, Any]]:
        """Name, password and, at the demo's provider, totp_secret of everybody."""
        return self.provider.accounts

    def guest(self, *groups: str, name: str = "") -> str:
        """The name of a person nobody has used before, as each test has its own; in project agriculture unless said."""
        name = name or f"visitor{len(self.accounts)}"
        self.provider.add_person(name, groups or ("project-agriculture",))
        return name

    def code(self, name: str) -> str:
        """What that person's authenticator app shows now."""
        return code_of(self.accounts[name]["totp_secret"])

    def unused_code(self, name: str) -> str:
        """A code that has not served yet: who logs in twice within 30 seconds gets a new authenticator app."""
        if self.code(name) == self.used_codes.get(name):
            self.provider.new_authenticator(name)
        self.used_codes[name] = self.code(name)
        return self.used_codes[name]

    def reasons(self, name: str, action: str) -> list[str]:
        """Of somebody's audit events of one kind, the newest first."""
        found = audit.latest(database.connect(self.settings.database), 200, person=name)
        return [event.reason for event in found if event.action == action]

    @cached_property
    def store(self) -> sessions.Store:
        """The hub's database."""
        return database.connect(self.settings.database)

    def live(self) -> set[str]:
        """All sessions that have not ended."""
        with self.store() as session:
            return set(session.scalars(select(Session.id).where(Session.ended.is_(None))))

    def last_event(self, action: str) -> audit.Event:
        """The newest audit event of that kind; others are recorded in the background, as by the sweeper."""
        return next(e for e in audit.latest(database.connect(self.settings.database), 50) if e.action == action)

    def kinds_of_factor(self) -> set[str]:
        """Of all second factors that the demo's provider keeps."""
        with sqlite3.connect(self.settings.var / "provider/provider.sqlite") as connection:
            return {kind for (kind,) in connection.execute("SELECT DISTINCT type FROM mfa_authenticator")}

    def change_provider(self, statement: str, *values: str) -> None:
        """What the operator of the demo's provider would do: change its directory while everything runs."""
        assert isinstance(self.provider, DemoProvider)
        self.provider.change(statement, *values)


@pytest.fixture(scope="package")
def started() -> dict[str, Platform]:
    """The platforms that run, by kind."""
    return {}


@pytest.fixture(autouse=True)
def nobody_stays(request: pytest.FixtureRequest, started: dict[str, Platform]) -> Iterator[None]:
    """Whom a test logged in is logged out after it: else their hub asks its provider about all of them to the end."""
    if "platforms" not in request.fixturenames:
        yield
        return
    before = {kind: place.live() for kind, place in started.items()}
    yield
    for kind, place in started.items():
        sessions.end(place.store, list(place.live() - before.get(kind, set())), "the test is over")


@pytest.fixture(scope="package")
def platforms(
    tmp_path_factory: pytest.TempPathFactory, started: dict[str, Platform]
) -> Iterator[Callable[[str], Platform]]:
    """The platform before each kind of provider, started once when first asked for: "demo" (also as "registration" and
    "gpu", with other settings of the hub) or "eulogin-like"."""
    if not PROXY.exists():
        pytest.fail(f"{PROXY.relative_to(ROOT)} is missing: run `make test` once, it installs it")
    with ExitStack() as stack:

        def get(kind: str) -> Platform:
            if kind not in started:
                started[kind] = launch(kind, tmp_path_factory.mktemp(kind), stack)
            return started[kind]

        yield get


def launch(kind: str, folder: Path, stack: ExitStack, config: str = "", **identity_settings: Any) -> Platform:
    """A platform of that kind, with more of the hub's configuration and other settings of `identity` where given."""
    bound = {"revocation_seconds": 4, **identity_settings}  # asks the provider every 2 s
    if kind == "demo":
        scope = ["openid", "profile", "email", "groups", "offline_access"]  # as `make demo` has it
        identity = {**bound, "scope": scope, "public_client_id": "bdap-programs"}
        settings = make_settings(folder / "var", identity=identity)
        provider: Driver = DemoProvider(settings, folder)
    elif kind == "gpu":  # as many as the settings say; a process gets none, so that this runs on every machine
        identity = {**bound, "step_up": {"gpu": {"max_age": 900}}}
        settings = make_settings(folder / "var", identity=identity, spawning={"gpus": 1})
        provider = DemoProvider(settings, folder)
    elif kind == "registration":  # the demo's provider; people are approved, and accept terms
        (folder / "terms.txt").write_text(TERMS)
        bound["public_client_id"] = "bdap-programs"
        registration = {"required": True, "terms": folder / "terms.txt", "terms_version": "2"}
        identity = {**bound, "step_up": {"administer": {"max_age": 3600}}}
        settings = make_settings(folder / "var", identity=identity, registration=registration)
        provider = DemoProvider(settings, folder)
    else:
        issuer = f"http://localhost:{free_port()}/cas/oauth2"
        scope = ["openid", "email", "hr", "offline_access"]
        identity = {**bound, "preset": "eulogin", "issuer": issuer, "scope": scope}
        settings = make_settings(folder / "var", identity=identity)
        provider = EULoginLike(settings, folder)
    (folder / "settings.json").write_text(settings.model_dump_json())
    (folder / "config.py").write_text(CONFIG + config)
    command = [sys.executable, "-m", "jupyterhub", "-f", "config.py"]
    hub = Process(command, folder, "hub.log", f"{settings.hub.public_url}/hub/health")
    for process in (provider.process, hub):
        stack.callback(process.stop)
        process.start(wait=False)
    provider.process.wait()
    hub.wait()
    return Platform(settings, provider, folder / "hub.log")


@pytest.fixture(scope="package")
def platform(request: pytest.FixtureRequest, platforms: Callable[[str], Platform]) -> Platform:
    """The hub and its provider: the demo's, unless a test names the kind (`parametrize(..., indirect=True)`)."""
    return platforms(getattr(request, "param", "demo"))


@pytest.fixture
def browser(platform: Platform) -> Iterator[Browser]:
    """A fresh browser."""
    fresh = Browser(platform)
    yield fresh
    fresh.leave()


@pytest.fixture
def other_browser(platform: Platform) -> Iterator[Browser]:
    """Somebody else's browser."""
    fresh = Browser(platform)
    yield fresh
    fresh.leave()
