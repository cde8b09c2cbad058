"""Shared fixtures: settings in a throw-away folder, and a real JupyterHub with people, groups and our services."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

import tests.tls_once  # noqa: F401
from bdap_hub.settings import ProjectSettings, Settings
from tests.browser import FLAGS, deaf_chromium
from tests.postgres import database_url, postgres  # noqa: F401  fixtures
from tests.serving import Services
from tests.side_by_side import (  # noqa: F401  hooks
    draw,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_xdist_make_scheduler,
)

ROOT = Path(__file__).parent.parent
PROXY = ROOT / "var/node/node_modules/.bin/configurable-http-proxy"
SERVICES = ("processing", "catalogue", "dashboards", "admin")
SECRETS = (
    "signing",
    "oidc-client-secret",
    "proxy-auth-token",
    "service-demo",
    *(f"service-{name}" for name in SERVICES),
)
GROUPS = {
    "project-agriculture": {"users": ["ana", "olga"]},
    "project-forest": {"users": ["ben", "olga"]},
    "bdap-admins": {"users": ["olga"]},
}


EXPECT = 30_000
"""Milliseconds for which a test waits for what a page shall show."""
_given: deque[int] = deque(maxlen=1000)


def free_port() -> int:
    """A port nobody listens on right now, below those that outgoing connections get by themselves.

    None of the last thousand: two services that begin later would have the same.
    """
    while True:
        port = draw(range(15000, 32000))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.append(port)
                return port


def make_settings(folder: Path, **sections: dict[str, Any]) -> Settings:
    """Demo settings with everything in `folder`, free ports and fresh secrets."""
    vault = folder / "secrets"
    vault.mkdir(parents=True, exist_ok=True)
    for name in SECRETS:
        if not (vault / name).exists():
            (vault / name).write_text(secrets.token_hex(32))
    if not (vault / "hub-crypt-key").exists():
        (vault / "hub-crypt-key").write_text(secrets.token_hex(32))
    store = folder / "store"
    for part in ("data", "projects/agriculture", "projects/forest"):
        (store / part).mkdir(parents=True, exist_ok=True)
    public, gateway, issuer = free_port(), free_port(), free_port()
    values: dict[str, Any] = {
        "hub": {
            "public_url": f"http://127.0.0.1:{public}",
            "api_port": free_port(),
            "proxy_api_port": free_port(),
            "internal_ssl": False,  # tests of the whole platform turn it on
        },
        "identity": {"issuer": f"http://localhost:{issuer}"},
        "spawning": {"warm": {"most": 0}},  # no containers beside those that a test starts
        "store": {"root": store},
        "processing": {"port": free_port(), "processes": 0},  # tests of several say so
        "catalogue": {"port": free_port()},
        "dashboards": {
            "port": free_port(),
            "gateway_port": gateway,
            "origin": f"http://dashboards.localhost:{gateway}",
            "painter": "",  # drawing takes seconds: its own tests turn it on
        },
        "admin": {"port": free_port()},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return Settings(
        environment="demo",
        var=folder,
        projects=(
            ProjectSettings(
                name="agriculture", title="Agriculture", group="project-agriculture", images=("lab", "gpu")
            ),
            ProjectSettings(name="forest", title="Forest", group="project-forest", images=("lab",)),
        ),
        **values,
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Fresh settings for one test."""
    return make_settings(tmp_path / "var")


