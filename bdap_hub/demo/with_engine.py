"""`python -m bdap_hub.demo.with_engine COMMAND...`: run a command with a Docker engine and the platform's images.

An engine that was started for it is stopped afterwards; the exit status is the command's.
"""

from __future__ import annotations

import subprocess
import sys

from ..errors import BdapError
from ..spawning.images import platform as images
from . import docker_engine


def main(command: list[str]) -> int:
    """Make the engine and the images ready, run `command`, stop what was started."""
    try:
        engine = docker_engine.ensure_engine(_say)
    except BdapError as error:
        return _fail(error)
    try:
        images.build(progress=_say)
        return subprocess.run(command, check=False).returncode
    except BdapError as error:
        return _fail(error)
    except KeyboardInterrupt:
        return 130
    finally:
        if engine is not None:
            engine.stop()


def _say(line: str) -> None:
    print(f"    {line}", flush=True)


def _fail(error: BdapError) -> int:
    print(f"bdap: {error.message}\n      {error.remedy}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
