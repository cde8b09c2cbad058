"""Work on files of people in processes of their own, bounded in memory and time: a few bytes can claim to be gigabytes.

The process knows no secret; it answers with JSON, or with the reason why it has none.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .alone import end_with_parent, environment
from .graphs.graph import GraphError

MEMORY, SECONDS = 1 << 30, 60.0
MOST = 64 << 20
"""Characters of an answer: the service holds it whole, without the limits of the process."""
REMEDY = "look into the file, or split it"


def asked(module: str, *arguments: str, content: bytes = b"", handles: Sequence[int] = ()) -> Any:
    """What `python -m module arguments` answers; FormatUnsuitable where it fails, or needs more than it may."""
    try:
        ended = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            pass_fds=tuple(handles),
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise _unsuitable(f"takes longer than {SECONDS:g} seconds to read") from None
    if ended.returncode:
        raise _unsuitable(f"cannot be read with {MEMORY >> 20} MB of memory")
    said = json.loads(ended.stdout)
    if "refused" in said:
        raise GraphError("FormatUnsuitable", said["refused"], said["remedy"])
    return said["answer"]


def answered(act: Callable[[], Any]) -> int:
    """In the process: print what `act` gives, within the limits."""
    end_with_parent(os.getppid())
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    said: dict[str, Any]
    try:
        said = {"answer": act()}
    except GraphError as error:
        said = {"refused": error.message, "remedy": error.remedy}
    text = json.dumps(said, allow_nan=False)
    if len(text) > MOST:
        text = json.dumps({"refused": f"holds more than {MOST >> 20} MB", "remedy": REMEDY})
    sys.stdout.write(text)
    return 0


def _unsuitable(what: str) -> GraphError:
    return GraphError("FormatUnsuitable", what, REMEDY)
