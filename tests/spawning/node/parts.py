"""Root's part as a machine runs it, for tests: the real program, with a configuration of the test's own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
