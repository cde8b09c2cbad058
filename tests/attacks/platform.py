"""The platform's own hub and proxy as two processes, and a browser that a test can bend."""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import secrets
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import sessionmaker

from bdap_hub import audit, database, proxy
from bdap_hub.identity.tables import Account
from bdap_hub.settings import Settings
from tests.attacks.hostile_provider import HostileProvider
from tests.conftest import PROXY, ROOT
from tests.until import BUSY_SECONDS

CONFIG = """
from bdap_hub import hub, settings
from bdap_hub.identity import discovery
discovery.KEYS_AGAIN_SECONDS = discovery.FAILED_AGAIN_SECONDS = 0.2  # tests have no ten seconds between two rotations
hub.configure(c, settings.load())
c.JupyterHub.log_level = "DEBUG"
c.JupyterHub.services.append(dict(name="test-admin", api_token="{token}"))
c.JupyterHub.load_roles.append(dict(name="test-admin", services=["test-admin"], scopes=[
    "admin:users", "admin:groups", "admin:servers", "tokens", "list:users", "read:users"]))
"""

Change = dict[str, str | None] | Callable[[str], str]
"""How an address is changed on its way: parameters by name (None removes), or a function of the whole."""
UNCHANGED: Change = {}


def changed_address(url: str, change: Change) -> str:
    """`url` as somebody in between has changed it."""
    return change(url) if callable(change) else with_query(url, **change)


def with_query(url: str, **changes: str | None) -> str:
    """`url` with parameters changed, or removed where None."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **changes}
    return parts._replace(query=urlencode({k: v for k, v in query.items() if v is not None})).geturl()


def query(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


@dataclass
class Platform:
    """A running hub, the provider it trusts, and what both have written."""

    settings: Settings
    folder: Path
    provider: HostileProvider
    verify: ssl.SSLContext = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store: sessionmaker[Any] = database.connect(self.settings.database)
        self.client = httpx.Client(timeout=30, trust_env=False, verify=self.verify)

    @property
    def url(self) -> str:
        """What people type."""
        return self.settings.hub.public_url

    @property
    def logs(self) -> str:
        """All that the hub, its servers and the proxy have logged."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def api(self, method: str, path: str, token: str = "", **kwargs: Any) -> httpx.Response:
        """Call the hub's API; with full rights unless a token is given."""
        headers = {"Authorization": f"token {token or self.token}"}
        return self.client.request(method, f"{self.url}/hub/api{path}", headers=headers, **kwargs)

    def events(self, after: int = 0, action: str = "") -> list[audit.Event]:
        """Audit events newer than `after`, oldest first."""
        wanted = select(audit.Event).where(audit.Event.id > after).order_by(audit.Event.id)
        with self.store() as session:
            found = list(session.scalars(wanted))
        return [event for event in found if action in ("", event.action)]

    def mark(self) -> int:
        """The newest audit event's number."""
        newest = audit.latest(self.store, 1)
        return newest[0].id if newest else 0

    def known(self, person: str) -> bool:
        """Whether the hub has a user or we have an account of that name."""
        with self.store() as session:
            account = session.get(Account, person)
        return account is not None or self.api("GET", f"/users/{person}").status_code != 404

    def start(self, *proxy_options: str) -> None:
        """Proxy and hub, as the platform starts them."""
        if not PROXY.exists():
            pytest.fail("configurable-http-proxy is missing: run `make test` once, it installs it")
        (self.folder / "bdap.yaml").write_text(json.dumps(self.settings.model_dump(mode="json")))
        (self.folder / "config.py").write_text(CONFIG.replace("{token}", self.token))
        self._run("proxy", [*proxy.command(self.settings), *proxy_options], proxy.environment(self.settings))
        self._run(
            "hub",
            [sys.executable, "-m", "jupyterhub", "-f", "config.py"],
            {"BDAP_CONFIG": str(self.folder / "bdap.yaml"), "PYTHONPATH": str(ROOT)},
        )
        self.wait(lambda: self.client.get(f"{self.url}/hub/health").status_code == 200, 60, "the hub's health")

    def _run(self, name: str, command: list[str], more: dict[str, str]) -> None:
        unwanted = ("_proxy", "BDAP_")
        kept = {k: v for k, v in os.environ.items() if not k.lower().endswith(unwanted[0]) and unwanted[1] not in k}
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=self.folder, env={**kept, **more}, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self, check: Callable[[], object], seconds: float, what: str) -> None:
        """Until `check` is true; failures to connect count as not yet. A busy machine's own pauses are allowed for."""
        seconds += BUSY_SECONDS
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.processes["hub"].poll() is None:
            try:
                if check():
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        pytest.fail(f"{what}: not within {seconds} s\n{self.logs[-6000:]}")

    def stop(self) -> None:
        """The hub first: it stops the servers it started."""
        for process in reversed(self.processes.values()):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        self.client.close()


