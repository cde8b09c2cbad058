"""An IPython shell without a kernel: what cells show is collected, in cells and in Output widgets."""

from __future__ import annotations

import builtins
import io
import sys
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import StdinNotImplementedError
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Any as AnyTrait
from traitlets import Type

from . import wire
from .comms import Switchboard

Output = dict[str, Any]


class Outputs:
    """Where outputs go: the cell that runs, or the Output widget that captures."""

    def __init__(self, board: Switchboard) -> None:
        self.cell: list[Output] | None = None
        self._shown: list[list[Output]] = []
        self._capturing: list[str] = []
        self._clear_next: set[str] = set()  # of the widgets' ids; "" is the cell
        board.on_capture = self._capture

    def begin(self) -> list[Output]:
        """A new cell runs; the list that its outputs come into."""
        self.cell = []
        self._clear_next.discard("")
        self._shown.append(self.cell)
        return self.cell

    def end(self) -> None:
        """No cell runs."""
        self.cell = None

    def add(self, output: Output) -> None:
        """Show an output."""
        cleared = self._place in self._clear_next
        self._clear_next.discard(self._place)
        if (widget := self._widget()) is not None:
            widget.outputs = _joined(() if cleared else tuple(widget.outputs), _readable(output))
        elif self.cell is not None:
            self.cell[:] = _joined(() if cleared else tuple(self.cell), output)
        elif output["output_type"] == "stream":
            print(output["text"], end="", file=sys.__stdout__, flush=True)

    def clear(self, wait: bool) -> None:
        """`clear_output`: at once, or when the next output comes."""
        if wait:
            self._clear_next.add(self._place)
            return
        self._clear_next.discard(self._place)
        if (widget := self._widget()) is not None:
            widget.outputs = ()
        elif self.cell is not None:
            self.cell.clear()

    def update(self, display_id: str, output: Output) -> None:
        """Replace what was shown under that display_id."""
        for cell in self._shown:
            for old in cell:
                if (old.get("transient") or {}).get("display_id") == display_id:
                    old.update(data=output["data"], metadata=output["metadata"])

    def _capture(self, comm_id: str, msg_id: str) -> None:
        if msg_id:
            self._capturing.append(comm_id)
        elif comm_id in self._capturing:
            self._capturing.remove(comm_id)

    @property
    def _place(self) -> str:
        return self._capturing[-1] if self._capturing else ""

    def _widget(self) -> Any:
        if not self._place:
            return None
        from ipywidgets.widgets.widget import _instances

        return _instances.get(self._place)


class Stream(io.TextIOBase):
    """Standard output or error of the notebook."""

    encoding = "utf-8"

    def __init__(self, name: str, outputs: Outputs) -> None:
        self.name, self._outputs = name, outputs

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Show it; errors of a cell go to the log only, as visitors are not to see them."""
        if self.name == "stderr":
            sys.__stderr__.write(text)  # type: ignore[union-attr]
        elif text:
            self._outputs.add({"output_type": "stream", "name": self.name, "text": text})
        return len(text)


class Publisher(DisplayPublisher):
    """`display()`."""

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        source: Any = None,
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_: Any,
    ) -> None:
        """Show, or replace what is shown."""
        output: Output = {"output_type": "display_data", "data": wire.encoded(data), "metadata": metadata or {}}
        display_id = (transient or {}).get("display_id")
        if update and display_id:
            self.shell.outputs.update(display_id, output)
            return
        self.shell.outputs.add({**output, "transient": transient or {}})

    def clear_output(self, wait: bool = False) -> None:
        """`IPython.display.clear_output()`."""
        self.shell.outputs.clear(wait)


class Hook(DisplayHook):
    """The value of a cell's last line."""

    def write_output_prompt(self) -> None:
        """Pages have none."""

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        """Show it."""
        count = self.shell.execution_count
        output = {"output_type": "execute_result", "data": wire.encoded(format_dict), "metadata": md_dict or {}}
        self.shell.outputs.add({**output, "execution_count": count})

    def finish_displayhook(self) -> None:
        """No empty lines on standard output."""
        self._is_active = False


class StageShell(InteractiveShell):
    """What `get_ipython()` gives in a dashboard."""

    displayhook_class = Type(Hook)
    display_pub_class = Type(Publisher)
    kernel = AnyTrait()
    outputs: Outputs
    traceback = ""  # of the last error

    def init_history(self) -> None:
        """No file and no thread that writes it: threads do not survive a fork."""
        HistoryManager.enabled = False
        super().init_history()

    def enable_gui(self, gui: Any = None) -> None:
        """There is no screen."""

    def raw_input(self, *_: Any) -> str:
        """Nobody is there to answer."""
        raise StdinNotImplementedError("a dashboard cannot ask on standard input")

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        """Of a callback: the log has it all. A cell's is told by whoever runs the cells."""
        self.traceback = "\n".join(stb)
        if self.outputs.cell is None:
            print(self.traceback, file=sys.__stderr__, flush=True)


def make_shell(board: Switchboard) -> StageShell:
    """The one shell of the process, with standard output and error led to its outputs."""
    board.install()
    shell = StageShell.instance()
    shell.outputs = Outputs(board)
    shell.kernel = board.kernel
    board.kernel.shell = shell
    shell.builtin_trap.activate()
    builtins.input = shell.raw_input  # type: ignore[assignment]
    sys.stdout, sys.stderr = Stream("stdout", shell.outputs), Stream("stderr", shell.outputs)
    sys.displayhook = shell.displayhook
    return shell


def _joined(before: tuple[Output, ...], output: Output) -> tuple[Output, ...]:
    """Streams of one name are one output."""
    last = before[-1] if before else None
    if last and output["output_type"] == last["output_type"] == "stream" and last["name"] == output["name"]:
        return (*before[:-1], {**last, "text": last["text"] + output["text"]})
    return (*before, output)


def _readable(output: Output) -> Output:
    """For Output widgets, whose renderer knows no markdown."""
    if "data" not in output:
        return output
    data = output["data"]
    if "text/markdown" in data and "text/html" not in data:
        import mistune

        data = {**data, "text/html": mistune.html(data["text/markdown"])}
    return {**{key: value for key, value in output.items() if key != "transient"}, "data": data}
