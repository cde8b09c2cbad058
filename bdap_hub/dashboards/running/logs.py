"""What a release writes, as its authors may read it: without colours, empty lines and secrets. PURE."""

from __future__ import annotations

import re

from ...telemetry import LONGEST, redact

TAIL = 25
_UNKEPT = re.compile("[\0\ud800-\udfff]")  # null and half characters: no database takes them
_ANSI = re.compile(r"(?:\x1b|\\x1b)\[[0-9;]*[A-Za-z]")


def plain(text: str) -> str:
    """Without colours, and without characters that cannot be kept."""
    return _UNKEPT.sub("\ufffd", _ANSI.sub("", text))


def clean(log: str) -> str:
    """The log as far as it may be shown; of a long one the end."""
    text = plain(log)
    if len(text) > LONGEST:
        text = text[-LONGEST:].partition("\n")[2]  # never half a line: a secret is known by what stands before it
    return "\n".join(line.rstrip() for line in redact(text).splitlines() if line.strip())


def tail(log: str) -> str:
    """The last lines of a log."""
    return "\n".join(clean(log).splitlines()[-TAIL:])
