"""What is compared, each running until the stack ends: ours, Voilà as its documentation starts it, and preheated."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import docker
import httpx
import uvicorn

from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.gateway.serving import create_gateway
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.releases.publish import Publisher, Wish
from bdap_hub.dashboards.running.runtime import make_runtime
from bdap_hub.database import connect
from bdap_hub.settings import ProjectSettings, Settings
from bdap_hub.web import HubLogin
from tests.conftest import free_port

from .. import processes

POOL = 5
"""Kernels that preheated Voilà keeps ready: as many as in its documentation."""
_CALM, _PAUSE, _PATIENCE = 0.1, 0.3, 120.0
_REFILL = 1.3
"""Seconds after which preheated Voilà has begun to fill its pool again; one of them is its own default."""


def settings_of(folder: Path, engine: str, **dashboards: object) -> Settings:
    """Of an install of its own in that folder."""
    vault = folder / "secrets"
    vault.mkdir(parents=True)
    for name in ("signing", "service-dashboards"):
        (vault / name).write_text(name * 8)
    port = free_port()
    return Settings(
        environment="demo",
        var=folder,
        spawning={"engine": engine},
        dashboards={
            "gateway_port": port,
            "origin": f"http://dashboards.localhost:{port}",
            "network": f"bdapbench-{port}",
            **dashboards,
        },
        projects=(ProjectSettings(name="bench", title="Bench", group="bench"),),
    )


def gateway_of(stack: ExitStack, settings: Settings, threads: list[int] | None = None) -> Publisher:
    """The gateway runs until the stack ends; what publishes to it. Its thread's number is added to `threads`."""
    runtime = make_runtime(settings)
    if settings.spawning.engine == "docker":
        stack.callback(_forget_network, settings.dashboards.network)
    stack.callback(runtime.stop_all)
    port = settings.dashboards.gateway_port
    server = uvicorn.Server(uvicorn.Config(create_gateway(settings), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    stack.callback(setattr, server, "should_exit", True)
    while not server.started:
        time.sleep(0.02)
    (threads if threads is not None else []).append(thread.native_id or 0)
    return Publisher(settings, Records(connect(settings.database)), runtime, HubLogin(settings, "dashboards"))


def _forget_network(name: str) -> None:
    for network in docker.from_env().networks.list(names=[name]):
        network.remove()


@dataclass(frozen=True)
class Side:
    """One of them: its address, the process that serves it (None: in a container) and threads of this one."""

    name: str
    url: str
    pid: int | None
    threads: tuple[int, ...] = ()
    refill: float = 0.0
    at_rest: int = 0  # processes, where it is known

    def cpu(self) -> float:
        """Seconds so far, of the server and all that it started."""
        return processes.cpu(processes.tree(self.pid or 0)) + processes.thread_cpu(*self.threads)

    def memory(self) -> float:
        """MiB now."""
        return processes.pss(processes.tree(self.pid or 0))

    def settle(self) -> None:
        """Until it has done what its last visitor left it to do: a pool is full again, a kernel has ended."""
        if self.pid is None:
            return
        time.sleep(self.refill)
        deadline = time.monotonic() + _PATIENCE
        before = self.cpu()
        while time.monotonic() < deadline:
            time.sleep(_PAUSE)
            now = self.cpu()
            if now - before < _CALM * _PAUSE:
                return
            before = now
        raise RuntimeError(f"{self.name} is still busy after {_PATIENCE:.0f} s")

    def alone(self) -> None:
        """Until no process of a visitor is left: ours keeps one for a minute for who comes back."""
        deadline = time.monotonic() + _PATIENCE
        while self.at_rest and len(processes.tree(self.pid or 0)) > self.at_rest:
            if time.monotonic() > deadline:
                raise RuntimeError(f"visitors' processes of {self.name} are there after {_PATIENCE:.0f} s")
            time.sleep(_PAUSE)


def ours(stack: ExitStack, folder: Path, engine: str, runtime: str, content: bytes) -> Side:
    """Published, and served through the gateway."""
    settings, threads = settings_of(folder, engine, runtime=runtime), list[int]()
    publisher = gateway_of(stack, settings, threads)
    publisher.publish(Wish("bench", "map", "Map", "", "public"), read_bundle("index.ipynb", content, 2**20), "bench")
    files = list((folder / "dashboards/run").glob("*.json"))
    pid = int(json.loads(files[0].read_text())["pid"]) if files else None
    number = len(processes.tree(pid)) if pid and runtime == "fork" else 0
    return Side("ours", settings.dashboards.address("bench", "map"), pid, tuple(threads), at_rest=number)


def plain(stack: ExitStack, folder: Path, content: bytes) -> Side:
    """Voilà as its documentation starts it: a kernel for each visitor."""
    return _voila(stack, folder, content, "Voilà 0.5.13")


def preheated(stack: ExitStack, folder: Path, content: bytes) -> Side:
    """Voilà that keeps kernels ready in which the notebook was executed, as its documentation starts that."""
    options = ("--preheat_kernel=True", f"--pool_size={POOL}")
    side = _voila(stack, folder, content, f"Voilà 0.5.13, {POOL} preheated", options, _REFILL)
    side.settle()
    return side


def _voila(
    stack: ExitStack, folder: Path, content: bytes, name: str, options: tuple[str, ...] = (), refill: float = 0.0
) -> Side:
    folder.mkdir()
    (folder / "index.ipynb").write_bytes(content)
    port = free_port()
    command = [sys.executable, "-m", "voila", "index.ipynb", "--no-browser", f"--port={port}", *options]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait, 60)
    stack.callback(process.terminate)
    url = f"http://localhost:{port}/"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}_ready", timeout=5, trust_env=False)
            return Side(name, url, process.pid, refill=refill)
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError(f"{name} did not start in 60 s")