@dataclass
class Hub:
    """A running JupyterHub that all tests of the session share, and those of our services that run beside it."""

    settings: Settings
    url: str
    admin_token: str
    services: Services

    def serve(self, app: Any, port: int) -> None:
        """See `Services.serve`."""
        self.services.serve(app, port)

    def api(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Call the hub's API with full rights."""
        headers = {"Authorization": f"token {self.admin_token}"}
        return httpx.request(method, f"{self.url}/hub/api{path}", headers=headers, timeout=30, **kwargs)

    def token(self, name: str) -> str:
        """A fresh API token of that person, as their notebook server would hold."""
        answer = self.api("POST", f"/users/{name}/tokens", json={"note": "test"})
        answer.raise_for_status()
        return str(answer.json()["token"])

    def bearer(self, name: str) -> dict[str, str]:
        """Request headers of that person."""
        return {"Authorization": f"Bearer {self.token(name)}"}

    def browser(self, name: str, **login: str) -> httpx.Client:
        """A client with cookies, logged in as that person through the hub's login form.

        `level` and `age` (seconds) are the assurance that the login is to have; unless given, mfa and 0.
        """
        client = httpx.Client(follow_redirects=True, timeout=30, headers={"Accept": "text/html"})
        client.get(f"{self.url}/hub/login")
        client.post(
            f"{self.url}/hub/login?next=/hub/home",
            data={"username": name, "password": "test", **login, "_xsrf": client.cookies.get("_xsrf", path="/hub/")},
        )
        return client

    def set_group(self, group: str, name: str, member: bool) -> None:
        """Put a person in a group or take them out."""
        method = "POST" if member else "DELETE"
        self.api(method, f"/groups/{group}/users", json={"users": [name]}).raise_for_status()


HUB_CONFIG = """
import json, os
from bdap_hub.proxy import IDLE_SECONDS
from bdap_hub.settings import Settings
c.JupyterHub.bind_url = os.environ["T_URL"]
c.JupyterHub.hub_bind_url = os.environ["T_HUB"]
c.JupyterHub.db_url = "sqlite:///" + os.environ["T_VAR"] + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = os.environ["T_VAR"] + "/cookie_secret"
c.JupyterHub.authenticator_class = "tests.password_login.PasswordLogin"
c.PasswordLogin.settings = Settings(**json.loads(os.environ["T_SETTINGS"]))
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = os.environ["T_VAR"] + "/home-{username}"
c.Spawner.cmd = [os.environ["T_BIN"] + "/jupyterhub-singleuser", "--allow-root"]
c.Spawner.default_url = "/api"
c.ConfigurableHTTPProxy.command = [os.environ["T_PROXY"], "--keep-alive-timeout", str(IDLE_SECONDS * 1000)]
c.ConfigurableHTTPProxy.api_url = os.environ["T_PROXY_API"]
c.ConfigurableHTTPProxy.pid_file = os.environ["T_VAR"] + "/proxy.pid"
c.JupyterHub.load_groups = {groups}
c.JupyterHub.services = [dict(name="test-admin", api_token=os.environ["T_TOKEN"])] + [
    dict(name=name, url=url, api_token=token, oauth_no_confirm=True, timeout=1,
         oauth_redirect_uri=os.environ["T_URL"] + "/services/" + name + "/oauth_callback",
         oauth_client_allowed_scopes=["access:services!service=dashboards"] if name == "admin" else [])
    for name, url, token in {services}
]
reads = ["read:users:name", "read:users:groups"]
c.JupyterHub.load_roles = [
    dict(name="test-admin", scopes=["admin:users", "admin:groups", "admin:servers", "tokens", "list:users"],
         services=["test-admin"]),
    dict(name="reader", scopes=reads, services=["processing", "catalogue", "dashboards"]),
    dict(name="panel", scopes=reads + ["list:users", "read:users", "read:servers", "delete:servers",
         "list:groups", "read:groups"], services=["admin"]),
    dict(name="user", scopes=["self"] + ["access:services!service=" + n for n in
         ("processing", "catalogue", "dashboards", "admin")]),
]
"""


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A real hub with a real proxy; people ana, ben, olga and pia; password 'test' in its login form."""
    if not PROXY.exists():
        pytest.fail(f"{PROXY.relative_to(ROOT)} is missing: run `make test` once, it installs it")
    folder = tmp_path_factory.mktemp("hub")
    settings = make_settings(folder / "var")
    config = folder / "config.py"
    services = [(name, getattr(settings, name).url, settings.secret(f"service-{name}")) for name in SERVICES]
    config.write_text(HUB_CONFIG.replace("{groups}", repr(GROUPS)).replace("{services}", repr(services)))
    token = secrets.token_hex(32)
    env = {
        **{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
        "PYTHONPATH": str(ROOT),
        "T_SETTINGS": settings.model_dump_json(),
        "T_URL": settings.hub.public_url,
        "T_HUB": f"http://127.0.0.1:{settings.hub.api_port}",
        "T_VAR": str(folder / "var"),
        "T_BIN": str(Path(sys.executable).parent),
        "T_PROXY": str(PROXY),
        "T_PROXY_API": f"http://127.0.0.1:{settings.hub.proxy_api_port}",
        "T_TOKEN": token,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    log = (folder / "hub.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterhub", "-f", str(config)],
        cwd=folder,
        env=env,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    services = Services()
    try:
        _wait(f"{settings.hub.public_url}/hub/health", process, folder / "hub.log")
        running = Hub(settings, settings.hub.public_url, token, services)
        for name in ("ana", "ben", "olga", "pia"):
            running.api("POST", f"/users/{name}")  # those in a group exist already: 409 is fine
        yield running
    finally:
        services.end()
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its proxy and the servers it started, too
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the test hub did not start:\n{log.read_text()[-6000:]}")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The system's Chromium, headless. Per module: while Playwright runs, no asyncio test can run in this thread."""
    path = deaf_chromium(tmp_path_factory.mktemp("browser"))
    if path is None:
        pytest.fail("there is no Chromium: run `make test` once, it installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        expect.set_options(timeout=EXPECT)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def condor() -> Iterator[Any]:
    """A real HTCondor pool; see `condor.CondorPool`."""
    from bdap_hub.batch import pool as looks
    from bdap_hub.processing.jobs import htcondor
    from tests.condor import pool

    with pool() as found, pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "FRESH", 0.3)  # tests look more often
        patch.setattr(htcondor, "LOOK", 0.3)
        yield found


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real imagery ($BDAP_TEST_DATA); skips, visibly, where it is not at hand."""
    folder = os.environ.get("BDAP_TEST_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("BDAP_TEST_DATA is not set: the real imagery is not part of the project")
    return Path(folder)


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Where screenshots go; CI keeps the folder."""
    folder = Path(os.environ.get("BDAP_ARTIFACTS", ROOT / "artifacts"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
