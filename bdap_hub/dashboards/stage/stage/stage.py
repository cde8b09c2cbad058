"""How one notebook runs: which mode it can, its page, and forks for its visitors."""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import os
import sys
import time
import uuid as uuids
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import identity
from .children import KEEP_SECONDS, Child, Children
from .nursery import Zygote
from .plain import Voila
from .statics import Statics
from .surroundings import of_request

TEMPLATES = ("", "lab", "bdap", "default")
QUERY = ("QUERY_STRING", "get_query_string", "wait_for_request", "REQUEST_URL")
FEW_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
VIEW, CHOICES = "application/vnd.jupyter.widget-view+json", "_options_labels"
RULE = "-" * 18
FAILED = "There was an error when executing cell [{}]."
RUN_SECONDS = 600.0
AGAIN_SECONDS = 60.0
Visitor = dict[str, Any] | None  # who it is, where the gateway says so


@dataclass(frozen=True)
class Rendered:
    """A page, or what stands in its place."""

    html: str
    failed: bool = False
    shared: bool = False  # the same for all visitors


class Stage:
    """Of one notebook. `prepare` decides how it runs; `ready` is set when that is known."""

    def __init__(
        self,
        notebook: Path,
        plain: list[str],
        children: int,
        keep: float = KEEP_SECONDS,
        again: float = AGAIN_SECONDS,
    ) -> None:
        self.notebook, self.root = notebook.resolve(), notebook.resolve().parent
        self.key = identity.take_key()
        self.statics = Statics()
        self.voila = Voila(plain)
        self.ready, self.lost = asyncio.Event(), asyncio.Event()
        self.status, self.mode, self.why, self.seconds = "running", "", "", 0.0
        self.failure: dict[str, Any] | None = None
        self._again, self._failed_at = again, 0.0
        self._preparing: asyncio.Task[None] | None = None
        self.widgets: dict[str, Any] = {"state": {}}
        self.digest = self.names = ""
        self._page: Rendered | None = None
        self._zygote = self._imports = None
        self._importing = asyncio.Lock()
        self._outputs: dict[int, list[dict[str, Any]]] = {}
        self.children = Children(self._fork, children, keep)

    _zygote: Zygote | None
    _imports: Zygote | None

    async def prepare(self) -> None:
        """Execute and decide. Never raises: what goes wrong is the state."""
        began = time.monotonic()
        print(f"[Stage] executes {self.notebook.name}", flush=True)
        try:
            await self._decide()
        except Exception as error:
            await self._to_plain(f"the stage itself failed: {type(error).__name__}: {error}")
        self.seconds = round(time.monotonic() - began, 3)
        print(f"[Stage] {self.status} {self.mode} in {self.seconds} s. {self.why}", flush=True)
        self.ready.set()

    async def _decide(self) -> None:
        if reason := self._unknown():
            await self._to_plain(reason)
            return
        from .page import Pages  # imported while the zygote works

        zygote = self._zygote = Zygote(self.lost.set)
        executing = asyncio.create_task(zygote.start(self._task(imports=False)))
        await asyncio.sleep(0)
        self.pages = Pages(self.notebook, f"/_stage/static/{self.statics.hash}/", self.statics.modules)
        found = await executing
        failure = found["failure"]
        if failure and failure["needs_kernel"]:
            await self._to_plain(_needs_kernel(failure))
        elif failure:
            self._fail(failure)
        elif found["page"]:
            await self._to_plain(found["page"])
        elif found["obstacle"]:
            await self._after_imports(found["obstacle"])
        else:
            await self._executed(found)

    async def _executed(self, found: dict[str, Any]) -> None:
        cells = json.loads(self.notebook.read_text())["cells"]
        self.widgets = found["widgets"]
        self._outputs = {int(index): outputs for index, outputs in found["outputs"].items()}
        self.status = "ready"
        if found["ran"] < len(cells):
            self.mode, self.why = "fork-after-imports", "cells marked per-visitor run anew for each visitor"
            return
        self.mode = "fork" if self.widgets["state"] else "static"
        self.digest, self.names = digests(self.widgets["state"], self._outputs)
        told = {"mode": self.mode, "page": self.digest, "names": self.names}
        html_page = await self.pages.render(self._outputs, self.widgets, told)
        self._page = Rendered(html_page, shared=True)
        if self.mode == "static":
            self._zygote, zygote = None, self._zygote
            if zygote:
                zygote.end()

    async def _after_imports(self, obstacle: str) -> None:
        if self._zygote:
            self._zygote.end()
        self._zygote = await self._warm()
        if self._zygote is None:
            await self._to_plain(obstacle)
        else:
            self.status, self.mode, self.why = "ready", "fork-after-imports", obstacle

    async def _warm(self) -> Zygote | None:
        """A zygote that has executed the leading imports alone; None where even that cannot be forked."""
        zygote = Zygote(self.lost.set)
        found = await zygote.start(self._task(imports=True))
        if found["failure"] or found["obstacle"]:
            zygote.end()
            return None
        return zygote

    async def _to_plain(self, reason: str) -> None:
        if self._zygote:
            self._zygote.end()
            self._zygote = None
        self.mode, self.why = "plain", reason
        try:
            await self.voila.start()
            self.status = "ready"
        except RuntimeError as error:
            self._fail({"cell": 0, "error": str(error), "traceback": str(error)})

    def _fail(self, failure: dict[str, Any]) -> None:
        self.status, self.failure = "failed", {k: failure[k] for k in ("cell", "error", "traceback")}
        self._failed_at = time.monotonic()
        _log(failure)
        self._page = failed_page(failure["cell"])

    def _unknown(self) -> str:
        """What of the notebook the stage does not know."""
        metadata = json.loads(self.notebook.read_text()).get("metadata", {})
        language = metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name")
        if (language or "python").lower() not in ("python", "ipython"):
            return f"its language is {language}"
        template = metadata.get("voila", {}).get("template") or ""
        if template not in TEMPLATES:
            return f"it asks for the template {template}"
        if missing := self.statics.missing():
            return f"{missing} is not installed"
        return ""

    def _task(self, imports: bool) -> dict[str, Any]:
        """What a zygote is told."""
        environment = {name: os.environ.get(name, "1") for name in FEW_THREADS}
        environment |= of_request("")
        return {
            "notebook": str(self.notebook),
            "seed": hashlib.sha256(self.notebook.read_bytes()).hexdigest(),
            "imports": imports,
            "modules": sorted(self.statics.modules),
            "environment": {**environment, "MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        }

    async def page(self, query: str, visitor: Visitor, address: str) -> Rendered | None:
        """The page for this visitor, who asked for it at `address`; None when Voilà is to make it."""
        if self.status == "failed" and time.monotonic() - self._failed_at >= self._again:
            await self._run_again()
        if self.status == "failed":
            return self._page
        if self.mode == "plain":
            return None
        reads = bool(query) and self._reads_query()
        if self._page is not None and not reads:
            return self._page
        zygote = self._zygote
        if reads and self._page is not None:
            async with self._importing:
                self._imports = zygote = self._imports or await self._warm()
            if zygote is None:
                await self.voila.start()
                return None
        assert zygote is not None
        return await self._own_page(zygote, of_request(query, address), visitor)

    async def _run_again(self) -> None:
        """What it needs may have been away for a while: data, a service. Who asks meanwhile waits for the same run."""
        if self._zygote:
            self._zygote.end()
        self.status, self.mode, self.why, self.failure, self._page = "running", "", "", None, None
        self.ready.clear()
        self._preparing = asyncio.create_task(self.prepare())
        await self.ready.wait()

    async def _own_page(self, zygote: Zygote, asked: dict[str, str], visitor: Visitor) -> Rendered:
        """A process for this visitor runs what is left of the notebook, and the page is made of it."""
        kernel = str(uuids.uuid4())
        environment = {**asked, "VOILA_KERNEL_ID": kernel}
        request = {"visitor": visitor, "run": True, "environment": environment}
        child = await self.children.make(kernel, request, zygote.fork)
        try:
            run = await asyncio.wait_for(asyncio.shield(child.run), RUN_SECONDS)
        except (TimeoutError, asyncio.CancelledError):
            self.children.drop(child)
            return failed_page(0)
        if run["failure"]:
            _log(run["failure"])
            self.children.drop(child)
            return failed_page(run["failure"]["cell"])
        outputs = {**self._outputs} if zygote is self._zygote else {}
        outputs |= {int(index): cell for index, cell in run["outputs"].items()}
        more = {"mode": self.mode, "page": "", "kernel": kernel}
        return Rendered(await self.pages.render(outputs, run["widgets"], more))

    async def fork(self, kernel: str, visitor: Visitor) -> Child:
        """A process for a visitor whose page came from the snapshot."""
        if self.mode != "fork":
            raise RuntimeError("this page's process is gone")
        return await self.children.make(kernel, {"visitor": visitor, "run": False})

    async def _fork(self, request: dict[str, Any], link: Any) -> int:
        if self._zygote is None or not self._zygote.alive:
            raise RuntimeError("the dashboard's process is gone")
        return await self._zygote.fork(request, link)

    def _reads_query(self) -> bool:
        files = [self.notebook, *self.root.glob("**/*.py")]
        return any(word in path.read_text(errors="replace") for path in files for word in QUERY)

    def state(self, memory: bool = False) -> dict[str, Any]:
        """For the publisher."""
        found: dict[str, Any] = {
            "status": self.status,
            "mode": self.mode,
            "why": self.why,
            "seconds": self.seconds,
            "failure": self.failure,
            "static": self.statics.hash,
            "page": self.digest,
            "names": self.names,
            "visitors": len(self.children.alive),
        }
        if memory:
            zygotes = [z.process.pid for z in (self._zygote, self._imports) if z and z.process]
            found["memory_kib"] = {
                "server": pss(os.getpid()),
                "zygotes": [pss(pid) for pid in zygotes],
                "visitors": [pss(child.pid) for child in self.children.alive.values()],
            }
        return found

    def end(self) -> None:
        """At shutdown: nobody is left behind."""
        self.children.end_all()
        if self._preparing:
            self._preparing.cancel()
        for zygote in (self._zygote, self._imports):
            if zygote:
                zygote.end()
        self.voila.end()


def _needs_kernel(failure: dict[str, Any]) -> str:
    where = f"cell {failure['cell']} needs a kernel: " if failure["cell"] else ""
    return f"{where}{failure['error']}"


def _log(failure: dict[str, Any]) -> None:
    """In the words of Voilà's log, which the publisher reads."""
    head = f"[Stage] ERROR | Error at server while executing cell {failure['cell']}\nTraceback (most recent call last):"
    source = f"An error occurred while executing the following cell:\n{RULE}\n{failure.get('source', '')}\n{RULE}"
    print(f"{head}\n{source}\n\n{failure['traceback']}\n\n[Stage] ended with an error", file=sys.stderr, flush=True)


def failed_page(cell: int) -> Rendered:
    """As Voilà says it: without the reason, which is in the log."""
    text = html.escape(FAILED.format(cell))
    return Rendered(f"<!doctype html><title>Dashboard</title><main><p>{text}</p></main>", failed=True)


def pss(pid: int) -> int:
    """KiB of memory that are this process's share; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def digests(models: dict[str, Any], outputs: dict[int, list[dict[str, Any]]]) -> tuple[str, str]:
    """Of all that a page shows, and of that part which a page of another run cannot learn from a process.

    That is what its widgets are, with their choices, since a page says the number of the chosen one; and what no
    widget shows.
    """
    kinds = {name: [m["model_module"], m["model_name"], m["state"].get(CHOICES)] for name, m in models.items()}
    plain = {index: [_shown(output) for output in cell] for index, cell in outputs.items()}
    return _digest([models, plain]), _digest([kinds, plain])


def _shown(output: dict[str, Any]) -> Any:
    """Without the text that stands for it elsewhere, which has a widget's values or an object's address."""
    data = output.get("data", {})
    better = {kind: value for kind, value in data.items() if kind != "text/plain"}
    return data.get(VIEW) or {**output, "data": better or data, "transient": {}}


def _digest(told: Any) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
