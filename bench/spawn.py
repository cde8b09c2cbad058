"""Click to ready of a person's server: ours against stock DockerSpawner, same image, machine, proxy and hub version.

Both hubs run side by side; the spawns alternate, so that both meet the same machine. `python -m bench.spawn`.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import dockerspawner
import httpx

from bdap_hub.spawning.engines.client import client
from bdap_hub.spawning.network import ensure_network
from tests.conftest import PROXY, free_port, make_settings

from .common import Row, write

ROUNDS = int(os.environ.get("ROUNDS", "5"))
NETWORK = "bdapbench-spawn"
GOAL = 2.5  # the cold start that is asked for: at most 1.5 s where stock takes 3 to 4.4 s

COMMON = """
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "test"
c.Authenticator.allow_all = True
c.JupyterHub.load_groups = {"project-agriculture": {"users": ["ana"]}}
c.JupyterHub.services = [dict(name="bench", api_token=os.environ["B_TOKEN"])]
c.JupyterHub.load_roles = [r for r in (c.JupyterHub.load_roles or []) if r["name"] == "user"] + [
    dict(name="bench", services=["bench"], scopes=["admin:users", "admin:servers", "access:servers"])]
"""
OURS = "import os\nfrom bdap_hub import hub, settings\nhub.configure(c, settings.load())\n" + COMMON
STOCK = (
    """
import os
c.JupyterHub.bind_url = os.environ["B_URL"]
c.JupyterHub.hub_bind_url = os.environ["B_HUB"]
c.JupyterHub.hub_connect_url = os.environ["B_HUB"]
c.JupyterHub.db_url = "sqlite:///" + os.environ["B_VAR"] + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = os.environ["B_VAR"] + "/cookie_secret"
c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.image = "bdap/lab:latest"
c.DockerSpawner.allowed_images = ["bdap/lab:latest"]
c.DockerSpawner.network_name = "bdapbench-spawn"
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.remove = True
c.DockerSpawner.prefix = "bdapbench-stock"
c.DockerSpawner.pull_policy = "never"
c.DockerSpawner.extra_create_kwargs = {"user": "20000:20000"}
c.DockerSpawner.cmd = ["jupyterhub-singleuser"]
c.DockerSpawner.environment = {"HOME": "/tmp"}
c.JupyterHub.load_roles = []
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.auth_token = os.environ["CONFIGPROXY_AUTH_TOKEN"]
c.ConfigurableHTTPProxy.api_url = os.environ["B_PROXY"]
"""
    + COMMON
)


class Hub:
    """A running hub with its proxy, driven by its API."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.http = httpx.Client(headers={"Authorization": f"token {token}"}, timeout=120)

    def spawn(self, options: dict[str, str]) -> float:
        """Seconds from the request until the person's server itself answers through the proxy."""
        begun = time.perf_counter()
        self.http.post(f"{self.url}/hub/api/users/ana/server", json=options).raise_for_status()
        while time.perf_counter() - begun < 120:
            if self.http.get(f"{self.url}/user/ana/api", follow_redirects=False).status_code == 200:
                return time.perf_counter() - begun
            time.sleep(0.02)
        raise TimeoutError("the server did not start in 120 s")

    def stop(self) -> None:
        """Stop the server and wait until it is gone."""
        self.http.delete(f"{self.url}/hub/api/users/ana/server")
        for _ in range(300):
            if not self.http.get(f"{self.url}/hub/api/users/ana").json()["servers"]:
                return
            time.sleep(0.1)
        raise TimeoutError("the server did not stop in 30 s")


@contextmanager
def running(name: str, config: str, gateway: str, folder: Path) -> Iterator[Hub]:
    """A hub with this configuration, and its own proxy."""
    settings = make_settings(
        folder / "var",
        hub={"api_bind": gateway},
        spawning={"network": NETWORK, "idle_timeout": 0},
        **{service: {"bind": gateway} for service in ("processing", "catalogue", "dashboards", "admin")},
    )
    (folder / "bdap.yaml").write_text(json.dumps(settings.model_dump(mode="json")))
    (folder / "config.py").write_text(config)
    hub, token = settings.hub, secrets.token_hex(32)
    env = {
        **{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "BDAP_CONFIG": str(folder / "bdap.yaml"),
        "CONFIGPROXY_AUTH_TOKEN": settings.secret("proxy-auth-token"),
        "B_URL": hub.public_url,
        "B_HUB": f"http://{gateway}:{hub.api_port if name == 'ours' else free_port()}",
        "B_PROXY": f"http://127.0.0.1:{hub.proxy_api_port}",
        "B_VAR": str(folder),
        "B_TOKEN": token,
    }
    port = hub.public_url.rsplit(":", 1)[1]
    proxy = [str(PROXY), "--ip", "127.0.0.1", "--port", port, "--api-port", str(hub.proxy_api_port)]
    commands = [proxy, [sys.executable, "-m", "jupyterhub", "-f", str(folder / "config.py")]]
    with (folder / "log").open("wb") as log:
        processes = [subprocess.Popen(c, cwd=folder, env=env, stdout=log, stderr=log) for c in commands]
    try:
        _wait_for(f"{hub.public_url}/hub/health", folder / "log")
        yield Hub(hub.public_url, token)
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(20)
        for one in client().containers(all=True, filters={"label": f"bdap.hub={settings.install_id}"}):
            client().remove_container(one["Id"], force=True)


def _wait_for(url: str, log: Path) -> None:
    for _ in range(300):
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"{url} does not answer:\n{log.read_text()[-3000:]}")


def main() -> None:
    """Measure and write bench/results/spawn.json."""
    gateway = ensure_network(NETWORK)
    seconds: dict[str, list[float]] = {"ours": [], "stock": []}
    wishes: dict[str, dict[str, Any]] = {"ours": {"project": "agriculture", "image": "lab"}, "stock": {}}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        Path(one).chmod(0o755)
        with running("ours", OURS, gateway, Path(one)) as ours, running("stock", STOCK, gateway, Path(two)) as stock:
            for number in range(ROUNDS + 1):
                for name, hub in (("ours", ours), ("stock", stock)):
                    taken = hub.spawn(wishes[name])
                    hub.stop()
                    print(f"round {number}: {name} {taken:.2f} s{' (warming up)' if number == 0 else ''}", flush=True)
                    if number:
                        seconds[name].append(taken)
    client().remove_network(NETWORK)
    write(
        "spawn",
        [
            Row(
                case=f"click to ready, cold, lab image, median of {ROUNDS}",
                ours=round(median(seconds["ours"]), 2),
                peer=f"dockerspawner {dockerspawner.__version__}, same image, network, uid",
                theirs=round(median(seconds["stock"]), 2),
                unit="s",
                goal=GOAL,
                command="make bench AREA=spawn",
            )
        ],
    )


if __name__ == "__main__":
    main()
