"""Where somebody goes who has the right, but lacks a stronger or fresher login. PURE."""

from __future__ import annotations

from urllib.parse import urlencode

from .model import Requirement


def step_up_path(needed: Requirement, back: str) -> str:
    """The hub's page, from its root, that asks for what is `needed` and then leads to the path `back`."""
    age = "" if needed.max_age is None else f"{needed.max_age:g}"
    query = {"level": needed.level, "max_age": age, "next": back}
    return f"/hub/step-up?{urlencode({key: value for key, value in query.items() if value})}"
