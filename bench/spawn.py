"""Click to ready of a person's server: ours against stock DockerSpawner, same image, machine, proxy and hub version.

Both hubs run side by side and their spawns alternate, so that both meet the same machine; then 50 people click at once,
at one hub at a time. A click is the request, ready is the first answer of the person's own server through the proxy;
between the two the client waits for the hub's own progress events, as a browser does. `python -m bench.spawn`.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

import dockerspawner
import httpx

from bdap_hub.spawning.engines.client import connect
from bdap_hub.spawning.network import ensure_network
from tests.conftest import PROXY, free_port, make_settings

from .common import Row, write

ROUNDS = int(os.environ.get("ROUNDS", "15"))
PEOPLE = int(os.environ.get("PEOPLE", "50"))
NETWORK = "bdapbench-spawn"
COMMAND = "make bench AREA=spawn"
WISH = {"project": "agriculture", "image": "lab"}

COMMON = """
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "test"
c.Authenticator.allow_all = True
c.JupyterHub.load_groups = {"project-agriculture": {"users": os.environ["B_PEOPLE"].split(",")}}
c.JupyterHub.services = [dict(name="bench", api_token=os.environ["B_TOKEN"])]
c.JupyterHub.trust_user_provided_tokens = True
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
c.DockerSpawner.prefix = os.environ["B_PREFIX"]
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


def people() -> list[str]:
    """Names of those who click at once; the first is who clicks alone."""
    return [f"p{number:02}" for number in range(PEOPLE)]


