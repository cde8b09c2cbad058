"""Root's part as a machine runs it, with a configuration of the test's own; and containers to try it on."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker

from bdap_hub.spawning import node

FOLDER = Path(node.__file__).parent
NOBODY = 65534


@contextmanager
def running(
    folder: Path, config: dict[str, Any], account: int = NOBODY, group: int = NOBODY, socket: Path | None = None
) -> Iterator[Path]:
    """Its socket, for that account and group."""
    path = socket or folder / "node.socket"
    own = {"socket": str(path), "account": account, "group": group, **config}
    (folder / "node.json").write_text(json.dumps(own))
    with (folder / "node.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(FOLDER), str(folder / "node.json")], stdout=subprocess.PIPE, stderr=log
        )
    try:
        assert process.stdout and process.stdout.readline() == b"ready\n", (folder / "node.log").read_text()
        yield path
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()  # type: ignore[union-attr]


@contextmanager
def started(command: Sequence[str], volumes: Sequence[str] = (), **labels: str) -> Iterator[Any]:
    """One of this host's engine that runs this, on no network."""
    engine = docker.from_env()
    made = engine.containers.run(
        "bdap/debian:trixie",
        list(command),
        name=f"bdaptest-part-{secrets.token_hex(3)}",
        labels=labels,
        volumes=list(volumes),
        detach=True,
        network_mode="none",
    )
    try:
        made.reload()
        yield made
    finally:
        made.remove(force=True)
        engine.close()


def mount(source: Path | str, target: str, read_only: bool = True) -> dict[str, Any]:
    """As the part is told of it."""
    return {"source": str(source), "target": target, "read_only": read_only, "propagation": "rprivate"}
