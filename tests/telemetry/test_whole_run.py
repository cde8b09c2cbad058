"""A whole run with every log at its most talkative: none of them holds a secret that was in it."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx
import psutil
import pytest

from bdap_hub import audit, database
from bdap_hub.proxy import IDLE_SECONDS
from bdap_hub.settings import Settings
from tests.conftest import PROXY, make_settings
from tests.identity.conftest import Browser, Platform, with_query
from tests.identity.drivers import DemoProvider
from tests.identity.processes import Process
from tests.postgres import programs

PARAMETERS = ("code", "state", "nonce", "_xsrf", "token", "id_token_hint")
SERVICES = ("processing", "dashboards", "admin")
# The hub as it is configured in production, and a page that fails in the most talkative way.
CONFIG = """
import logging
from bdap_hub import hub, settings
from jupyterhub.handlers.base import BaseHandler

hub.configure(c, settings.load())
c.JupyterHub.log_level = "DEBUG"

class Fails(BaseHandler):
    def get(self):
        told = f"{dict(self.request.headers)} {self.request.arguments} {self.request.uri}"
        with open("control.txt", "a") as control:
            control.write(told)
        logging.getLogger("some.library").warning("%s", told)
        self.log.debug("headers: %r", list(self.request.headers.get_all()))
        raise RuntimeError(told)

