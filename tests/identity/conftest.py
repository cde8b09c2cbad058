"""A real hub that logs people in through the real demo provider, and a browser that walks through its pages."""

from __future__ import annotations

import html
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pyotp
import pytest

from bdap_hub import audit, database
from bdap_hub.demo import provider
from bdap_hub.demo.people import PEOPLE, DemoPerson
from bdap_hub.settings import Settings
from tests.conftest import PROXY, ROOT, make_settings

# A code works once in 30 seconds, so each test that logs in has a person of its own.
GUESTS = tuple(DemoPerson(f"guest{n}", f"Guest {n}", ("project-agriculture",), "for one test") for n in range(1, 17))
CONFIG = """
import json, os
from bdap_hub import identity
from bdap_hub.settings import Settings

settings = Settings(**json.load(open(os.environ["T_SETTINGS"])))
identity.configure(c, settings)
c.CryptKeeper.keys = [settings.secret("hub-crypt-key")]
c.JupyterHub.bind_url = settings.hub.public_url
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{settings.hub.api_port}"
c.JupyterHub.db_url = f"sqlite:///{settings.var}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{settings.var}/cookie_secret"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.log_level = "DEBUG"
c.ConfigurableHTTPProxy.command = [os.environ["T_PROXY"]]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{settings.hub.proxy_api_port}"
c.ConfigurableHTTPProxy.pid_file = f"{settings.var}/proxy.pid"
"""


def with_query(url: str, **changes: str | None) -> str:
    """`url` with parameters changed, or removed where None."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **changes}
    return parts._replace(query=urlencode({k: v for k, v in query.items() if v is not None})).geturl()


@dataclass
class Browser:
    """A person's browser: follows no redirect by itself, so that a test can look at each and change it."""

    platform: Platform

    def __post_init__(self) -> None:
        self.client = httpx.Client(timeout=30, trust_env=False, headers={"Accept": "text/html"})

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
        """Past the password, to the page that asks for the authenticator code."""
        page = self.to_password(start)
        return self.submit(page, login=name, password=self.platform.accounts[name]["password"])

    def log_in(self, name: str, start: str = "", until: str = "") -> httpx.Response:
        """The whole login with both factors; the page it ends on, or the redirect `until`."""
        page = self.to_code(name, start)
        return self.submit(page, until, code=self.platform.code(name))

    def whoami(self) -> dict[str, Any]:
        """What the hub knows of the person who is logged in; empty if nobody is."""
        answer = self.client.get(
            f"{self.platform.url}/hub/api/user",
            headers={"Accept": "application/json", "Referer": f"{self.platform.url}/hub/home"},
        )
        return dict(answer.json()) if answer.status_code == 200 else {}


@dataclass
class Platform:
    """The running hub and provider, and the accounts that were drawn for this run."""

    settings: Settings
    accounts: dict[str, dict[str, Any]]
    log: Path

    @property
    def url(self) -> str:
        """The hub's address."""
        return self.settings.hub.public_url

    def code(self, name: str) -> str:
        """What that person's authenticator app shows now, with at least two seconds left to type it."""
        totp = pyotp.TOTP(self.accounts[name]["totp_secret"])
        left = totp.interval - time.time() % totp.interval
        if left < 2:
            time.sleep(left)
        return totp.now()

    def last_event(self) -> audit.Event:
        """The newest audit event."""
        return audit.latest(database.connect(self.settings.database), 1)[0]

    def change_provider(self, statement: str, *values: str) -> None:
        """What the provider's operator would do: change its directory while everything runs."""
        with sqlite3.connect(self.settings.var / "provider/provider.sqlite", timeout=10) as connection:
            connection.execute(statement, values)
        connection.close()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The hub and the provider, started once for all tests of this folder."""
    if not PROXY.exists():
        pytest.fail(f"{PROXY.relative_to(ROOT)} is missing: run `make test` once, it installs it")
    folder = tmp_path_factory.mktemp("identity")
    settings = make_settings(folder / "var", identity={"revocation_seconds": 4})  # asks the provider every 2 s
    accounts = {account["name"]: account for account in provider.provision(settings, PEOPLE + GUESTS)}
    (folder / "settings.json").write_text(settings.model_dump_json())
    (folder / "config.py").write_text(CONFIG)
    serve = (
        "import json, sys; from bdap_hub.demo import provider; from bdap_hub.settings import Settings; "
        "provider.main(Settings(**json.load(open(sys.argv[1]))))"
    )
    hub = [sys.executable, "-m", "jupyterhub", "-f", "config.py"]
    with ExitStack() as stack:
        command = [sys.executable, "-c", serve, "settings.json"]
        started = (
            (stack.enter_context(running(command, folder, "provider.log")), "provider.log"),
            (stack.enter_context(running(hub, folder, "hub.log")), "hub.log"),
        )
        discovery = f"{settings.identity.issuer}/.well-known/openid-configuration"
        for (process, log), health in zip(started, (discovery, f"{settings.hub.public_url}/hub/health"), strict=True):
            wait_until_healthy(process, health, folder / log)
        yield Platform(settings, accounts, folder / "hub.log")


@contextmanager
def running(command: list[str], folder: Path, log: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its log in `folder`; stopped at the end."""
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("BDAP_")}
    env |= {
        "PYTHONPATH": str(ROOT),
        "T_SETTINGS": str(folder / "settings.json"),
        "T_PROXY": str(PROXY),
        "PATH": f"{Path(sys.executable).parent}:{env['PATH']}",
    }
    with (folder / log).open("w") as out:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until_healthy(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    """Return when `health` answers; fail with the log's end after two minutes, or when the process has died."""
    deadline = time.monotonic() + 120
    while not _healthy(health):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{log.name}: not healthy:\n{log.read_text()[-6000:]}")
        time.sleep(0.1)


def _healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def browser(platform: Platform) -> Iterator[Browser]:
    """A fresh browser."""
    fresh = Browser(platform)
    yield fresh
    fresh.client.close()


@pytest.fixture
def other_browser(platform: Platform) -> Iterator[Browser]:
    """Somebody else's browser."""
    fresh = Browser(platform)
    yield fresh
    fresh.client.close()