@dataclass
class Hub:
    """A running hub with its proxy, driven by its API. `options`: what a start asks for."""

    url: str
    token: str
    process: int
    log: Path
    install: str
    options: dict[str, str]
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        self.http = httpx.Client(headers={"Authorization": f"token {self.token}"}, timeout=600, limits=limits)

    def spawn(self, name: str) -> float:
        """Seconds from the request until the person's server itself answers through the proxy."""
        begun = time.perf_counter()
        answer = self.http.post(f"{self.url}/hub/api/users/{name}/server", json=self.options)
        answer.raise_for_status()
        if answer.status_code == 202:
            self._follow(name)
        answer = self.http.get(f"{self.url}/user/{name}/api", follow_redirects=False)
        if answer.status_code != 200:
            raise RuntimeError(f"{name}'s server answers {answer.status_code}")
        return time.perf_counter() - begun

    def _follow(self, name: str) -> None:
        """Read progress events until the last one, as the page does that waits."""
        with self.http.stream("GET", f"{self.url}/hub/api/users/{name}/server/progress") as events:
            for line in events.iter_lines():
                event = json.loads(line[5:]) if line.startswith("data:") else {}
                if event.get("ready"):
                    return
                if event.get("failed"):
                    raise RuntimeError(event.get("message", "failed"))
        raise RuntimeError(f"the progress of {name}'s start ended before it was ready")

    def stop(self, name: str) -> None:
        """Stop the server and wait until it is gone."""
        self.http.delete(f"{self.url}/hub/api/users/{name}/server")
        for _ in range(600):
            if not self.http.get(f"{self.url}/hub/api/users/{name}").json()["servers"]:
                return
            time.sleep(0.1)
        raise TimeoutError(f"{name}'s server did not stop in 60 s")

    def surge(self, names: list[str]) -> tuple[list[float], list[str]]:
        """All of them click at once: seconds of those who got a server, and what the others were told."""
        seconds, failures = [], []
        with ThreadPoolExecutor(len(names)) as threads:
            for one in [threads.submit(self.spawn, name) for name in names]:
                try:
                    seconds.append(one.result())
                except (httpx.HTTPError, RuntimeError) as error:
                    failures.append(str(error))
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(self.stop, names))
        return seconds, failures

    def cpu(self) -> float:
        """Seconds of processor time of the hub and the programs that it ran."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def waiting(self) -> list[str]:
        """Ids of containers that are ready to be claimed."""
        labels = {"label": [f"bdap.hub={self.install}", "bdap.kind=warm"]}
        found = [one for one in connect(60).containers(filters=labels) if "--warm-" in one["Names"][0]]
        pids = {one["Id"]: connect(60).inspect_container(one["Id"])["State"]["Pid"] for one in found}
        return [one for one, pid in pids.items() if Path(f"/proc/{pid}/root/run/bdap/claim").exists()]

    def until_waiting(self, count: int) -> None:
        """Until so many are."""
        for _ in range(3000):
            if len(self.waiting()) >= count:
                return
            time.sleep(0.1)
        raise TimeoutError(f"{len(self.waiting())} containers wait, not {count}:\n{self.log.read_text()[-3000:]}")


@contextmanager
def running(config: str, gateway: str, warm: dict[str, Any]) -> Iterator[Hub]:
    """A hub with this configuration, and its own proxy; everything is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        settings = make_settings(
            folder / "var",
            hub={"api_bind": gateway},
            spawning={"network": NETWORK, "idle_timeout": 0, "warm": warm},
            **{service: {"bind": gateway} for service in ("processing", "catalogue", "dashboards", "admin")},
        )
        prefix = f"bdapbench-{settings.install_id}"
        (folder / "bdap.yaml").write_text(json.dumps(settings.model_dump(mode="json")))
        (folder / "config.py").write_text(config)
        hub, token, ours = settings.hub, secrets.token_hex(32), config is OURS
        env = {
            **{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parent.parent),
            "BDAP_CONFIG": str(folder / "bdap.yaml"),
            "CONFIGPROXY_AUTH_TOKEN": settings.secret("proxy-auth-token"),
            "B_URL": hub.public_url,
            "B_HUB": f"http://{gateway}:{hub.api_port if ours else free_port()}",
            "B_PROXY": f"http://127.0.0.1:{hub.proxy_api_port}",
            "B_VAR": str(folder),
            "B_TOKEN": token,
            "B_PREFIX": prefix,
            "B_PEOPLE": ",".join(people()),
        }
        port = hub.public_url.rsplit(":", 1)[1]
        proxy = [str(PROXY), "--ip", "127.0.0.1", "--port", port, "--api-port", str(hub.proxy_api_port)]
        commands = [proxy, [sys.executable, "-m", "jupyterhub", "-f", str(folder / "config.py")]]
        with (folder / "log").open("wb") as log:
            processes = [subprocess.Popen(c, cwd=folder, env=env, stdout=log, stderr=log) for c in commands]
        try:
            _wait_for(f"{hub.public_url}/hub/health", folder / "log")
            options = WISH if ours else {}
            yield Hub(hub.public_url, token, processes[1].pid, folder / "log", settings.install_id, options)
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                process.wait(60)
            for one in connect(60).containers(all=True):
                if one["Labels"].get("bdap.hub") == settings.install_id or one["Names"][0].startswith(f"/{prefix}"):
                    connect(60).remove_container(one["Id"], force=True)


def _wait_for(url: str, log: Path) -> None:
    for _ in range(300):
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"{url} does not answer:\n{log.read_text()[-3000:]}")


def memory(container: str) -> float:
    """MiB that belong to a container's processes: shared pages count in parts (PSS)."""
    found = 0
    for (pid,) in connect(60).top(container, "-o pid")["Processes"]:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        found += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return found / 1024


def p95(values: list[float]) -> float:
    """The 95th percentile, of the nearest rank."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


@dataclass
class Found:
    """What was measured of one hub: seconds of clicks, seconds of its processor time a click."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def click(self, hub: Hub, name: str) -> None:
        """One more, alone."""
        before = hub.cpu()
        self.seconds.append(hub.spawn(name))
        self.cpu.append(hub.cpu() - before)
        hub.stop(name)


