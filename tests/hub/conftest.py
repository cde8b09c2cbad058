"""The platform's own hub configuration, run for real: external proxy, Docker engine, a form for passwords in tests."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from bdap_hub import proxy
from bdap_hub.settings import Settings, SizeSettings
from bdap_hub.spawning.network import ensure_network
from tests.conftest import GROUPS, PROXY, ROOT, make_settings

CONFIG = """
from bdap_hub import hub, settings
hub.configure(c, settings.load())
# The provider has its own tests: people log in by a form here, groups are the hub's.
from jupyterhub.auth import DummyAuthenticator
from bdap_hub.spawning.page import handlers
class Form(DummyAuthenticator):
    def get_handlers(self, app):
        return [*super().get_handlers(app), *handlers.HANDLERS]
c.JupyterHub.authenticator_class = Form
c.DummyAuthenticator.password = "test"
c.Authenticator.allow_all = True
c.Authenticator.enable_auth_state = True
c.JupyterHub.load_groups = {groups}
c.JupyterHub.services.append(dict(name="test-admin", api_token="{token}"))
c.JupyterHub.load_roles.append(dict(name="test-admin", services=["test-admin"], scopes=[
    "admin:users", "admin:groups", "admin:servers", "tokens", "list:users", "access:servers"]))
"""


BUSY_SECONDS = 90.0


@dataclass(frozen=True)
class Account:
    """One that is not root, as `ansible/` gives the hub: it may give files away, and is in the engine's group."""

    uid: int
    group: int  # of root's part
    docker: str = "/var/run/docker.sock"

    @property
    def command(self) -> list[str]:
        """What comes before a command that runs as it."""
        # the tests' own Python may lie where only root looks
        rights = ",".join(f"+{name}" for name in ("chown", "fowner", "fsetid", "dac_read_search"))
        groups = f"{Path(self.docker).stat().st_gid},{self.group}"
        return [
            *("setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", f"--groups={groups}", "--no-new-privs"),
            *(f"--inh-caps=-all,{rights}", f"--ambient-caps=-all,{rights}", f"--bounding-set=-all,{rights}"),
        ]

    def own(self, folder: Path) -> None:
        """Everything in it is the account's."""
        subprocess.run(["chown", "-R", f"{self.uid}:{self.uid}", str(folder)], check=True)


@dataclass
class Platform:
    """A hub and its proxy as two processes; the hub can be killed and started again. `account`: as whom both run."""

    settings: Settings
    folder: Path
    token: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    account: Account | None = None

    @property
    def url(self) -> str:
        return self.settings.hub.public_url

    @property
    def log(self) -> str:
        return (self.folder / "hub.log").read_text()

    def api(self, method: str, path: str, token: str = "", **kwargs: Any) -> httpx.Response:
        """Call the hub's API; with full rights unless a token is given."""
        headers = {"Authorization": f"token {token or self.token}"}
        return httpx.request(method, f"{self.url}/hub/api{path}", headers=headers, timeout=60, **kwargs)

    def at_server(self, name: str, method: str, path: str) -> httpx.Response:
        """Call a person's server with full rights."""
        headers = {"Authorization": f"token {self.token}"}
        return httpx.request(method, f"{self.url}/user/{name}/{path}", headers=headers, timeout=60)

    def token_of(self, name: str) -> str:
        answer = self.api("POST", f"/users/{name}/tokens", json={"note": "test"})
        answer.raise_for_status()
        return str(answer.json()["token"])

    @contextlib.contextmanager
    def browser(self, name: str) -> Iterator[httpx.Client]:
        """A client with cookies, logged in through the form."""
        with httpx.Client(follow_redirects=True, timeout=60, headers={"Accept": "text/html"}) as client:
            client.get(f"{self.url}/hub/login")
            xsrf = client.cookies.get("_xsrf", path="/hub/")
            answer = client.post(f"{self.url}/hub/login", data={"username": name, "password": "test", "_xsrf": xsrf})
            assert answer.url.path == "/hub/home", answer.text
            yield client

    def start_hub(self) -> None:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")},
            "BDAP_CONFIG": str(self.folder / "bdap.yaml"),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "jupyterhub", "-f", str(self.folder / "config.py")]
        self.run("hub", command, environment)
        self.wait(lambda: httpx.get(f"{self.url}/hub/health", timeout=2).status_code == 200, 60, "the hub's health")

    def start_proxy(self) -> None:
        environment = {"PATH": os.environ["PATH"], **proxy.environment(self.settings)}
        command = proxy.command(self.settings)
        if self.account:  # what was made until here is root's
            self.account.own(self.folder)
        self.run("proxy", command, environment)

    def run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(
                [*(self.account.command if self.account else []), *command],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill_hub(self) -> None:
        """As when the machine's memory ran out: no chance to say goodbye."""
        self.processes["hub"].send_signal(signal.SIGKILL)
        self.processes["hub"].wait(10)

    def wait(self, check: Callable[[], object], seconds: float, what: str) -> None:
        """Until `check` is true; failures to connect count as not yet. Never less than what a busy machine needs."""
        seconds = max(seconds, BUSY_SECONDS)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError, KeyError):
                if check():
                    return
            if self.processes["hub"].poll() is not None:
                break
            time.sleep(0.1)
        pytest.fail(f"{what}: not within {seconds} s\n{self.log[-6000:]}")

    def start(self, name: str, options: dict[str, str] | None, seconds: float = 60) -> None:
        """Start a person's server by the API and wait until it is ready."""
        answer = self.api("POST", f"/users/{name}/server", json=options)
        assert answer.status_code in (201, 202), answer.text
        self.wait(lambda: self.api("GET", f"/users/{name}").json()["servers"][""]["ready"], seconds, f"{name}'s server")

    def stop(self, name: str) -> None:
        """Stop a person's server, if one runs, and wait until it is gone."""
        self.api("DELETE", f"/users/{name}/server")
        self.wait(lambda: not self.api("GET", f"/users/{name}").json()["servers"], 40, f"{name}'s server to stop")

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def launch(folder: Path, settings: Settings, more: str = "", account: Account | None = None) -> Platform:
    """Write the configuration and start proxy and hub. `more` is put at the end of the hub's configuration."""
    if not PROXY.exists():
        pytest.fail("configurable-http-proxy is missing: run `make test` once, it installs it")
    token = secrets.token_hex(32)
    (folder / "bdap.yaml").write_text(json.dumps(settings.model_dump(mode="json")))
    (folder / "config.py").write_text(CONFIG.replace("{groups}", repr(GROUPS)).replace("{token}", token) + more)
    platform = Platform(settings, folder, token, account=account)
    platform.start_proxy()
    try:
        platform.start_hub()
        for name in ("ana", "ben", "olga", "pia"):
            platform.api("POST", f"/users/{name}")
    except BaseException:
        platform.close()
        raise
    return platform