class Browser:
    """Somebody's browser. It follows no redirect by itself, so that a test can look at each and change it.

    Each has an address of its own: refusals of many from one address are counted, not told one by one.
    """

    _made = itertools.count(256)

    def __init__(self, platform: Platform, person: str) -> None:
        self.platform, self.person = platform, person
        self.address = str(ipaddress.ip_address("127.1.0.0") + next(self._made))
        headers = {"Accept": "text/html", "X-Person": person}  # the provider takes the header as who sits there
        self.client = httpx.Client(
            timeout=30,
            headers=headers,
            event_hooks={"response": [self._remember_cookies]},
            transport=httpx.HTTPTransport(local_address=self.address, verify=platform.verify, trust_env=False),
        )

    def _remember_cookies(self, response: httpx.Response) -> None:
        for line in response.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if len(value.strip('"')) >= 16:
                self.platform.provider.remember(f"cookie {name}", value.strip('"'))

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        """One request of the hub; no redirect is followed."""
        return self.client.get(f"{self.platform.url}{path}" if path.startswith("/") else path, **kwargs)

    def begin(self, path: str = "/hub/oauth_login") -> str:
        """Begin a login: the provider's address that the hub sends this browser to."""
        answer = self.get(path)
        while answer.is_redirect and not answer.headers["Location"].startswith(self.platform.provider.issuer):
            answer = self.client.send(answer.next_request)  # type: ignore[arg-type]
        assert answer.is_redirect, answer.text
        return str(answer.headers["Location"])

    def authorise(self, address: str) -> str:
        """Agree at the provider; the address it sends the browser back to."""
        answer = self.client.get(address)
        assert answer.is_redirect, answer.text
        return str(answer.headers["Location"])

    def log_in(
        self, path: str = "/hub/oauth_login", sent: Change = UNCHANGED, back: Change = UNCHANGED
    ) -> httpx.Response:
        """A whole login, its addresses changed on the way to the provider (`sent`) and back; the hub's last answer."""
        address = self.authorise(changed_address(self.begin(path), sent))
        return self.get(changed_address(address, back))

    def whoami(self, cookies: dict[str, str] | None = None) -> str:
        """Who the hub takes this browser for; '' for nobody."""
        headers = {"Accept": "application/json", "Referer": f"{self.platform.url}/hub/home"}
        if cookies is not None:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
            with httpx.Client(trust_env=False, timeout=30, verify=self.platform.verify) as copy:
                answer = copy.get(f"{self.platform.url}/hub/api/user", headers=headers)
        else:
            answer = self.client.get(f"{self.platform.url}/hub/api/user", headers=headers)
        assert answer.status_code in (200, 403), answer.text
        return str(answer.json()["name"]) if answer.status_code == 200 else ""

    def form(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of one of the hub's pages, with its XSRF token, as that page would."""
        token = self.client.cookies.get("_xsrf", path="/hub/") or ""
        headers = {"Referer": f"{self.platform.url}/hub/home", "Sec-Fetch-Site": "same-origin"}
        return self.client.post(f"{self.platform.url}{path}", data={"_xsrf": token, **fields}, headers=headers)

    def cookies(self) -> dict[str, str]:
        """All that the hub has put in this browser."""
        return {cookie.name: cookie.value or "" for cookie in self.client.cookies.jar}

    def close(self) -> None:
        """Close its connections."""
        self.client.close()
