"""The program that enters containers, kept running: asked by lines, one at a time, it answers in a few milliseconds."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from ..store import namespaces

COMMAND = (sys.executable, "-I", "-S", namespaces.__file__, "serve")
LARGEST = 2**22


class Helper:
    """Of one loop. It ends with the hub, whose end closes its input."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def ask(self, wanted: dict[str, Any]) -> None:
        """Carry it out; OSError with what went wrong."""
        async with self._turn:
            process = await self._running()
            assert process.stdin and process.stdout
            try:
                process.stdin.write(json.dumps(wanted).encode() + b"\n")
                await process.stdin.drain()
                answer = await process.stdout.readline()
            except BaseException:  # also cancelled: an answer that comes later is nobody else's
                self._end()
                raise
        if not answer:
            self._end()
            raise OSError("the program that enters containers has ended")
        if (said := json.loads(answer)) is not None:
            raise OSError(str(said)[-300:])

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND, stdin=pipe, stdout=pipe, env={"LANG": "C.UTF-8"}, limit=LARGEST
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        self._process = None

    async def close(self) -> None:
        """End it, and wait until it has."""
        process = self._process
        self._end()
        if process is not None:
            await process.wait()
