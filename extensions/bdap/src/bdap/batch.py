"""Long work: batch jobs of the processing service, which go on whether a notebook waits for them or not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from . import client as clients
from . import files
from .client import Client
from .errors import BdapError
from .progress import Bar
from .table import grid

ACTIVE = ("queued", "running")
PATIENCE = (1.0, 5.0)
"""Seconds between two looks at a job: at first, and later."""
PURPOSE = "save to "
"""What stands before the path in the description of a job that `save` has made."""


class StillRunning(BdapError):
    """You stopped waiting; the job goes on."""


class JobFailed(BdapError):
    """The job ended without a result."""


class Job:
    """A batch job. It runs on the platform: closing the laptop or restarting the kernel does not end it."""

    def __init__(self, identifier: str, client: Client | None = None, known: dict[str, Any] | None = None) -> None:
        self.id, self._client, self._known = identifier, client, known or {}

    @property
    def _at(self) -> str:
        return f"/jobs/{quote(self.id, safe='')}"

    @property
    def client(self) -> Client:
        """Whom it asks."""
        return self._client or clients.default()

    def look(self) -> dict[str, Any]:
        """What the platform says of it now."""
        self._known = self.client.call("processing", "GET", self._at)
        return self._known

    @property
    def status(self) -> str:
        """created, queued, running, finished, error or canceled."""
        return str(self.look()["status"])

    @property
    def progress(self) -> float:
        """Percent."""
        return float(self.look().get("progress") or 0)

    @property
    def title(self) -> str:
        """Its title."""
        return str(self._known.get("title") or "")

    @property
    def path(self) -> str:
        """Where `wait` puts the files, where `save` has made it."""
        described = str((self._known or self.look()).get("description") or "")
        return described.removeprefix(PURPOSE) if described.startswith(PURPOSE) else ""

    def start(self) -> Job:
        """Queue it (again)."""
        self.client.call("processing", "POST", f"{self._at}/results")
        return self

    def cancel(self) -> Job:
        """Stop it; what it has read so far is lost."""
        self.client.call("processing", "DELETE", f"{self._at}/results")
        return self

    def delete(self) -> None:
        """Remove it and its results from the platform; files that were saved stay."""
        self.client.call("processing", "DELETE", self._at)

    def logs(self) -> list[str]:
        """What it has said, a line each."""
        found = self.client.call("processing", "GET", f"{self._at}/logs")["logs"]
        return [f"{each.get('time', '')} {each.get('level', '')}: {each['message']}".strip() for each in found]

    def files(self) -> dict[str, str]:
        """Names and signed addresses of its files; whoever has an address can read the file for some hours."""
        found = self.client.call("processing", "GET", f"{self._at}/results")["assets"]
        return {name: str(asset["href"]) for name, asset in found.items()}

    def download(self, path: str | Path) -> list[Path]:
        """Its files, into a folder (which ends in / or exists) or, where there is one file, as that file."""
        assets = self.files()
        targets = files.targets(path, list(assets))
        bar, made = Bar(f"job {self.id}"), list[Path]()
        for number, (name, target) in enumerate(targets.items()):
            files.fetched(self.client, assets[name], target)
            made.append(target)
            bar.update((number + 1) / len(targets), target.name)
        bar.close(f"{len(made)} file{'s' * (len(made) > 1)} in {made[0].parent}" if made else "no files")
        return made

    def wait(self, seconds: float | None = None) -> Job:
        """Wait with a bar until it is finished, and put its files where `save` said.

        Interrupting it (or `seconds`) ends the waiting, not the job: `bdap.job(id).wait()` takes it up again.
        """
        bar, until = Bar(self.title or f"job {self.id}"), None if seconds is None else time.monotonic() + seconds
        try:
            for _ in _pauses(until):
                now = self.look()
                if now["status"] not in ACTIVE:
                    break
                bar.update(float(now.get("progress") or 0) / 100, f"{_words(now)} (job {self.id})", now=True)
            else:
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            bar.close(f"goes on as job {self.id}", done=False)
            raise StillRunning(
                f"the job {self.id} goes on without this notebook", f'bdap.job("{self.id}").wait() takes it up again'
            ) from None
        return self._ended(bar)

    def _ended(self, bar: Bar) -> Job:
        status = self._known["status"]
        if status == "finished":
            bar.close("finished")
            if self.path:
                self.download(self.path)
            return self
        bar.close(status, done=False)
        if status == "error":
            said = [line for line in self.logs() if " error: " in line]
            raise JobFailed(
                f"the job {self.id} failed: {said[-1].split(' error: ', 1)[1] if said else 'its log says nothing'}",
                f'mend the cause, then bdap.job("{self.id}").start(); .logs() tells all it said',
            )
        raise JobFailed(f"the job {self.id} is {status}", f'bdap.job("{self.id}").start() starts it')

    def __repr__(self) -> str:
        try:
            now = self.look()
        except BdapError as error:
            return f"<job {self.id}: {error.message}>"
        return f"<job {self.id} {now.get('title') or ''}: {_words(now)}>".replace(" :", ":")


class Jobs(list[Job]):
    """Jobs, the newest first; a table in a notebook."""

    def __repr__(self) -> str:
        return "\n".join(f"{j.id}  {_words(j._known)}  {j.title}" for j in self) or "no jobs"

    def _repr_html_(self) -> str:
        rows = ((j.id, j.title, _words(j._known), str(j._known.get("created", ""))) for j in self)
        return grid(("job", "title", "state", "made"), rows, code=True) if self else "<p>no jobs</p>"


def jobs(client: Client | None = None) -> Jobs:
    """Your batch jobs on the platform, the newest first."""
    found = (client or clients.default()).call("processing", "GET", "/jobs")["jobs"]
    found.sort(key=lambda each: str(each.get("created")), reverse=True)
    return Jobs(Job(each["id"], client, each) for each in found)


def job(identifier: str, client: Client | None = None) -> Job:
    """One of your jobs, by its id; ServiceError if you have none of it."""
    found = Job(identifier, client)
    found.look()
    return found


def make(client: Client | None, graph: dict[str, Any], title: str, path: str) -> Job:
    """A new job that is queued."""
    body = {"title": title, "description": f"{PURPOSE}{path}" if path else "", "process": {"process_graph": graph}}
    answer = (client or clients.default()).send("processing", "POST", "/jobs", json=body)
    made = Job(answer.headers["OpenEO-Identifier"], client)
    made.start()
    made.look()
    return made


def _pauses(until: float | None) -> Iterator[None]:
    """One after the other, ever longer, until that moment."""
    pause = PATIENCE[0]
    while until is None or time.monotonic() < until:
        yield
        time.sleep(pause if until is None else min(pause, max(0.0, until - time.monotonic())))
        pause = min(pause * 1.3, PATIENCE[1])


def _words(known: dict[str, Any]) -> str:
    status = str(known.get("status", "unknown"))
    if status == "running":
        return f"running, {float(known.get('progress') or 0):.0f} %"
    ahead = known.get("bdap:ahead")
    return f"{status}, {ahead} before it" if ahead else status
