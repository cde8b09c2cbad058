"""Which cell of a notebook failed, and how, from the log of what ran it: as its author sees it. PURE.

The frames of our own machinery are left out, and so are the server's paths: files of the bundle and of packages keep
their own names.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from ...telemetry import redact
from ..running.logs import plain

SOURCE_LINES = 5
TRACE_LINES = 60
_BEGIN = "An error occurred while executing the following cell:\n------------------\n"
_RULE = "\n------------------\n"
_TRACE = re.compile(r"^-{50,}$", re.M)
_RECORD = re.compile(r"^\[[A-Z]\w+\] ", re.M)
_FRAME = re.compile(r"^(?=(?:File |\s*Cell In\[))", re.M)
_HEADER = re.compile(r"^(File )(\S+?)(:\d+|, line \d+)", re.M)
_PACKAGES = re.compile(r".*/(?:site-packages|dist-packages|lib/python3\.\d+|python3\d*\.zip)/")
_MACHINERY = re.compile(r"File (?:voila|nbclient|nbconvert|ipykernel|IPython|jupyter_client|stage|asyncio)/")
_COUNT = re.compile(r"Cell In\[(\d+)\]")


@dataclass(frozen=True)
class FailedCell:
    """A cell that failed: `number` counts code cells from 1, `index` all cells from 0; `source` are its first lines."""

    number: int
    index: int
    source: str
    error: str
    traceback: str

    def model(self) -> dict[str, object]:
        """As the API gives it."""
        return asdict(self)


def failed_cell(log: str, notebook: bytes, folder: str) -> FailedCell | None:
    """The cell that failed last, by the log of Voilà; None where none did. `folder` is where the bundle lay."""
    text = plain(log)
    if (begin := text.rfind(_BEGIN)) < 0:
        return None
    rest = text[begin + len(_BEGIN) :]
    found = _which(rest, notebook)
    if found is None:
        return None
    number, index, source = found
    rest = rest[len(source) + len(_RULE) :]
    head = _TRACE.search(rest)
    trace = rest[head.end() :].lstrip("\n") if head else rest
    if end := _RECORD.search(trace):
        trace = trace[: end.start()]
    return failure(number, index, source, trace, folder)


def failure(number: int, index: int, source: str, traceback: str, folder: str) -> FailedCell:
    """A failed cell as it may be shown: without colours, secrets, server paths and frames of ours."""
    shown = redact(shortened(plain(traceback), folder))
    lines = source.splitlines()
    more = "\n…" if len(lines) > SOURCE_LINES else ""
    error = next((line for line in reversed(shown.splitlines()) if line.strip()), "it failed")
    return FailedCell(number, index, redact("\n".join(lines[:SOURCE_LINES])) + more, error.strip()[:300], shown)


def shortened(traceback: str, folder: str) -> str:
    """A traceback of IPython without our machinery's frames and without the paths of the server."""
    text = traceback.replace(f"{folder}/", "").replace("/dashboard/", "")
    text = _HEADER.sub(lambda found: f"{found[1]}{_named(found[2])}{found[3]}", text)
    frames = [part for part in _FRAME.split(text) if not _MACHINERY.match(part)]
    lines = [line.rstrip() for line in "".join(frames).strip().splitlines()]
    if len(lines) > TRACE_LINES:
        lines = [*lines[: TRACE_LINES // 3], "…", *lines[-TRACE_LINES * 2 // 3 :]]
    return "\n".join(lines)


def _named(path: str) -> str:
    """A file by its name within its package; of others the last part alone."""
    short = _PACKAGES.sub("", path)
    return short if not short.startswith(("/", "~")) else f"…/{short.rpartition('/')[2]}"


def _which(rest: str, notebook: bytes) -> tuple[int, int, str] | None:
    """(number, index, source) of the code cell whose source stands at the beginning of `rest`."""
    code = [
        (index, plain("".join(cell.get("source", ""))).strip())
        for index, cell in enumerate(json.loads(notebook).get("cells", []))
        if cell.get("cell_type") == "code"
    ]
    numbered = [(number, index, source) for number, (index, source) in enumerate(code, 1)]
    alike = [one for one in numbered if one[2] and rest.startswith(one[2] + _RULE)]
    if len(alike) > 1 and (count := _COUNT.search(rest)):
        run = [one for one in numbered if one[2]]  # empty cells are not run, and not counted
        nth = run[int(count[1]) - 1] if 0 < int(count[1]) <= len(run) else None
        return nth if nth in alike else alike[0]
    return alike[0] if alike else None
