"""Runs a notebook's cells in the shell, one after the other, as Voilà does."""

from __future__ import annotations

import ast
import asyncio
import sys
import traceback
from dataclasses import dataclass, field
from typing import Any

from .comms import Switchboard
from .obstacles import of_outputs, of_widgets
from .shell import StageShell

PER_VISITOR, SKIPPED = "per-visitor", "skip-execution"
KERNEL_WORDS = ("kernel", "stdin", "zmq")  # in an error that an ordinary kernel would not have had


@dataclass
class Failure:
    """The cell that failed, counted from 1 over the cells of code."""

    cell: int
    error: str
    traceback: str
    source: str
    needs_kernel: bool


@dataclass
class Run:
    """What came of the cells so far: `outputs` by the index of the cell."""

    outputs: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    failure: Failure | None = None


class Runner:
    """Executes in `loop`, so that cells may await and make tasks."""

    def __init__(self, shell: StageShell, loop: asyncio.AbstractEventLoop, install: Any) -> None:
        self.shell, self.loop, self._install = shell, loop, install

    def run(self, cells: list[dict[str, Any]], start: int, stop: int) -> Run:
        """Run cells[start:stop], until one fails that may not."""
        found = Run()
        for index in range(start, stop):
            cell = cells[index]
            if not executed(cell):
                continue
            found.outputs[index] = self.shell.outputs.begin()
            error = self._cell(text_of(cell))
            self.shell.outputs.end()
            self._install()
            if error is not None and "raises-exception" not in tags(cell):
                number = sum(1 for c in cells[: index + 1] if c["cell_type"] == "code")
                found.failure = _failure(number, error, text_of(cell), self.shell.traceback)
                break
        return found

    def imports(self, cells: list[dict[str, Any]]) -> None:
        """Execute the imports that stand before anything else, so that what they load is shared by all forks."""
        source = leading_imports([self.shell.transform_cell(text_of(c)) for c in cells if executed(c)])
        if source:
            self.shell.outputs.begin()
            self._cell(source)
            self.shell.outputs.end()

    def _cell(self, source: str) -> BaseException | None:
        if not source.strip():
            return None
        transformed, problem = source, None
        try:
            transformed = self.shell.transform_cell(source)
        except Exception:
            problem = sys.exc_info()
        result = self.loop.run_until_complete(
            self.shell.run_cell_async(
                source, store_history=True, transformed_cell=transformed, preprocessing_exc_tuple=problem
            )
        )
        self.shell.events.trigger("post_execute")
        self.shell.events.trigger("post_run_cell", result)
        return result.error_before_exec or result.error_in_exec


def described(run: Run, board: Switchboard, modules: list[str]) -> dict[str, Any]:
    """What the server is told of a run."""
    outputs = [output for cell in run.outputs.values() for output in cell]
    failure = run.failure
    return {
        "outputs": {str(index): cell for index, cell in run.outputs.items()},
        "widgets": board.recorder.embedded(),
        "failure": vars(failure) if failure else None,
        "page": of_widgets(board.recorder.models, board.recorder.others, set(modules)) or of_outputs(outputs),
    }


def text_of(cell: dict[str, Any]) -> str:
    """The source as one text."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def tags(cell: dict[str, Any]) -> list[str]:
    """The cell's tags."""
    return list(cell.get("metadata", {}).get("tags", []))


def executed(cell: dict[str, Any]) -> bool:
    """Whether it is a cell of code that is not marked to be skipped, as nbclient has it."""
    return bool(cell["cell_type"] == "code") and SKIPPED not in tags(cell)


def first_per_visitor(cells: list[dict[str, Any]]) -> int:
    """The index of the first cell that each visitor runs anew; the number of cells when there is none."""
    marked = (i for i, cell in enumerate(cells) if cell["cell_type"] == "code" and PER_VISITOR in tags(cell))
    return next(marked, len(cells))


def leading_imports(sources: list[str]) -> str:
    """The imports before the first other statement of all sources."""
    found: list[str] = []
    for source in sources:
        try:
            tree = ast.parse(source)
        except SyntaxError:
            return "\n".join(found)
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                found.append(ast.unparse(node))
            elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                return "\n".join(found)
    return "\n".join(found)


def _failure(cell: int, error: BaseException, source: str, trace: str) -> Failure:
    words = f"{type(error).__name__} {error}".lower()
    needs_kernel = any(word in words for word in KERNEL_WORDS)
    trace = trace or "".join(traceback.format_exception(error))
    return Failure(cell, f"{type(error).__name__}: {error}"[:500], trace, source.strip(), needs_kernel)
