"""schemathesis, in an environment of its own, over all that the service's OpenAPI document declares."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import httpx

from bench.processing.servers import environment
from tests.processing.conftest import X, Y, Z
from tests.processing.graphs import band

from .checks import Found
from .stage import PREFIX, TOKEN, Stage

PACKAGE = "schemathesis==4.32.5"
NAMES = ("identifier", "service", "name", "job_id")


def schemathesis(on: Stage, seconds: float, found: Found) -> None:
    """Each operation with right and wrong input: no server error, for a service that is there and others."""
    python = environment("schemathesis", PACKAGE)
    document = on.folder / "openapi.json"
    document.write_text(json.dumps(declared(on)))
    lines = on.folder / "events.ndjson"
    command = [
        str(python.parent / "st"), "run", str(document), "--url", on.settings.processing.url, "-c",
        "not_a_server_error", "-H", f"Authorization: Bearer {TOKEN}", "--max-time", str(max(1, int(seconds))),
        "--continue-on-failure", "--request-timeout", "60", "--no-shrink", "--suppress-health-check", "all",
        "--phases", "examples,coverage,fuzzing", "--report", "ndjson", "--report-ndjson-path", str(lines),
    ]  # fmt: skip
    env = {**os.environ, "NO_COLOR": "1"}
    ended = subprocess.run(command, env=env, cwd=on.folder, capture_output=True, text=True, timeout=seconds * 2 + 300)
    (on.folder / "st.txt").write_text(ended.stdout)
    print(ended.stdout[-6000:], ended.stderr[-1000:], flush=True)
    if not on.alive:
        found.fail("schemathesis: the process ended", ended.stdout[-2000:])
    _count(on, ended.stdout, found)


def declared(on: Stage) -> dict[str, Any]:
    """The service's document; in every other example an identifier is that of a service that is there."""
    made = on.http.post("/services", json={"type": "XYZ", "process": {"process_graph": band("B04")}}).raise_for_status()
    name = made.headers["openeo-identifier"]
    document: dict[str, Any] = httpx.get(f"{on.settings.processing.url}{PREFIX}/openapi").raise_for_status().json()
    there = {"identifier": name, "service": name, "z": Z, "x": X, "last": f"{Y}.png"}
    for path in document["paths"].values():
        for operation in path.values():
            for one in operation.get("parameters", ()):
                if one["in"] == "path" and one["name"] in there:
                    kind = one["schema"]
                    one["schema"] = {"anyOf": [{"enum": [there[one["name"]]]}, kind]}
    return document


def _count(on: Stage, text: str, found: Found) -> None:
    """Failures by the operation, with the request that showed them."""
    operation = ""
    for line in text.splitlines():
        if line.startswith("____") and line.strip("_ "):
            operation = line.strip("_ ")
        if "curl -X" in line:
            found.fail(f"schemathesis: {operation}: {on.failure()}"[:300], line.strip()[:1500])
        if "Test cases" in line or "generated" in line:
            found.counts[f"schemathesis: {line.strip()[:80]}"] += 1
