"""The process that talks to a pool by HTCondor's Python bindings: a line of JSON in, a line of JSON out.

A process of its own: the bindings are made for one thread, take their configuration from the environment, and a fault
in the library, or a pool that hangs, ends this process and not the service.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def main() -> None:
    """The first line says which pool; each further one asks something, and ends with an answer."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever the library prints is no answer
    pool = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory() as folder:
        _configure(pool, Path(folder))
        for line in sys.stdin:
            try:
                answer = {"answer": _answer(pool, **json.loads(line))}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")


def _configure(pool: Mapping[str, str], folder: Path) -> None:
    """HTCondor reads tokens from folders alone: ours has one link, to the one token that is for this pool."""
    (folder / "token").symlink_to(Path(pool["token"]).absolute())
    values = {
        "SEC_TOKEN_DIRECTORY": str(folder),
        "SEC_TOKEN_SYSTEM_DIRECTORY": str(folder),
        "SEC_CLIENT_AUTHENTICATION": "REQUIRED",
        "SEC_CLIENT_AUTHENTICATION_METHODS": "IDTOKENS",
        "SEC_CLIENT_ENCRYPTION": "REQUIRED",
        "SEC_CLIENT_INTEGRITY": "REQUIRED",
        "COLLECTOR_HOST": pool["collector"],
        "FILESYSTEM_DOMAIN": pool["domain"],
    }
    os.environ["CONDOR_CONFIG"] = "/dev/null"  # no other pool that this machine may know
    os.environ.update({f"_CONDOR_{name}": value for name, value in values.items()})


def _answer(pool: Mapping[str, str], verb: str, **asked: Any) -> Any:
    import htcondor2 as condor  # after the environment says what it is to know

    if verb == "machines":
        return _plain(condor.Collector(pool["collector"]).query(condor.AdType.Startd, **asked))
    schedd = condor.Schedd(_place(condor, pool))
    if verb == "submit":
        return schedd.submit(condor.Submit(asked["description"])).cluster()
    if verb == "query":
        return _plain(schedd.query(**asked))
    if verb == "remove":
        schedd.act(condor.JobAction.Remove, asked["clusters"], "no longer wanted")
        return None
    raise ValueError(f"{verb!r} is unknown")


def _place(condor: Any, pool: Mapping[str, str]) -> Any:
    """Where the schedd is now: the collector knows."""
    found = condor.Collector(pool["collector"]).query(condor.AdType.Schedd)
    named = [ad for ad in found if pool["schedd"] in ("", ad["Name"])]
    if len(named) == 1:
        return named[0]
    raise LookupError(f"{pool['schedd']!r} (batch.schedd) is none, or several, of {[ad['Name'] for ad in found]}")


def _plain(ads: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in ad.items() if isinstance(value, str | int | float)} for ad in ads]


if __name__ == "__main__":
    main()
