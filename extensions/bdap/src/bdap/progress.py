"""A bar for work that takes a while: in a notebook a bar of HTML, in a terminal a line, elsewhere nothing."""

from __future__ import annotations

import sys
import time
from html import escape
from typing import Any

EVERY = 0.25
"""Seconds between two drawings."""


class Bar:
    """Shows how far something is. Drawing it never fails and never waits."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._drawn, self._handle, self._line = 0.0, None, 0

    def update(self, share: float | None, words: str = "", now: bool = False) -> None:
        """`share` from 0 to 1; None where it is not known."""
        if not now and time.monotonic() - self._drawn < EVERY:
            return
        self._drawn = time.monotonic()
        if (display := _display()) is not None:
            self._in_notebook(display, html(self.title, share, words))
        elif sys.stderr is not None and sys.stderr.isatty():
            line = text(self.title, share, words)
            sys.stderr.write(f"\r{line.ljust(self._line)}")
            sys.stderr.flush()
            self._line = len(line)

    def close(self, words: str, done: bool = True) -> None:
        """The last word."""
        self.update(1.0 if done else None, words, now=True)
        if self._line:
            sys.stderr.write("\n")

    def _in_notebook(self, display: Any, content: str) -> None:
        shown = {"text/html": content, "text/plain": self.title}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


def html(title: str, share: float | None, words: str) -> str:
    """The bar as HTML."""
    value = "" if share is None else f' value="{min(max(share, 0), 1):.3f}"'
    label = f"{title}: {words}" if words else title
    return (
        f'<div style="display:flex;gap:10px;align-items:center;flex-wrap:wrap">'
        f'<progress max="1"{value} aria-label="{escape(title)}" style="width:220px"></progress>'
        f"<span>{escape(label)}</span></div>"
    )


def text(title: str, share: float | None, words: str, width: int = 24) -> str:
    """The bar as a line."""
    done = 0 if share is None else round(min(max(share, 0), 1) * width)
    bar = "…" * width if share is None else "█" * done + "░" * (width - done)
    return f"{title} {bar} {words}"


def _display() -> Any:
    """IPython's display in a notebook's kernel; None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return ipython.display.display if ipython and getattr(shell, "kernel", None) is not None else None
