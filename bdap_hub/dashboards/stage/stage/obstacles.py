"""Why an executed notebook cannot be forked: what does not survive in a copy of its process."""

from __future__ import annotations

import asyncio
import gc
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PAGES = {  # what a page can show of an output without a JupyterLab extension
    "application/vnd.jupyter.widget-view+json", "application/javascript", "text/html", "text/markdown", "image/svg+xml",
    "text/latex", "image/png", "image/jpeg",
}  # fmt: skip
DATABASES = frozenset({"psycopg", "psycopg2", "pymysql", "MySQLdb", "mysql", "oracledb", "pyodbc"})
OWN_MODULES = frozenset({"@jupyter-widgets/base", "@jupyter-widgets/controls", "@jupyter-widgets/output"})


def of_process(loop: asyncio.AbstractEventLoop, ours: Iterable[int]) -> str:
    """A sentence about the first thing of this process that would be lost in a fork; '' when there is none."""
    checks = (
        lambda: _threads(), lambda: _native_threads(), lambda: _tasks(loop), lambda: _timers(loop),
        lambda: _objects(), lambda: _descriptors(set(ours)),
    )  # fmt: skip
    return next((found for check in checks if (found := check())), "")


def of_widgets(models: dict[str, dict[str, Any]], others: set[str], modules: set[str]) -> str:
    """A sentence about what the page could not show without JupyterLab; '' when it can show all."""
    if others:
        return f"it opens comms that are no widgets ({', '.join(sorted(others))})"
    known = modules | OWN_MODULES
    for model in models.values():
        for key in ("_model_module", "_view_module"):
            name = model["state"].get(key)
            if name and name not in known:
                return f"the widget package {name} has no build for pages without JupyterLab"
    return ""


def of_outputs(outputs: Iterable[dict[str, Any]]) -> str:
    """A sentence about an output that needs an extension of JupyterLab; '' when there is none."""
    for output in outputs:
        kinds = set(output.get("data") or {})
        special = sorted(kind for kind in kinds - PAGES if kind.startswith("application/vnd."))
        if special and not kinds & PAGES:
            return f"an output of the type {special[0]} needs JupyterLab"
    return ""


def _threads() -> str:
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    return f"threads run after its last cell ({', '.join(others[:3])})" if others else ""


def _native_threads() -> str:
    tasks = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    names = sorted({(task / "comm").read_text().strip() for task in tasks})
    return f"threads of a library run after its last cell ({', '.join(names[:3])})" if names else ""


def _tasks(loop: asyncio.AbstractEventLoop) -> str:
    pending = [task for task in asyncio.all_tasks(loop) if not task.done()]
    if pending:
        loop.run_until_complete(asyncio.wait(pending, timeout=2))
    names = [getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks(loop) if not task.done()]
    return f"asyncio tasks are pending after its last cell ({', '.join(names[:3])})" if names else ""


def _timers(loop: asyncio.AbstractEventLoop) -> str:
    waiting = [each for each in getattr(loop, "_scheduled", ()) if not each.cancelled()]
    return "a timer of asyncio is set after its last cell" if waiting else ""


def _objects() -> str:
    """Of what is alive: connections that two processes must not share, pipes to a process."""
    for found in (*gc.get_objects(), *vars(sys.modules["__main__"]).values()):
        if _is_connection(found):
            return (
                f"a connection to a database is open after its last cell ({type(found).__module__.partition('.')[0]})"
            )
        if type(found) is subprocess.Popen and found.poll() is None and _pipes(found):
            return "it speaks through a pipe with a process that it started"
    return ""


def _is_connection(found: Any) -> bool:
    kind = type(found)
    if str(kind.__module__).partition(".")[0] not in DATABASES or not kind.__name__.lower().endswith("connection"):
        return False
    return not getattr(found, "closed", False) and bool(getattr(found, "open", True))


def _pipes(process: subprocess.Popen[Any]) -> bool:
    return any(pipe is not None and not pipe.closed for pipe in (process.stdin, process.stdout, process.stderr))


def _descriptors(ours: set[int]) -> str:
    listening = _listening()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target, number = str(entry.readlink()), int(entry.name)
            mode = os.fstat(number).st_mode
        except OSError:
            continue
        if number in ours:
            continue
        if target.startswith("/dev/nvidia"):
            return "it uses the GPU"
        if stat.S_ISSOCK(mode) and target[8:-1] in listening:
            return "it listens on a socket"
    return ""


def _listening() -> set[str]:
    """Inodes of this network's listening sockets."""
    found = set()
    for name in ("tcp", "tcp6"):
        path = Path("/proc/self/net") / name
        if path.is_file():
            rows = (line.split() for line in path.read_text().splitlines()[1:])
            found |= {row[9] for row in rows if row[3] == "0A"}
    return found
