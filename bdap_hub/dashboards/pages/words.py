"""States, kinds and modes of dashboards in plain words, as pages say them. PURE."""

from __future__ import annotations

STATES = {
    "draft": ("Draft", "Works, and only those who edit or review it can look at it.", ""),
    "submitted": ("Waiting for review", "Somebody must approve it before visitors get it.", "warn"),
    "approved": ("Approved", "May be made live.", "ok"),
    "rejected": ("Rejected", "Its author may change it and submit it again.", "bad"),
    "live": ("Live", "What visitors get.", "ok"),
    "retired": ("Earlier version", "Was live; may be made live again.", ""),
}
MODES = {
    "static": ("As a finished page", "Nothing runs for visitors: what the page does, their browsers do."),
    "fork": (
        "From a finished state",
        "The notebook ran once when it was published. The page is there at once, and each visitor gets a copy of that "
        "state of their own at their first click.",
    ),
    "fork-after-imports": (
        "From loaded packages",
        "The packages are loaded once; the cells run anew for each visitor.",
    ),
    "app": (
        "As a running app",
        "One process serves all visitors; each page that is opened has a session of its own in it.",
    ),
    "plain": (
        "By plain Voilà",
        "The whole notebook runs anew for each visitor, so the page takes as long as the notebook.",
    ),
}
KINDS = {"voila": "Notebook", "static": "Static page", "solara": "Solara app", "panel": "Panel app"}


def state(status: str) -> tuple[str, str, str]:
    """Name, meaning and colour of a state of a version."""
    return STATES.get(status, (status.capitalize(), "", ""))