c.JupyterHub.extra_handlers.append((r"/fails", Fails))
c.JupyterHub.load_roles.append(
    {"name": "reads-state", "services": ["demo"], "scopes": ["admin:auth_state", "read:users", "admin:servers"]}
)
"""
TALKATIVE = "import logging; from bdap_hub import cli, telemetry; telemetry.set_up.__defaults__ = (logging.DEBUG,); "


@dataclass
class Run:
    """The platform, its logs, and every secret that a browser met."""

    platform: Platform
    folder: Path
    secrets: set[str] = field(default_factory=set)

    def browser(self) -> Browser:
        """One whose secrets are noted."""
        browser = Browser(self.platform)
        browser.client.event_hooks = {"request": [self._asked], "response": [self._answered]}
        return browser

    def _asked(self, request: httpx.Request) -> None:
        for pair in request.headers.get("cookie", "").split("; "):
            self._note(pair.partition("=")[2].strip('"'))
        self._note(request.headers.get("authorization", "").rpartition(" ")[2])
        fields = [*parse_qsl(request.url.query.decode()), *parse_qsl(request.content.decode(errors="replace"))]
        for name, value in fields:
            if name in (*PARAMETERS, "password", "csrfmiddlewaretoken"):
                self._note(value)

    def _answered(self, response: httpx.Response) -> None:
        for cookie in response.headers.get_list("set-cookie"):
            self._note(cookie.partition(";")[0].partition("=")[2].strip('"'))
        for name, value in parse_qsl(urlsplit(response.headers.get("location", "")).query):
            if name in PARAMETERS:
                self._note(value)

    def _note(self, value: str) -> None:
        if len(value) >= 8:
            self.secrets.add(value)

    def logs(self) -> dict[str, str]:
        """The text of every log."""
        return {path.name: path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log"))}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Run]:
    """The whole platform as processes, on PostgreSQL where there is one: all other tests run it on SQLite."""
    if not PROXY.exists():
        pytest.fail("configurable-http-proxy is missing: run `make test` once, it installs it")
    folder = tmp_path_factory.mktemp("logs")
    settings = make_settings(folder / "var", spawning={"engine": "process"}, identity={"revocation_seconds": 8})
    if programs():
        settings = settings.model_copy(update={"database_url": request.getfixturevalue("postgres")()})
    (folder / "bdap.yaml").write_text(json.dumps(settings.model_dump(mode="json")))
    (folder / "settings.json").write_text(settings.model_dump_json())
    (folder / "config.py").write_text(CONFIG)
    provider = DemoProvider(settings, folder)
    with ExitStack() as stack:
        processes = [provider.process, _proxy(settings, folder)]
        for name in SERVICES:
            health = f"{getattr(settings, name).url}/services/{name}/health"
            command = [sys.executable, "-c", f"{TALKATIVE}cli.main(['serve', '{name}'])"]
            processes.append(Process(command, folder, f"{name}.log", health))
        hub = [sys.executable, "-m", "jupyterhub", "-f", "config.py"]
        processes.append(Process(hub, folder, "hub.log", f"{settings.hub.public_url}/hub/health"))
        for process in processes:
            stack.callback(process.stop)
            process.start(wait=False)
        for process in processes:
            process.wait()
        yield Run(Platform(settings, provider, folder / "hub.log"), folder)


def _proxy(settings: Settings, folder: Path) -> Process:
    """At the level at which the platform runs it: its own "debug" writes addresses with their queries."""
    hub = settings.hub
    command = [str(PROXY), "--ip", hub.bind, "--port", str(urlsplit(hub.public_url).port)]
    command += ["--keep-alive-timeout", str(IDLE_SECONDS * 1000)]
    command += ["--api-ip", "127.0.0.1", "--api-port", str(hub.proxy_api_port)]
    command += ["--error-target", f"http://127.0.0.1:{hub.api_port}/hub/error"]
    token = f"export CONFIGPROXY_AUTH_TOKEN=$(cat {settings.var}/secrets/proxy-auth-token); exec "
    return Process(["bash", "-c", token + " ".join(command)], folder, "proxy.log")


def as_demo(run: Run, method: str, path: str) -> httpx.Response:
    """Ask the hub with the service token that may read what is kept of a login."""
    headers = {"Authorization": f"token {run.platform.settings.secret('service-demo')}"}
    return httpx.request(method, f"{run.platform.url}/hub/api{path}", headers=headers, timeout=60, trust_env=False)


def logs_in_well_and_badly(run: Run, browser: Browser) -> None:
    other = run.browser()
    other.submit(other.to_password(), login="ana", password="a wrong password 1")
    answer = browser.log_in("ana", until="/hub/oauth_callback")
    callback = str(answer.next_request.url)
    assert other.client.get(callback).status_code == 403
    assert other.client.get(with_query(callback, state="B" * 43)).status_code == 403
    assert browser.get(callback).status_code == 200
    assert browser.client.get(callback).status_code == 403  # a code serves once
    other.client.close()


def has_a_server(run: Run, browser: Browser) -> None:
    url = run.platform.url
    browser.submit(browser.get(f"{url}/hub/spawn"), choice="agriculture/lab")
    deadline = time.monotonic() + 90
    while not (as_demo(run, "GET", "/users/ana").json()["servers"].get("") or {}).get("ready"):
        assert time.monotonic() < deadline, run.logs()["hub.log"][-4000:]
        time.sleep(0.3)
    assert browser.get(f"{url}/user/ana/api/status").status_code in (200, 403)
    assert browser.get(f"{url}/user/ana/lab").status_code == 200
    environments = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # others end meanwhile
            if "singleuser" in " ".join(process.cmdline()):
                environments.append(process.environ())
    hub = f":{run.platform.settings.hub.api_port}/"  # others may run beside it, and have an ana
    tokens = [e["JUPYTERHUB_API_TOKEN"] for e in environments if hub in e.get("JUPYTERHUB_API_URL", "")]
    assert tokens
    run.secrets.update(tokens)


def calls_services(run: Run, browser: Browser) -> None:
    url = run.platform.url
    xsrf = browser.client.cookies.get("_xsrf", path="/hub/")
    headers = {"X-XSRFToken": str(xsrf), "Referer": f"{url}/hub/token"}
    made = browser.client.post(f"{url}/hub/api/users/ana/tokens", json={"note": "a test"}, headers=headers)
    assert made.status_code == 201, made.text
    token = made.json()["token"]
    run.secrets.add(token)
    for name in SERVICES:
        browser.get(f"{url}/services/{name}/")
        for value in (token, "not-a-token-1234567890"):
            bearer = {"Authorization": f"Bearer {value}"}
            httpx.get(f"{url}/services/{name}/nothing?token={value}", headers=bearer, trust_env=False)
            httpx.post(f"{url}/services/{name}/api/dashboards", headers=bearer, content=b"{", trust_env=False)
    run.secrets.add("not-a-token-1234567890")


def meets_errors(run: Run, browser: Browser) -> None:
    url, query = run.platform.url, urlencode({"code": "c0de" * 8, "state": "57a7e" * 7, "token": "70ken" * 7})
    run.secrets.update(("c0de" * 8, "57a7e" * 7, "70ken" * 7))
    assert browser.client.get(f"{url}/hub/fails?{query}").status_code == 500
    assert browser.client.get(f"{url}/services/catalogue/oauth_callback?{query}").status_code in (404, 503)  # is down
    browser.client.get(f"{url}/hub/error/503?{urlencode({'url': f'/hub/oauth_callback?{query}'})}")
    browser.client.get(f"{url}/hub/login?{urlencode({'next': f'/hub/oauth_callback?{query}'})}")
    browser.client.get(f"{url}/hub/logout?{query}&id_token_hint={'h1n7' * 9}")
    bad = {"Authorization": f"token {'bad0' * 10}", "Content-Type": "application/json"}
    httpx.post(f"{url}/hub/api/users", headers=bad, content=b'{"token": "j50n0', trust_env=False)
    httpx.post(
        f"{url}/hub/backchannel_logout", data={"logout_token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."}, trust_env=False
    )
    run.secrets.update(("bad0" * 10, "h1n7" * 9, "eyJhbGciOiJub25lIn0", "eyJzdWIiOiJhIn0"))


def test_no_log_holds_a_secret(run: Run) -> None:
    browser, olga = run.browser(), run.browser()
    logs_in_well_and_badly(run, browser)
    olga.log_in("olga", start=f"{run.platform.url}/services/admin/audit")
    has_a_server(run, browser)
    calls_services(run, browser)
    kept = as_demo(run, "GET", "/users/ana").json()["auth_state"]
    assert kept["access_token"]
    run.secrets.update(value for name, value in kept.items() if name.endswith("_token") and value)
    time.sleep(5)  # the provider is asked again, with these tokens
    meets_errors(run, olga)
    as_demo(run, "DELETE", "/users/ana/server")
    browser.log_out()
    browser.client.close()
    olga.client.close()
    for account in run.platform.accounts.values():
        run.secrets.update((account["password"], account["totp_secret"]))
    run.secrets.update(path.read_text().strip() for path in (run.platform.settings.var / "secrets").iterdir())
    run.secrets.discard("")
    time.sleep(1)

    assert len(run.secrets) > 28
    for name, text in run.logs().items():
        held = [s for s in run.secrets if s in text or quote(s, safe="") in text]
        assert held == [], f"{name}: {[line[:300] for line in text.splitlines() if any(s in line for s in held)][:5]}"
        assert not re.search(r"eyJ[\w-]{8,}\.", text), name
        assert "ana@demo.invalid" not in text, name


def test_the_search_finds_what_is_not_redacted(run: Run) -> None:
    control = (run.folder / "control.txt").read_text()
    assert len([secret for secret in run.secrets if secret in control]) >= 4  # cookies, code, state and token


def test_the_logs_still_say_what_happened(run: Run) -> None:
    logs = run.logs()
    assert {"hub.log", "provider.log", "proxy.log", *(f"{name}.log" for name in SERVICES)} == set(logs)
    for name, wanted in {
        "hub.log": r"D \d+-.*Setting cookie|RuntimeError: \{'|login refused \(403\): state-unknown|\[redacted\]",
        "proxy.log": r"503 GET /services/catalogue/oauth_callback ",
        "admin.log": r"DEBUG httpcore",
    }.items():
        for pattern in wanted.split("|"):
            assert re.search(pattern, logs[name]), f"{name}: {pattern}"


def test_events_name_the_login_they_belong_to(run: Run) -> None:
    events = audit.events(database.connect(run.platform.settings.database), audit.Filter(person="ana"))
    sessions = {event.action: event.session for event in events if event.outcome == "allowed"}
    assert re.fullmatch(r"[0-9a-f]{12}", sessions["login"])
    assert sessions["logout"] == sessions["login"]
