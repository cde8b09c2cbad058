"""A new release is started and opened once, as a visitor would, before anybody else sees it."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx

from ...errors import BadRequest
from ..bundles.kinds import APPS
from ..bundles.site import loaded
from ..running.logs import plain, tail
from ..running.runtime import Launch, Runtime
from ..snapshots.reading import Answer, TooMuchSaid, answers, read
from ..steps import Tell, silent
from .failures import FailedCell, failed_cell
from .means import secret_shown

START_SECONDS = 90.0
RUN_SECONDS = 180.0
APP_FAILED = "Error running application handler"  # what Bokeh's server logs of a page whose code failed
FAILURES = (  # what Voilà puts into a page instead of a cell's output when it keeps the reason from visitors
    "There was an error when executing cell [",
    "An exception occurred at the server (not the notebook)",
    "Cell execution timed out, aborting notebook execution",
)


class NotebookFailed(BadRequest):
    """The notebook does not run as a dashboard: the cell that failed with its traceback, else the end of its log."""

    code = "NotebookFailed"

    def __init__(self, message: str, remedy: str, cell: FailedCell | None = None) -> None:
        super().__init__(message, remedy)
        self.cell = cell

    def public(self) -> dict[str, Any]:
        """With the cell, where it is known."""
        return {**super().public(), **({"cell": self.cell.model()} if self.cell else {})}


def try_out(runtime: Runtime, launch: Launch, tell: Tell = silent) -> str:
    """The page of the release, which runs from now on; NotebookFailed where a cell fails, BadRequest where the page
    shows what it must not."""
    tell("starting it")
    runtime.start(launch)
    address = _wait(runtime, launch)
    tell("opening the app" if launch.kind in APPS else "running the notebook")
    if runtime.address(launch.name) != address:  # nobody is there who would refuse a connection
        raise _failed(runtime, launch, "the dashboard ended while it was starting")
    try:
        answer = read(f"http://{address}/", RUN_SECONDS)
    except TooMuchSaid as error:
        raise _failed(runtime, launch, f"its page cannot be read: {error}") from None
    except httpx.HTTPError as error:
        raise _failed(runtime, launch, f"it did not finish: {type(error).__name__}") from None
    if launch.kind in APPS:
        _look_at_app(runtime, launch, address, answer)
    elif answer.status != 200 or any(failure in answer.text for failure in FAILURES):
        time.sleep(0.5)  # the engine hands on a container's last lines a little later
        raise _failed(runtime, launch, "a cell of the notebook failed")
    if launch.means and (shown := secret_shown(launch.means, answer.text)):
        raise BadRequest(f"the page shows the secret {shown}", "show what it gives access to, not itself")
    return answer.text


def how(runtime: Runtime, launch: Launch) -> tuple[str, str]:
    """The mode in which the release runs and why not in a faster one; plain where Voilà itself runs there."""
    if launch.kind in APPS:
        return "app", ""
    try:
        answer = read(f"http://{runtime.address(launch.name)}/_stage/state", 30)
        told = answer.json() if answer.status == 200 else {}
    except (httpx.HTTPError, ValueError):
        told = {}
    return plain(str(told.get("mode", "plain")))[:24], plain(str(told.get("why", "")))[:2000]


def _look_at_app(runtime: Runtime, launch: Launch, address: str, answer: Answer) -> None:
    """Its page came, its code ran without an error, and what the page loads is there: nothing comes from elsewhere."""
    time.sleep(0.5)  # the engine hands on a container's last lines a little later
    if answer.status != 200:
        raise _failed(runtime, launch, f"the app answered with status {answer.status}")
    if APP_FAILED in runtime.logs(launch.name):
        raise _failed(runtime, launch, f"{launch.entry} failed")
    for path in loaded(answer.text):
        try:
            status = read(f"http://{address}{path}", RUN_SECONDS).status
        except httpx.HTTPError:
            status = 504
        if status >= 400:
            versions = f"do the versions of {' and '.join(APPS[launch.kind])} fit?"
            raise _failed(runtime, launch, f"the app's page asks for {path!r:.200}, which is not there ({versions})")


def _app_failed(launch: Launch, reason: str, log: str) -> NotebookFailed:
    for name in APPS[launch.kind]:
        if re.search(rf"No module named '?{name}\b", log):
            needs = ", ".join(APPS[launch.kind])
            return NotebookFailed(
                f"kind {launch.kind} needs {name} in requirements",
                f"say requirements: [{needs}] in bdap-dashboard.yaml, or name an image that has them",
            )
    return NotebookFailed(reason, f"see the end of its log:\n{tail(log)}")


def _wait(runtime: Runtime, launch: Launch) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        address = runtime.address(launch.name)
        if address is None:
            raise _failed(runtime, launch, "the dashboard ended while it was starting")
        if answers(address):
            return address
        time.sleep(0.1)
    raise _failed(runtime, launch, f"the dashboard did not answer within {START_SECONDS:.0f} s")


def _failed(runtime: Runtime, launch: Launch, reason: str) -> NotebookFailed:
    log = runtime.logs(launch.name)
    if launch.kind in APPS:
        return _app_failed(launch, reason, log)
    cell = failed_cell(log, (launch.bundle / launch.entry).read_bytes(), str(launch.bundle))
    if cell is None:
        return NotebookFailed(reason, f"see the end of its log:\n{tail(log)}")
    message = f"code cell {cell.number} of {launch.entry} failed: {cell.error}"
    return NotebookFailed(message, f"correct it, and publish again:\n\n{cell.source}\n\n{cell.traceback}", cell)