def alone(gateway: str) -> tuple[dict[str, Found], str, float]:
    """One person clicks, at each hub in turn; the laps of our cold start; MiB of one that waits."""
    name, found = people()[0], {"cold": Found(), "warm": Found(), "stock": Found()}
    none, one = {"most": 0}, {"least": 1, "most": 1}
    with (
        running(OURS, gateway, none) as cold,
        running(OURS, gateway, one) as warm,
        running(STOCK, gateway, none) as stock,
    ):
        hubs = {"cold": cold, "warm": warm, "stock": stock}
        for number in range(ROUNDS + 1):
            for kind, hub in hubs.items():
                warm.until_waiting(1)  # nothing else is being started meanwhile
                time.sleep(0.5)
                (found[kind] if number else Found()).click(hub, name)
            print(*(f"{kind} {one.seconds[-1]:.2f}" for kind, one in found.items() if one.seconds), flush=True)
        warm.until_waiting(1)
        laps = re.findall(r"listens after .*\((.*)\)", cold.log.read_text())
        return found, _average(laps), memory(warm.waiting()[0])


def _average(laps: list[str]) -> str:
    """The medians of `name seconds, ...` lines, in the same form."""
    rows = [dict(part.split() for part in line.split(", ")) for line in laps]
    return ", ".join(f"{name} {median(float(row[name]) for row in rows):.2f}" for name in rows[0])


def at_once(gateway: str) -> dict[str, tuple[list[float], list[str]]]:
    """PEOPLE click at once: at stock, at ours with no, the default and a large pool."""
    cases: dict[str, tuple[str, dict[str, Any], int]] = {
        "stock": (STOCK, {"most": 0}, 0),
        "none": (OURS, {"most": 0}, 0),
        "large": (OURS, {"least": PEOPLE, "most": PEOPLE}, PEOPLE),
    }
    found = {}
    for kind, (config, warm, count) in cases.items():
        with running(config, gateway, warm) as hub:
            hub.spawn(people()[0])  # the first start of a hub imports and makes what later ones find
            hub.stop(people()[0])
            hub.until_waiting(count)
            found[kind] = hub.surge(people())
        seconds, failures = found[kind]
        print(f"{PEOPLE} at once, {kind}: median {median(seconds):.1f} s, p95 {p95(seconds):.1f} s, failed: {failures}")
    return found


def main() -> None:
    """Measure and write bench/results/spawn.json."""
    gateway = ensure_network(NETWORK)
    peer = f"dockerspawner {dockerspawner.__version__}, same image, network, uid"
    load = os.getloadavg()[0]
    try:
        found, laps, mib = alone(gateway)
        surges = at_once(gateway)
    finally:
        connect(60).remove_network(NETWORK)
    rows = []

    def row(case: str, ours: float, theirs: float, unit: str = "s", goal: float | None = None, digits: int = 2) -> None:
        rows.append(Row(case, round(ours, digits), peer, round(theirs, digits), unit, goal, COMMAND))

    stock = found["stock"]
    averages: list[tuple[str, Callable[[list[float]], float]]] = [("median", median), ("p95", p95)]
    for kind, goal in (("cold", None), ("warm", None)):
        for name, of in averages:
            row(f"click to ready, {kind}, {name} of {ROUNDS}", of(found[kind].seconds), of(stock.seconds), goal=goal)
        row(f"hub's CPU a start, {kind}, mean", mean(found[kind].cpu), mean(stock.cpu))
    for kind, words, wanted in (("none", "none waits", None), ("large", f"{PEOPLE} wait", 2.0)):
        for name, of in averages:
            goal_of = wanted if name == "p95" else None
            row(f"{PEOPLE} at once, {words}, {name}", of(surges[kind][0]), of(surges["stock"][0]), goal=goal_of)
        failed, theirs = len(surges[kind][1]), len(surges["stock"][1])
        row(f"{PEOPLE} at once, {words}, failed", failed, theirs, "people")
    row("memory of one that waits", mib, 0, "MiB", digits=0)
    write("spawn", rows)
    print(f"cold, where the time goes in the spawner: {laps}\nload of the machine before: {load:.2f}")


if __name__ == "__main__":
    main()
