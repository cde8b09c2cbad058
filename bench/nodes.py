"""Click to ready on the machines of a swarm: a container that waited there against a cold start, in turn.

Both hubs run side by side with TLS inside; the machines are containers of this host, each with its own Docker engine.
`python -m bench.nodes`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from tests.conftest import make_settings
from tests.hub.conftest import Platform, launch
from tests.spawning.swarm.machines import Machines

from .common import Row, write
from .spawn import ROUNDS, WISH, Found, Hub

COMMAND = "make bench AREA=nodes"
PORTS = {"cold": 7430, "warm": 7431}
POOLS: dict[str, dict[str, Any]] = {"cold": {"most": 0}, "warm": {"least": 1, "most": 1, "patience": 10}}


@contextmanager
def running(machines: Machines, kind: str) -> Iterator[tuple[Hub, Platform]]:
    """A hub with or without containers that wait, whose servers are on the machines."""
    folder = machines.folder / kind
    folder.mkdir()
    settings = make_settings(
        folder / "var",
        spawning={
            "engine": "swarm",
            "idle_timeout": 0,
            "swarm": {"address": machines.host, "node_port": PORTS[kind]},
            "warm": POOLS[kind],
        },
        hub={"api_bind": machines.host, "internal_ssl": True},
        **{name: {"bind": machines.host} for name in ("processing", "catalogue", "dashboards")},
    )
    machines.serve_parts(settings)
    found = launch(folder, settings)
    try:
        hub = found.processes["hub"].pid
        yield Hub(found.url, found.token, hub, folder / "hub.log", settings.install_id, WISH), found
    finally:
        found.close()


def waits(machines: Machines, install: str) -> bool:
    """Whether one is ready on each machine that has the image."""
    labels = {"label": [f"bdap.hub={install}", "bdap.kind=warm"]}
    names = [one["Spec"]["Name"] for one in machines.clients["node1"].services(filters=labels)]
    try:
        return len(names) == 2 and all(machines.exec(name, "test -S /run/bdap/claim")[0] == 0 for name in names)
    except AssertionError:
        return False  # it is only being made


def main() -> None:
    """Measure and write bench/results/nodes.json."""
    load, found = os.getloadavg()[0], {"cold": Found(), "warm": Found()}
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        machines = Machines(folder)
        try:
            machines.up()
            machines.load("bdap/lab", "node1", "node2")
            with (
                patch.dict(os.environ, DOCKER_HOST=machines.socket("node1")),
                running(machines, "cold") as (cold, _),
                running(machines, "warm") as (warm, _),
            ):
                for number in range(ROUNDS + 1):
                    for kind, hub in (("cold", cold), ("warm", warm)):
                        while not waits(machines, warm.install):
                            time.sleep(0.2)
                        (found[kind] if number else Found()).click(hub, "ana")
                print(*(line for line in warm.log.read_text().splitlines() if "listens after" in line), sep="\n")
        finally:
            machines.close()
    rows = [
        Row(
            f"click to ready on a machine of a swarm, warm, {what} of {ROUNDS}; load before: {load:.1f}",
            round(of(found["warm"].seconds), 2),
            "ours, cold, same machines, image and TLS",
            round(of(found["cold"].seconds), 2),
            "s",
            None,
            COMMAND,
        )
        for what, of in (("median", median), ("slowest", max))
    ]
    write("nodes", rows)


if __name__ == "__main__":
    main()
