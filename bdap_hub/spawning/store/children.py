"""Programs that may hang on a dead mount: each has its time, and is left behind when not even a kill ends it."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ...errors import Unavailable

_left: set[asyncio.Task[int]] = set()
MOST_LEFT = 5  # each holds a process; they end when the file system that they wait for does


async def ask(program: ModuleType, wanted: dict[str, Any], seconds: float) -> Any:
    """The JSON answer of a program of ours ('' for none); Unavailable with its own words, or where it hangs."""
    if len(_left) >= MOST_LEFT:
        raise Unavailable("earlier looks at the store still hang", "unmount what does not answer: umount -f -l")
    name = str(program.__file__)
    code, out, error = await run([sys.executable, "-I", "-S", name], seconds, json.dumps(wanted).encode())
    if code:
        raise Unavailable(error.decode(errors="replace").strip().splitlines()[-1:][0] if error.strip() else f"{code}")
    return json.loads(out) if out else ""


async def run(command: Sequence[str], seconds: float, given: bytes = b"") -> tuple[int, bytes, bytes]:
    """(status, output, errors) of a command; Unavailable if it takes longer.

    Output goes through files: a daemon that the command leaves behind would hold a pipe open.
    """
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        stdin.write(given)
        stdin.seek(0)
        process = await asyncio.create_subprocess_exec(*command, stdin=stdin, stdout=out, stderr=error)
        try:
            code = await asyncio.wait_for(process.wait(), seconds)
        except (TimeoutError, asyncio.CancelledError) as end:
            process.kill()
            task = asyncio.create_task(process.wait())
            _left.add(task)
            task.add_done_callback(_left.discard)
            if isinstance(end, TimeoutError):
                raise Unavailable(f"no answer within {seconds:g} s") from None
            raise
        out.seek(0)
        error.seek(0)
        return code, out.read(), error.read()
