"""How a server's end is told to its person: from what the engine and the hub know to sentences. PURE."""

from __future__ import annotations

KEPT = "Your files are where you left them."
HUB_ENDED = "The platform was restarted while your server was starting. Start it again."
GPU_TIME = f"The time of its GPU was over. {KEPT}"
LOST = f"Your server is gone: its container was removed from outside. {KEPT} Start it again."
KILLED = (
    f"Your server was killed from outside, as when its machine is restarted or short of memory. {KEPT} Start it again."
)
STOPPED = f"Your server was shut down, from within or together with its machine. {KEPT} Start it again."


def moved(words: str) -> str:
    """Its machine is gone or being emptied; `words`: the engine's, about that.

    >>> moved("node3 does not answer any more").split(" Your f")[0]
    'Your server is gone: node3 does not answer any more.'
    """
    return f"Your server is gone: {words}. {KEPT} Start it again: it comes up on another machine."


def out_of_memory(memory: int) -> str:
    """The server used more than it may; 0: nobody remembers how much that was.

    >>> out_of_memory(2 * 2**30).split(".")[0]
    'Your server ran out of memory (2 GB)'
    """
    had = f" ({gigabytes(memory)})" if memory else ""
    return f"Your server ran out of memory{had}. {KEPT} Choose a larger size, or load less at once."


def ended(phase: str, exit_code: int | None, memory_killed: bool, memory: int) -> str:
    """From the engine's words about a server that does not run any more. `memory`: its limit in bytes.

    >>> ended("ended", 137, False, 2**30) == KILLED, ended("absent", None, False, 2**30) == LOST
    (True, True)
    """
    if memory_killed:
        return out_of_memory(memory)
    if phase == "absent":
        return LOST
    if exit_code in (0, 143):  # it was asked to end: which engine or person did so is not known
        return STOPPED
    if exit_code in (None, 137, 255):
        return KILLED
    return f"Your server failed (exit code {exit_code}). {KEPT} Start it again; if it stays so, tell the operator."


def idle(seconds: float) -> str:
    """Nobody used it, and nothing in it computed."""
    return f"Nobody used your server for {span(seconds)} and nothing in it computed, so it was stopped. {KEPT}"


def too_old(seconds: float) -> str:
    """It ran for as long as a server may."""
    return f"Your server ran for {span(seconds)}, which is the longest here, so it was stopped. {KEPT}"


def gigabytes(size: int) -> str:
    """As people choose it: 2 GB, 1.5 GB, 512 MB.

    >>> gigabytes(2 * 2**30), gigabytes(512 * 2**20)
    ('2 GB', '512 MB')
    """
    return f"{size / 2**30:.3g} GB" if size >= 2**30 else f"{size / 2**20:.0f} MB"


def span(seconds: float) -> str:
    """`45 s`, `20 min`, `1 h`, `2 h 30 min`, `7 days`.

    >>> span(45), span(1200), span(3600), span(9000), span(7 * 86400)
    ('45 s', '20 min', '1 h', '2 h 30 min', '7 days')
    """
    if seconds < 60:
        return f"{round(seconds)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 48:
        return f"{round(hours / 24)} days"
    return " ".join(f"{number} {unit}" for number, unit in ((hours, "h"), (minutes, "min")) if number)