@contextlib.contextmanager
def on_own_network(
    shape: Callable[[str, dict[str, Any]], Settings], account: Account | None = None
) -> Iterator[Platform]:
    """A hub with the Docker engine and a network of its own; its containers and its network go away at the end.

    `shape` makes the settings from the network's name and what binds hub and services to it; their folder is <x>/var.
    """
    try:
        engine = docker.from_env()
        engine.ping()
    except docker.errors.DockerException:
        pytest.fail("no Docker engine answers: start it (`systemctl start docker`)")
    network = f"bdaptest-hub-{secrets.token_hex(3)}"
    gateway = ensure_network(network)
    bound = {name: {"bind": gateway} for name in ("processing", "catalogue", "dashboards")}
    settings = shape(network, {"hub": {"api_bind": gateway}, **bound})
    found: Platform | None = None
    try:
        found = launch(settings.var.parent, settings, account=account)
        yield found
    finally:
        if found:
            found.close()
        for one in engine.containers.list(
            all=True, filters={"label": f"bdap.hub={settings.install_id}"}, ignore_removed=True
        ):
            one.remove(force=True, v=True)
        engine.networks.get(network).remove()
        engine.close()


@contextlib.contextmanager
def with_docker(
    folder: Path, store: dict[str, Any] | None = None, account: Account | None = None, **spawning: Any
) -> Iterator[Platform]:
    """The hub of these tests, with TLS inside and two sizes."""

    def shape(network: str, bound: dict[str, Any]) -> Settings:
        settings = make_settings(
            folder / "var",
            spawning={"network": network, "memory": "700M", "pids": 200, "idle_timeout": 0, **spawning},
            **({"store": store} if store else {}),
            **{**bound, "hub": {**bound["hub"], "internal_ssl": True}},
        )
        plain = SizeSettings(name="standard", title="Standard", cpus=1, memory=settings.spawning.memory)
        settings.sizes = (plain, SizeSettings(name="large", title="Large", cpus=1.5, memory="900M"))
        return settings

    with on_own_network(shape, account) as found:
        yield found


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """With whom most tests share it."""
    with with_docker(tmp_path_factory.mktemp("platform"), warm={"most": 0}) as found:
        yield found


@pytest.fixture(scope="package")
def process_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The hub with servers as plain processes."""
    folder = tmp_path_factory.mktemp("processes")
    settings = make_settings(folder / "var", spawning={"engine": "process"})
    found = launch(folder, settings)
    try:
        yield found
    finally:
        for name in ("ana", "ben"):
            found.api("DELETE", f"/users/{name}/server")
        time.sleep(1)
        found.close()
